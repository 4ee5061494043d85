"""Held-out accuracy along a run: measurements of the same tasks put beside each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from azr_core.statistics import Estimate, estimate, paired_gain
from azr_core.types import Evaluation

ALL = "all"
Parts = tuple[tuple[float, ...], ...]  # scores of the tasks, one tuple an environment


@dataclass(frozen=True)
class Curve:
    """Accuracy of one benchmark, kind and decoding. kind: an environment, or `all` of them. points: (step, parts), by step.

    A light measurement takes the first tasks of each environment, so it is compared with the same tasks of a full one.
    """

    benchmark: str
    kind: str
    decoding: str
    points: tuple[tuple[int, Parts], ...]

    @property
    def ends(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Scores of the same tasks first and last: of the full measurements where there are two, else of what both have."""
        most = max(_size(parts) for _, parts in self.points)
        full = [parts for _, parts in self.points if _size(parts) == most]
        first, last = (full[0], full[-1]) if len(full) > 1 else (self.points[0][1], self.points[-1][1])
        return _flat(_like(first, last)), _flat(_like(last, first))

    def until(self, step: int) -> Curve:
        """What was measured up to a step."""
        return replace(self, points=tuple(point for point in self.points if point[0] <= step))

    @property
    def once(self) -> bool:
        """Whether there is one measurement only, and so no end and no gain."""
        return len(self.points) < 2

    @property
    def n(self) -> int:
        """How many tasks the gain is measured on."""
        return len(self.ends[0])

    @property
    def start(self) -> Estimate:
        """Accuracy at the start."""
        return estimate(self.ends[0])

    @property
    def end(self) -> Estimate:
        """Accuracy at the end."""
        return estimate(self.ends[1])

    @property
    def gain(self) -> Estimate:
        """Paired gain from start to end."""
        return paired_gain(*self.ends)

    @property
    def levels(self) -> list[tuple[int, Estimate]]:
        """(step, accuracy) for drawing: a light measurement stands at the first full one plus the gain on its own tasks."""
        anchor = max((parts for _, parts in self.points), key=_size)
        return [(step, _lifted(parts, anchor)) for step, parts in self.points]


def _lifted(parts: Parts, anchor: Parts) -> Estimate:
    level, whole, shared = (estimate(_flat(part)) for part in (parts, anchor, _like(anchor, parts)))
    shift = whole.mean - shared.mean
    if level.low is None or level.high is None:
        return Estimate(level.mean + shift, None, None)
    return Estimate(level.mean + shift, level.low + shift, level.high + shift)


def _size(parts: Parts) -> int:
    return sum(len(part) for part in parts)


def _flat(parts: Parts) -> tuple[float, ...]:
    return tuple(score for part in parts for score in part)


def _like(parts: Parts, other: Parts) -> Parts:
    return tuple(part[: len(limit)] for part, limit in zip(parts, other, strict=True))


def curves(evaluations: Iterable[Evaluation]) -> list[Curve]:
    """Curves by benchmark, kind and decoding (sampled before greedy), each benchmark's `all` last of its kinds."""
    measured: defaultdict[tuple[str, str], defaultdict[str, dict[int, tuple[float, ...]]]] = defaultdict(lambda: defaultdict(dict))
    for one in evaluations:
        if one.scores:
            measured[one.benchmark, one.decoding][one.kind][one.step] = one.scores
    drawn = []
    for benchmark, decoding in sorted(measured, key=lambda key: (key[0], key[1] == "greedy", key[1])):
        kinds = measured[benchmark, decoding]
        for kind in sorted(kinds):
            drawn.append(Curve(benchmark, kind, decoding, tuple((step, (kinds[kind][step],)) for step in sorted(kinds[kind]))))
        drawn += _together(benchmark, decoding, [kinds[kind] for kind in sorted(kinds)])
    return drawn


def _together(benchmark: str, decoding: str, kinds: Sequence[dict[int, tuple[float, ...]]]) -> list[Curve]:
    steps = sorted(set.intersection(*(set(kind) for kind in kinds)))
    points = tuple((step, tuple(kind[step] for kind in kinds)) for step in steps)
    return [Curve(benchmark, ALL, decoding, points)] if points else []
