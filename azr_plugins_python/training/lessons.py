"""What an update learns from, and each rank's part of it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import azr_core as azr
from azr_plugins_python.training.packing import Exchange, cells, packed
from azr_plugins_python.training.ranks import numbers, whole_numbers

Rows = list[azr.Episode]


@dataclass(frozen=True)
class Lesson:
    """The rows of one rank. The counts are of all ranks.

    tokens: of all trained episodes, those included that cost nothing. computed: of all rows. count: rows. most: of one rank.
    """

    rows: Rows
    tokens: int
    computed: int
    count: int
    most: int

    @classmethod
    def of(cls, episodes: Sequence[azr.Episode], *, silent: bool) -> Self:
        """silent: rows without advantage cost nothing, and are left out."""
        trained = [episode for episode in episodes if episode.trained and len(episode.reply.token_ids)]
        rows = [episode for episode in trained if episode.advantage or not silent]
        return cls(rows, _tokens(trained), _tokens(rows), len(rows), len(rows))

    def dealt(self, ranks: int, *, share: bool) -> list[Self]:
        """Parts of like cost. share: replies of one prompt are computed together, so they stay together where they do now."""
        exchanges = [Exchange(index, tuple(row.reply.prompt_ids), tuple(row.reply.token_ids)) for index, row in enumerate(self.rows)]
        bundles = packed(exchanges, share=share)
        parts = [
            sorted(exchange.index for bundle in part for exchange in bundles[bundle])
            for part in balanced([cells(bundle) for bundle in bundles], ranks)
        ]
        most = max(map(len, parts))
        return [replace(self, rows=[self.rows[index] for index in part], most=most) for part in parts]

    def told(self) -> dict[str, Any]:
        """For a message: of the rows what the update reads."""
        rows = [
            [*map(whole_numbers, (row.reply.prompt_ids, row.reply.token_ids)), numbers(row.reply.logprobs), row.reward, row.advantage]
            for row in self.rows
        ]
        return asdict(replace(self, rows=[])) | {"rows": rows}

    @classmethod
    def read(cls, told: dict[str, Any]) -> Self:
        """What `told` wrote."""
        rows = [
            azr.Episode("", azr.Kind.SOLVE, "", "", azr.Reply("", prompt, reply, logprobs), reward=reward, advantage=advantage)
            for prompt, reply, logprobs, reward, advantage in told["rows"]
        ]
        return cls(rows, told["tokens"], told["computed"], told["count"], told["most"])


def _tokens(rows: Rows) -> int:
    return sum(len(row.reply.token_ids) for row in rows)


def balanced(costs: Sequence[float], parts: int) -> list[list[int]]:
    """Indices of the costs in so many parts of like sum, ascending within each; a part may be empty. The costliest are dealt first."""
    heap = [(0.0, part) for part in range(parts)]
    dealt: list[list[int]] = [[] for _ in range(parts)]
    for index in sorted(range(len(costs)), key=lambda index: -costs[index]):
        total, part = heapq.heappop(heap)
        dealt[part].append(index)
        heapq.heappush(heap, (total + costs[index], part))
    return [sorted(indices) for indices in dealt]
