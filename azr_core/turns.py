"""Whose turn it is: one call at a time on the device, and calls of one kind that wait are made together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class _Call:
    """results: one for each item, None until its turn has come. error: what was raised instead."""

    kind: Hashable
    items: Sequence[Any]
    results: Sequence[Any] | None = None
    error: Exception | None = None


class Turns:
    """First come, first served, in a thread of its own, so that the event loop goes on answering."""

    def __init__(self) -> None:
        self._device = ThreadPoolExecutor(1)
        self._turn = asyncio.Lock()
        self._work: Future[Any] | None = None
        self._waiting: list[_Call] = []

    @property
    def busy(self) -> bool:
        """Whether the device is at work, also for calls that were given up."""
        return self._work is not None and not self._work.done()

    async def take(self, kind: Hashable, work: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> Sequence[Any]:
        """work(items), a result for each item, in order. Calls of an equal kind share one call of work, so theirs must be equal too."""
        call = _Call(kind, items)
        self._waiting.append(call)
        try:
            async with self._turn:
                if call.results is None and call.error is None:
                    await self._run([other for other in self._waiting if other.kind == kind], work)
        finally:
            self._waiting.remove(call)
        if call.error is not None:
            raise call.error
        return call.results or ()

    async def _run(self, calls: Sequence[_Call], work: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        items = [item for call in calls for item in call.items]
        try:
            self._work = self._device.submit(work, items)
            results = await asyncio.wrap_future(self._work)
        except Exception as error:
            for call in calls:
                call.error = error
            return
        start = 0
        for call in calls:
            call.results = results[start : start + len(call.items)]
            start += len(call.items)
