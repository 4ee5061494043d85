"""The tutorial: its code is that of tested files, and what it says is enough to make a plugin, a package, and a run."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from azr_core.cli import main
from azr_core.directory import names

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/writing-a-plugin.md"
POSING = ROOT / "tests/posing_plugin.py"
BLOCK = re.compile(r"<!-- (?P<file>\S+) -->\n```\w+\n(?P<code>.*?)\n```\n", re.DOTALL)
FEW = (
    "--set",
    "trainer.name=posing",
    "--set",
    "batch_size=4",
    "--set",
    "probe_samples=2",
    "--set",
    "evaluation.final=false",
    "--steps",
    "2",
)
MIXED = ("--set", "environments.order=1", "--set", "environments.python/deduction=1")


def blocks() -> list[tuple[str, str]]:
    """(file, code) of each block of code, from the text of the page alone."""
    return [(block["file"], block["code"]) for block in BLOCK.finditer(PAGE.read_text())]


def told() -> str:
    """The plugin that the page tells, from its blocks alone."""
    return "\n\n\n".join(code for file, code in blocks() if file == "plugins/sorting.py") + "\n"


def azr(*words: str | Path) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert left.value.code in (0, None)


def test_every_block_of_code_is_cut_from_a_tested_file() -> None:
    cut = [file for file, code in blocks() if f"{code}\n" in (ROOT / file).read_text()]
    assert cut == [file for file, _ in blocks()], "copy the changed definition into docs/writing-a-plugin.md"
    assert PAGE.read_text().count("```python") + PAGE.read_text().count("```toml") == len(cut)


def test_the_blocks_are_the_whole_plugin() -> None:
    assert told() == (ROOT / "plugins/sorting.py").read_text()


def test_the_count_of_lines_is_current() -> None:
    assert runpy.run_path(str(ROOT / "benchmarks/smallest/count.py"))["table"]() in PAGE.read_text()


def test_a_plugin_of_the_text_alone_is_checked_and_played_with_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(told())
    azr("plugins", "check", "./mine.py")
    assert "order/sorting" in capsys.readouterr().out
    azr("run", "--plugin", POSING, "--plugin", "python", "--plugin", "./mine.py", *FEW, *MIXED, "--name", "mixed")
    capsys.readouterr()
    azr("show", "mixed", "--role", "propose", "--outcome", "admitted")
    shown = capsys.readouterr().out
    assert "order/sorting" in shown and "python/deduction" in shown


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_package_of_the_template_and_the_text_is_installed_and_used(tmp_path: Path) -> None:
    python = environment(tmp_path)
    azr("plugins", "new", "ordering", "--package", "--to", tmp_path)
    package = tmp_path / "ordering"
    install(python, package)
    said([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", package], tmp_path)
    (package / "azr_ordering.py").write_text(told())
    install(python, package)
    command = [python, "-m", "azr_core"]
    assert "order/sorting" in said([*command, "plugins", "check", "ordering"], tmp_path)
    said([*command, "run", "--plugin", POSING, "--plugin", "ordering", *FEW], tmp_path)
    said([*command, "run", "--plugin", POSING, "--plugin", "ordering", "--plugin", "python", *FEW, *MIXED], tmp_path)
    assert len(names(tmp_path / "runs")) == 2


def environment(folder: Path) -> Path:
    """The Python of a new virtual environment that sees the packages of this one, and azr itself."""
    said([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder)
    python = folder / "venv/bin/python"
    site = Path(said([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    seen = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
    (site / "beneath.pth").write_text(f"{seen}\n{ROOT}\n")
    return python


def install(python: Path, package: Path) -> None:
    """As `pip install PACKAGE` does, with nothing fetched and in the new environment."""
    words = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall", "--disable-pip-version-check"]
    said([python, "-m", "pip", "install", *words, package], package)


def said(command: list[str | Path], folder: Path) -> str:
    """What a command prints; it must end well."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in command], cwd=folder, env=environ, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
