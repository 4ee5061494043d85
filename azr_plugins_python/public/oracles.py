"""When EvalPlus counts an output as right: its rules, on values that came out of the sandbox. Nothing of a program's runs here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

TRUTHS = frozenset({"check_str", "text_match_three", "text_starta_endb"})
"""Functions whose output counts as whether there is one: some return a match object."""
# fmt: off
_AS_SETS = frozenset((
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum", "intersection_array",
    "find_dissimilar", "Diff",
))
# fmt: on
_RTOL = 1e-7
_ATOL = 1e-6
_Judge = Callable[[Sequence[Any], Any, Any, float], bool]


@dataclass(frozen=True)
class Oracle:
    """Judges one function's outputs. atol: absolute tolerance of floats, 0 for none but for outputs that are floats."""

    entry: str
    atol: float

    def accepts(self, arguments: Sequence[Any], output: Any, expected: Any) -> bool:
        """Whether an output is right; what cannot be compared is wrong."""
        try:
            if self.entry == "find_zero":
                (coefficients,) = arguments
                return abs(_polynomial(coefficients, output)) <= self.atol
            special = _SPECIAL.get(self.entry)
            exact = set(output) == set(expected) if self.entry in _AS_SETS else bool(output == expected)
            if exact or (special is not None and special(arguments, output, expected, self.atol)):
                return True
            tolerance = self.atol or (_ATOL if _floats(expected) else 0.0)
            return tolerance > 0 and type(output) is type(expected) and _close(output, expected, tolerance)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return False


def _floats(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _close(output: Any, expected: Any, atol: float) -> bool:
    """Numbers within tolerance, sequences of them item by item. Raises TypeError for anything else."""
    if isinstance(expected, (list, tuple)):
        return len(output) == len(expected) and all(map(lambda one, two: _close(one, two, atol), output, expected))
    return output == expected or bool(math.isfinite(abs(expected)) and abs(output - expected) <= atol + _RTOL * abs(expected))


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    return math.fsum(coefficient * math.pow(x, power) for power, coefficient in enumerate(coefficients))


def _pyramid(arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    """The height may be read as the distance of the apex from the base (Mbpp/581)."""
    edge, height = arguments
    return bool(abs(output - round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))) <= atol)


def _digits(arguments: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    """The shorter number may be filled with zeros (Mbpp/558)."""
    one, two = map(str, arguments)
    width = max(len(one), len(two))
    return bool(output == sum(abs(int(a) - int(b)) for a, b in zip(one.zfill(width), two.zfill(width), strict=True)))


_SPECIAL: dict[str, _Judge] = {
    "are_equivalent": lambda *_: True,  # Mbpp/164 is ill-defined, so EvalPlus accepts any answer
    "sum_div": lambda arguments, output, expected, atol: bool(output == 0),  # Mbpp/295: nothing but 1 and the number itself may count
    "surface_Area": _pyramid,
    "digit_distance_nums": _digits,
}
