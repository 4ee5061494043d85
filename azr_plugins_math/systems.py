"""Families of conditions on unknowns with values that meet them, for abduction. Few small or random values meet any of them."""

from __future__ import annotations

import random
from fractions import Fraction
from math import gcd

from azr_plugins_math.generator import Family, Worked, nonzero, polynomial, shifted, times, total
from azr_plugins_math.tasks import AbductionProposal, values_text

System = Worked[AbductionProposal]
PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103)
MODULI = ((8, 9), (7, 11), (9, 10), (7, 12), (9, 11), (8, 11), (10, 11), (7, 13))
HARDER_MODULI = ((5, 7, 9), (4, 7, 9), (5, 8, 9), (5, 7, 11), (4, 9, 11))


def system(kind: str, constraints: list[str], values: dict[str, str], steps: list[str]) -> System:
    """A worked system whose unknowns are all of one kind."""
    proposal = AbductionProposal(unknowns=dict.fromkeys(values, kind), constraints=tuple(constraints), witness=values)
    return Worked(proposal, values_text(values), "\n".join(steps))


def names(rng: random.Random, count: int) -> list[str]:
    """Names of unknowns, in order."""
    return list(rng.choice(("xyz", "abc", "pqr", "uvw"))[:count])


def quadratic(rng: random.Random, hard: bool) -> System:
    """The one root of a quadratic that a comparison leaves."""
    [x] = names(rng, 1)
    least = rng.randint(-9, 8) if not hard else rng.randint(-30, 20)
    most = least + rng.randint(1, 12)
    lead = rng.randint(2, 6) if hard else 1
    left, right = times([-least * lead, lead], [-most, 1]), rng.randint(least, most - 1)
    larger = rng.random() < 0.5
    sign, kept, dropped = (">", most, least) if larger else ("<", least, most)
    bound = right if larger else right + 1
    steps = [f"{f'{lead}*' if lead > 1 else ''}{shifted(x, least)}*{shifted(x, most)} = 0"]
    steps += [f"{x}={dropped}: {dropped} {sign} {bound} no", f"{x}={kept}: {kept} {sign} {bound} yes"]
    return system("integer", [f"{polynomial(left, x)} = 0", f"{x} {sign} {bound}"], {x: str(kept)}, steps)


def linear_pair(rng: random.Random, hard: bool) -> System:
    """Two linear equations."""
    x, y = names(rng, 2)
    size, most = (20, 40) if hard else (5, 9)
    while True:
        a, b, c, d = (nonzero(rng, size) for _ in range(4))
        determinant = a * d - b * c
        if determinant:
            break
    u, v = rng.randint(-most, most), rng.randint(-most, most)
    e, f = a * u + b * v, c * u + d * v
    first, second = e * d - b * f, a * f - e * c
    steps = [f"{a}*({d}) - ({b})*({c}) = {determinant}", f"{e}*({d}) - ({b})*({f}) = {first}", f"{a}*({f}) - ({e})*({c}) = {second}"]
    steps += [f"{x} = {first}/({determinant}) = {u}", f"{y} = {second}/({determinant}) = {v}"]
    one, two = total([(a, x), (b, y)]), total([(c, x), (d, y)])
    return system("integer", [f"{one} = {e}", f"{two} = {f}"], {x: str(u), y: str(v)}, steps)


def sum_and_product(rng: random.Random, hard: bool) -> System:
    """Two numbers of known sum and product, the larger first."""
    x, y = names(rng, 2)
    most = 40 if hard else 12
    v = rng.randint(-most, most - 1)
    u = rng.randint(v + 1, most)
    steps = [f"t^2 - ({u + v})*t + ({u * v}) = {shifted('t', u)}*{shifted('t', v)}", f"{u} > {v}"]
    third = [f"{x}^2 + {y}^2 = {u * u + v * v}"] if hard else [f"{x}*{y} = {u * v}"]
    return system("integer", [f"{x} + {y} = {u + v}", *third, f"{x} > {y}"], {x: str(u), y: str(v)}, steps)


def remainders(rng: random.Random, hard: bool) -> System:
    """A number with known remainders."""
    n = rng.choice("nmk")
    moduli = rng.choice(HARDER_MODULI if hard else MODULI)
    whole = 1
    for modulus in moduli:
        whole *= modulus
    value = rng.randint(3, whole - 1)
    first, *others = moduli
    near = [value - first * back for back in (2, 1) if value - first * back > 0]
    steps = [", ".join(f"mod({one}, {modulus})={one % modulus}" for modulus in moduli) for one in (*near, value)]
    constraints = [f"mod({n}, {modulus}) = {value % modulus}" for modulus in (first, *others)]
    return system("positive_integer", constraints, {n: str(value)}, steps)


def squares(rng: random.Random, hard: bool) -> System:
    """Two squares of known sum or difference."""
    x, y = names(rng, 2)
    most = 30 if hard else 12
    v = rng.randint(3, most - 1)
    u = rng.randint(v + 1, most)
    factor = rng.randint(2, 5) if hard else 1
    known = u * u + factor * v * v
    steps = [f"{y}={one}: {known - factor * one * one}" + (f" = {u}^2" if one == v else "") for one in (v - 2, v - 1, v)]
    left = total([(1, f"{x}^2"), (factor, f"{y}^2")])
    return system("positive_integer", [f"{left} = {known}", f"{x} > {y}"], {x: str(u), y: str(v)}, steps)


