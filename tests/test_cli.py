"""The command line: every verb, and what bad input is answered."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from made_run import KINDS, make_run

from azr_core.cli import main
from azr_core.config import RunConfig, read_toml
from azr_core.tables import visible
from azr_core.toml import toml

PLUGIN = str(Path(__file__).with_name("played_plugin.py"))
PLAY = ["--plugin", PLUGIN, "--set", "trainer.name=scripted", "--set", "batch_size=4", "--steps", "3"]
Azr = Callable[..., tuple[int, str, str]]


@pytest.fixture
def azr(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Azr:
    """Call the command in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AZR_TRACEBACK", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert isinstance(left.value.code, int)
        return left.value.code, *capfd.readouterr()

    return call


def refused(result: tuple[int, str, str], *words: str) -> None:
    """The answer is one line on stderr that holds the words, and exit code 2."""
    code, _, error = result
    assert code == 2
    assert error.startswith("azr: ") and error.count("\n") == 1
    for word in words:
        assert word in error


def test_a_run_is_played_measured_reported_and_its_paths_are_named(azr: Azr) -> None:
    code, out, _ = azr("run", *PLAY)
    assert code == 0
    assert "step 3/3" in out and "held out, step 3" in out
    folder = Path("runs/played_plugin-001/report")
    assert {path.name for path in folder.iterdir()} == {"report.json", "report.md", "curves.png", "health.png"}
    assert str(folder / "curves.png") in out and "azr show played_plugin-001" in out
    assert "--resume" not in out


def test_runs_without_a_name_are_numbered(azr: Azr) -> None:
    azr("run", *PLAY)
    assert "played_plugin-002" in azr("run", *PLAY, "--dry-run")[1]
    _, out, _ = azr("runs")
    assert "played_plugin-001" in out and "played_plugin-002" not in out and "3/3" in out


def test_a_stopped_run_says_how_to_go_on_and_that_command_works(azr: Azr) -> None:
    code, out, _ = azr(
        "run", "--plugin", PLUGIN, "--set", "trainer.name=interrupted", "--set", "batch_size=4", "--steps", "4", "--name", "a b"
    )
    assert code == 0
    assert "azr run --resume --name 'a b'" in out
    assert "step 2/4" in out and "step 3/4" not in out
    code, out, _ = azr("run", "--resume", "--name", "a b")
    assert code == 0 and "step 4/4" in out and "step 2/4" not in out


def test_a_dry_run_shows_the_plan_and_leaves_nothing_behind(azr: Azr, tmp_path: Path) -> None:
    code, out, _ = azr("run", *PLAY, "--dry-run")
    assert code == 0 and "runs/played_plugin-001" in out and "toys/heldout (40)" in out
    assert list(tmp_path.iterdir()) == []


def test_a_bug_is_told_in_one_line_that_names_the_log(azr: Azr) -> None:
    code, _, error = azr("run", "--plugin", PLUGIN, "--set", "trainer.name=failing", "--set", "batch_size=4", "--name", "broken")
    assert code == 1
    assert error == "azr: ZeroDivisionError: a bug in a trainer; the traceback is in runs/broken/run.log\n"
    assert "in fail" in Path("runs/broken/run.log").read_text()


