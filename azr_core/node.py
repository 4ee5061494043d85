"""One machine of a cluster: what runs in its Ray actor. Knows nothing of Ray."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from azr_core.config import RunConfig
from azr_core.desk import Desk
from azr_core.workers import Workers


class Node:
    """Answers jobs as the machine that started the run would: isolated verifiers here, others in workers of its own."""

    def __init__(self, config_json: str, names: tuple[str, ...]) -> None:
        self._config_json = config_json
        self._names = names
        self._folder = TemporaryDirectory(prefix="azr-node-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "node.log"
        self._log.touch()

    def report(self) -> dict[str, Any]:
        """What is loaded here (`Identity` as JSON), or why nothing can be, in one line."""
        try:
            return self._desk.identity().model_dump(mode="json")
        except Exception as error:  # whatever is wrong with this machine, the others can do without it
            return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"}

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """The verifier's results as JSON, or the unexpected error in one line; and what was logged meanwhile."""
        answer = self._desk.answer(job) if self._desk.isolated(job) else self._workers.answer(job)
        logged = self._log.read_text(errors="replace")
        os.truncate(self._log, 0)
        return {**answer, "logged": logged}

    def close(self) -> None:
        """End the workers and the plugins."""
        if "_workers" in vars(self):
            self._workers.close()
        if "_desk" in vars(self):
            self._desk.close()
        self._folder.cleanup()

    @cached_property
    def _desk(self) -> Desk:
        return Desk(self._config_json, self._names, self._log)

    @cached_property
    def _workers(self) -> Workers:
        return Workers(RunConfig.model_validate_json(self._config_json), self._names, self._log)
