"""Induction: what is a task of values of a hidden formula, and what formula agrees with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction

import azr_core as azr
from azr_plugins_math import guard, limits, shapes, syntax
from azr_plugins_math.comparison import compare
from azr_plugins_math.errors import MathError, Undefined
from azr_plugins_math.nodes import Node, number
from azr_plugins_math.points import VALUE_DIGITS, hidden_points, kind_of, value_at
from azr_plugins_math.tasks import InductionProposal, InductionTask

LEAST_VISIBLE, MOST_VISIBLE = 4, 12
FARTHEST = 10**6
FORMULA = guard.Bounds(nodes=60)
"""Bounds of a formula in an answer."""


class InductionVerifier(azr.Verifier[InductionProposal, InductionTask]):
    """An answer is a formula that has the task's value at every point, shown or hidden.

    secret: the key with which hidden points are drawn, beside the task itself; the policy sees neither.
    """

    isolated = True

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def admit(self, proposal: InductionProposal) -> InductionTask:
        node = _formula(proposal)
        values = {point: _visible_value(node, proposal.var, point) for point in proposal.visible}
        if len(set(values.values())) == 1:
            raise azr.InvalidTask("constant: all visible values are equal")
        if all(value == point for point, value in values.items()):
            raise azr.InvalidTask("the formula is the symbol itself")
        identity = identify(node, proposal.visible)
        kind = kind_of(node, proposal.visible)
        hidden = hidden_points(node, proposal.var, kind, proposal.visible, azr.chance(0, 0, f"points of {self._secret} {identity}"))
        if not hidden:
            raise azr.InvalidTask("the formula has too few values near and far from the visible points")
        return InductionTask.of(proposal, kind, values | hidden, identity)

    def grade(self, task: InductionTask, answer: str) -> float | azr.Verdict:
        try:
            node = syntax.parse(answer, (task.var,))
            guard.check(node, FORMULA)
        except MathError as refusal:
            raise azr.FormatError(str(refusal)) from None
        for count, (point, value) in enumerate(task.points):
            if not _agrees(node, task.var, point, Fraction(value)):
                where = f"at {point}" if count < task.visible else "at a hidden point"
                return azr.Verdict(azr.Outcome.WRONG, 0.0, f"another value {where}")
        return 1.0

    def measures(self, task: InductionTask, references: Sequence[azr.Task]) -> dict[str, float]:
        own = {"visible": float(task.visible), "message_words": float(len(task.message.split()))}
        return shapes.describe([syntax.parse(task.formula, (task.var,))]) | own

    def skeleton(self, task: InductionTask) -> str:
        return shapes.skeleton(syntax.parse(task.formula, (task.var,)))


def identify(node: Node, visible: Sequence[int]) -> str:
    """The content of a task, by which it is known again; the hint and the hidden points do not count."""
    return json.dumps(["induction", shapes.content(node), sorted(visible)])


def _formula(proposal: InductionProposal) -> Node:
    """The formula of a proposal that keeps to all limits. Raises InvalidTask."""
    limits.check_symbol(proposal.var)
    limits.check_text(proposal.formula)
    limits.check_text(proposal.message)
    points = proposal.visible
    if not LEAST_VISIBLE <= len(set(points)) == len(points) <= MOST_VISIBLE:
        raise azr.InvalidTask(f"{len(set(points))} different visible points of {len(points)}, {LEAST_VISIBLE} to {MOST_VISIBLE} are needed")
    if max(map(abs, points)) > FARTHEST:
        raise azr.InvalidTask(f"a visible point beyond {FARTHEST}")
    if _bare(proposal.formula) in _bare(proposal.message):
        raise azr.InvalidTask("the message contains the formula")
    try:
        node = syntax.parse(proposal.formula, (proposal.var,))
        limits.check_tree(node)
    except MathError as refusal:
        raise azr.InvalidTask(str(refusal)) from None
    if not syntax.names(node):
        raise azr.InvalidTask(f"constant: {proposal.var} does not occur")
    return node


def _visible_value(node: Node, name: str, point: int) -> Fraction:
    value = value_at(node, name, point)
    if value is None:
        raise azr.InvalidTask(f"no rational value of at most {VALUE_DIGITS} digits at {point}")
    return value


def _agrees(node: Node, name: str, point: int, value: Fraction) -> bool:
    try:
        return compare(node, number(value), {name: Fraction(point)}) == 0
    except Undefined:
        return False


def _bare(text: str) -> str:
    """A text without spaces, multiplication signs and capitals, so that a formula is found however it is set."""
    return "".join(text.split()).replace("**", "^").replace("*", "").lower()
