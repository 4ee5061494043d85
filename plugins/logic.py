"""Formulas over small whole numbers and truth values: find an assignment, or say which conclusions follow. Needs z3-solver:

python -m pip install z3-solver
azr run --plugin plugins/logic.py

z3 decides in the gate what is a task, bounded by its own count of work. An assignment is graded by exact arithmetic, without z3.
"""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any

from pydantic import Field

import azr_core as azr

try:
    import z3
except ImportError as error:
    raise azr.UsageError("plugins/logic.py needs z3-solver: python -m pip install z3-solver") from error

WORK = 400_000  # of z3 for one question, in its own unit: the same on every machine
LUCK = 200  # guesses at random, of which one in 50 may be right
MOST_NAMES = 8
TOKEN = re.compile(r"[0-9]{1,4}|(?:and|or|not|[A-Za-z])(?![A-Za-z0-9_])|->|<=|>=|!=|[-+*()=<>]")
BINDS = {"->": 1, "or": 2, "and": 3, "=": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "*": 6}
SHARED = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
          "+": operator.add, "-": operator.sub, "*": operator.mul}  # fmt: skip
PLAIN = SHARED | {"and": lambda a, b: a and b, "or": lambda a, b: a or b, "->": lambda a, b: not a or b, "not": operator.not_}
TERMS = SHARED | {"and": z3.And, "or": z3.Or, "not": z3.Not, "->": z3.Implies}
ITEM = re.compile(r"\s*([A-Za-z])\s*=\s*(-?[0-9]{1,3}|true|false)\s*")

Values = Mapping[Any, Any]
Formulas = tuple[Annotated[str, Field(min_length=1, max_length=80)], ...]
Bound = Annotated[int, Field(ge=-99, le=99)]


class Puzzle(azr.Proposal):
    """What a proposer of `logic/satisfy` writes."""

    low: Bound
    high: Bound
    constraints: Formulas = Field(min_length=2, max_length=8, description="formulas that can hold together")


class Argument(azr.Proposal):
    """What a proposer of `logic/entailment` writes."""

    low: Bound
    high: Bound
    premises: Formulas = Field(min_length=1, max_length=6, description="formulas that are given")
    conclusions: Formulas = Field(min_length=6, max_length=8, description="formulas, of which two at least follow, and two at least do not")


class Formula:
    """A formula that was read. text: normalised. names: its letters. Raises InvalidTask."""

    def __init__(self, text: str) -> None:
        self._rest = TOKEN.findall(text)[::-1]
        self.text = " ".join(self._rest[::-1]).replace("( ", "(").replace(" )", ")")
        self.names = {token for token in self._rest if len(token) == 1 and token.isalpha()}
        whole = "".join(self._rest[::-1]) == text.replace(" ", "")
        self._tree, truth = self._read(1)
        if not whole or self._rest or not truth or not self.names:
            raise azr.InvalidTask(f"{text!r:.60} is not one formula about letters")

    def value(self, leaf: Callable[[Any], Any], operations: Values, tree: Any = None) -> Any:
        """Its value, or that of a part. leaf: the value of a letter or a number."""
        tree = self._tree if tree is None else tree
        parts = (self.value(leaf, operations, part) for part in tree[1:]) if isinstance(tree, tuple) else ()
        return operations[tree[0]](*parts) if isinstance(tree, tuple) else leaf(tree)

    def _read(self, floor: int) -> tuple[Any, bool]:
        """A tree, and whether it is a truth value, not a number. Operators that bind less tightly than floor are left."""
        tree, truth = self._operand()
        while self._rest and BINDS.get(self._rest[-1], 0) >= floor:
            sign = self._rest.pop()
            other, same = self._read(BINDS[sign] + (sign != "->"))
            if truth != same or (truth != (sign in ("->", "or", "and")) and sign not in ("=", "!=")):
                raise azr.InvalidTask(f"{sign} stands between truth values and numbers in {self.text!r:.60}")
            tree, truth = (sign, tree, other), BINDS[sign] <= BINDS["="]
        return tree, truth

    def _operand(self) -> tuple[Any, bool]:
        token = self._rest.pop() if self._rest else ""
        if token.isdigit() or token in self.names:
            return int(token) if token.isdigit() else token, token.isupper()
        if token in ("not", "-"):
            tree, truth = self._read(BINDS["=" if token == "not" else "*"])
            if truth == (token == "not"):
                return ("not", tree) if truth else ("-", 0, tree), truth
        elif token == "(":
            inner = self._read(1)
            if self._rest and self._rest.pop() == ")":
                return inner
        raise azr.InvalidTask(f"{self.text!r:.60} is no formula")


