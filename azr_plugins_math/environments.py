"""The environments, put together."""

from __future__ import annotations

from pathlib import Path

import azr_core as azr
from azr_plugins_math import demonstrations
from azr_plugins_math.abduction import AbductionVerifier
from azr_plugins_math.deduction import DeductionTask, DeductionVerifier
from azr_plugins_math.induction import InductionVerifier
from azr_plugins_math.options import Options
from azr_plugins_math.proposers import AbductionProposer, DeductionProposer, InductionProposer
from azr_plugins_math.seeds import ABDUCTION as ABDUCTION_SEEDS
from azr_plugins_math.seeds import DEDUCTION as DEDUCTION_SEEDS
from azr_plugins_math.seeds import INDUCTION as INDUCTION_SEEDS
from azr_plugins_math.tasks import AbductionTask, InductionTask

DEDUCTION, ABDUCTION, INDUCTION = "math/deduction", "math/abduction", "math/induction"
_PROMPTS = Path(__file__).with_name("prompts")


def make_environments(options: Options, seed: int = 0) -> tuple[azr.Environment, ...]:
    """Deduction, abduction and induction. seed: the run's, from which hidden points are drawn with the options' secret."""
    return (
        azr.Environment(
            name=DEDUCTION,
            proposer=DeductionProposer(),
            verifier=DeductionVerifier(options, seed),
            seeds=DEDUCTION_SEEDS,
            task_type=DeductionTask,
            templates=_templates("deduction"),
            demonstrations=demonstrations.DEDUCTION.demonstrations,
        ),
        azr.Environment(
            name=ABDUCTION,
            proposer=AbductionProposer(),
            verifier=AbductionVerifier(),
            seeds=ABDUCTION_SEEDS,
            task_type=AbductionTask,
            templates=_templates("abduction"),
            demonstrations=demonstrations.ABDUCTION.demonstrations,
        ),
        azr.Environment(
            name=INDUCTION,
            proposer=InductionProposer(),
            verifier=InductionVerifier(f"{seed} {options.secret}"),
            seeds=INDUCTION_SEEDS,
            task_type=InductionTask,
            templates=_templates("induction"),
            demonstrations=demonstrations.INDUCTION.demonstrations,
        ),
    )


def _templates(kind: str) -> dict[str, str]:
    """Texts by style and role, read from prompts/STYLE/KIND.ROLE.txt; {grammar} is the text of that name beside them."""
    return {f"{path.parent.name}/{path.suffixes[0][1:]}": _text(path) for path in sorted(_PROMPTS.glob(f"*/{kind}.*.txt"))}


def _text(path: Path) -> str:
    """A prompt without the newline that ends its file."""
    text = path.read_text("utf-8").removesuffix("\n")
    return text.replace("{grammar}", path.with_name("grammar.txt").read_text("utf-8")) if "{grammar}" in text else text
