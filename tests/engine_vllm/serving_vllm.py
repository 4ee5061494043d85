"""A real `vllm serve` as a child process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

import azr_core as azr
from azr_core.vllm_engine import ON_PROCESSORS, _start
from azr_plugins_python.training.vllm_server import Connection, command

ONE_THREAD = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
PATIENCE = 240.0  # seconds in which a server must come up


@dataclass(frozen=True)
class Place:
    """Where a server listens and which folder it reads. It may be started, ended, and started again."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **more: object) -> dict[str, object]:
        return {"sampler": "server", "server_url": self.url, "server_folder": str(self.folder), "server_patience": 5, **more}

    @contextmanager
    def served(self) -> Iterator[subprocess.Popen[bytes]]:
        """By the command that azr says, in this environment's interpreter. It is ended by its id, with what it started."""
        words = command(self.folder, self.url, torch.bfloat16).split()
        words = [sys.executable, "-m", *_start(words[words.index("serve") + 1]), *words[words.index("serve") + 2 :]]
        words += ON_PROCESSORS
        log = (self.folder.parent / f"server-{self.port}.log").open("ab")
        environment = os.environ | ONE_THREAD | {"VLLM_SERVER_DEV_MODE": "1"}
        child = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            await_health(self.url, child)
            yield child
        finally:
            end(child)
            log.close()


def await_health(url: str, child: subprocess.Popen[bytes]) -> None:
    """Asks with growing pauses, as a run does; one that ended is not waited for."""
    connection = Connection(url, 0, "")
    for number in range(int(PATIENCE)):
        with suppress(azr.UsageError):
            connection.ask("GET", "/health")
            return
        assert child.poll() is None and number + 1 < PATIENCE, "the server did not come up; its log lies beside its folder"
        time.sleep(1)


def place(folder: Path) -> Place:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Place(folder, free.getsockname()[1])


def end(child: subprocess.Popen[bytes]) -> None:
    """Its process group is its own: `start_new_session`."""
    if child.poll() is None:
        os.killpg(child.pid, 9)
        child.wait(30)