def holds(formulas: Sequence[Formula], values: Values) -> bool:
    """Whether all of them do where the letters have these values."""
    return all(formula.value(lambda leaf: values.get(leaf, leaf), PLAIN) for formula in formulas)


class Solver:
    """z3 with some letters, in a context of its own: nothing that was asked before changes an answer."""

    def __init__(self, names: Sequence[str], low: int, high: int) -> None:
        self.context = z3.Context()
        self.letters = {name: (z3.Bool if name.isupper() else z3.Int)(name, self.context) for name in names}
        self.solver = z3.Solver(ctx=self.context)
        self.solver.set("rlimit", WORK)
        self.solver.add(*(z3.And(low <= letter, letter <= high) for name, letter in self.letters.items() if name.islower()))

    def term(self, formula: Formula) -> Any:
        """A formula as z3 has it."""
        return formula.value(lambda leaf: z3.IntVal(leaf, self.context) if isinstance(leaf, int) else self.letters[leaf], TERMS)

    def possible(self, *terms: Any) -> bool:
        """Whether these hold together, and with what was added. Raises InvalidTask."""
        found = self.solver.check(*terms)
        if found == z3.unknown:
            raise azr.InvalidTask("it takes too much work to decide")
        return bool(found == z3.sat)


def read(texts: Sequence[str], low: int, high: int) -> tuple[list[Formula], list[str], str]:
    """The formulas of a proposal, their letters, and a line that says what these are. Raises InvalidTask."""
    formulas = [Formula(text) for text in texts]
    names = sorted(set[str]().union(*(formula.names for formula in formulas)))
    if len({formula.text for formula in formulas}) < len(formulas):
        raise azr.InvalidTask("a formula stands there twice")
    if not 2 <= len(names) <= MOST_NAMES or low >= high:
        raise azr.InvalidTask(f"it needs 2 to {MOST_NAMES} letters, and numbers from low to a larger high")
    kinds = {f"from {low} to {high}": [n for n in names if n.islower()], "true or false": [n for n in names if n.isupper()]}
    return formulas, names, "; ".join(f"{', '.join(letters)}: {kind}" for kind, letters in kinds.items() if letters)


def pose(puzzle: Puzzle) -> tuple[str, str]:
    """Question and a solution, of a puzzle that has one and cannot be guessed."""
    formulas, names, head = read(puzzle.constraints, puzzle.low, puzzle.high)
    if any(len(formula.names) == 1 and not set("+*<>!") & set(formula.text) for formula in formulas):
        raise azr.InvalidTask("a constraint gives the value of a letter away")
    question = "\n".join([head, *(formula.text for formula in formulas)])
    if sum(holds(formulas, values) for values in guesses(names, puzzle, question)) > LUCK // 50:
        raise azr.InvalidTask("it can be guessed")
    solver = Solver(names, puzzle.low, puzzle.high)
    if not solver.possible(*map(solver.term, formulas)):
        raise azr.InvalidTask("it has no solution")
    model = solver.solver.model()
    found = {name: str(model.eval(letter, model_completion=True)).lower() for name, letter in solver.letters.items()}
    return question, ", ".join(f"{name} = {value}" for name, value in found.items())


