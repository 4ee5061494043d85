"""What code may leave behind in a process: the global state that a plugin has no business to change."""

from __future__ import annotations

import builtins
import decimal
import json
import locale
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

MODULES: tuple[ModuleType, ...] = (builtins, json, json.decoder, json.encoder, math, os, os.path, random, re, subprocess, time, warnings)
MENDS = {
    "the random state": "draw from a random.Random of your own",
    "os.environ": "pass an environment to the processes that you start",
    "sys.path": "import what is installed, or ship it in a package",
    "the working directory": "use absolute paths",
}
OWN = frozenset({"os.environ", "builtins._", "random._inst"})
QUIET_VARIABLES = ("PYTEST_", "COV_", "TORCHINDUCTOR_", "KMP_", "OMP_", "MKL_", "TOKENIZERS_", "PYTORCH_", "TRITON_", "CUDA_")


@dataclass(frozen=True)
class Footprint:
    """Global state at one moment: what it is called, what it was, and how it is put back."""

    state: dict[str, tuple[Any, Callable[[], object]]]

    @classmethod
    def take(cls) -> Footprint:
        """The state now."""
        return cls({name: (value, restore) for name, value, restore in _parts()})

    def changes(self) -> list[tuple[str, str]]:
        """(what, mend) of all that is not as it was."""
        now = {name: value for name, value, _ in _parts()}
        changed = [name for name, (value, _) in self.state.items() if name not in now or not _same(value, now[name])]
        return [(name, MENDS.get(name, "leave it alone: it belongs to the whole process")) for name in changed]

    def restore(self) -> None:
        """Put everything back."""
        now = {name: value for name, value, _ in _parts()}
        for name, (value, put_back) in self.state.items():
            if name not in now or not _same(value, now[name]):
                put_back()


def _same(one: object, other: object) -> bool:
    return one is other or (not callable(one) and bool(one == other))


def _parts() -> Iterator[tuple[str, Any, Callable[[], object]]]:
    state, path, here, context = random.getstate(), list(sys.path), os.getcwd(), decimal.getcontext().copy()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(QUIET_VARIABLES)}
    language, timeout, depth, digits = locale.setlocale(locale.LC_ALL), socket.getdefaulttimeout(), sys.getrecursionlimit(), _digits()
    yield "the random state", state, lambda: random.setstate(state)
    yield "os.environ", environment, lambda: _put_environment(environment)
    yield "sys.path", path, lambda: sys.path.__setitem__(slice(None), path)
    yield "the working directory", here, lambda: os.chdir(here)
    yield "the decimal context", (context.prec, context.rounding), lambda: decimal.setcontext(context)
    yield "the locale", language, lambda: locale.setlocale(locale.LC_ALL, language)
    yield "the default timeout of sockets", timeout, lambda: socket.setdefaulttimeout(timeout)
    yield "the recursion limit", depth, lambda: sys.setrecursionlimit(depth)
    yield "the longest int that is read", digits, lambda: sys.set_int_max_str_digits(digits)
    for number in (signal.SIGINT, signal.SIGTERM, *(getattr(signal, name) for name in ("SIGALRM", "SIGCHLD") if hasattr(signal, name))):
        handler = signal.getsignal(number)
        yield f"the handler of {number.name}", handler, lambda number=number, handler=handler: signal.signal(number, handler)  # type: ignore[misc]
    yield from _attribute(sys, "stdout")
    yield from _attribute(sys, "stderr")
    yield from _attribute(sys, "excepthook")
    for module in MODULES:
        for name, value in vars(module).items():
            if callable(value) and f"{module.__name__}.{name}" not in OWN:
                yield from _attribute(module, name)


def _attribute(module: Any, name: str) -> Iterator[tuple[str, Any, Callable[[], object]]]:
    value = getattr(module, name)
    yield f"{module.__name__}.{name}", value, lambda: setattr(module, name, value)


def _digits() -> int:
    return sys.get_int_max_str_digits()


def _put_environment(environment: dict[str, str]) -> None:
    for name in [name for name in os.environ if name not in environment and not name.startswith(QUIET_VARIABLES)]:
        del os.environ[name]
    os.environ.update(environment)
