"""Families of formulas whose values at integers show their rule, for induction."""

from __future__ import annotations

import random
from itertools import pairwise
from math import gcd

from azr_plugins_math.generator import Family, Worked, nonzero, polynomial, total
from azr_plugins_math.tasks import InductionProposal

Sequence = Worked[InductionProposal]
SHORTEST, LONGEST = 5, 7


def sequence(rng: random.Random, formula: str, steps: list[str], hint: str, *, start: int = 0, least: int = SHORTEST) -> Sequence:
    """A worked formula in n, shown from `start` on at `least` points or more; some come without a hint."""
    visible = tuple(range(start, start + max(least, rng.randint(SHORTEST, LONGEST))))
    message = hint if rng.random() < 0.6 else ""
    return Worked(InductionProposal(var="n", formula=formula, visible=visible, message=message), formula, "\n".join(steps))


def differences(values: list[int], rows: int) -> list[str]:
    """The rows of a table of differences."""
    lines = []
    for number in range(1, rows + 1):
        values = [after - before for before, after in pairwise(values)]
        lines.append(f"d{number}: {' '.join(map(str, values))}")
    return lines


def values(coefficients: list[int], start: int, count: int = SHORTEST) -> list[int]:
    """Values of a polynomial."""
    return [sum(value * point**degree for degree, value in enumerate(coefficients)) for point in range(start, start + count)]


def line(rng: random.Random, hard: bool) -> Sequence:
    """Equal steps."""
    a, b, start = nonzero(rng, 99 if hard else 12), nonzero(rng, 200 if hard else 20), rng.choice((0, 1, 1, -2) if hard else (0, 0, 1))
    steps = [*differences(values([b, a], start), 1), f"f({start}) = {a * start + b}"]
    return sequence(rng, polynomial([b, a], "n"), steps, "equal steps", start=start)


def parabola(rng: random.Random, hard: bool) -> Sequence:
    """Equal second differences."""
    a, b, c = nonzero(rng, 9 if hard else 3), rng.randint(-9, 9), rng.randint(-20, 20)
    start = rng.choice((0, 1, -2) if hard else (0, 0, 1))
    return sequence(rng, polynomial([c, b, a], "n"), differences(values([c, b, a], start), 2), "equal second differences", start=start)


def cubic(rng: random.Random, hard: bool) -> Sequence:
    """Equal third differences."""
    most = 6 if hard else 2
    coefficients = [rng.randint(-9, 9), rng.randint(-most, most), rng.randint(-most, most), nonzero(rng, 3 if hard else 1)]
    return sequence(rng, polynomial(coefficients, "n"), differences(values(coefficients, 0), 3), "a cube grows in it")


def geometric(rng: random.Random, hard: bool) -> Sequence:
    """Powers, and something added."""
    base, a = rng.choice((2, 3, 4, 5) if hard else (2, 2, 3)), rng.choice((1, 1, 2, 3, 5))
    b, c = (nonzero(rng, 5) if hard else 0), nonzero(rng, 20 if hard else 9)
    shown = [a * base**n + b * n + c for n in range(SHORTEST)]
    formula = total([(a, f"{base}^n"), (b, "n"), (c, "")] if b else [(a, f"{base}^n"), (c, "")])
    return sequence(rng, formula, differences(shown, 2 if hard else 1), "doubling hides in it" if base == 2 else "a power hides in it")


def alternating(rng: random.Random, hard: bool) -> Sequence:
    """A sign that alternates."""
    a, b, c = nonzero(rng, 20 if hard else 9), nonzero(rng, 12 if hard else 5), rng.randint(-9, 9)
    sign = "(-1)^n"
    formula = total([(a, "n^2" if hard else "n"), (b, sign), (c, "")] if c else [(a, "n^2" if hard else "n"), (b, sign)])
    steps = differences([a * n ** (2 if hard else 1) + b * (-1) ** n + c for n in range(SHORTEST)], 1)
    return sequence(rng, formula, steps, "even and odd differ")


