"""Seeds: small proposals that start the buffers, through the same gate as any other."""

from __future__ import annotations

from azr_plugins_math.tasks import AbductionProposal, DeductionProposal, InductionProposal

_BOUNDS = {"limit": ("point",), "sum": ("lower", "upper"), "definite_integral": ("lower", "upper")}

# Operation, expression, variable, and the bounds or the point.
_DEDUCTIONS = """
evaluate; 17*23 - 4
evaluate; 3/4 + 5/6
evaluate; 2^10 - 3^5
evaluate; gcd(84, 126) + 5
evaluate; sqrt(50) - sqrt(8)
evaluate; binomial(8, 3)
evaluate; mod(2^7, 11)
evaluate; 5!/(3!*2!)
evaluate; (1/2 - 1/3)/(1/4)
evaluate; |3 - 11|*7
evaluate; lcm(12, 18) - 6^2 + 9
evaluate; (2 + sqrt(3))*(2 - sqrt(3)) + 7
diff; x^3 - 4*x^2 + x; x
diff; x^2*sin(x); x
diff; (3*x + 1)^5; x
diff; x*exp(2*x); x
diff; log(x^2 + 1); x
diff; sin(x)*cos(x); x
diff; x/(x + 1); x
diff; (x^2 + 1)*exp(x); x
diff; exp(-x^2); x
diff; tan(x) - x; x
diff; 1/(x^2 + 1); x
diff; atan(3*x); x
integrate; 3*x^2 - 2*x + 5; x
integrate; x*exp(x); x
integrate; 2*x/(x^2 + 1); x
integrate; sin(3*x); x
integrate; 1/x; x
integrate; x*cos(x); x
integrate; x*exp(-x); x
integrate; 1/(1 + x^2); x
integrate; (2*x + 1)^4; x
integrate; sin(x)*cos(x); x
integrate; exp(2*x) + x; x
integrate; x*sqrt(x); x
definite_integral; x^2; x; 0; 3
definite_integral; 3*x^2 - 2*x; x; -1; 2
definite_integral; 1/(1 + x^2); x; 0; 1
definite_integral; x*exp(x); x; 0; 1
definite_integral; sin(x); x; 0; pi
definite_integral; 1/x; x; 1; E
definite_integral; sqrt(x); x; 0; 4
definite_integral; x^3 - x; x; -2; 1
definite_integral; cos(x)^2; x; 0; pi
definite_integral; 1/(x + 1); x; 0; 4
definite_integral; x*(4 - x); x; 0; 4
definite_integral; exp(-x); x; 0; 2
limit; sin(x)/x; x; 0
limit; (x^2 - 9)/(x - 3); x; 3
limit; (1 - cos(x))/x^2; x; 0
limit; (exp(3*x) - 1)/x; x; 0
limit; (3*x^2 - x)/(x^2 + 5); x; oo
limit; 1/x^2; x; 0
limit; (sqrt(x + 4) - 2)/x; x; 0
limit; log(1 + 5*x)/x; x; 0
limit; (x^3 - 8)/(x - 2); x; 2
limit; tan(4*x)/x; x; 0
limit; x*exp(-x) + 7; x; oo
limit; (1 + 3/x)^x; x; oo
sum; k; k; 1; 100
sum; k^2; k; 1; 20
sum; 2*k - 1; k; 1; 30
sum; 2^k; k; 0; 9
sum; k*(k + 1); k; 1; 12
sum; 1/(k*(k + 1)); k; 1; 24
sum; k^3; k; 1; 8
sum; 3*k + (-1)^k; k; 1; 15
sum; mod(k, 3); k; 1; 20
sum; binomial(6, k); k; 0; 6
sum; (k - 4)^2; k; 1; 9
sum; 1/2^k; k; 1; 6
expand; (x + 1)^3
expand; (x - 2)*(x + 5)
expand; (2*x + 3)^2
expand; (x^2 + 1)*(x - 1)
expand; x*(x - 1)*(x + 4)
expand; (x + 2)^2 - (x - 2)^2
expand; (3*x - 1)*(3*x + 1)
expand; (x^2 + x + 1)*(x - 1)
expand; (1 - x)^4
expand; 2*x*(x + 3)^2
expand; (x - 1)*(x - 2)*(x - 3)
expand; (x/2 + 1)^2
factor; x^2 - 5*x + 6
factor; x^4 - 1
factor; 6*x^2 + 12*x + 6
factor; x^3 - 8
factor; x^2 - 49
factor; 2*x^2 + x - 3
factor; x^3 - x^2 - 4*x + 4
factor; x^4 + 4
factor; x^3 + 3*x^2 + 3*x + 1
factor; 4*x^2 - 9
factor; x^5 - x^3
factor; x^4 - 5*x^2 + 4
simplify; (x^2 - 1)/(x - 1)
simplify; sin(x)^2 + cos(x)^2 + x
simplify; (x^3 - 8)/(x - 2)
simplify; x*(x + 1) - x^2 + 3
simplify; (x + 2)^2 - (x - 2)^2
simplify; log(exp(x)) + x
simplify; (x^2 + 5*x + 6)/(x + 3)
simplify; 1/(x - 1) - 1/(x + 1) + 2/(x^2 - 1)
simplify; tan(x)*cos(x)
simplify; cos(x)^2 - sin(x)^2 + 2*sin(x)^2 + 4
simplify; (x + 1)^2 - x^2 - 1
simplify; exp(x)*exp(-x) + x^2
solve; x^2 - 5*x + 6; x
solve; 2*x^2 - 3*x - 5; x
solve; sqrt(x + 6) - x; x
solve; x^2 - 7; x
solve; x^3 - 4*x; x
solve; |x - 3| - 5; x
solve; (x - 1)/(x + 2) - 4; x
solve; exp(x) - 5; x
solve; x^4 - 13*x^2 + 36; x
solve; x^2 + 4; x
solve; log(x) - 3; x
solve; x - 6/x - 1; x
"""


