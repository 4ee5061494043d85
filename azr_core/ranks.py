"""Processes that work on one run together, one a device, started by a launcher: which of them this is, and how they share a batch."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from azr_core.errors import UsageError

Job = dict[str, Any]
Judge = Callable[[Job], dict[str, Any]]
"""Answers a job of verification (`desk.encode`) as JSON; an empty one asks what is loaded here (`Identity`)."""
Answers = Callable[[], list[dict[str, Any]]]
Item = TypeVar("Item")

LEAST = 8  # items of a share, so that its way there and back costs little beside its work


@dataclass(frozen=True)
class Place:
    """One of `count` processes. Rank 0 plays and owns the run; the others work for it."""

    rank: int
    count: int

    def __str__(self) -> str:
        return f"rank {self.rank} ({socket.gethostname()})"


def place() -> Place:
    """What the launcher (accelerate, torchrun) says of this process; alone where there is none. Raises UsageError."""
    try:
        count = int(os.environ.get("WORLD_SIZE") or 1)
        return Place(int(os.environ.get("RANK") or 0) if count > 1 else 0, count)
    except ValueError:
        said = f"RANK={os.environ.get('RANK')!r}, WORLD_SIZE={os.environ.get('WORLD_SIZE')!r}"
        raise UsageError(f"a launcher sets RANK and WORLD_SIZE to numbers, here are {said}; unset both to work in one process") from None


def shares(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """At most `count` pieces of nearly one size, none smaller than `LEAST` unless it is the only one; together they are the items."""
    pieces = max(1, min(count, len(items) // LEAST))
    bounds = [len(items) * piece // pieces for piece in range(pieces + 1)]
    return [items[start:end] for start, end in pairwise(bounds)]


class Ranked:
    """What a trainer can do with the other processes of its run: by default nothing, there is one.

    A launcher starts all of them alike, and each makes the trainer. Rank 0 plays with it; on the others it follows.
    """

    ranks: int = 1

    def follow(self, judge: Judge) -> None:
        """Work for rank 0 until it ends: sample, judge and learn what it sends. Called on ranks above 0, instead of everything else."""
        raise UsageError(f"the trainer {type(self).__name__} works in one process; start azr without a launcher, or choose trl")

    def judging(self, jobs: Sequence[Job]) -> AbstractContextManager[Answers | None]:
        """While entered, ranks 1, 2, ... answer a job each; the function waits for what they say. None: they are busy, judge without."""
        return nullcontext(None)

    def close(self) -> None:
        """The run ended or failed: let the other ranks go."""
