"""The three environments, put together."""

from __future__ import annotations

from pathlib import Path

import azr_core as azr
from azr_plugins_python import demonstrations
from azr_plugins_python.executor import Executor, Limits
from azr_plugins_python.induction import InductionVerifier
from azr_plugins_python.options import Options
from azr_plugins_python.proposers import InductionProposer, ProgramProposer
from azr_plugins_python.seeds import induction_seeds, program_seeds
from azr_plugins_python.tasks import AbductionTask, DeductionTask, InductionTask
from azr_plugins_python.verifiers import AbductionVerifier, DeductionVerifier

DEDUCTION, ABDUCTION, INDUCTION = "python/deduction", "python/abduction", "python/induction"
_PROMPTS = Path(__file__).with_name("prompts")


def make_executor(options: Options, allow_unsandboxed: bool = False) -> Executor:
    """The executor that the verifiers of one set of environments share. It starts at its first job."""
    limits = Limits(cpu_s=options.cpu_s, wall_s=options.wall_s, memory_mb=options.memory_mb)
    return Executor(limits, options.slots, allow_unsandboxed=allow_unsandboxed)


def make_environments(options: Options, executor: Executor) -> tuple[azr.Environment, azr.Environment, azr.Environment]:
    """Deduction, abduction and induction."""
    return (
        azr.Environment(
            name=DEDUCTION,
            proposer=ProgramProposer(),
            verifier=DeductionVerifier(options, executor),
            seeds=program_seeds(0),
            task_type=DeductionTask,
            templates=_templates("deduction", options),
            demonstrations=demonstrations.endless(demonstrations.deduction),
        ),
        azr.Environment(
            name=ABDUCTION,
            proposer=ProgramProposer(),
            verifier=AbductionVerifier(options, executor),
            seeds=program_seeds(1),
            task_type=AbductionTask,
            templates=_templates("abduction", options),
            demonstrations=demonstrations.endless(demonstrations.abduction),
        ),
        azr.Environment(
            name=INDUCTION,
            proposer=InductionProposer(options.pairs),
            verifier=InductionVerifier(options, executor),
            seeds=induction_seeds(options.pairs),
            task_type=InductionTask,
            references=(ABDUCTION, DEDUCTION),
            reference_count=1,
            templates=_templates("induction", options),
            demonstrations=demonstrations.endless(demonstrations.induction, options.pairs),
        ),
    )


def _templates(kind: str, options: Options) -> dict[str, str]:
    """Texts by style and role, read from prompts/STYLE/KIND.ROLE.txt; the newline that ends a file is not part of it."""
    return {
        f"{path.parent.name}/{path.suffixes[0][1:]}": path.read_text("utf-8").removesuffix("\n").replace("{pairs}", str(options.pairs))
        for path in sorted(_PROMPTS.glob(f"*/{kind}.*.txt"))
    }
