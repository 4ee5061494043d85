"""Python programs as tasks: deduction, abduction and induction."""
