"""Processes that run verifiers which do not isolate themselves: a hang or a crash costs one verdict, not the run.

The parent sends JSON text and gets JSON text back; nothing is pickled across. A worker over its time is killed and replaced.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from azr_core.config import RunConfig
from azr_core.desk import Desk, Lost, answer_in_batches
from azr_core.errors import PluginError, VerifierUnavailable

BATCH = 32  # items, so that a job's way there and back costs little beside its work
START_S = 180.0  # seconds a worker may take to import its plugins
GRACE_S = 10.0  # seconds after which a worker whose parent is gone ends itself


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    deadline: float
    ready: bool = False
    job: int | None = None


class Workers:
    """A few worker processes. Started when made; `names` are the plugins they load."""

    def __init__(self, config: RunConfig, names: Sequence[str], log: Path | None) -> None:
        self._timeout = config.verify_timeout
        self._log = log
        self._arguments = (config.model_dump_json(), tuple(names), str(log or os.devnull), config.verify_timeout + GRACE_S)
        self._workers = [self._start() for _ in range(config.workers)]

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """The verifier's results as JSON, or the unexpected error in one line."""
        return answer_in_batches(self.call, job, BATCH)

    def call(self, jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any] | Lost]:
        """Run each job in some worker; results in the order of the jobs. A job lost with its worker gives an error in its place."""
        results: dict[int, dict[str, Any] | Lost] = {}
        waiting = deque(range(len(jobs)))
        try:
            while len(results) < len(jobs):
                idle = [worker for worker in self._workers if worker.ready and worker.job is None]
                for worker, _ in zip(idle, tuple(waiting), strict=False):
                    self._send(worker, waiting.popleft(), jobs)
                self._wait()
                for index in range(len(self._workers)):
                    self._collect(index, results)
        except BaseException:
            self.close()  # a worker that is still busy would answer the wrong question next time
            raise
        return [results[number] for number in range(len(jobs))]

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            self._kill(worker)
        self._workers = []

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True, name="azr-verifier")
        process.start()
        theirs.close()
        return _Worker(process, ours, time.monotonic() + START_S)

    def _send(self, worker: _Worker, number: int, jobs: Sequence[dict[str, Any]]) -> None:
        worker.job, worker.deadline = number, time.monotonic() + self._timeout
        try:
            worker.connection.send_bytes(json.dumps(jobs[number]).encode())
        except OSError:
            worker.deadline = 0.0  # it died while idle; `_collect` sees that and replaces it

    def _wait(self) -> None:
        busy = [worker for worker in self._workers if worker.job is not None or not worker.ready]
        rest = min(worker.deadline for worker in busy) - time.monotonic()
        wait([worker.connection for worker in busy], timeout=max(0.0, rest))

    def _collect(self, index: int, results: dict[int, Any]) -> None:
        """Take a worker's message; replace it if it died or is over its time, and say so in its job's place."""
        worker = self._workers[index]
        if worker.ready and worker.job is None:
            return
        loss: Lost
        try:
            if worker.connection.poll():
                return self._receive(worker, json.loads(worker.connection.recv_bytes()), results)
            if time.monotonic() < worker.deadline:
                return
            loss = TimeoutError(f"no verdict within {self._timeout:g} s")
        except (EOFError, OSError):
            worker.process.join(1.0)
            loss = VerifierUnavailable(f"a verification worker died (exit code {worker.process.exitcode})")
        self._kill(worker)
        if not worker.ready:
            raise PluginError(f"a verification worker did not start within {START_S:g} s or died; see {self._log or 'a run with a log'}")
        if worker.job is not None:
            results[worker.job] = loss
        self._workers[index] = self._start()

    def _receive(self, worker: _Worker, message: dict[str, Any], results: dict[int, Any]) -> None:
        if not worker.ready:
            if "error" in message:
                raise PluginError(f"a verification worker could not start: {message['error']}")
            worker.ready = True
        elif worker.job is not None:
            results[worker.job] = message
            worker.job = None

    def _kill(self, worker: _Worker) -> None:
        worker.connection.close()
        if worker.process.pid is not None and worker.process.is_alive():
            try:
                os.killpg(worker.process.pid, signal.SIGKILL)  # with whatever the verifier started
            except (ProcessLookupError, PermissionError):
                worker.process.kill()  # it had not made its group yet
        worker.process.join()


def _serve(connection: Connection, config_json: str, names: tuple[str, ...], log: str, limit_s: float) -> None:
    """The life of a worker: load the plugins, answer jobs, end when the parent is gone."""
    os.setsid()  # a group of its own: killed whole, and Ctrl-C in the terminal stays with the parent
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)  # line by line: a killed worker flushes nothing
    try:
        desk = Desk(config_json, names, Path(log))
    except Exception as error:
        connection.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    connection.send_bytes(b"{}")
    while True:
        try:
            job = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return desk.close()
        # Should the parent be gone while a verifier hangs, nobody else would end this process.
        faulthandler.dump_traceback_later(limit_s, exit=True)
        answer = desk.answer(job)
        faulthandler.cancel_dump_traceback_later()
        connection.send_bytes(json.dumps(answer).encode())
