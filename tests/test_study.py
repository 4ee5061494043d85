"""Studies: what is compared, that they resume, and that intervals are what they say."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from azr_core.checkpoint import sealed
from azr_core.cli import main
from azr_core.comparison import BETTER, UNDECIDED, WORSE, Measure, compare
from azr_core.curves import ALL, Curve
from azr_core.errors import ConfigError
from azr_core.history import History
from azr_core.study import UNTRAINED, finished, histories, read_study

PLUGIN = str(Path(__file__).with_name("played_plugin.py"))
STUDY = f"""
plugins = ["{PLUGIN}"]
seeds = 2
[settings]
steps = 2
batch_size = 4
trainer = {{ name = "scripted" }}
[[cell]]
name = "long"
[[cell]]
name = "short, no references"
settings = {{ steps = 1, references = 0 }}
"""
TASKS = 400


def made(name: str, scores: list[float], tokens: float) -> History:
    curve = Curve("toys/held out", ALL, "greedy", ((4, (tuple(scores),)),))
    steps = [(step, {"tokens/generated": tokens / 4, "valid/toys/a": 0.5, "skeletons/unique": step / 4}) for step in (1, 2, 3, 4)]
    return History(Path(name), {}, steps, [curve], {"wall_s": 0.0, "evaluation_s": 0.0})


def scores(share: float, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [float(rng.random() < share) for _ in range(TASKS)]


def write(folder: Path, text: str = STUDY) -> Path:
    path = folder / "small.toml"
    path.write_text(text)
    return path


def test_a_gain_a_token_is_told_from_the_reference_only_where_its_interval_says_so() -> None:
    untrained = made("untrained", scores(0.3, 1), 1.0)
    cells = {
        "base": [made("base", scores(0.55, seed), 1000.0) for seed in (2, 3)],
        "best": [made("best", scores(0.8, seed), 1000.0) for seed in (4, 5)],
        "same": [made("same", scores(0.55, seed), 1000.0) for seed in (6, 7)],
        "dear": [made("dear", scores(0.55, seed), 9000.0) for seed in (8, 9)],
    }
    rows = {row.name: row for row in compare(cells, untrained, "base")}
    found = {name: row.findings[Measure("toys/held out", "greedy")] for name, row in rows.items()}
    assert {name: finding.verdict for name, finding in found.items()} == {"base": "", "best": BETTER, "same": UNDECIDED, "dear": WORSE}
    assert found["best"].gain.low is not None and found["best"].gain.high is not None
    assert found["best"].gain.low < found["best"].gain.mean < found["best"].gain.high
    base, best = found["base"].gain.mean, found["best"]
    assert best.efficiency is not None and best.efficiency.mean == pytest.approx(best.gain.mean / base)
    assert rows["best"].tokens == 1000.0 and rows["best"].shares == {"valid": 0.5, "unique": 1.0}


def test_the_same_runs_give_the_same_intervals() -> None:
    untrained = made("untrained", scores(0.3, 1), 1.0)
    cells = {"base": [made("base", scores(0.4, 2), 10.0)]}
    assert compare(cells, untrained, "base") == compare(cells, untrained, "base")


def test_cells_have_the_presets_settings_under_the_files_and_their_own(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, STUDY.replace('name = "long"', 'name = "long"\npreset = "paper"')), tmp_path / "out")
    cells = list(study.cells())
    assert [(cell.name, cell.seed) for cell in cells] == [(UNTRAINED, 0)] + [(name, s) for s in (0, 1) for name in study.names[1:]]
    assert cells[0].settings["steps"] == 0
    assert cells[1].settings["probes"] == "measure" and cells[1].settings["steps"] == 2
    assert cells[2].settings["references"] == 0 and "probes" not in cells[2].settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (STUDY.replace('"long"', '"untrained"'), "always there"),
        (STUDY.replace("seeds", "seedz"), "seeds"),
        ("reference = 'nobody'\n" + STUDY, "is no cell"),
        (STUDY.replace('name = "long"', 'name = "a/b"'), "cell.0.name"),
        ("plugins = []\n[[cell]]\nname = 'a'", "plugins"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_study(write(tmp_path, text))


def test_a_study_runs_reports_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = str(write(tmp_path))

    def azr(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["study", file, *arguments])
        assert isinstance(left.value.code, int)
        return left.value.code, capfd.readouterr().out

    assert azr("--report")[0] == 2
    code, shown = azr("--seeds", "1", "--jobs", "2")
    assert code == 0 and "short, no references" in shown
    study = read_study(Path(file))
    first = {name: [os.stat(run.path / "run.db").st_mtime_ns for run in runs] for name, runs in histories(study).items()}
    code, shown = azr("--json")
    cells = json.loads(shown)
    assert code == 0 and [cell["cell"] for cell in cells] == ["long", "short, no references"]
    assert [cell["runs"] for cell in cells] == [2, 2] and [cell["steps"] for cell in cells] == [2, 1]
    assert all(finished(study.directory(cell)) for cell in study.cells())
    again = {
        name: [os.stat(run.path / "run.db").st_mtime_ns for run in runs][: len(first[name])] for name, runs in histories(study).items()
    }
    assert again == first
    for name in ("study.json", "study.csv", "study.md", "study.png"):
        assert (study.folder / name).stat().st_size > 0


def test_a_cell_that_fails_is_named_and_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = str(write(tmp_path, STUDY.replace("references = 0", "referencez = 0").replace("seeds = 2", "seeds = 1")))
    with pytest.raises(SystemExit) as left:
        main(["study", file])
    assert left.value.code == 2
    assert "short-no-references-0" in capfd.readouterr().err
    assert len(histories(read_study(Path(file)))["long"]) == 1


def test_a_study_that_is_terminated_ends_its_cells_after_their_step_and_begins_no_other(tmp_path: Path) -> None:
    """The first cell sends the signal in its second step, and would play on for ever."""
    endless = STUDY.replace("steps = 2", "steps = 1000000\ncheckpoint_every = 1000000").replace('"scripted"', '"patricidal"')
    file = write(tmp_path, endless.replace("settings = { steps = 1, ", "settings = { "))
    command = [sys.executable, "-c", "from azr_core.cli import main; main()", "study", str(file)]
    root = Path(__file__).parents[1]
    ended = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 130, ended.stderr
    study = read_study(file, tmp_path / "studies" / file.stem)
    begun = {cell.run: study.directory(cell) for cell in study.cells() if study.directory(cell).path.is_dir()}
    assert "long-0" in begun and "long-1" not in begun
    store = begun["long-0"].open_store()
    assert sealed(begun["long-0"].checkpoints) == [store.last_step()] and store.last_step() >= 2 and not store.get_note("complete")
    store.close()
