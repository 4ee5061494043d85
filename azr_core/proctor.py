"""Watches over the processes that check plugins: what hangs, dies, floods or breaks there is a finding, and nothing here is touched."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from azr_core.examiner import VERDICT_S
from azr_core.subject import BOUNDED, Finding

PATIENCE = 12  # verdicts' time that may pass without a sign of life
RESTARTS = 3  # of a process that was lost in a trial
FLOOD = 10_000  # lines
ENDED = "its process ended"
TAIL = 2000  # characters of the output that are kept

Pair = tuple[str, str]


@dataclass
class Report:
    """What is known of a plugin. error: why it could not be checked; figures: numbers by environment."""

    plugin: str
    environments: list[str] = field(default_factory=list)
    tried: list[Pair] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    error: str = ""

    @property
    def code(self) -> int:
        """Exit code: 0 nothing found, 1 something is wrong, 2 the plugin is broken."""
        return 2 if self.error else int(any(finding.grave for finding in self.findings))

    def of(self, environment: str) -> list[Finding]:
        """The findings of an environment; those of the plugin as a whole have its name."""
        return [finding for finding in self.findings if finding.environment == environment]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "plugin": self.plugin,
            "code": self.code,
            "error": self.error or None,
            "findings": [asdict(finding) for finding in self.of(self.plugin)],
            "environments": [
                {
                    "name": name,
                    "trials": [trial for environment, trial in self.tried if environment == name],
                    "findings": [asdict(finding) for finding in self.of(name)],
                    "figures": self.figures.get(name, {}),
                }
                for name in self.environments
            ],
        }


@dataclass
class Proctor:
    """Checks one plugin. tell: hears what is being tried, for a person who waits."""

    plugin: str
    names: Sequence[str]
    settings: Mapping[str, Any]
    tell: Callable[[str], None] = lambda text: None

    def check(self, only: Sequence[Pair] | None = None) -> Report:
        """Try everything, or only these (environment, trial) pairs."""
        report = Report(self.plugin)
        with tempfile.TemporaryDirectory() as scratch:
            for _ in range(RESTARTS + 1):
                job = {"names": list(self.names), "settings": self.settings, "canary": str(Path(scratch, "canary")), "only": only}
                if not _Sitting(self, report).held(job | {"skip": report.tried}):
                    break
            else:
                seen, mend = (
                    f"lost {RESTARTS + 1} processes, so the other trials were not begun",
                    "mend what is found before it, and check again",
                )
                report.findings.append(Finding(self.plugin, BOUNDED, "the whole check", seen, mend))
        report.findings = list({(one.environment, one.trial, one.input, one.seen): one for one in report.findings}.values())
        return report

    @property
    def patience(self) -> float:
        """Seconds without a sign of life, after which a process is given up."""
        asked = self.settings.get("verify_timeout", VERDICT_S)
        return PATIENCE * min(VERDICT_S, float(asked) if isinstance(asked, int | float) else VERDICT_S)


class _Sitting:
    """One process, from its start to its end."""

    def __init__(self, proctor: Proctor, report: Report) -> None:
        self.proctor, self.report = proctor, report
        self.at: Pair | None = None
        self.doing = ""
        self.loading = self.loaded = self.done = False
        self.output = _Output()

    def held(self, job: Mapping[str, Any]) -> bool:
        """Do a job; whether its process was lost in a trial, so that the rest is still to do."""
        ours, theirs = os.pipe()
        command = [sys.executable, "-m", "azr_core.examiner", str(theirs)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(theirs,), start_new_session=True
        )
        os.close(theirs)
        try:
            assert process.stdin and process.stdout
            self.output.drain(process.stdout)
            with process.stdin as stdin:
                stdin.write(json.dumps(job).encode() + b"\n")
            lost = self._follow(ours)
        finally:
            _kill(process)
            os.close(ours)
            self.output.thread.join(5.0)
        self._tell_output()
        if lost:
            self._lose(f"{lost} (exit code {process.returncode})" if lost == ENDED else lost)
        return bool(lost) and self.loaded and not self.report.error

    def _follow(self, descriptor: int) -> str:
        """Hear the events to their end. What went wrong where it did not come, or nothing."""
        for event in _events(descriptor, lambda: self.proctor.patience if self.loading else None):
            if event is None:
                return f"no sign of life for {self.proctor.patience:g} s"
            self._hear(event)
            if self.done:
                return ""
        return ENDED

    def _hear(self, event: Mapping[str, Any]) -> None:
        report, kind = self.report, event["event"]
        match kind:
            case "loading":
                self.loading = True
            case "loaded":
                self.loaded, report.environments = True, event["environments"]
            case "begin":
                self.at = (event["environment"], event["trial"])
                self.doing = ""
                self.proctor.tell(" ".join(self.at))
            case "tell":
                self.doing = event["text"]
            case "end":
                report.tried.append((event["environment"], event["trial"]))
                report.findings += [Finding(**finding) for finding in event["findings"]]
            case "figures":
                report.figures.setdefault(event["environment"], {}).update(event["figures"])
            case "changed":
                seen = f"{event['what']} is not what it was"
                report.findings.append(Finding(report.plugin, "runtime.episode_isolation", event["when"], seen, event["mend"]))
            case "broken":
                report.error = event["text"]
            case "done":
                self.done = True

    def _lose(self, why: str) -> None:
        last = f"; its last words: {self.output.tail!r}" if self.output.tail.strip() else ""
        if not self.loaded:
            self.report.error = f"plugin {self.report.plugin} could not be loaded: {why}{last[-300:]}"
        elif self.at is None:
            self.report.error = f"plugin {self.report.plugin}: {why} before the first trial{last[-300:]}"
        else:
            mend = "bound what is read and done, in time and memory; a verifier that contains hostile work says isolated = True"
            self.report.findings.append(Finding(self.at[0], BOUNDED, f"trial {self.at[1]}, {self.doing or 'at its start'}", why, mend))
            self.report.tried.append(self.at)

    def _tell_output(self) -> None:
        if self.output.lines > FLOOD:
            seen = f"wrote {self.output.lines:,} lines"
            mend = "log what matters, and print nothing"
            self.report.findings.append(Finding(self.report.plugin, "runtime.startup", "its output", seen, mend))


class _Output:
    """Counts what a process prints and keeps the end of it."""

    def __init__(self) -> None:
        self.lines = 0
        self.tail = ""
        self.thread = threading.Thread(daemon=True)

    def drain(self, stream: IO[bytes]) -> None:
        """Read a stream to its end, in a thread."""

        def read() -> None:
            while chunk := os.read(stream.fileno(), 1 << 16):
                self.lines += chunk.count(b"\n")
                self.tail = (self.tail + chunk[-TAIL:].decode(errors="replace"))[-TAIL:]
            stream.close()

        self.thread = threading.Thread(target=read, daemon=True)
        self.thread.start()


def _events(descriptor: int, patience: Callable[[], float | None]) -> Iterator[dict[str, Any] | None]:
    """The events of a process as they come; None where none comes in time. Ends where the process does."""
    buffer = b""
    while True:
        limit = patience()
        deadline = None if limit is None else time.monotonic() + limit
        while b"\n" not in buffer:
            rest = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([descriptor], [], [], rest)[0]:
                yield None
                return
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                return
            buffer += chunk
        line, _, buffer = buffer.partition(b"\n")
        yield json.loads(line)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