def _deduction(row: str) -> DeductionProposal:
    op, *contents = row.split("; ")
    return DeductionProposal.model_validate({"op": op} | dict(zip(("expr", "var", *_BOUNDS.get(op, ())), contents, strict=False)))


DEDUCTION = tuple(map(_deduction, _DEDUCTIONS.split("\n")[1:-1]))

ABDUCTION = tuple(
    AbductionProposal(unknowns=dict.fromkeys(witness, kind), constraints=constraints, witness=witness)
    for kind, constraints, witness in (
        ("integer", ("x^2 - 5*x - 24 = 0", "x > 2"), {"x": "8"}),
        ("integer", ("3*x + 2*y = 7", "x - y = 9"), {"x": "5", "y": "-4"}),
        ("positive_integer", ("a^2 + b^2 = c^2", "gcd(a, b) = 1", "c > 20", "a < b"), {"a": "7", "b": "24", "c": "25"}),
        ("positive_integer", ("p*q = 11021", "p > 1", "p < q"), {"p": "103", "q": "107"}),
        ("positive_integer", ("mod(n, 7) = 3", "mod(n, 11) = 5"), {"n": "38"}),
        ("real", ("sqrt(2*x + 3) = 5",), {"x": "11"}),
        ("integer", ("x + y = 11", "y + z = 4", "x + z = 1"), {"x": "4", "y": "7", "z": "-3"}),
        ("positive_integer", ("2^n + n = 37",), {"n": "5"}),
        ("positive_integer", ("gcd(a, b) = 6", "a*b = 432", "6 < a", "a < b"), {"a": "18", "b": "24"}),
        ("real", ("12/(x + 1) = 3/2",), {"x": "7"}),
        ("real", ("x^2 = 2*x + 1", "x > 0"), {"x": "1 + sqrt(2)"}),
        ("integer", ("|x + 4| + |x - 9| = 31", "x > 9"), {"x": "18"}),
        ("positive_integer", ("binomial(n, 2) = 66",), {"n": "12"}),
        ("integer", ("x*y = -36", "x + y = 5", "x < y"), {"x": "-4", "y": "9"}),
    )
)

INDUCTION = tuple(
    InductionProposal(var="n", formula=formula, visible=visible, message=message)
    for formula, visible, message in (
        ("n^2 + n + 1", (0, 1, 2, 3, 4), ""),
        ("3*n - 7", (0, 1, 2, 3), "equal steps"),
        ("2^n + 3", (0, 1, 2, 3, 4), "doubling hides in it"),
        ("mod(n, 3) + 2*n", (0, 1, 2, 3, 4, 5), "something comes round every 3"),
        ("n*(n + 1)/2", (1, 2, 3, 4, 5), "dots in a triangle"),
        ("(-1)^n*n", (0, 1, 2, 3, 4, 5), "the sign alternates"),
        ("factorial(n) - n", (1, 2, 3, 4, 5), ""),
        ("floor(n/2) + n^2", (0, 1, 2, 3, 4, 5), "a square, and something that waits every second step"),
        ("binomial(n, 3) + 1", (2, 3, 4, 5, 6), "ways to choose three, and one more"),
        ("|n - 3|*2", (0, 1, 2, 3, 4, 5, 6), "twice a distance"),
        ("n^3 - 2*n", (-2, -1, 0, 1, 2, 3), ""),
        ("1/(n + 1)", (0, 1, 2, 3, 4), "a share of a whole"),
        ("gcd(n, 6)", (1, 2, 3, 4, 5, 6, 8), "what the number shares with another"),
    )
)
