"""Public benchmarks of programs, run in the sandbox: CRUXEval, HumanEval, MBPP, and EvalPlus' longer tests of the last two."""

from azr_plugins_python.public.cruxeval import CruxEvalInput, CruxEvalOutput
from azr_plugins_python.public.plus import HumanEvalPlus, MbppPlus
from azr_plugins_python.public.programs import HumanEval, Mbpp
from azr_plugins_python.public.sandbox import Machine, ProgramBenchmark

PUBLIC: tuple[type[ProgramBenchmark], ...] = (CruxEvalInput, CruxEvalOutput, HumanEval, HumanEvalPlus, Mbpp, MbppPlus)

__all__ = ["PUBLIC", "Machine", "ProgramBenchmark"]