def test_the_traceback_is_shown_to_those_who_ask(azr: Azr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZR_TRACEBACK", "1")
    _, _, error = azr("run", "--plugin", "nothing")
    assert "Traceback" in error and error.splitlines()[-1].startswith("azr: ")


def test_bad_input_is_answered_with_one_line_and_the_mend(azr: Azr, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("steps = \n")
    refused(azr("run"), "--plugin")
    refused(azr("run", "--plugin", "pyton"), "'pyton'", "did you mean 'python'?")
    refused(azr("run", "--plugin", "gone.py"), "gone.py", "does not exist")
    refused(azr("run", *PLAY, "--set", "batch_sise=3"), "batch_sise", "did you mean 'batch_size'?")
    refused(azr("run", *PLAY, "--set", "batch_size=many"), "batch_size", "'many'", "integer")
    refused(azr("run", *PLAY, "--set", "batch_size"), "NAME=VALUE")
    refused(azr("run", *PLAY, "--config", "gone.toml"), "gone.toml")
    refused(azr("run", *PLAY, "--config", "bad.toml"), "bad.toml", "line 1")
    refused(azr("run", *PLAY, "--preset", "nothing"), "no preset 'nothing'")
    refused(azr("run", "--resume", "--name", "gone"), "gone")
    refused(azr("run", "--steps", "few"), "--steps")
    refused(azr("run", "--stepps", "3"), "--stepps")
    refused(azr("rum"), "rum")
    refused(azr("config"), "--show")
    refused(azr("eval", *PLAY[:-2], "--benchmark", "toys/heldot"), "did you mean 'toys/heldout'?")


def test_a_run_that_exists_and_a_changed_setting_are_refused(azr: Azr) -> None:
    azr("run", *PLAY, "--name", "one")
    refused(azr("run", *PLAY, "--name", "one"), "one exists", "--resume")
    refused(azr("run", "--resume", "--name", "one", "--seed", "7"), "seed was 0, is 7")
    assert azr("run", "--resume", "--name", "one", "--steps", "4")[0] == 0


def test_figures_of_one_run_are_an_object_and_of_several_a_list(azr: Azr, tmp_path: Path) -> None:
    for number in (1, 2):
        make_run(tmp_path / "runs" / f"toys-00{number}", steps=3, seed=number)
    code, out, error = azr("report", "toys-001", "--json")
    assert (code, error) == (0, "") and json.loads(out)["run"] == "toys-001"
    by_folder = azr("report", str(tmp_path / "runs" / "toys-001"), "--json")[1]
    assert json.loads(by_folder) == json.loads(out)
    both = json.loads(azr("report", "toys-001", "toys-002", "--json")[1])
    assert [one["seed"] for one in both] == [1, 2]


def test_a_report_of_several_runs_compares_them(azr: Azr, tmp_path: Path) -> None:
    for number in (1, 2):
        make_run(tmp_path / "runs" / f"toys-00{number}", steps=3, seed=number)
    code, out, _ = azr("report", "toys-001", "toys-002")
    assert code == 0 and "2 runs together" in out and "mean gain" in out
    assert (tmp_path / "runs" / "comparison.png").is_file()


def test_unknown_runs_are_refused_with_the_nearest_name(azr: Azr, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "toys-001", steps=1)
    for verb in ("report", "show"):
        refused(azr(verb, "toys-01"), "did you mean 'toys-001'?")


def test_episodes_are_read_as_text_through_filters(azr: Azr, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "toys-001", steps=3)
    _, out, _ = azr("show", "toys-001", "--role", "solve", "--outcome", "wrong", "--step", "2")
    assert "how many [letters] has aa?" in out and "wrong, score 0: it is 1" in out and "step 3" not in out
    _, out, _ = azr("show", "toys-001", "--environment", KINDS[1], "--limit", "1")
    assert out.count("malformed, score 0: no answer in it") == 1
    refused(azr("show", "toys-001", "--outcome", "timeout"), "no episode matches")
    refused(azr("show", "toys-001", "--outcome", "fine"), "solved")


def test_text_of_a_model_cannot_drive_the_terminal(azr: Azr, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "toys-001", steps=1)
    _, out, _ = azr("show", "toys-001", "--outcome", "wrong")
    assert "\x1b" not in out and r"x\x1b[2J" in out
    assert visible("tab\tline\nbell\a\u202e é") == "tab\tline\nbell\\x07\\u202e é"


def test_settings_are_printed_as_toml_that_can_be_given_back(azr: Azr, tmp_path: Path) -> None:
    code, out, _ = azr("config", "--show", *PLAY[:-2])
    assert code == 0 and tomllib.loads(out)["batch_size"] == 4
    (tmp_path / "mine.toml").write_text(out)
    assert azr("config", "--show", "--plugin", PLUGIN, "--config", "mine.toml")[1] == out


def test_every_kind_of_setting_survives_toml(tmp_path: Path) -> None:
    config = RunConfig.model_validate(
        {
            "plugins": ["toys"],
            "minutes": 2.5,
            "environments": {"toys": 1.0, "toys/count": 0},
            "reward": {"name": "learnability", "novelty": 1.0, "parts": [{"of": 'a "b"', "weight": 0.5}]},
            "plugin_options": {"toys": {"letters": ["ä", "\\"], "deep": {"x y": True}}},
        }
    )
    file = tmp_path / "all.toml"
    file.write_text(toml(config))
    assert RunConfig.model_validate(read_toml(file) | {"plugins": ["toys"]}) == config


def test_a_model_is_measured_without_a_run(azr: Azr, tmp_path: Path) -> None:
    code, out, _ = azr("eval", *PLAY[:-2], "--json")
    rows = json.loads(out)
    assert code == 0 and {row["decoding"] for row in rows} == {"sampled", "greedy"}
    assert all(row["n"] == 40 and 0 <= row["accuracy"] <= 1 for row in rows)
    assert list(tmp_path.iterdir()) == []


def test_no_runs_yet_is_said_kindly(azr: Azr) -> None:
    code, out, _ = azr("runs")
    assert code == 0 and "azr run --plugin" in out


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"]])
def test_help_and_the_plugin_list_are_quick_and_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from azr_core.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print([name for name in ('torch', 'transformers', 'numpy', 'matplotlib', 'sympy') if name in sys.modules])"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    root = Path(__file__).parent.parent
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert child.stdout.rstrip().endswith("[]")
    assert (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    )  # CPU seconds; 0.35 on a laptop, wall time depends on load
