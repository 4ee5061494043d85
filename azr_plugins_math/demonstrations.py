"""Worked examples without end, from the families: for warming up small models, for solver-only runs and for benchmarks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import azr_core as azr
from azr_plugins_math import exercises, sequences, shapes, systems
from azr_plugins_math.abduction import identify
from azr_plugins_math.conditions import read_condition
from azr_plugins_math.deduction import DeductionTask
from azr_plugins_math.generator import COMMON_KEPT, Family, Worked, draw, reserved
from azr_plugins_math.induction import InductionVerifier
from azr_plugins_math.tasks import AbductionProposal, AbductionTask, DeductionProposal, InductionProposal

THOUGHT_SHARE = 0.7
PATIENCE = 50
"""Draws in a row that are known already before one is shown again."""

_INDUCTIONS = InductionVerifier("demonstrations")


@dataclass(frozen=True)
class Source:
    """Families of one environment, and the task of a worked example; None for one that is no task after all."""

    families: Mapping[Family[Any], float]
    task_of: Callable[[Worked[Any]], azr.Task | None]

    def examples(self, rng: random.Random, *, hard: bool = False, held_out: bool = False) -> Iterator[azr.Demonstration]:
        """Examples without end. held_out: only those that no training may use, else only the others."""
        seen: set[str] = set()
        repeats = 0
        while True:
            worked = draw(rng, self.families, hard)
            task = None if shapes.common(worked.answer) and rng.random() >= COMMON_KEPT else self.task_of(worked)
            if task is None or reserved(task.key()) is not held_out:
                continue
            if task.key() in seen and repeats < PATIENCE:
                repeats += 1
                continue
            seen.add(task.key())
            repeats = 0
            yield azr.Demonstration(worked.proposal.text(), task, worked.thought, worked.answer)

    def demonstrations(self, rng: random.Random) -> Iterator[azr.Demonstration]:
        """The `demonstrations` of the environment: most of them think."""
        for example in self.examples(rng):
            yield example if rng.random() < THOUGHT_SHARE else replace(example, thought="")


def _deduction(worked: Worked[DeductionProposal]) -> azr.Task:
    return DeductionTask.of(worked.proposal, worked.answer)


def _abduction(worked: Worked[AbductionProposal]) -> azr.Task:
    proposal = worked.proposal
    conditions = [read_condition(text, tuple(proposal.unknowns)) for text in proposal.constraints]
    return AbductionTask.of(proposal, identify(proposal.unknowns, conditions))


def _induction(worked: Worked[InductionProposal]) -> azr.Task | None:
    try:
        return _INDUCTIONS.admit(worked.proposal)
    except azr.InvalidTask:
        return None


DEDUCTION = Source(exercises.FAMILIES, _deduction)
ABDUCTION = Source(systems.FAMILIES, _abduction)
INDUCTION = Source(sequences.FAMILIES, _induction)
