"""Mathematics as tasks, verified by our own evaluators: deduction, abduction and induction."""
