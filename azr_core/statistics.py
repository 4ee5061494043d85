"""Intervals: how sure a mean or a gain is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.96


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval; low and high are None where fewer than two values were seen."""

    mean: float
    low: float | None
    high: float | None

    @property
    def told(self) -> bool:
        """Whether the interval leaves out zero."""
        return (self.low or 0.0) > 0 or (self.high or 0.0) < 0

    def numbers(self) -> dict[str, float | None]:
        """For JSON, which has no infinity: null stands for it."""
        parts = {"mean": self.mean, "low": self.low, "high": self.high}
        return {name: value if value is not None and math.isfinite(value) else None for name, value in parts.items()}

    @property
    def half_width(self) -> float | None:
        """Half of the interval."""
        return None if self.low is None else self.mean - self.low


def estimate(values: Sequence[float]) -> Estimate:
    """Mean of values with mean ± 1.96 sd / sqrt(n), sd with n - 1. Raises ValueError where there are none."""
    if not values:
        raise ValueError("no values to average")
    mean, error = math.fsum(values) / len(values), standard_error(values)
    return Estimate(mean, None, None) if error is None else Estimate(mean, mean - Z95 * error, mean + Z95 * error)


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean, with n - 1; None where fewer than two values tell nothing."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def gains(start: Sequence[float], end: Sequence[float]) -> tuple[float, ...]:
    """end - start, task by task: the same tasks in the same order. Raises ValueError where they do not match."""
    return tuple(after - before for before, after in zip(start, end, strict=True))


def paired_gain(start: Sequence[float], end: Sequence[float]) -> Estimate:
    """Mean of `gains`."""
    return estimate(gains(start, end))


def wilson_low(hits: float, count: int) -> float:
    """The lower end of Wilson's 95 % interval of a share."""
    if not count:
        return 0.0
    share, spread = hits / count, Z95 * Z95 / count
    return (share + spread / 2 - Z95 * math.sqrt(share * (1 - share) / count + spread / (4 * count))) / (1 + spread)
