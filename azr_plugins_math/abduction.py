"""Abduction: what is a task of conditions with hidden values, and what values meet them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction

import azr_core as azr
from azr_plugins_math import exact, guard, limits, probes, shapes, syntax
from azr_plugins_math.conditions import Condition, Kind, read_condition, read_kind
from azr_plugins_math.errors import Inexact, MathError, Undefined
from azr_plugins_math.lines import read_values
from azr_plugins_math.nodes import Node
from azr_plugins_math.tasks import AbductionProposal, AbductionTask

MOST = 4
"""Unknowns and conditions."""


class AbductionVerifier(azr.Verifier[AbductionProposal, AbductionTask]):
    """Checks by substitution, with our own evaluators on trees that are bounded before they are evaluated."""

    isolated = True

    def admit(self, proposal: AbductionProposal) -> AbductionTask:
        kinds, conditions = _read(proposal)
        identity = identify(proposal.unknowns, conditions)
        task = AbductionTask.of(proposal, identity)
        try:
            witness = _values(kinds, {name: proposal.witness[name] for name in kinds})
        except MathError as refusal:
            raise azr.InvalidTask(f"the witness: {refusal}") from None
        if reason := _refusal(kinds, conditions, witness):
            raise azr.InvalidTask(f"the witness: {reason}")
        rng = azr.chance(0, 0, f"probes of {identity}")
        if free := probes.idle(kinds, conditions, witness, rng):
            raise azr.InvalidTask(f"{free[0]} is not constrained: any value of it will do")
        if (rate := probes.hit_rate(kinds, conditions, rng)) > probes.MOST_HITS:
            raise azr.InvalidTask(f"trivial: {rate:.0%} of blind probes succeed, at most {probes.MOST_HITS:.0%} may")
        return task

    def grade(self, task: AbductionTask, answer: str) -> float | azr.Verdict:
        kinds = {name: read_kind(kind) for name, kind in task.unknowns.items()}
        conditions = [read_condition(text, tuple(kinds)) for text in task.constraints]
        try:
            values = _values(kinds, read_values(answer, list(kinds)))
        except MathError as refusal:
            raise azr.FormatError(str(refusal)) from None
        reason = _refusal(kinds, conditions, values)
        return azr.Verdict(azr.Outcome.WRONG, 0.0, reason) if reason else 1.0

    def measures(self, task: AbductionTask, references: Sequence[azr.Task]) -> dict[str, float]:
        conditions = [read_condition(text, tuple(task.unknowns)) for text in task.constraints]
        sides = [side for condition in conditions for side in (condition.left, condition.right)]
        own = {"unknowns": float(len(task.unknowns)), "common_answer": float(shapes.common(task.answer))}
        return shapes.describe(sides) | own

    def skeleton(self, task: AbductionTask) -> str:
        conditions = [read_condition(text, tuple(task.unknowns)) for text in task.constraints]
        return shapes.skeleton(shapes.system(task.unknowns, conditions))

    def common(self, task: AbductionTask) -> bool:
        return shapes.common(task.answer)


def identify(unknowns: Mapping[str, str], conditions: Sequence[Condition]) -> str:
    """The content of a task, by which it is known again; its witness does not count."""
    return json.dumps(["abduction", shapes.content(shapes.system(unknowns, conditions))])


def _read(proposal: AbductionProposal) -> tuple[dict[str, Kind], list[Condition]]:
    """The parts of a proposal that keep to all limits. Raises InvalidTask."""
    if not 1 <= len(proposal.unknowns) <= MOST or not 1 <= len(proposal.constraints) <= MOST:
        counted = f"{len(proposal.unknowns)} unknowns and {len(proposal.constraints)} constraints"
        raise azr.InvalidTask(f"{counted}, 1 to {MOST} are needed of each")
    if set(proposal.witness) != set(proposal.unknowns):
        raise azr.InvalidTask("the witness does not name exactly the unknowns")
    limits.check_text(*proposal.constraints)
    limits.check_text(*proposal.witness.values())
    for name in proposal.unknowns:
        limits.check_symbol(name)
    try:
        kinds = {name: read_kind(kind) for name, kind in proposal.unknowns.items()}
        conditions = [read_condition(text, tuple(kinds)) for text in proposal.constraints]
        for condition in conditions:
            limits.check_tree(condition.left)
            limits.check_tree(condition.right)
            if syntax.size(condition.left) + syntax.size(condition.right) > guard.TASK.nodes:
                raise MathError(f"a constraint of more than {guard.TASK.nodes} nodes")
    except MathError as refusal:
        raise azr.InvalidTask(str(refusal)) from None
    known = frozenset().union(*(syntax.names(side) for condition in conditions for side in (condition.left, condition.right)))
    if missing := set(kinds) - known:
        raise azr.InvalidTask(f"{min(missing)} is not constrained")
    return kinds, conditions


def _values(kinds: Mapping[str, Kind], texts: Mapping[str, str]) -> dict[str, Node]:
    """The trees of values, which hold no symbol. Raises MathError."""
    values = {name: syntax.parse(texts[name]) for name in kinds}
    for value in values.values():
        guard.check(value, VALUE)
    return values


def _refusal(kinds: Mapping[str, Kind], conditions: Sequence[Condition], values: Mapping[str, Node]) -> str:
    """Why values do not solve a system; empty where they do."""
    known: dict[str, Fraction] = {}
    for name, value in values.items():
        try:
            if not kinds[name].holds(value):
                return f"{name} is not of its kind"
            known[name] = exact.evaluate(value)
        except Inexact:
            continue
        except Undefined as refusal:
            return f"{name} has no value: {refusal}"
    rest = {name: value for name, value in values.items() if name not in known}
    for number, condition in enumerate(conditions, 1):
        if not condition.filled(rest).holds(known):
            return f"constraint {number} does not hold"
    return ""


VALUE = guard.Bounds(nodes=60, literal=10**40)
"""Bounds of a value in an answer."""
