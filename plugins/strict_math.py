"""Mathematics written out to the end: `6/4`, `1.5`, `sqrt(8)` and `1/sqrt(2)` pass no longer. Benchmarks keep the shipped rule.

azr run --plugin math --plugin plugins/strict_math.py
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import azr_core as azr

# A numerator is no exponent and no divisor: x**6/4 is a quarter of a power.
FRACTION = re.compile(r"(?<!\*\*)(?<![\w.^/])(\d{1,999})/\(?-?(\d{1,999})(?![\d.])", re.ASCII)
ROOT = re.compile(r"\bsqrt\((\d+)\)", re.ASCII)


def flaws(answer: str) -> Iterator[str]:
    """What is not done in an answer, as far as its text shows."""
    text = "".join(answer.split())
    if re.search(r"\d\.|\.\d", text):
        yield "a decimal, which is not exact in every case"
    if any(math.gcd(int(top), int(bottom)) > 1 or int(bottom) == 1 for top, bottom in FRACTION.findall(text)):
        yield "a fraction that is not in lowest terms"
    if any(not squarefree(int(radicand)) for radicand in ROOT.findall(text) if len(radicand) < 10):
        yield "a square under a root"
    if re.search(r"/\(?-?(\d+\*)?sqrt\(", text):
        yield "a root in a denominator"


def squarefree(number: int) -> bool:
    """Whether nothing can be drawn from under a root."""
    return number > 1 and all(number % (factor * factor) for factor in range(2, min(math.isqrt(number), 1_000) + 1))


def written_out(task: azr.Task, answer: str, verdict: azr.Verdict) -> azr.Verdict:
    """The verdict, unless it praises an answer with a flaw that the reference does not have."""
    found = [flaw for flaw in flaws(answer) if flaw not in flaws(task.answer)] if verdict.outcome is azr.Outcome.SOLVED else []
    return azr.Verdict(azr.Outcome.WRONG, reason=f"right, but with {found[0]}") if found else verdict


@azr.hookimpl
def azr_verifier(environment: azr.Environment) -> azr.WrappedVerifier | None:
    """For every kind of mathematics."""
    return azr.WrappedVerifier(environment.verifier, grade=written_out) if environment.domain == "math" else None
