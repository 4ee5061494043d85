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
    def half_width(self) -> float | None:
        """Half of the interval."""
        return None if self.low is None else self.mean - self.low


def estimate(values: Sequence[float]) -> Estimate:
    """Mean of values with mean ± 1.96 sd / sqrt(n), sd with n - 1. Raises ValueError where there are none."""
    if not values:
        raise ValueError("no values to average")
    count, mean = len(values), math.fsum(values) / len(values)
    if count < 2:
        return Estimate(mean, None, None)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = Z95 * deviation / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half)


def paired_gain(start: Sequence[float], end: Sequence[float]) -> Estimate:
    """Mean of end - start, task by task: the same tasks in the same order. Raises ValueError where they do not match."""
    return estimate([after - before for before, after in zip(start, end, strict=True)])
