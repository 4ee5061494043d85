"""Proposals and tasks of the environments. Tasks hold all that their grader needs, so a store can give them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Self

from pydantic import BeforeValidator, Field

import azr_core as azr
from azr_plugins_math.lines import write_lines

# A value may come as the JSON number 3 instead of the text "3"; anything else is no text.
Text = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
Kinds = dict[str, str]
"""What each unknown or symbol may be: real, positive, integer, positive_integer or [a,b]; order counts in what is shown."""


class DeductionProposal(azr.Proposal):
    """An operation on an expression. domain: of its symbols, real where nothing is said. Golds are the environment's alone."""

    op: str
    expr: str
    var: str = ""
    domain: Kinds = Field(default_factory=dict)
    lower: Text = ""
    upper: Text = ""
    point: Text = ""

    def text(self) -> str:
        """The proposal in plain lines, which are also the question."""
        return write_lines(
            [
                ("op", self.op),
                ("expr", self.expr),
                ("var", self.var),
                ("domain", kinds_text(self.domain)),
                ("lower", self.lower),
                ("upper", self.upper),
                ("point", self.point),
            ]
        )


class AbductionProposal(azr.Proposal):
    """Conditions on unknowns, and values that meet them, which stay hidden."""

    unknowns: Kinds
    constraints: tuple[str, ...]
    witness: dict[str, Text]

    def question(self) -> str:
        """What is asked, in plain lines."""
        return write_lines([("find", kinds_text(self.unknowns)), *(("with", constraint) for constraint in self.constraints)])

    def text(self) -> str:
        """The proposal in plain lines."""
        return solved_text(self.unknowns, values_text(self.witness), self.constraints)


class InductionProposal(azr.Proposal):
    """A formula, the points at which its values are shown, and a hint. The hidden points are the environment's."""

    var: str
    formula: str
    visible: tuple[Annotated[int, Field(strict=True)], ...]
    message: str = ""

    def text(self) -> str:
        """The proposal in plain lines."""
        return formula_text(self.var, self.formula, self.visible, self.message)


class MathTask(azr.Task):
    """What the tasks share. identity: canonical content, by which two tasks are the same; see `Task.key`."""

    identity: str

    def key(self) -> str:
        return self.identity

    def shown(self) -> str:
        """The task as a reference: what a proposer could have written."""
        return f"{self.question}\n{write_lines([('answer', self.answer)])}"


class AbductionTask(MathTask):
    """Give values that meet all constraints."""

    unknowns: Kinds
    constraints: tuple[str, ...]

    def shown(self) -> str:
        return solved_text(self.unknowns, self.answer, self.constraints)

    @classmethod
    def of(cls, proposal: AbductionProposal, identity: str) -> Self:
        """The task in its plain text, which does not show the witness."""
        witness = {name: proposal.witness[name] for name in proposal.unknowns}
        return cls(
            question=proposal.question(),
            answer=values_text(witness),
            identity=identity,
            unknowns=proposal.unknowns,
            constraints=proposal.constraints,
        )


class InductionTask(MathTask):
    """Give a formula from its values at some points. kind: what the variable may be, as the question says.

    points: (point, value), those that the question shows first. visible: how many those are.
    """

    var: str
    kind: str
    formula: str
    points: tuple[tuple[int, str], ...]
    visible: int
    message: str

    @classmethod
    def of(cls, proposal: InductionProposal, kind: str, values: Mapping[int, Fraction], identity: str) -> Self:
        """The task in its plain text. values: by point, the visible points first, then the hidden ones."""
        points = tuple((point, str(value)) for point, value in values.items())
        visible = len(proposal.visible)
        shown = [f"f({point}) = {value}" for point, value in points[:visible]]
        hint = [write_lines([("message", proposal.message)])] if proposal.message else []
        return cls(
            question="\n".join([write_lines([("var", f"{proposal.var} {kind}")]), *shown, *hint]),
            answer=proposal.formula,
            identity=identity,
            var=proposal.var,
            kind=kind,
            formula=proposal.formula,
            points=points,
            visible=visible,
            message=proposal.message,
        )

    def shown(self) -> str:
        return formula_text(self.var, self.formula, [point for point, _ in self.points[: self.visible]], self.message)


def solved_text(unknowns: Kinds, values: str, constraints: Sequence[str]) -> str:
    """Conditions with values that meet them, in plain lines; values come first, since who writes this chooses them first."""
    conditions = (("with", constraint) for constraint in constraints)
    return write_lines([("find", kinds_text(unknowns)), ("answer", values), *conditions])


def formula_text(name: str, formula: str, visible: Sequence[int], message: str) -> str:
    """A formula with the points that are shown, in plain lines."""
    return write_lines([("var", name), ("formula", formula), ("visible", ", ".join(map(str, visible))), ("message", message)])


def kinds_text(kinds: Mapping[str, str]) -> str:
    """`x integer, y positive`."""
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items())


def values_text(values: Mapping[str, str]) -> str:
    """`x=3, y=1/2`."""
    return ", ".join(f"{name}={value}" for name, value in values.items())
