"""`azr plugins new`: what it writes runs as it is, and nothing that exists is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import azr_core as azr
from azr_core.cli import main
from azr_core.scaffold import PACKAGE, write_file, write_package
from azr_core.testing import check_environment

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "plugins/template"
POSING = str(ROOT / "tests/posing_plugin.py")


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(words)
    return int(left.value.code or 0)


def test_a_new_file_plays_at_once_and_the_commands_that_are_printed_are_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("plugins", "new", "word_games") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("wrote word_games.py\n") and os.listdir() == ["word_games.py"]
    assert [line.strip() for line in printed.partition("next:\n")[2].splitlines()] == [
        "azr plugins check ./word_games.py",
        "azr run --plugin ./word_games.py --steps 1",
        "azr warmup --plugin ./word_games.py --out models/word_games --minutes 10",
    ]
    assert command("plugins", "check", "./word_games.py") == 0
    few = ["--set", "trainer.name=posing", "--set", "batch_size=2", "--set", "evaluation.final=false"]
    assert command("run", "--plugin", POSING, "--plugin", "./word_games.py", "--steps", "1", *few) == 0


def test_a_new_package_has_its_name_everywhere_and_no_other(tmp_path: Path) -> None:
    draft = write_package("word_games", tmp_path)
    place = tmp_path / "word_games"
    assert {path.relative_to(place).as_posix() for path in draft.files} == {
        "azr_word_games.py", "tests/test_word_games.py", "pyproject.toml", "README.md",
    }  # fmt: skip
    assert not [path for path in draft.files if "my_" in path.read_text()]
    project = tomllib.loads((place / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["azr"] == {"word_games": "azr_word_games"}
    assert project["tool"]["setuptools"]["py-modules"] == ["azr_word_games"]


def test_the_tests_of_a_new_package_pass(tmp_path: Path) -> None:
    write_package("word_games", tmp_path)
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]
    environ = os.environ | {"PYTHONPATH": f"{tmp_path / 'word_games'}{os.pathsep}{ROOT}"}
    done = subprocess.run(asked, cwd=tmp_path / "word_games", env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "8 passed" in done.stdout, done.stdout + done.stderr


def test_the_template_is_a_plugin_as_it_stands_and_nothing_else_lies_there() -> None:
    plugins = azr.load([str(TEMPLATE / "my_plugin.py")])
    config = azr.RunConfig(plugins=(str(TEMPLATE / "my_plugin.py"),))
    assert [check_environment(environment) for environment in plugins.environments(config).values()] == [[]]
    assert [benchmark.name for benchmark in plugins.benchmarks(config)] == ["my_plugin/heldout"]
    plugins.close()
    assert {path.relative_to(TEMPLATE).as_posix() for path in TEMPLATE.rglob("*.*") if "__pycache__" not in path.parts} == set(PACKAGE)


@pytest.mark.parametrize("name", ["Words", "word-games", "1st", "../words", "", "class", "a" * 41, "wörter", "words.py"])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(azr.ConfigError, match="is no name of a plugin"):
        write_file(name, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("name", "reason"), [("python", "a plugin 'python' is installed already"), ("json", "a module of Python")])
def test_a_name_that_is_taken_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    for write in (write_file, write_package):
        with pytest.raises(azr.ConfigError, match=f"{reason}.*choose another name"):
            write(name, tmp_path)


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("mine")
    (tmp_path / "words").mkdir()
    for write in (write_file, write_package):
        with pytest.raises(azr.RunError, match="exists already; choose another name"):
            write("words", tmp_path)
    assert (tmp_path / "words.py").read_text() == "mine" and os.listdir(tmp_path / "words") == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for write in (write_file, write_package):
        with pytest.raises(azr.RunError, match="choose another folder with --to"):
            write("words", tmp_path / "file")
