"""The environments, put together."""

from __future__ import annotations

from pathlib import Path

import azr_core as azr
from azr_plugins_python import demonstrations
from azr_plugins_python.error import ErrorVerifier
from azr_plugins_python.executor import Executor, Limits
from azr_plugins_python.induction import InductionVerifier
from azr_plugins_python.options import Options
from azr_plugins_python.proposers import InductionProposer, ProgramProposer
from azr_plugins_python.seedfiles import InductionSeeds, ProgramSeeds
from azr_plugins_python.seeds import error_seeds, induction_seeds, program_seeds
from azr_plugins_python.tasks import AbductionTask, DeductionTask, ErrorTask, InductionTask
from azr_plugins_python.verifiers import AbductionVerifier, DeductionVerifier

DEDUCTION, ABDUCTION, INDUCTION, ERROR = "python/deduction", "python/abduction", "python/induction", "python/error"
_PROMPTS = Path(__file__).with_name("prompts")


def make_executor(options: Options, allow_unsandboxed: bool = False) -> Executor:
    """The executor that the verifiers of one set of environments share. It starts at its first job."""
    limits = Limits(cpu_s=options.cpu_s, wall_s=options.wall_s, memory_mb=options.memory_mb)
    return Executor(limits, options.slots, allow_unsandboxed=allow_unsandboxed, isolation=options.isolation)


def make_environments(options: Options, executor: Executor) -> tuple[azr.Environment, ...]:
    """Deduction, abduction and induction, and error where the options ask for it."""
    programs = ProgramSeeds(executor)
    usual = (
        azr.Environment(
            name=DEDUCTION,
            proposer=ProgramProposer(options.composite),
            verifier=DeductionVerifier(options, executor),
            seeds=program_seeds(0),
            task_type=DeductionTask,
            templates=_templates("deduction", options),
            demonstrations=demonstrations.endless(demonstrations.deduction),
            seed_format=programs,
        ),
        azr.Environment(
            name=ABDUCTION,
            proposer=ProgramProposer(options.composite),
            verifier=AbductionVerifier(options, executor),
            seeds=program_seeds(1),
            task_type=AbductionTask,
            templates=_templates("abduction", options),
            demonstrations=demonstrations.endless(demonstrations.abduction),
            seed_format=programs,
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
            seed_format=InductionSeeds(executor, options.pairs),
        ),
    )
    return (*usual, _error(options, executor)) if options.error_task else usual


def _error(options: Options, executor: Executor) -> azr.Environment:
    return azr.Environment(
        name=ERROR,
        proposer=ProgramProposer(options.composite),
        verifier=ErrorVerifier(options, executor),
        seeds=error_seeds(),
        task_type=ErrorTask,
        templates=_templates("error", options),
        demonstrations=demonstrations.endless(demonstrations.error),
    )


def _templates(kind: str, options: Options) -> dict[str, str]:
    """Texts by style and role, read from prompts/STYLE/KIND.ROLE.txt."""
    return {f"{path.parent.name}/{path.suffixes[0][1:]}": _text(path, options) for path in sorted(_PROMPTS.glob(f"*/{kind}.*.txt"))}


def _text(path: Path, options: Options) -> str:
    """A prompt without the newline that ends its file. {composite} is the text of that name beside it, where composites are on."""
    text = path.read_text("utf-8").removesuffix("\n").replace("{pairs}", str(options.pairs))
    if "{composite}" not in text:
        return text
    return text.replace("{composite}", path.with_name("composite.txt").read_text("utf-8") if options.composite.start else "")
