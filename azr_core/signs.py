"""Signs of trouble in a run, as data: which metric tells of it, from where on, what it means and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """On which side of its threshold a rule raises its alarm."""

    BELOW = "below"
    ABOVE = "above"


@dataclass(frozen=True)
class Rule:
    """One sign of trouble.

    metric: its name, or what stands before the environments' names; then the worst environment counts. what: the metric in words.
    meaning, advice: what it says of a run, and what to try. steps: the value is a mean over so many last steps. relative: the value is
    a share of the mean of its first so many values. margin: how far back the value must go until it is over.
    """

    name: str
    metric: str
    side: Side
    threshold: float
    what: str
    meaning: str
    advice: str
    steps: int = 10
    relative: bool = False
    margin: float = 0.05

    def raises(self, value: float) -> bool:
        """Whether a value is on the bad side."""
        return value < self.threshold if self.side is Side.BELOW else value > self.threshold

    def releases(self, value: float) -> bool:
        """Whether a value is well again: the margin away from the threshold, or half the way to 1 or 0 where that is less."""
        if self.side is Side.BELOW:
            return value >= min(self.threshold + self.margin, (self.threshold + 1) / 2)
        return value <= max(self.threshold - self.margin, self.threshold / 2)


VARIETY = "raise reward.novelty or lower reward.proposer_weight (`--preset azr` does both), or set skeleton_cap"
RULES: tuple[Rule, ...] = (
    Rule(
        "skeletons", "skeletons/unique", Side.BELOW, 0.35, "unique skeletons in a step", "the proposer repeats itself",
        VARIETY, margin=0.1,
    ),
    Rule(
        "skeletons_fallen", "skeletons/unique", Side.BELOW, 0.5, "unique skeletons in a step", "the proposer has begun to repeat itself",
        VARIETY, relative=True, margin=0.1,
    ),
    Rule(
        "variety", "skeletons/evenness", Side.BELOW, 0.6, "evenness of the last tasks' skeletons", "few patterns make up most of the tasks",
        f"{VARIETY}; raise references",
    ),
    Rule(
        "valid", "valid", Side.BELOW, 0.2, "valid proposals", "most of what is proposed is no task",
        "teach the format with `azr warmup`, choose a stronger --model, or lower trainer.learning_rate", margin=0.1,
    ),
    Rule(
        "duplicates", "duplicate_share", Side.ABOVE, 0.3, "proposals that are known already", "the proposer copies its references",
        "raise references or reward.novelty, lower reward.proposer_weight, or start from more seeds (`azr seed`)", margin=0.1,
    ),
    Rule(
        "malformed", "malformed", Side.ABOVE, 0.5, "malformed solutions", "the reply's form is not known, or is being lost",
        "teach it with `azr warmup`, choose a stronger --model, or lower trainer.learning_rate", margin=0.1,
    ),
    Rule(
        "flat_groups", "flat_groups", Side.ABOVE, 0.8, "groups of solves that all earn the same", "most solves teach nothing",
        'raise probe_samples or probe_temperature, set admit_rates = "between", or choose reward.name = "balanced"',
    ),
    Rule(
        "earning", "earning", Side.BELOW, 0.05, "proposals that earn anything", "the proposer has hardly a signal",
        'raise probe_samples or probe_temperature, or choose another reward.name such as "balanced"',
    ),
    Rule(
        "unsolved", "solve_rate", Side.BELOW, 0.02, "solved", "the tasks are too hard to learn from",
        'choose a stronger --model, teach it with `azr warmup`, or set probes = "train", which learns from every solve', margin=0.03,
    ),
    Rule(
        "solved", "solve_rate", Side.ABOVE, 0.98, "solved", "the tasks are too easy to learn from",
        'raise reward.proposer_weight, or set admit_rates = "below_one"', margin=0.03,
    ),
    Rule(
        "entropy", "train/entropy", Side.BELOW, 0.25, "the policy's entropy", "it samples nearly the same every time",
        "raise trainer.entropy_coefficient or lower trainer.learning_rate", relative=True, margin=0.1,
    ),
    Rule(
        "proposer_entropy", "entropy/propose", Side.BELOW, 0.25, "the entropy of proposals", "they are nearly the same every time",
        "lower reward.proposer_weight or trainer.learning_rate, or raise trainer.entropy_coefficient", relative=True, margin=0.1,
    ),
    Rule(
        "solutions_cut", "truncated/solve", Side.ABOVE, 0.1, "solutions cut at solve_tokens", "long replies are graded as malformed",
        "raise solve_tokens; lower prompt_tokens where the model's context is full",
    ),
    Rule(
        "proposals_cut", "truncated/propose", Side.ABOVE, 0.1, "proposals cut at propose_tokens", "long proposals are lost",
        "raise propose_tokens; lower references or prompt_tokens where the model's context is full",
    ),
    Rule(
        "shorter", "reply_tokens/solve", Side.BELOW, 0.3, "length of solutions", "the solver answers without working it out",
        "lower trainer.learning_rate, and read some with `azr show`", relative=True,
    ),
    Rule(
        "held_out", "held_out_lost", Side.ABOVE, 0.05, "held-out accuracy lost since its best", "it unlearns what it could do",
        "lower trainer.learning_rate or reward.proposer_weight, or stop at the best checkpoint (keep_checkpoints)", steps=1, margin=0.01,
    ),
    Rule(
        "failed", "failed_share", Side.ABOVE, 0.02, "replies that our own machinery could not judge", "verification is breaking down",
        "read run.log, try `azr doctor`, lower workers or raise verify_timeout", margin=0.01,
    ),
)  # fmt: skip
