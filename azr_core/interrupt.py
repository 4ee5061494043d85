"""Ctrl-C that lets the step finish: the first asks, the second insists. And the same for processes that were started here."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """While entered, SIGINT and SIGTERM only set `asked`; a second one raises KeyboardInterrupt."""

    def __init__(self, on_ask: Callable[[], None]) -> None:
        self.asked = False
        self._on_ask = on_ask
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not in the main thread: whoever owns it decides
                return self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        with suppress(RuntimeError):  # it came in the middle of a write to the same stream, which must not be entered again
            self._on_ask()


class Children:
    """While entered, SIGTERM goes on to the processes that were started here, and ends the block as Ctrl-C would, which at a terminal
    reaches them by itself."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._change = threading.Lock()
        self._ended = False
        self._before: Any = None
        self._first = threading.current_thread() is threading.main_thread()  # any other cannot hear signals

    def __enter__(self) -> Children:
        if self._first:
            self._before = signal.signal(signal.SIGTERM, self._pass_on)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._first:
            signal.signal(signal.SIGTERM, self._before)

    def run(self, command: Sequence[str], **settings: Any) -> int:
        """Start a process and wait for it; its exit code. From any thread. After the signal nothing is started."""
        with self._change:
            if self._ended:
                return -signal.SIGTERM
            process = subprocess.Popen(command, **settings)
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._change:
                self._running.remove(process)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        with self._change:
            self._ended = True
            for process in self._running:
                process.terminate()
        raise KeyboardInterrupt
