"""The shipped Dockerfile: the basics that the refusal to run without a jail promises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def test_it_runs_azr_as_a_user_without_privilege_on_the_python_that_the_project_needs() -> None:
    found = dict(instructions())
    assert instructions()[0] == ("FROM", "python:3.11-slim")
    assert f"useradd --create-home --uid {found['USER']} azr" in found["RUN"]
    assert json.loads(found["ENTRYPOINT"]) == ["azr"]
    assert "pip install" in found["RUN"] and found["RUN"].index("pip install") < found["RUN"].index("useradd")


def test_it_copies_what_the_package_is_built_from() -> None:
    copied = {source for name, text in instructions() if name == "COPY" for source in text.split()[:-1]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages, places = project["tool"]["setuptools"]["packages"], project["tool"]["setuptools"]["package-dir"]
    folders = {places.get(name, name.partition(".")[0]).partition("/")[0] for name in packages}
    assert copied == folders | {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert all((ROOT / source).exists() for source in copied)


def test_the_linter_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linter is None:
        pytest.skip("hadolint is not installed: it comes with the extra `dev`")
    told = subprocess.run([linter, "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert told.stdout + told.stderr == ""
