"""Procedural generator of tiny Python programs with executed inputs and outputs, for warming up small models and for benchmarks.

Programs are `def f(x)` or `def f(a, b)` over int, list of int and str. The text is our own: it is assembled from the tables in `grammar`
and run in this process with a whitelist of builtins. Model text never comes here; it runs in the executor only.
"""

from __future__ import annotations

import ast
import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from azr_plugins_python.grammar import CONDITIONS, EXPRESSIONS, LETTERS, LOOPS, RANGE_BODIES, SIGNATURES, VARIABLE_OF, Kind

STATEMENT_COUNTS, STATEMENT_WEIGHTS = (1, 2, 3), (0.35, 0.4, 0.25)
HARDER_STATEMENT_COUNTS = (4, 5, 6)
SAFE_BUILTINS: dict[str, Callable[..., object]] = {
    "abs": abs, "len": len, "list": list, "max": max, "min": min, "range": range, "sorted": sorted, "str": str, "sum": sum,
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A program with distinct inputs; `inputs` are argument texts (`3, [1]`), `outputs` are `repr` texts, `message` is a hint in words."""

    program: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    message: str


@dataclass
class _Draft:
    """A program under construction: what is in scope, the body so far, the hints in order and the variable written last."""

    scope: dict[str, Kind]
    last: str
    lines: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def fresh(self) -> str:
        return next((name for name in "yzwtuq" if name not in self.scope), "y")


class _Rejected(Exception):
    """The draft or its outputs are not good enough; another one is drawn."""


def reserved(program: str) -> bool:
    """True for the sixteenth of all programs that no pretraining may use, so that benchmarks drawn from it are unseen whatever the seed."""
    return hashlib.sha256(program.encode()).digest()[-1] < 16


def compiled(program: str) -> Callable[..., object]:
    """The function `f` of a program of this generator; it sees the whitelisted builtins only."""
    scope: dict[str, object] = {"__builtins__": SAFE_BUILTINS}
    exec(compile(program, "<generated>", "exec"), scope)  # our own text, see the module docstring
    function = scope["f"]
    assert callable(function)
    return function


def _is_small(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) <= 99
    if isinstance(value, str):
        return len(value) <= 8
    return isinstance(value, list) and len(value) <= 7 and all(_is_small(item) for item in value)


def _has_no_idle_name(program: str) -> bool:
    """Every parameter and variable is read somewhere (the loop variable `c` may be idle)."""
    nodes = list(ast.walk(ast.parse(program)))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    written = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return written | {node.arg for node in nodes if isinstance(node, ast.arg)} <= read | {"c"}


class ProgramGenerator:
    """Draws programs; the same `rng` state gives the same samples. A program is not repeated unless 50 draws in a row are all known."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._seen: set[str] = set()

    def sample(self, statements: int, inputs: int = 10) -> Sample:
        """A program of `statements` statements with `inputs` distinct inputs (at most 10), small values and outputs that vary."""
        repeats = 0
        while True:
            try:
                program, signature, hints = self._program(statements)
                if program in self._seen and repeats < 50:
                    repeats += 1
                    continue
                pairs = self._pairs(program, signature, inputs)
            except _Rejected:
                continue
            self._seen.add(program)
            return Sample(program, tuple(pairs), tuple(pairs.values()), self._message(hints))

    def _message(self, hints: list[str]) -> str:
        words = ", ".join(hints).split(", ")
        kept = [word for word in words if self._rng.random() < 0.9] or words[:1]
        if self._rng.random() < 0.3:  # some hints name no constants
            kept = [re.sub(r" (\d+|\b[bcgjkwz]\b)", "", word) for word in kept]
        return ", ".join(kept)

    def _pairs(self, program: str, signature: tuple[Kind, ...], count: int) -> dict[str, str]:
        function = compiled(program)
        pairs: dict[str, str] = {}
        for _ in range(count * 4):
            values = [self._value(kind) for kind in signature]
            text = ", ".join(map(repr, values))
            try:
                output = function(*values)
            except (IndexError, ValueError, ZeroDivisionError):
                raise _Rejected from None
            if not _is_small(output):
                raise _Rejected
            pairs[text] = repr(output)
            if len(pairs) == count:
                break
        commonest = max(Counter(pairs.values()).values())
        if len(pairs) < count or (count > 1 and commonest > max(1, 0.6 * count)):
            raise _Rejected
        return pairs

    def _value(self, kind: Kind) -> int | list[int] | str:
        rng = self._rng
        if kind is Kind.INT:
            return rng.randint(0, 9) if rng.random() < 0.6 else rng.randint(-5, 20)
        if kind is Kind.LIST:
            return [rng.randint(0, 9) for _ in range(rng.randint(1, 5))]
        return "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 5)))

    def _program(self, statements: int) -> tuple[str, tuple[Kind, ...], list[str]]:
        signature = self._rng.choice(SIGNATURES)
        names = ["x"] if len(signature) == 1 else ["a", "b"]
        draft = _Draft(dict(zip(names, signature, strict=True)), names[0])
        for _ in range(statements - 1):
            roll = self._rng.random()
            step = self._assign if roll < 0.5 else self._branch if roll < 0.7 else self._loop if roll < 0.9 else self._early_return
            step(draft)
        if statements > 1 and self._rng.random() < 0.35:
            draft.lines.append(f"return {draft.last}")
        else:
            draft.lines.append(f"return {self._expression(draft, None)[0]}")
        program = f"def f({', '.join(names)}):\n" + "\n".join("    " + line for line in draft.lines)
        if not _has_no_idle_name(program):
            raise _Rejected
        return program, signature, draft.hints

    def _fill(self, draft: _Draft, templates: tuple[tuple[str, str], ...]) -> str:
        """One of the templates that fit the scope, filled in; its hint is noted. The variable written last is preferred."""
        kinds = Counter(draft.scope.values())
        fitting = [pair for pair in templates if all(kinds[kind] > 0 for key, kind in VARIABLE_OF.items() if "{" + key + "}" in pair[0])]
        fitting = [pair for pair in fitting if "{j}" not in pair[0] or kinds[Kind.INT] > 1]
        if not fitting:
            raise _Rejected
        text, hint = self._rng.choice(fitting)
        values = self._constants() | self._variables(draft)
        draft.hints.append(hint.format(**values))
        return text.format(**values)

    def _constants(self) -> dict[str, str]:
        rng = self._rng
        numbers = {"c": rng.randint(1, 9 if rng.random() < 0.3 else 5), "m": rng.randint(2, 3), "k": rng.randint(2, 5)}
        letters = dict(zip("hg", rng.sample(LETTERS, 2), strict=True))
        return {key: str(value) for key, value in numbers.items()} | letters | {"z": str(rng.randint(1, 3)), "b": str(rng.randint(5, 15))}

    def _variables(self, draft: _Draft) -> dict[str, str]:
        chosen: dict[str, str] = {}
        for key, kind in VARIABLE_OF.items():
            names = [name for name, known in draft.scope.items() if known is kind]
            if names:
                chosen[key] = draft.last if draft.last in names and self._rng.random() < 0.6 else self._rng.choice(names)
        others = [name for name, known in draft.scope.items() if known is Kind.INT and name != chosen.get("i")]
        return chosen | ({"j": self._rng.choice(others)} if others else {})

    def _expression(self, draft: _Draft, kind: Kind | None) -> tuple[str, Kind]:
        kind = kind or self._rng.choice([*sorted(set(draft.scope.values())), self._rng.choice(list(Kind))])
        return self._fill(draft, EXPRESSIONS[kind]), kind

    def _assign(self, draft: _Draft) -> None:
        text, kind = self._expression(draft, None)
        same = [name for name, known in draft.scope.items() if known is kind and re.search(rf"\b{name}\b", text)]
        name = self._rng.choice(same) if same and self._rng.random() < 0.45 else draft.fresh()
        draft.lines.append(f"{name} = {text}")
        draft.scope[name], draft.last = kind, name

    def _branch(self, draft: _Draft) -> None:
        name = self._rng.choice(list(draft.scope))
        test = self._fill(draft, CONDITIONS)
        draft.lines += [f"if {test}:", f"    {name} = {self._expression(draft, draft.scope[name])[0]}"]
        if self._rng.random() < 0.3:
            draft.hints.append("else")
            draft.lines += ["else:", f"    {name} = {self._expression(draft, draft.scope[name])[0]}"]
        draft.last = name

    def _early_return(self, draft: _Draft) -> None:
        test = self._fill(draft, CONDITIONS)
        draft.hints.append("return")
        draft.lines += [f"if {test}:", f"    return {self._expression(draft, None)[0]}"]

    def _loop(self, draft: _Draft) -> None:
        values = self._constants() | self._variables(draft)
        fitting = [loop for loop in LOOPS if loop[0][1] in values]
        if "i" in values and (not fitting or self._rng.random() < 0.25):
            body, hint = self._rng.choice(RANGE_BODIES)
            draft.lines += [f"for c in range({int(values['z']) + 1}):", "    " + body.format(**values)]
            draft.hints.append(hint.format(**values))
            draft.last = values["i"]
            return
        head, first, kind, lines, hint = self._rng.choice(fitting)
        name = draft.fresh()
        draft.lines += [f"{name} = {first}", f"for c in {head.format(**values)}:"]
        draft.lines += ["    " + line.format(t=name, **values) for line in lines]
        draft.hints.append(hint.format(**values))
        draft.scope[name], draft.last = kind, name
