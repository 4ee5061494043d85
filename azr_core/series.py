"""Numbers over steps: picked out of the metrics, smoothed, drawn as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"


def under(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The metrics below `prefix/`, by what follows it: `under(m, "solve_rate")["domain/kind"]`."""
    start = f"{prefix}/"
    return {name.removeprefix(start): value for name, value in metrics.items() if name.startswith(start)}


def environments(steps: Iterable[Mapping[str, float]]) -> list[str]:
    """Names of the environments that any of the steps proposed or solved in, sorted."""
    return sorted({name for metrics in steps for prefix in ("proposed", "reward/solve") for name in under(metrics, prefix)})


def mean(values: Iterable[float]) -> float | None:
    """Mean, or None where there is nothing."""
    known = list(values)
    return sum(known) / len(known) if known else None


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Mean of up to `window` values on each side of every value and itself."""
    around = (values[max(0, index - window) : index + window + 1] for index in range(len(values)))
    return [sum(part) / len(part) for part in around]


def sparkline(values: Sequence[float], width: int, span: float = 0.2) -> str:
    """Values as block characters, newest last, averaged down to `width` characters.

    The scale runs from the lowest to the highest of the averages, and over `span` at least, so that noise stays flat.
    """
    if not values:
        return ""
    count = min(width, len(values))
    edges = [index * len(values) // count for index in range(count + 1)]
    means = [sum(values[left:right]) / (right - left) for left, right in pairwise(edges)]
    middle, half = (max(means) + min(means)) / 2, max(max(means) - min(means), span) / 2
    return "".join(BARS[round((len(BARS) - 1) * (value - middle + half) / (2 * half))] for value in means)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """`kind` for `domain/kind` where that is clear, else the whole name."""
    kinds = [name.rpartition("/")[2] for name in names]
    return {name: kind if kinds.count(kind) == 1 else name for name, kind in zip(names, kinds, strict=True)}


def duration(seconds: float) -> str:
    """Seconds for people: `42 s`, `3:07`, `2:03:09`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