def guesses(names: Sequence[str], puzzle: Puzzle, question: str) -> Iterator[Values]:
    """One number everywhere, each often enough to be one guess too many; then values at random, always the same for a question."""
    for number, truth in product({puzzle.low, min(max(0, puzzle.low), puzzle.high), puzzle.high}, (False, True)):
        yield from [{name: truth if name.isupper() else number for name in names}] * (LUCK // 50 + 1)
    rng = azr.chance(0, 0, question)
    for _ in range(LUCK):
        yield {name: rng.random() < 0.5 if name.isupper() else rng.randint(puzzle.low, puzzle.high) for name in names}


def satisfied(task: azr.PosedTask[Puzzle], answer: str) -> float:
    """1.0 for any values of all letters that every constraint holds for."""
    found = [ITEM.fullmatch(part) for part in re.split(r"[,\n]", answer.strip())] if len(answer) < 400 else []
    values = {item[1]: item[2] == "true" if item[2].isalpha() else int(item[2]) for item in found if item}
    formulas, names, _ = read(task.proposal.constraints, task.proposal.low, task.proposal.high)
    fitting = all(name.isupper() == isinstance(value, bool) for name, value in values.items())
    if len(found) != len(names) or sorted(values) != names or not fitting:
        raise azr.FormatError("not one value for each letter, such as x = 3, P = true")
    within = all(task.proposal.low <= value <= task.proposal.high for name, value in values.items() if name.islower())
    return float(within and holds(formulas, values))


def argue(argument: Argument) -> tuple[str, str]:
    """Question, and the numbers of the conclusions that follow. None may be settled without the premises."""
    formulas, names, head = read((*argument.premises, *argument.conclusions), argument.low, argument.high)
    solver, given = Solver(names, argument.low, argument.high), len(argument.premises)
    terms = [solver.term(formula) for formula in formulas]
    if not all(solver.possible(term) and solver.possible(z3.Not(term)) for term in terms[given:]):
        raise azr.InvalidTask("a conclusion is settled without the premises")
    solver.solver.add(*terms[:given])
    if not solver.possible():
        raise azr.InvalidTask("the premises contradict each other")
    follow = [number for number, term in enumerate(terms[given:], 1) if not solver.possible(z3.Not(term))]
    if not 2 <= len(follow) <= len(argument.conclusions) - 2:
        raise azr.InvalidTask("two conclusions at least must follow, and two at least must not")
    conclusions = [f"{number}. {formula.text}" for number, formula in enumerate(formulas[given:], 1)]
    lines = [head, *(formula.text for formula in formulas[:given]), "which follow?", *conclusions]
    return "\n".join(lines), " ".join(map(str, follow))


def judged(task: azr.PosedTask[Argument], answer: str) -> float:
    """1.0 for exactly these numbers, in any order."""
    if len(answer) > 100 or not re.fullmatch(r"[1-8](?:[ ,]+[1-8]){0,7}", answer.strip()):
        raise azr.FormatError("not numbers of conclusions, such as 1 4 5")
    return float(sorted(re.findall("[1-8]", answer)) == task.answer.split())


def drawn(rng: random.Random, truths: Sequence[bool]) -> tuple[str, ...]:
    """Formulas that are true, or are not, where the letters have some values."""
    values: dict[str, Any] = {name: rng.randint(0, 20) for name in "xyz"} | {name: rng.random() < 0.5 for name in "PQ"}

    def made(true: bool) -> str:
        one, two, letter = *rng.sample("xyz", 2), rng.choice("PQ")
        total = values[one] + 2 * values[two] + (0 if true else rng.choice((-3, -1, 1, 2)))
        linear = f"{one} + 2 * {two} = {total}"
        guarded = f"{letter} -> {linear}" if values[letter] == true else f"{letter} or {linear}"
        return rng.choice((linear, linear, guarded, f"{one} {'<' if (values[one] < values[two]) == true else '>='} {two}"))

    return tuple(map(made, truths))


def draw_argument(rng: random.Random) -> Argument:
    """A random argument, of which some conclusions are likely to follow."""
    texts = drawn(rng, [*[True] * 4, *(rng.random() < 0.6 for _ in range(rng.randint(6, 8)))])
    return Argument(low=0, high=20, premises=texts[:4], conclusions=texts[4:])


WORDS = (
    "In formulas, small letters stand for whole numbers and capital letters for true or false; there are whole numbers, + - *, "
    "= != < <= > >=, and, or, not, -> (implies), and parentheses."
)
PUZZLES = (("x + y = 12", "x * y = 35", "x < y"), ("P -> x = 3 * y", "not P -> y > 20", "x + y = 16"))
CONCLUSIONS = ("x = y + 2", "x > y", "x = 6", "P", "x + y = 10", "not P or y < 5")
ENVIRONMENTS = [
    azr.environment(
        "logic/satisfy",
        Puzzle,
        admit=pose,
        grade=satisfied,
        seeds=[Puzzle(low=0, high=20, constraints=texts) for texts in PUZZLES],
        propose=f"Task: write formulas that can hold together, so that somebody finds it hard to say how. {WORDS}",
        solve=f"Task: find values for which all formulas hold. {WORDS} The answer gives each letter a value, such as x = 3, P = true.",
        draw=lambda rng: Puzzle(low=0, high=20, constraints=drawn(rng, [True] * rng.randint(3, 5))),
    ),
    azr.environment(
        "logic/entailment",
        Argument,
        admit=argue,
        grade=judged,
        seeds=[Argument(low=0, high=9, premises=("x - y = 2", "P -> x + y = 10"), conclusions=CONCLUSIONS)],
        propose=f"Task: write premises and conclusions, so that it is hard to say which conclusions follow from the premises. {WORDS}",
        solve=f"Task: which conclusions follow from what stands above them? {WORDS} The answer is their numbers, such as 1 4 5.",
        draw=draw_argument,
    ),
]


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return ENVIRONMENTS


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    return [azr.held_out(*ENVIRONMENTS, count=20)]  # z3 looks at eight times as many, whenever the plugin is loaded
