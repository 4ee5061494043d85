"""Protection by attempt: what each probe shows, what an ordinary user gets, and where nothing holds."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from azr_plugins_python.executor import Executor, Job, SandboxUnavailable
from azr_plugins_python.executor import host as executor_host
from azr_plugins_python.executor import selftest as executor_selftest
from azr_plugins_python.executor.limits import Call, Status
from azr_plugins_python.executor.selftest import PROBES, Probe

ROOT = Path(__file__).parents[1]
NOBODY = 65_534
ORDINARY = """
from azr_plugins_python.executor import Executor
with Executor(slots=1) as executor:
    found = executor.protection()
print(found.level, found.uid, len(found.attempts), [attempt for attempt in found.attempts if not attempt.held])
"""
REFUSED = """
import platform, sys
from azr_core.cli import main
platform.system = lambda: "Darwin"
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")


def test_every_harm_is_attempted_and_what_was_seen_is_kept() -> None:
    with Executor(slots=1) as executor:
        found = executor.protection()
    seen = {attempt.name: attempt.observed for attempt in found.attempts}
    assert list(seen) == [probe.name for probe in PROBES] and found.broken == ()
    assert seen["fork"] == seen["open a socket"] == "denied: system call"
    assert seen["loop"] == "timeout: cpu" and seen["exceed memory"] == "memory: MemoryError" and seen["flood the host"] == "denied: flood"


@pytest.mark.parametrize(
    ("call", "held", "observed"),
    [
        (Call(Status.ok, "broken"), False, "got through"),
        (Call(Status.ok, None), False, "got through"),
        (Call(Status.ok, ("held", "PermissionError")), True, "error: PermissionError"),
        (Call(Status.denied, None, "system call"), True, "denied: system call"),
        (Call(Status.timeout, None, "cpu"), False, "timeout: cpu"),
        (Call(Status.infra, None, "slot lost"), False, "infra: slot lost"),
    ],
)
def test_a_harm_is_held_only_where_the_host_saw_it_held(call: Call, held: bool, observed: str) -> None:
    attempt = Probe("fork", "").attempt(call)
    assert (attempt.held, attempt.observed) == (held, observed)


def test_one_harm_that_gets_through_is_no_protection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_selftest, "PROBES", (*PROBES, Probe("add", "def f(): return 1 + 1")))
    with Executor(slots=1) as executor:
        assert [attempt.name for attempt in executor.examine().broken] == ["add"]
        with pytest.raises(SandboxUnavailable, match="add: got through"):
            executor.protection()


def as_nobody(interpreter: str, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code as a user that has no rights and, becoming another than root, no capabilities."""
    return subprocess.run(
        [interpreter, "-B", "-c", code],
        user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def interpreter_of_nobody() -> str | None:
    """One that any user can start, and that can read the project: that of the environment may lie in somebody's home."""
    code = "import sys, azr_plugins_python.executor; sys.exit(sys.version_info < (3, 11))"
    for candidate in (sys.executable, "/usr/bin/python3"):
        with suppress(OSError):
            if as_nobody(candidate, code).returncode == 0:
                return candidate
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; others are the ordinary user in every test")
def test_an_ordinary_user_without_capabilities_is_as_well_protected() -> None:
    interpreter = interpreter_of_nobody()
    if interpreter is None:
        pytest.skip("no other user can read the project and start an interpreter that suits it")
    child = as_nobody(interpreter, ORDINARY)
    level, uid, count, broken = child.stdout.split(maxsplit=3) if child.stdout else ("", "", "0", child.stderr)
    assert level in ("L2", "L3") and (int(uid), int(count)) == (NOBODY, len(PROBES)) and broken == "[]\n", child.stderr


def test_without_linux_a_program_runs_only_for_those_who_accept_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_host.platform, "system", lambda: "FreeBSD")
    job = Job("def f(): return 1", ("",))
    with pytest.raises(SandboxUnavailable, match=r"none for FreeBSD.*Dockerfile.*--i-accept-unsandboxed-execution"):
        Executor(slots=1).run([job])
    with Executor(slots=1, allow_unsandboxed=True) as accepted:
        assert accepted.run([job])[0].calls[0].value == 1 and accepted.protection().level == "L0"


def test_where_no_program_can_run_at_all_accepting_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError("Protocol not supported")

    monkeypatch.setattr(executor_host.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(executor_selftest.socket, "socketpair", refuse)
    with pytest.raises(SandboxUnavailable, match="Dockerfile") as refusal:
        Executor(allow_unsandboxed=True).protection()
    assert "--i-accept" not in str(refusal.value)


@pytest.mark.parametrize("verb", ["run", "eval"])
def test_a_command_is_refused_before_a_model_is_loaded_and_leaves_no_run(verb: str, tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", REFUSED, verb, "--plugin", "python"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert child.returncode == 2 and child.stdout == "False\n"
    assert child.stderr.startswith("azr: ") and child.stderr.count("\n") == 1
    assert "shipped Dockerfile" in child.stderr and "--i-accept-unsandboxed-execution" in child.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
