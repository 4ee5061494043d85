"""Proposers: show references, ask for a task, read the proposal in the answer. A reference reads as a proposal, with its answer."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import azr_core as azr
from azr_plugins_math.lines import optional, read_kinds, read_lines, read_values, single, split
from azr_plugins_math.tasks import AbductionProposal, DeductionProposal, InductionProposal, MathTask

P = TypeVar("P", DeductionProposal, AbductionProposal, InductionProposal)

_INTEGER = re.compile(r"[+-]?\d{1,7}", re.ASCII)


class MathProposer(azr.Proposer[P], Generic[P]):
    """What the proposers share: the references as plain lines, an empty line between two of them."""

    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "\n\n".join(reference.shown() for reference in references if isinstance(reference, MathTask))

    @abstractmethod
    def parse(self, answer: str, references: Sequence[azr.Task]) -> P: ...


class DeductionProposer(MathProposer[DeductionProposal]):
    """Proposes an operation on an expression."""

    def parse(self, answer: str, references: Sequence[azr.Task]) -> DeductionProposal:
        lines = read_lines(answer, ("op", "expr", "var", "domain", "lower", "upper", "point"))
        domain = optional(lines, "domain")
        return DeductionProposal(
            op=single(lines, "op"),
            expr=single(lines, "expr"),
            var=optional(lines, "var"),
            domain=read_kinds(domain) if domain else {},
            lower=optional(lines, "lower"),
            upper=optional(lines, "upper"),
            point=optional(lines, "point"),
        )


class AbductionProposer(MathProposer[AbductionProposal]):
    """Proposes conditions and the values that meet them."""

    def parse(self, answer: str, references: Sequence[azr.Task]) -> AbductionProposal:
        lines = read_lines(answer, ("find", "with", "answer"), repeated=("with",))
        unknowns = read_kinds(single(lines, "find"))
        single(lines, "with")
        witness = read_values(single(lines, "answer"), list(unknowns))
        return AbductionProposal(unknowns=unknowns, constraints=tuple(lines["with"]), witness=witness)


class InductionProposer(MathProposer[InductionProposal]):
    """Proposes a formula, the points that are shown and a hint."""

    def parse(self, answer: str, references: Sequence[azr.Task]) -> InductionProposal:
        lines = read_lines(answer, ("var", "formula", "visible", "message"))
        points = split(single(lines, "visible"))
        if not all(_INTEGER.fullmatch(point) for point in points):
            raise azr.FormatError("`visible` is not a list of integers such as `0, 1, 2, 3`")
        return InductionProposal(
            var=single(lines, "var"),
            formula=single(lines, "formula"),
            visible=tuple(map(int, points)),
            message=optional(lines, "message"),
        )
