"""Families of exercises with their results, for deduction."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb, factorial, gcd

from azr_plugins_math.generator import Family, Worked, nonzero, polynomial, shifted, times, total
from azr_plugins_math.tasks import DeductionProposal

Exercise = Worked[DeductionProposal]


def exercise(answer: str, steps: list[str], **fields: str) -> Exercise:
    """A worked exercise."""
    return Worked(DeductionProposal.model_validate(fields), answer, "\n".join(steps))


def arithmetic(rng: random.Random, hard: bool) -> Exercise:
    """Products and sums of integers."""
    most = 60 if hard else 20
    a, b, c, d = (rng.randint(2, most) for _ in range(4))
    if hard:
        inner, known = a * b - c, (a * b - c) * d
        steps = [f"{a}*{b} = {a * b}", f"{a * b} - {c} = {inner}", f"{inner}*{d} = {known}"]
        return exercise(str(known), steps, op="evaluate", expr=f"({a}*{b} - {c})*{d}")
    sign = rng.choice((1, -1))
    known = a * b + sign * c * d
    steps = [f"{a}*{b} = {a * b}", f"{c}*{d} = {c * d}"]
    return exercise(str(known), steps, op="evaluate", expr=f"{a}*{b} {'+' if sign > 0 else '-'} {c}*{d}")


def fractions(rng: random.Random, hard: bool) -> Exercise:
    """A sum of fractions."""
    most = 30 if hard else 12
    b, d = rng.sample(range(2, most), 2)
    a, c = rng.randint(1, most), rng.randint(1, most)
    known = Fraction(a, b) + Fraction(c, d)
    below = b * d // gcd(b, d)
    steps = [f"{a * below // b}/{below} + {c * below // d}/{below} = {a * below // b + c * below // d}/{below}"]
    return exercise(str(known), steps, op="evaluate", expr=f"{a}/{b} + {c}/{d}")


def integers(rng: random.Random, hard: bool) -> Exercise:
    """A function of integers."""
    a, b = rng.randint(10, 400 if hard else 60), rng.randint(3, 60 if hard else 12)
    shared, n, k = rng.randint(2, 12), rng.randint(5, 12 if hard else 8), rng.randint(2, 3)
    p, q = rng.sample((2, 3, 5, 7, 9, 11), 2)
    answer, step, expr = rng.choice(
        [
            (a % b, f"{a} = {a // b}*{b} + {a % b}", f"mod({a}, {b})"),
            (gcd(shared * p, shared * q), f"{shared * p} = {shared}*{p}, {shared * q} = {shared}*{q}", f"gcd({shared * p}, {shared * q})"),
            (comb(n, k), f"factorial({n})/(factorial({k})*factorial({n - k}))", f"binomial({n}, {k})"),
            (factorial(n) // factorial(n - k), "*".join(str(n - i) for i in range(k)), f"factorial({n})/factorial({n - k})"),
            (abs(b - a) * k, f"|{b} - {a}| = {abs(b - a)}", f"{k}*|{b} - {a}|"),
        ]
    )
    return exercise(str(answer), [step], op="evaluate", expr=expr)


def surds(rng: random.Random, hard: bool) -> Exercise:
    """Square roots of multiples of one number."""
    root = rng.choice((2, 3, 5, 6, 7))
    a, b = rng.sample(range(2, 12 if hard else 7), 2)
    a, b = max(a, b), min(a, b)
    steps = [f"sqrt({a * a * root}) = {a}*sqrt({root})", f"sqrt({b * b * root}) = {b}*sqrt({root})"]
    return exercise(total([(a - b, f"sqrt({root})")]), steps, op="evaluate", expr=f"sqrt({a * a * root}) - sqrt({b * b * root})")


def power_rule(rng: random.Random, hard: bool) -> Exercise:
    """The derivative of a polynomial, or of a power of a linear expression."""
    if hard:
        a, b, n = rng.randint(2, 9), nonzero(rng, 12), rng.randint(3, 9)
        inner = total([(a, "x"), (b, "")])
        return exercise(f"{n * a}*({inner})^{n - 1}", [f"{n}*({inner})^{n - 1}*{a}"], op="diff", expr=f"({inner})^{n}", var="x")
    coefficients = [rng.randint(-9, 9) for _ in range(rng.randint(2, 4))] + [nonzero(rng, 9)]
    answer = [degree * value for degree, value in enumerate(coefficients)][1:]
    steps = [f"{degree}*{value} = {degree * value}" for degree, value in enumerate(coefficients) if degree > 1 and value]
    return exercise(polynomial(answer, "x"), steps, op="diff", expr=polynomial(coefficients, "x"), var="x")


def product_rule(rng: random.Random, hard: bool) -> Exercise:
    """The derivative of a power times another function."""
    n, a = rng.randint(2, 6 if hard else 4), rng.randint(2, 9) if hard else 1
    inner = total([(a, "x")])
    front = f"x^{n}" if n > 1 else "x"
    outer, derivative, sign = rng.choice((("sin", "cos", 1), ("cos", "sin", -1), ("exp", "exp", 1)))
    below = "x" if n == 2 else f"x^{n - 1}"
    answer = total([(n, f"{below}*{outer}({inner})"), (sign * a, f"{front}*{derivative}({inner})")])
    steps = [f"{front}: {n}*{below}", f"{outer}({inner}): {total([(sign * a, f'{derivative}({inner})')])}"]
    return exercise(answer, steps, op="diff", expr=f"{front}*{outer}({inner})", var="x")


def antiderivative(rng: random.Random, hard: bool) -> Exercise:
    """An antiderivative of a polynomial or of a simple function."""
    a = rng.randint(2, 9)
    if hard:
        b = nonzero(rng, 9)
        answer, expr = rng.choice(
            [
                (total([(1, f"{shifted('x', 1)}*exp(x)"), (b, "x")]), total([(1, "x*exp(x)"), (b, "")])),
                (total([(Fraction(b, a), f"sin({a}*x)")]), total([(b, f"cos({a}*x)")])),
                (f"log(x^2 + {a})", f"2*x/(x^2 + {a})"),
                (total([(Fraction(-b, a), f"cos({a}*x)")]), total([(b, f"sin({a}*x)")])),
                (f"({total([(a, 'x'), (b, '')])})^5/{5 * a}", f"({total([(a, 'x'), (b, '')])})^4"),
            ]
        )
        return exercise(answer, [], op="integrate", expr=expr, var="x")
    coefficients = [nonzero(rng, 9) * (degree + 1) for degree in range(rng.randint(2, 4))]
    whole = [0, *(value // (degree + 1) for degree, value in enumerate(coefficients))]
    steps = [f"{value}/{degree + 1} = {value // (degree + 1)}" for degree, value in enumerate(coefficients) if degree]
    return exercise(polynomial(whole, "x"), steps, op="integrate", expr=polynomial(coefficients, "x"), var="x")


def area(rng: random.Random, hard: bool) -> Exercise:
    """A definite integral of a polynomial."""
    lower = rng.randint(-3, 3) if hard else rng.randint(0, 1)
    upper = lower + rng.randint(1, 4)
    coefficients = [rng.randint(-6, 6), nonzero(rng, 6), nonzero(rng, 6)]
    whole = [Fraction(0), *(Fraction(value, degree + 1) for degree, value in enumerate(coefficients))]
    above, below = (sum(value * point**degree for degree, value in enumerate(whole)) for point in (upper, lower))
    steps = [polynomial(whole, "x"), f"{above} - ({below})"]
    fields = {"op": "definite_integral", "expr": polynomial(coefficients, "x"), "var": "x", "lower": str(lower), "upper": str(upper)}
    return exercise(str(above - below), steps, **fields)


def removable(rng: random.Random, hard: bool) -> Exercise:
    """A limit of a quotient of which both parts vanish."""
    root, other = nonzero(rng, 9), rng.randint(-9, 9)
    lead = rng.randint(2, 5) if hard else 1
    left = [-other * lead, lead]
    answer = lead * root - other * lead
    if answer == 0 or (not hard and rng.random() < 0.4):
        a, b = rng.sample(range(2, 12), 2)
        return exercise(str(Fraction(a, b)), [f"sin({a}*x)/({a}*x) to 1"], op="limit", expr=f"sin({a}*x)/({b}*x)", var="x", point="0")
    expr = f"({polynomial(times(left, [-root, 1]), 'x')})/{shifted('x', root)}"
    steps = [f"{shifted('x', root)}*({polynomial(left, 'x')})/{shifted('x', root)} = {polynomial(left, 'x')}"]
    return exercise(str(answer), steps, op="limit", expr=expr, var="x", point=str(root))


def series(rng: random.Random, hard: bool) -> Exercise:
    """A sum of consecutive terms."""
    count = rng.randint(10, 60) if hard else rng.randint(4, 12)
    a, b = rng.randint(1, 9), rng.randint(-9, 9)
    first, second = count * (count + 1) // 2, count * (count + 1) * (2 * count + 1) // 6
    degree = 2 if hard else 1
    parts = [f"k: {count}*{count + 1}/2 = {first}"] if degree == 1 else [f"k^2: {count}*{count + 1}*{2 * count + 1}/6 = {second}"]
    known = a * (first if degree == 1 else second) + b * count
    steps = [*parts, f"{a}*{first if degree == 1 else second} + {count}*({b}) = {known}"]
    expr = total([(a, "k" if degree == 1 else "k^2"), (b, "")] if b else [(a, "k" if degree == 1 else "k^2")])
    return exercise(str(known), steps, op="sum", expr=expr, var="k", lower="1", upper=str(count))


def expansion(rng: random.Random, hard: bool) -> Exercise:
    """A product multiplied out."""
    one, two = [nonzero(rng, 9), rng.randint(1, 4 if hard else 2)], [nonzero(rng, 9), 1]
    product = times(one, two)
    expr = f"({polynomial(one, 'x')})*({polynomial(two, 'x')})"
    steps = [f"{one[1]}*{two[0]} + {one[0]}*{two[1]} = {product[1]}", f"{one[0]}*{two[0]} = {product[0]}"]
    if hard:
        root = nonzero(rng, 5)
        product, expr = times(product, [-root, 1]), f"{expr}*{shifted('x', root)}"
    return exercise(polynomial(product, "x"), steps, op="expand", expr=expr)


def factorisation(rng: random.Random, hard: bool) -> Exercise:
    """A polynomial with rational roots."""
    roots = [nonzero(rng, 9) for _ in range(3 if hard else 2)]
    coefficients = [1]
    for root in roots:
        coefficients = times(coefficients, [-root, 1])
    steps = [f"({' + '.join(str(root) for root in roots)}) = {sum(roots)}".replace("+ -", "- ")]
    return exercise("*".join(shifted("x", root) for root in roots), steps, op="factor", expr=polynomial(coefficients, "x"))


def cancellation(rng: random.Random, hard: bool) -> Exercise:
    """A quotient that cancels, or squares of sine and cosine."""
    root, other = rng.sample([value for value in range(-9, 10) if value], 2)
    if hard and rng.random() < 0.5:
        a = rng.randint(2, 9)
        expr = total([(a, "sin(x)^2"), (a, "cos(x)^2"), (1, "x"), (other, "")])
        return exercise(total([(1, "x"), (a + other, "")]), [f"{a}*1"], op="simplify", expr=expr)
    expr = f"({polynomial(times([-root, 1], [-other, 1]), 'x')})/{shifted('x', root)}"
    top = f"{shifted('x', root)}*{shifted('x', other)}"
    return exercise(total([(1, "x"), (-other, "")]), [f"{top}/{shifted('x', root)}"], op="simplify", expr=expr)


def equation(rng: random.Random, hard: bool) -> Exercise:
    """A quadratic, or a root equation with a false solution."""
    one, two = sorted(rng.sample([value for value in range(-12, 13) if value], 2))
    if hard:
        root = max(2, abs(two))
        b = root * root - root
        steps = [f"x^2 - x - {b} = {shifted('x', root)}*{shifted('x', 1 - root)}", f"x={1 - root}: sqrt > 0 no"]
        return exercise(str(root), steps, op="solve", expr=f"sqrt(x + {b}) - x", var="x")
    steps = [f"{shifted('x', one)}*{shifted('x', two)} = 0"]
    return exercise(f"{one}, {two}", steps, op="solve", expr=polynomial(times([-one, 1], [-two, 1]), "x"), var="x")


FAMILIES: dict[Family[DeductionProposal], float] = {
    arithmetic: 1.0, fractions: 0.8, integers: 1.0, surds: 0.5, power_rule: 1.0, product_rule: 0.8, antiderivative: 1.0,
    area: 0.8, removable: 0.7, series: 0.7, expansion: 1.0, factorisation: 1.0, cancellation: 0.7, equation: 1.0,
}  # fmt: skip
