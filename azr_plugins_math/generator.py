"""What the procedural generators share: a worked example, the reserved share of all content, and numbers and polynomials as text.

The families stand in `exercises` (deduction), `systems` (abduction) and `sequences` (induction). Each draws its answer first and writes a
task around it, so that nothing has to be solved; the tasks of benchmarks go through the gate like any other.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

import azr_core as azr

P = TypeVar("P", bound=azr.Proposal)

COMMON_KEPT = 0.25
"""How many of the examples whose answer a guess would try stay; less than a tenth of all then has one."""


@dataclass(frozen=True)
class Worked(Generic[P]):
    """A proposal with its answer and the reasoning that leads there."""

    proposal: P
    answer: str
    thought: str


Family = Callable[[random.Random, bool], Worked[P]]
"""Draws one worked example; the flag asks for a harder one."""


def reserved(identity: str) -> bool:
    """True for the sixteenth of all tasks that no training may use, so that benchmarks drawn from it are unseen whatever the seed."""
    return hashlib.sha256(identity.encode()).digest()[-1] < 16


def draw(rng: random.Random, families: Mapping[Family[P], float], hard: bool) -> Worked[P]:
    """An example of one of the families, which have weights."""
    [family] = rng.choices(list(families), list(families.values()))
    return family(rng, hard)


def polynomial(coefficients: Sequence[int | Fraction], name: str) -> str:
    """`x^2 - 5*x + 6` of (6, -5, 1); `0` of nothing else."""
    terms = [(value, _power(name, degree)) for degree, value in enumerate(coefficients) if value]
    return total([(value, power) for value, power in reversed(terms)])


def total(terms: Sequence[tuple[int | Fraction, str]]) -> str:
    """A sum of coefficients times texts, written as a person would; an empty text stands for one."""
    text = ""
    for value, factor in terms:
        body = _product(abs(Fraction(value)), factor)
        sign = (" - " if value < 0 else " + ") if text else ("-" if value < 0 else "")
        text += sign + body
    return text or "0"


def _product(size: Fraction, factor: str) -> str:
    if not factor or size == 0:
        return str(size)
    front = "" if size.numerator == 1 else f"{size.numerator}*"
    return f"{front}{factor}" if size.denominator == 1 else f"{front}{factor}/{size.denominator}"


def _power(name: str, degree: int) -> str:
    return "" if degree == 0 else name if degree == 1 else f"{name}^{degree}"


def shifted(name: str, root: int) -> str:
    """`(x - 3)` of 3, `(x + 3)` of -3, `x` of 0."""
    return f"({total([(1, name), (-root, '')])})" if root else name


def times(one: Sequence[int], two: Sequence[int]) -> list[int]:
    """The coefficients of a product."""
    product = [0] * (len(one) + len(two) - 1)
    for at, left in enumerate(one):
        for by, right in enumerate(two):
            product[at + by] += left * right
    return product


def nonzero(rng: random.Random, most: int) -> int:
    """An integer from -most to most, but 0."""
    return rng.choice([-1, 1]) * rng.randint(1, most)
