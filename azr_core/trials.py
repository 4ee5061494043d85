"""What a plugin's environments are tried for, one by one. Ids with a dot are those of OpenEnv's RFC 008 for the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from azr_core import trials_law as law
from azr_core import trials_proposer as proposer
from azr_core import trials_verifier as verifier
from azr_core.subject import BOUNDED, WELL_FORMED, Finding, Subject
from azr_core.trials_elsewhere import elsewhere


@dataclass(frozen=True)
class Trial:
    """One thing that is tried. run: yields what is wrong with the environment."""

    id: str
    run: Callable[[Subject], Iterator[Finding]]

    @property
    def proves(self) -> str:
        """What holds where nothing is found, in a line."""
        return (self.run.__doc__ or "").strip().rstrip(".")


TRIALS = (
    Trial("seeds-admitted", law.seeds_admitted),
    Trial("semantic.oracle_max", law.own_answers),
    Trial(WELL_FORMED, law.well_formed),
    Trial("round-trip", law.round_trip),
    Trial("semantic.replayability", law.replay),
    Trial("semantic.verifier_determinism", law.steady),
    Trial("runtime.seed_control", law.seed_control),
    Trial("semantic.verifier_portability", elsewhere),
    Trial(BOUNDED, law.in_time),
    Trial("semantic.no_solution_leakage", law.no_leak),
    Trial("static.task_distribution_pinning", law.held_out),
    Trial("semantic.floor_gap", verifier.floor),
    Trial("question-as-answer", verifier.question),
    Trial("noisy-reference", verifier.noise),
    Trial("all-answers", verifier.all_answers),
    Trial("prompt-injection", verifier.injections),
    Trial("semantic.canary_floor", verifier.exploits),
    Trial("always-equal", verifier.equals),
    Trial("runtime.host_containment", verifier.code),
    Trial("look-alikes", verifier.look_alikes),
    Trial("unevaluated-forms", verifier.unevaluated),
    Trial("statistical.adversarial_floor", verifier.guesses),
    Trial("nested-reply", verifier.nested),
    Trial("huge-reply", verifier.huge),
    Trial("trivial-proposals", proposer.hostile),
    Trial("oversize-proposals", proposer.oversized),
    Trial("smuggled-gold", proposer.smuggled),
    Trial("answer-in-question", proposer.telling),
    Trial("duplicates", proposer.duplicates),
)
# Findings of other trials: what goes wrong in several of them, and what is seen while a plugin is loaded.
BESIDE = {
    "batches-agree": "grade_many and admit_many give each item what a single call gives it, in order",
    "slow-proposals": "no proposal keeps the gate busy until it is killed",
    "runtime.startup": "the plugin is imported and answers its hooks, in time and without flooding the output",
    "runtime.episode_isolation": "loading and judging leave the process as it was: random state, variables, path, locale, signals, modules",
}


def examine(subject: Subject, trials: Sequence[Trial] = TRIALS) -> Iterator[tuple[Trial, list[Finding]]]:
    """Each trial and what it found, with what the verifier did meanwhile instead of judging."""
    for trial in trials:
        yield trial, [*trial.run(subject), *proposer.slow(subject), *subject.drain()]