def factors(rng: random.Random, hard: bool) -> System:
    """The two prime factors of a number."""
    p, q = names(rng, 2)
    first, second = sorted(rng.sample(PRIMES if hard else PRIMES[:8], 2))
    tried = [prime for prime in PRIMES if prime < first][-2:]
    product = first * second
    steps = [f"mod({product}, {prime})={product % prime}" for prime in (*tried, first)] + [f"{product}/{first} = {second}"]
    values = {p: str(first), q: str(second)}
    return system("positive_integer", [f"{p}*{q} = {product}", f"{p} > 1", f"{p} < {q}"], values, steps)


def root_equation(rng: random.Random, hard: bool) -> System:
    """A linear expression under a root."""
    [x] = names(rng, 1)
    a, c = rng.randint(2, 9), rng.randint(3, 15 if hard else 9)
    b = nonzero(rng, 20)
    value = str(Fraction(c * c - b, a))
    inner = total([(a, x), (b, "")])
    extra = rng.randint(1, 9) if hard else 0
    left = total([(1, f"sqrt({inner})"), (extra, "")]) if extra else f"sqrt({inner})"
    steps = [f"{inner} = {c}^2 = {c * c}", f"{total([(a, x)])} = {c * c - b}"]
    return system("real", [f"{left} = {c + extra}"], {x: value}, steps)


def reciprocal(rng: random.Random, hard: bool) -> System:
    """A fraction with the unknown below."""
    [x] = names(rng, 1)
    b, c = nonzero(rng, 12), nonzero(rng, 9)
    value = nonzero(rng, 30 if hard else 12)
    if value == b:
        value += 1 if value != -1 else 2
    a = c * (value - b)
    steps = [f"{shifted(x, b)} = {a}/({c}) = {value - b}", f"{x} = {value}"]
    return system("real", [f"{a}/{shifted(x, b)} = {c}"], {x: str(value)}, steps)


def ring(rng: random.Random, hard: bool) -> System:
    """Three unknowns of which the sums of two are known."""
    x, y, z = names(rng, 3)
    most = 60 if hard else 15
    u, v, w = (rng.randint(-most, most) for _ in range(3))
    k = rng.randint(2, 4) if hard else 1
    steps = [f"{x} - {z} = {u + v} - ({v + w}) = {u - w}", f"{k + 1}*{x} = {k * u + w} + ({u - w}) = {(k + 1) * u}", f"{x} = {u}"]
    steps += [f"{y} = {u + v} - ({u}) = {v}", f"{z} = {v + w} - ({v}) = {w}"]
    last = total([(k, x), (1, z)])
    constraints = [f"{x} + {y} = {u + v}", f"{y} + {z} = {v + w}", f"{last} = {k * u + w}"]
    return system("integer", constraints, {x: str(u), y: str(v), z: str(w)}, steps)


def exponential(rng: random.Random, hard: bool) -> System:
    """An unknown exponent."""
    n = rng.choice("nmk")
    base, value = rng.choice((2, 3, 5) if hard else (2, 3)), rng.randint(3, 8 if hard else 7)
    k = nonzero(rng, 9)
    known = base**value + k * value
    steps = [f"{n}={one}: {base**one + k * one}" for one in (value - 1, value)]
    return system("positive_integer", [f"{total([(1, f'{base}^{n}'), (k, n)])} = {known}"], {n: str(value)}, steps)


def common_divisor(rng: random.Random, hard: bool) -> System:
    """Two numbers of known product and greatest common divisor."""
    a, b = names(rng, 2)
    shared = rng.randint(4, 15 if hard else 9)
    while True:
        one, two = sorted(rng.sample(range(2, 14 if hard else 8), 2))
        if gcd(one, two) == 1:
            break
    u, v = shared * one, shared * two
    steps = [f"{u * v} = {shared}^2*{one * two}", f"gcd({one}, {two}) = 1", f"{a} = {shared}*{one}, {b} = {shared}*{two}"]
    constraints = [f"gcd({a}, {b}) = {shared}", f"{a}*{b} = {u * v}", f"{shared} < {a}", f"{a} < {b}"]
    return system("positive_integer", constraints, {a: str(u), b: str(v)}, steps)


def distance(rng: random.Random, hard: bool) -> System:
    """A number at a known distance, on a known side."""
    [x] = names(rng, 1)
    a, b = nonzero(rng, 30), rng.randint(3, 30)
    k = rng.randint(2, 7) if hard else 1
    above = rng.random() < 0.5
    inner = total([(k, x), (-a * k, "")])
    value = a + b if above else a - b
    steps = [f"{x} = {a} + {b} or {x} = {a} - {b}"] if k == 1 else [f"|{shifted(x, a)}| = {b}"]
    return system("integer", [f"|{inner}| = {b * k}", f"{x} {'>' if above else '<'} {a}"], {x: str(value)}, steps)


FAMILIES: dict[Family[AbductionProposal], float] = {
    quadratic: 1.5, linear_pair: 1.5, sum_and_product: 1.0, remainders: 1.0, squares: 1.0, factors: 1.0,
    root_equation: 1.0, reciprocal: 1.0, ring: 1.0, exponential: 0.7, common_divisor: 0.7, distance: 0.7,
}  # fmt: skip