def remainder(rng: random.Random, hard: bool) -> Sequence:
    """A remainder that comes round."""
    modulus, a, b = rng.randint(3, 7 if hard else 4), rng.randint(2, 9), nonzero(rng, 9) if hard else rng.randint(-4, 4)
    factor = rng.choice([number for number in (2, 3) if modulus % number]) if hard and modulus % 6 else 1
    inner = f"{factor}*n" if factor > 1 else "n"
    rest = [a * (factor * n % modulus) for n in range(modulus + 2)]
    steps = [f"minus {b}*n: {' '.join(map(str, rest))}"] if b else [f"over {a}: {' '.join(str(value // a) for value in rest)}"]
    formula = total([(a, f"mod({inner}, {modulus})"), (b, "n")] if b else [(a, f"mod({inner}, {modulus})")])
    return sequence(rng, formula, steps, f"something comes round every {modulus}", least=modulus + 2)


def quotient(rng: random.Random, hard: bool) -> Sequence:
    """Steps that come every few points."""
    k, a, b = rng.randint(2, 4 if hard else 3), rng.randint(2, 9), nonzero(rng, 6)
    shown = 2 * k + 1
    steps = [f"minus {b}*n: {' '.join(str(a * (n // k)) for n in range(shown))}"]
    return sequence(rng, total([(a, f"floor(n/{k})"), (b, "n")]), steps, "it waits, then steps", least=shown)


def triangle(rng: random.Random, hard: bool) -> Sequence:
    """Halves of products of neighbours."""
    a, b = rng.randint(1, 9 if hard else 3), nonzero(rng, 12)
    shift = rng.randint(2, 5) if hard else 1
    product = f"n*(n + {shift})" + ("/2" if shift % 2 else "")
    shown = [a * n * (n + shift) // (2 if shift % 2 else 1) + b for n in range(SHORTEST)]
    return sequence(rng, total([(a, product), (b, "")]), differences(shown, 2), "a product of two numbers near each other")


def growing_product(rng: random.Random, hard: bool) -> Sequence:
    """Factorials."""
    a, b = rng.choice((1, 1, 2, 3)), nonzero(rng, 9)
    formula = total([(a, "factorial(n)"), (b, "n" if hard else "")])
    shown = [1, 1, 2, 6, 24]
    steps = [f"minus {b}{'*n' if hard else ''}: {' '.join(str(a * value) for value in shown)}"]
    return sequence(rng, formula, steps, "a product that takes one more factor each time")


def corner(rng: random.Random, hard: bool) -> Sequence:
    """A distance, which falls and then grows."""
    a, k, b = rng.randint(2, 9) if hard else 1, rng.randint(1, 3), nonzero(rng, 12)
    formula = total([(a, f"|n - {k}|"), (b, "n" if hard else "")])
    shown = [a * abs(n - k) + b * (n if hard else 1) for n in range(k + 4)]
    return sequence(rng, formula, differences(shown, 1), "a corner somewhere", least=k + 4)


def divisor(rng: random.Random, hard: bool) -> Sequence:
    """Greatest common divisors."""
    k, a, b = rng.choice((4, 6, 8, 9, 10, 12) if hard else (4, 6)), rng.randint(1, 5), nonzero(rng, 6)
    formula = total([(a, f"gcd(n, {k})"), (b, "n")])
    rest = " ".join(str(a * gcd(n, k)) for n in range(1, k + 1))
    return sequence(rng, formula, [f"minus {b}*n: {rest}"], f"what the number shares with {k}", start=1, least=k)


FAMILIES: dict[Family[InductionProposal], float] = {
    line: 1.0, parabola: 1.5, cubic: 0.8, geometric: 1.2, alternating: 1.0, remainder: 1.0, quotient: 0.8,
    triangle: 0.8, growing_product: 0.4, corner: 0.6, divisor: 0.4,
}  # fmt: skip
