"""Ray as a choice: the flag, its errors, and a whole run on local Ray. tests/test_ray_cluster.py goes on with several nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from azr_core.config import RunConfig, parse
from azr_core.connection import connect
from azr_core.errors import ConfigError, UsageError

PLAYED = str(Path(__file__).with_name("played_plugin.py"))
needs_ray = pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed: pip install 'azr[ray]'")


def play(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`azr run` in a process of its own: Ray keeps what it read of its environment when it was imported."""
    settings = ("--plugin", PLAYED, "--steps", "2", "--set", "trainer.name=scripted", "--set", "batch_size=4", "--name", "one")
    command = (sys.executable, "-c", "from azr_core.cli import main; main()", "run", *settings, *words)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment)


@needs_ray
def test_a_run_that_verifies_on_local_ray_prints_nothing_of_ray(tmp_path: Path) -> None:
    done = play(tmp_path, "--verify-on", "local")
    assert done.returncode == 0, done.stderr
    assert "1 node of Ray (local)" in done.stdout
    assert "ray" not in done.stdout.replace("Ray (local)", "") + done.stderr


@needs_ray
def test_a_cluster_that_nobody_runs_is_said_in_one_line(tmp_path: Path) -> None:
    done = play(tmp_path, "--verify-on", "ray://127.0.0.1:1")
    (line,) = done.stderr.splitlines()
    assert line.startswith("azr: no Ray cluster answers at ray://127.0.0.1:1 (") and "start one with ray start --head" in line


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'azr\[ray\]'"):
        connect("local")


@pytest.mark.parametrize("address", ["here", "ray://host", "http://host:1", "ray://"])
def test_an_address_that_is_none_is_refused_with_the_forms_there_are(address: str) -> None:
    with pytest.raises(ConfigError, match=r"'verify_on' = .*write local, auto, ray://HOST:PORT or HOST:PORT"):
        parse(RunConfig, {"plugins": ("toy",), "verify_on": address}, "configuration")
