"""The report: figures for machines, words for people, pictures."""

from __future__ import annotations

import json
import math
import statistics as standard
from pathlib import Path

import pytest
from made_run import KINDS, evaluations, make_run

from azr_core import report
from azr_core.curves import ALL, Curve, curves
from azr_core.errors import RunError
from azr_core.history import read
from azr_core.series import duration, short_names, sparkline
from azr_core.statistics import estimate, paired_gain
from azr_core.types import Evaluation

KEYS = {
    "run", "seed", "steps", "wall_s", "evaluation_s", "tokens_generated", "tokens_trained", "time_share", "environments", "benchmarks",
    "alarms",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "toys-001", steps=60)


def test_an_interval_is_the_mean_and_1_96_standard_errors() -> None:
    values = [0.0, 1.0, 1.0, 0.5]
    found = estimate(values)
    half = 1.96 * standard.stdev(values) / math.sqrt(4)
    assert found.mean == pytest.approx(0.625)
    assert found.low == pytest.approx(0.625 - half) and found.high == pytest.approx(0.625 + half)
    assert estimate([0.3]).half_width is None


def test_a_gain_is_paired_task_by_task() -> None:
    gain = paired_gain([0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0])
    assert gain.mean == 0.5
    assert gain.half_width == pytest.approx(1.96 * standard.stdev([1, 0, 1, 0]) / 2)
    assert paired_gain([0.0, 1.0], [0.0, 1.0]).half_width == 0.0
    with pytest.raises(ValueError):
        paired_gain([0.0], [0.0, 1.0])


def test_the_figures_have_exactly_the_promised_keys_and_are_json(run: Path) -> None:
    figures = json.loads(json.dumps(report.summary(read(run)), allow_nan=False))
    assert set(figures) == KEYS
    assert set(figures["time_share"]) == {"generate", "verify", "train", "other"}
    assert sum(figures["time_share"].values()) == pytest.approx(1.0, abs=1e-3)
    assert set(figures["environments"]) == set(KINDS)
    assert all(set(one) == {"proposed", "admitted", "duplicates", "solve_rate", "reward"} for one in figures["environments"].values())
    names = {"name", "kind", "decoding", "n", "start", "end", "gain", "gain_ci95"}
    assert all(set(row) == names for row in figures["benchmarks"])
    assert figures["steps"] == 60 and figures["tokens_generated"] == 60 * 9000


def test_evaluation_counts_as_generating_and_verifying(run: Path) -> None:
    history = read(run)
    assert history.wall_s == 210.0
    assert history.time_share["generate"] == pytest.approx((60 * 1.2 + 20) / 210)
    assert history.time_share["verify"] == pytest.approx((60 * 0.1 + 5) / 210)
    assert history.time_share["other"] == pytest.approx((210 - 60 * 2.9 - 25) / 210)
    assert report.summary(history)["evaluation_s"] == 25.0


def test_the_solve_rate_of_a_run_weighs_every_attempt(run: Path) -> None:
    history = read(run)
    name = KINDS[0]
    expected = history.total(f"solved/{name}") / history.total(f"attempts/{name}")
    assert report.summary(history)["environments"][name]["solve_rate"] == pytest.approx(expected, abs=1e-5)


def test_all_kinds_together_are_all_their_tasks(run: Path) -> None:
    rows = {(row["name"], row["kind"], row["decoding"]): row for row in report.summary(read(run))["benchmarks"]}
    assert len(rows) == 2 * 2 * 4
    parts = [rows["familiar", kind, "sampled"] for kind in KINDS]
    whole = rows["familiar", ALL, "sampled"]
    assert whole["n"] == sum(part["n"] for part in parts) == 900
    assert whole["gain"] == pytest.approx(sum(part["gain"] for part in parts) / 3, abs=1e-4)
    assert whole["gain_ci95"][0] < whole["gain"] < whole["gain_ci95"][1]


def test_start_and_end_are_full_measurements_though_light_ones_lie_between() -> None:
    measured = [*evaluations(0, 1), *evaluations(10, 1, light=True), *evaluations(20, 1)]
    whole = next(curve for curve in curves(measured) if (curve.kind, curve.decoding) == (ALL, "sampled"))
    assert [step for step, _ in whole.points] == [0, 10, 20]
    assert whole.n == 900


def test_a_light_measurement_is_compared_with_its_own_tasks() -> None:
    full = Evaluation(0, "b", "toys/a", "sampled", (1.0, 1.0, 0.0, 0.0))
    light = Evaluation(5, "b", "toys/a", "sampled", (1.0, 1.0))
    curve = curves([full, light])[0]
    assert curve.gain.mean == 0.0
    assert [level.mean for _, level in curve.levels] == [0.5, 0.5]


def test_a_gain_that_chance_explains_is_not_called_one() -> None:
    sure = Curve("b", "k", "greedy", ((0, ((0.0,) * 50,)), (9, ((1.0,) * 50,))))
    unsure = Curve("b", "k", "greedy", ((0, ((0.0, 1.0, 0.0),)), (9, ((1.0, 0.0, 1.0),))))
    assert "gained +100.0" in report.sentence(sure)
    assert "cannot be told from chance" in report.sentence(unsure)


def test_what_was_measured_once_has_no_end_and_no_gain(tmp_path: Path) -> None:
    run = make_run(tmp_path / "stopped", steps=0)
    rows = report.summary(read(run))["benchmarks"]
    assert rows and all(row["start"] is not None and row["end"] is row["gain"] is row["gain_ci95"] is None for row in rows)
    assert "measured once" in report.markdown(read(run))


def test_the_report_folder_holds_a_page_figures_and_a_picture(run: Path) -> None:
    folder = report.write(run)
    assert {path.name for path in folder.iterdir()} == {"report.json", "report.md", "curves.png", "health.png"}
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.md").read_text()
    assert "| familiar | toys/count | sampled | 300 |" in page and "![curves](curves.png)" in page


def test_a_run_without_steps_and_measurements_is_still_reported(tmp_path: Path) -> None:
    run = make_run(tmp_path / "empty", steps=0)
    (run / "run.db").unlink()
    from azr_core.store import RunStore

    RunStore(run / "run.db").close()
    figures = report.summary(read(run))
    assert figures["steps"] == 0 and figures["benchmarks"] == [] and figures["environments"] == {}
    assert (report.write(run) / "curves.png").is_file()


def test_a_folder_that_is_no_run_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run directory"):
        read(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match=r"no run\.db yet"):
        read(tmp_path)


def test_a_sparkline_shows_trends_and_keeps_noise_flat() -> None:
    assert sparkline([], 8) == ""
    assert sparkline([0.0, 1.0], 8) == "▁█"
    assert len(sparkline([index / 100 for index in range(100)], 16)) == 16
    assert sparkline([0.50, 0.54, 0.50, 0.53], 4).strip("▄▅") == ""


def test_names_and_durations_are_short_where_that_is_clear() -> None:
    assert short_names(["a/x", "a/y", "b/y"]) == {"a/x": "x", "a/y": "a/y", "b/y": "b/y"}
    assert [duration(seconds) for seconds in (5, 61, 3661)] == ["5 s", "1:01", "1:01:01"]
