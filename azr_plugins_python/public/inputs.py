"""Inputs of MBPP+ as EvalPlus means them: JSON has no tuples, sets or complex numbers, so some functions' inputs are turned back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_Turn = Callable[[Any], Any]


def _each(turn: _Turn) -> _Turn:
    return lambda value: [turn(item) for item in value]


def _places(*turns: _Turn) -> _Turn:
    """Each of the first arguments in its own way, the rest as they are."""
    return lambda values: [turn(value) for turn, value in zip(turns, values, strict=False)] + list(values[len(turns) :])


def _same(value: Any) -> Any:
    return value


def _pairs(value: Any) -> Any:
    """Every list a tuple, to the bottom."""
    return tuple(map(_pairs, value)) if isinstance(value, list) else value


def _mixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _set(value: Any) -> Any:
    return set(value) if isinstance(value, list) and value else {}


def _tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(item) for key, item in value.items()}


_BY_TASK: tuple[tuple[str, _Turn], ...] = (
    ("2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809", _each(tuple)),
    ("63 64 70 94 120 237 272 299 400 409 417 438 473 614 780", _each(_each(tuple))),
    ("75 413 444 753", _places(_each(tuple))),
    ("106 750", _places(_same, tuple)),
    ("115", _each(_each(_set))),
    ("124", _places(float, complex)),
    ("250 307 405 446 617 720 763 808", _places(tuple)),
    ("252", _each(complex)),
    ("259 401 445", _each(lambda value: tuple(map(tuple, value)))),
    ("278", _each(lambda value: tuple(map(_mixed, value)))),
    ("580 615 791", _pairs),
    ("722", _places(_tuples)),
)
_TURNS = {task: turn for tasks, turn in _BY_TASK for task in tasks.split()}


def restored(task: str, inputs: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """The argument lists of a task such as `Mbpp/2`."""
    turn = _TURNS.get(task.removeprefix("Mbpp/"), list)
    return [turn(arguments) for arguments in inputs]
