"""The wheel: what is in it, and that it works away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from azr_core.directory import names

ROOT = Path(__file__).parents[1]
PACKAGES = ("azr_core", "azr_plugins_math", "azr_plugins_python")
MODULE = "azr_pytest.py"  # outside of the packages, so that pytest loads it without importing one
# What a wheel holds beside Python sources: folders of the checkout, and their place in it.
SHIPPED = {
    "azr_plugins_math/prompts": ("azr_plugins_math/prompts", "*.txt"),
    "azr_plugins_math/heldout": ("azr_plugins_math/heldout", "*.jsonl"),
    "azr_plugins_python/prompts": ("azr_plugins_python/prompts", "*.txt"),
    "azr_plugins_python/heldout": ("azr_plugins_python/heldout", "*.jsonl"),
    "azr_plugins_python/tiny": ("azr_plugins_python/tiny", "*"),
    "configs": ("azr_core/configs", "*.toml"),
    "configs/accelerate": ("azr_core/configs/accelerate", "*.yaml"),
    "plugins/template": ("azr_core/template", "*"),
}
UNSHIPPED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", "runs", ".*")
QUICK = {**os.environ, "PYTHONPATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays clean."""
    pytest.importorskip("build", reason="the extra `dev` is not installed")
    place = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT, place / "source", ignore=UNSHIPPED)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    [made] = place.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the wheel's content; what azr needs comes from this environment."""
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place), str(wheel)]
    subprocess.run(command, check=True, timeout=120, env=QUICK)
    return place


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def expected() -> set[str]:
    """Every source of the packages, and everything that is shipped with them."""
    found = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    found |= {MODULE, *(f"{package}/py.typed" for package in PACKAGES)}
    for folder, (place, pattern) in SHIPPED.items():
        files = (path for path in (ROOT / folder).rglob(pattern) if path.is_file() and "__pycache__" not in path.parts)
        found |= {f"{place}/{path.relative_to(ROOT / folder).as_posix()}" for path in files}
    return found


def test_the_wheel_holds_the_packages_and_what_they_read_and_nothing_else(wheel: Path) -> None:
    assert contents(wheel) == expected()
    assert {name.partition("/")[0] for name in contents(wheel)} == {*PACKAGES, MODULE}


def test_the_wheel_is_small_enough_to_hand_around(wheel: Path) -> None:
    assert wheel.stat().st_size < 20e6


def azr(installed: Path, place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as installed, away from the checkout."""
    code = "import sys, azr_core; assert azr_core.__file__.startswith(sys.argv.pop(1)); from azr_core.cli import main; main()"
    command = [sys.executable, "-c", code, str(installed), *words]
    return subprocess.run(command, cwd=place, env=QUICK | {"PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=250)


def test_an_installed_azr_lists_its_plugins_and_finds_its_presets(installed: Path, tmp_path: Path) -> None:
    listed = azr(installed, tmp_path, "plugins", "list")
    assert listed.returncode == 0 and {line.split()[0] for line in listed.stdout.splitlines()} >= {"math", "python", "trl"}
    shown = azr(installed, tmp_path, "config", "--show", "--plugin", "python", "--preset", "paper")
    assert shown.returncode == 0, shown.stderr
    assert 'probes = "measure"' in shown.stdout and "entropy_coefficient = 0.001" in shown.stdout


def test_an_installed_azr_plays(installed: Path, tmp_path: Path) -> None:
    plugin = str(ROOT / "tests/resumed_plugin.py")
    played = azr(installed, tmp_path, "run", "--plugin", plugin, "--plugin", "python", "--set", "trainer.name=seeded", "--steps", "2",
                 "--set", "environments.toys=1", "--set", "environments.python=0", "--set", "batch_size=4",
                 "--set", "evaluation.final=false", "--name", "one")  # fmt: skip
    assert played.returncode == 0, played.stderr
    assert names(tmp_path / "runs") == ["one"]


def test_an_installed_azr_begins_a_plugin_and_checks_it(installed: Path, tmp_path: Path) -> None:
    made = azr(installed, tmp_path, "plugins", "new", "word_games", "--package")
    assert made.returncode == 0, made.stderr
    checked = azr(installed, tmp_path, "plugins", "check", "word_games/azr_word_games.py")
    assert checked.returncode == 0, checked.stdout + checked.stderr
