"""The policy behind a server: requests under way at once, groups handed out as they finish."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import azr_core as azr
from azr_plugins_python.training.endpoint.server import Server

T = TypeVar("T")
Group = tuple[int, list[azr.Reply]]


class EndpointPolicy(azr.Policy):
    """Samples from a server. Token ids are unknown (-1), so nothing can be trained on its replies.

    end: what the style wants to read where a reply has ended by itself, because servers leave the end token out.
    """

    learns = False

    def __init__(self, server: Server, *, end: str = "", prompt_tokens: int | None = None) -> None:
        self.server, self.end, self.prompt_tokens = server, end, prompt_tokens

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        groups = dict(self.stream(prompts, sampling, n))
        return [groups[index] for index in range(len(prompts))]

    def stream(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> Iterator[Group]:
        """Groups as they finish; requests go on while a group is worked on. Raises UsageError where the server does not come back."""

        async def work(found: Callable[[Group], None]) -> None:
            async def ask(index: int, prompt: str) -> None:
                found((index, await session.replies(index, prompt, n)))

            async with self.server.session(sampling, self.end) as session, asyncio.TaskGroup() as tasks:
                for index, prompt in enumerate(prompts):
                    tasks.create_task(ask(index, prompt))

        yield from streamed(work)

    def fits(self, prompt: str, sampling: azr.Sampling) -> bool:
        """By an estimate of the prompt's tokens, since only the server knows them."""
        length = self.server.estimate(prompt)
        if self.prompt_tokens is not None and length > self.prompt_tokens:
            return False
        return self.server.context is None or length + sampling.max_tokens <= self.server.context

    def chat(self, message: str) -> str | None:
        """The message itself where the server applies the template."""
        return message if self.server.options.api == "chat" else None


class _End:
    """The last thing that comes out of the work."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def streamed(work: Callable[[Callable[[T], None]], Awaitable[None]]) -> Iterator[T]:
    """What asynchronous work finds, as it finds it. It runs in a thread of its own, and is cancelled where nobody listens any more."""
    found: SimpleQueue[Any] = SimpleQueue()

    async def whole() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        found.put(lambda: task and loop.call_soon_threadsafe(task.cancel))
        await work(found.put)

    def run() -> None:
        try:
            asyncio.run(whole())
            found.put(_End())
        except BaseExceptionGroup as several:
            found.put(_End(several.exceptions[0]))
        except BaseException as error:
            found.put(_End(error))

    thread = Thread(target=run, name="endpoint", daemon=True)
    thread.start()
    cancel = found.get()
    try:
        while not isinstance(item := found.get(), _End):
            yield item
        if item.error:
            raise item.error
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed where the work is over
            cancel()
        thread.join()
