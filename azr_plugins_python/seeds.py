"""Seeds: small proposals that start the buffers, through the same gate as any other. The first is the paper's identity program."""

from __future__ import annotations

from dataclasses import dataclass

from azr_plugins_python.tasks import InductionProposal, ProgramProposal


@dataclass(frozen=True)
class _Seed:
    """A program, what it does in words, and ten inputs, from the most ordinary on."""

    program: str
    message: str
    inputs: tuple[str, ...]


_SEEDS = (
    _Seed(
        "def f(x):\n    return x",
        "nothing happens",
        ("'Hello world'", "1", "[1, 2]", "'abc'", "0", "(3, 4)", "{'a': 1}", "-7", "True", "[]"),
    ),
    _Seed(
        "def f(a, b):\n    return a * 2 + b",
        "twice the first and the second",
        ("3, 4", "0, 1", "5, -2", "7, 7", "-1, 0", "2, 9", "10, 3", "1, 1", "6, 5", "-4, 8"),
    ),
    _Seed(
        "def f(x):\n    y = 0\n    for c in x:\n        if c > 3:\n            y += c\n    return y",
        "add up what is over three",
        ("[1, 5, 3, 8]", "[4]", "[]", "[3, 3, 9]", "[7, 7]", "[2, 6, 4]", "[10, 1]", "[5, 4, 6]", "[8, 2]", "[4, 4, 4, 4]"),
    ),
    _Seed(
        "def f(x):\n    y = ''\n    for c in x:\n        y = c + y\n    return y + x[0]",
        "backwards, then the first letter",
        ("'bcg'", "'k'", "'wz'", "'jjb'", "'gcbw'", "'zk'", "'kkkj'", "'bwz'", "'cg'", "'wbjzk'"),
    ),
    _Seed(
        "def f(a, b):\n    y = sorted(a)\n    if len(y) > b:\n        return y[b:]\n    return y[::-1]",
        "sort, skip some, or reverse if there are too few",
        (
            "[3, 1, 2], 1",
            "[5], 2",
            "[4, 9, 0, 2], 3",
            "[8, 7], 2",
            "[1, 6], 0",
            "[2, 2, 5], 1",
            "[9, 3], 1",
            "[7, 0, 4], 5",
            "[6, 1, 8], 2",
            "[0, 3, 5], 0",
        ),
    ),
    _Seed(
        "def f(x):\n    y = {}\n    for c in x:\n        y[c] = y.get(c, 0) + 1\n    return y",
        "how often each letter occurs",
        ("'banana'", "'k'", "'zzw'", "'abcabc'", "'jj'", "'level'", "'noon'", "'cccb'", "'wax'", "'gg g'"),
    ),
    _Seed(
        "def f(n):\n    steps = []\n    while n > 1 and len(steps) < 8:\n        n = n // 2 if n % 2 == 0 else 3 * n + 1\n"
        "        steps.append(n)\n    return steps",
        "halve even numbers, triple odd ones and add one, note where you are",
        ("6", "1", "2", "3", "5", "8", "10", "7", "12", "16"),
    ),
    _Seed(
        "def f(a, b):\n    pairs = [(i, j) for i in a for j in b if i < j]\n    return max(pairs, key=sum) if pairs else (0, 0)",
        "the pair with the largest sum in which the first is the smaller",
        (
            "[1, 5], [3, 6]",
            "[9], [2]",
            "[4, 2], [3]",
            "[0], [1, 7]",
            "[5, 8], [6]",
            "[2, 2], [2, 3]",
            "[7, 1], [9, 8]",
            "[6], [6, 10]",
            "[3], []",
            "[1, 4, 6], [5]",
        ),
    ),
)


def program_seeds(position: int) -> tuple[ProgramProposal, ...]:
    """Proposals for deduction or abduction; position: which input of each program is taken, so that the two differ."""
    return tuple(ProgramProposal(program=seed.program, input=seed.inputs[0 if seed is _SEEDS[0] else position]) for seed in _SEEDS)


def induction_seeds(pairs: int) -> tuple[InductionProposal, ...]:
    """Proposals for induction. pairs: inputs of each, at most ten."""
    return tuple(InductionProposal(program=seed.program, inputs=seed.inputs[:pairs], message=seed.message) for seed in _SEEDS)


_ERRORS = (
    ("def f(x):\n    return x", "'Hello world'"),
    ("def f(x):\n    y = ''\n    for c in x:\n        y = c + y\n    return y + x[0]", "''"),
    ("def f(a, b):\n    y = 0\n    for c in a:\n        y += c // b\n        b -= 1\n    return y", "[4, 9, 7], 2"),
    ("def f(a, b):\n    return sorted(a)[:b]", "[3, 'k', 1], 2"),
    ("def f(x):\n    seen = {}\n    for c in x:\n        seen[c] = len(seen)\n    return seen[max(x) + min(x)]", "'abc'"),
    ("def f(x):\n    try:\n        return int(x[0]) + int(x[1])\n    except IndexError:\n        return int(x)", "'a'"),
    ("class Full(Exception):\n    pass\ndef f(x):\n    load = 0\n    for c in x:\n        load += c\n        if load > 9:\n"
     "            raise Full(load)\n    return load", "[2, 5, 1, 3]"),
    ("def f(n):\n    y = [0, 1]\n    while len(y) < n:\n        y.append(y[-1] + y[-2])\n    return y[n]", "5"),
)  # fmt: skip


def error_seeds() -> tuple[ProgramProposal, ...]:
    """Proposals for error tasks; the first, the paper's identity program, raises none."""
    return tuple(ProgramProposal(program=program, input=input) for program, input in _ERRORS)
