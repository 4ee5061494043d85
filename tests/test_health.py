"""Alarms: what raises them, when they are over, and who hears of them."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from made_run import KINDS, collapsing, make_run, metrics, reports
from playing import PLUGIN, ROOT, STEPS, play
from rich.console import Console

import azr_core as azr
from azr_core import report, tables
from azr_core.advantages import AdvantageOptions
from azr_core.config import RunConfig
from azr_core.dashboard import Board, render
from azr_core.directory import RunDirectory
from azr_core.display import LiveDisplay, PlainDisplay
from azr_core.errors import ConfigError
from azr_core.health import Alarm, Watch, alarms, share
from azr_core.history import read
from azr_core.rewards import LearnabilityOptions
from azr_core.signs import RULES, Rule, Side
from azr_core.store import RunStore

History = list[tuple[int, Mapping[str, float]]]
KNOWN = {rule.name: rule for rule in RULES}


def history(steps: int, made: object = metrics) -> History:
    assert callable(made)
    return [(step, made(step, random.Random(f"0 {step}"))) for step in range(1, steps + 1)]


def levels(name: str, *values: float) -> History:
    """Steps of a run that has one metric, ten steps at each of the values."""
    return [(step + 1, {name: values[step // 10]}) for step in range(10 * len(values))]


def bad(rule: Rule) -> float:
    """A value on the bad side of a rule; 1 is well for one that is relative."""
    return 0.5 * rule.threshold if rule.side is Side.BELOW else (1 + rule.threshold) / 2


def good(rule: Rule) -> float:
    return 1.0 if rule.side is Side.BELOW else 0.0


def written(renderable: object, width: int = 200) -> str:
    screen = Console(file=io.StringIO(), width=width, color_system=None)
    screen.print(renderable)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "sick", steps=143, made=collapsing)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_raises_its_alarm_once_and_says_when_it_is_over(rule: Rule) -> None:
    name = f"{rule.metric}/{KINDS[0]}"
    told = [alarm for alarm in alarms(levels(name, good(rule), bad(rule), bad(rule), good(rule), good(rule))) if alarm.rule is rule]
    assert len(told) == 1
    assert 10 < told[0].start <= 20 and told[0].end is not None and 30 < told[0].end <= 40
    assert told[0].place == KINDS[0]


def test_a_healthy_run_raises_no_alarm() -> None:
    assert alarms(history(200)) == []


def test_the_collapse_of_a_proposer_is_told_long_before_it_is_complete() -> None:
    """Unique skeletons from 99 to 18 % in 143 steps: half of the start (48 %) at step 90, 35 % at step 113; the mean lags by five steps."""
    started = {alarm.rule.name: alarm.start for alarm in alarms(history(143, collapsing))}
    assert 90 <= started["skeletons_fallen"] <= 100
    assert 113 <= started["skeletons"] <= 123


def test_an_alarm_names_the_figure_and_the_mend() -> None:
    told = next(alarm for alarm in alarms(history(143, collapsing)) if alarm.rule.name == "skeletons")
    assert told.sentence == (
        f"unique skeletons in a step {share(told.value)} (mean of 10 steps, below 35 %): the proposer repeats itself; raise reward.novelty "
        "or lower reward.proposer_weight (`--preset azr` does both), or set skeleton_cap"
    )
    assert 0.3 < told.value < 0.35


def test_a_value_that_trembles_around_its_threshold_is_told_once() -> None:
    rule = KNOWN["valid"]
    rng = random.Random(3)
    steps: History = [(step, {"valid/a/b": rule.threshold + rng.uniform(-0.1, 0.1)}) for step in range(1, 400)]
    assert [alarm.end for alarm in alarms(steps)] == [None]


def test_the_worst_environment_counts_and_is_named() -> None:
    steps: History = [(step, {"valid/a/one": 0.9, "valid/a/two": 0.01}) for step in range(1, 11)]
    (alarm,) = alarms(steps)
    assert (alarm.place, alarm.value) == ("a/two", pytest.approx(0.01))


def test_nothing_is_judged_before_there_are_enough_steps() -> None:
    assert alarms(levels("valid", 0.0)[:9]) == []
    assert len(alarms(levels("valid", 0.0))) == 1


def test_steps_without_the_metric_are_passed_over_and_too_few_are_not_judged() -> None:
    rare: History = [(step, {"solve_rate/a": 0.0} if step % 4 == 0 else {}) for step in range(1, 60)]
    often: History = [(step, {"solve_rate/a": 0.0} if step % 2 == 0 else {}) for step in range(1, 60)]
    assert alarms(rare) == []
    assert len(alarms(often)) == 1


def test_a_watch_that_sees_stored_steps_again_knows_what_lasts() -> None:
    steps = history(143, collapsing)
    whole, parts = Watch(), Watch()
    heard = [change for step, numbers in steps for change in whole.see(step, numbers)]
    for step, numbers in steps[:120]:
        parts.see(step, numbers)
    assert heard[2:] == [change for step, numbers in steps[120:] for change in parts.see(step, numbers)]
    assert whole.alarms == parts.alarms == whole.lasting


def test_a_threshold_can_be_changed_and_a_rule_switched_off() -> None:
    steps = levels("valid", 0.3)
    assert alarms(steps) == []
    assert [alarm.rule.name for alarm in alarms(steps, {"valid": 0.4})] == ["valid"]
    assert alarms(levels("valid", 0.1), {"valid": False}) == []
    assert len(alarms(levels("valid", 0.1), {"valid": True})) == 1


def test_a_rule_that_does_not_exist_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no rule 'vallid'; did you mean 'valid'"):
        Watch({"vallid": 0.1})


def test_a_changed_threshold_can_always_be_left_again() -> None:
    for rule in RULES:
        for threshold in (0.001, 0.5, 0.999):
            extreme = 0.0 if rule.side is Side.BELOW else 1.0
            told = alarms(levels(rule.metric, good(rule), extreme, extreme, good(rule), good(rule)), {rule.name: threshold})
            assert [alarm.end is not None for alarm in told if alarm.rule.name == rule.name] == [True]


def test_what_an_alarm_advises_exists() -> None:
    trainer = (ROOT / "azr_plugins_python/training/options.py").read_text()
    reward = {**LearnabilityOptions.model_fields, **AdvantageOptions.model_fields, "name": None}
    for rule in RULES:
        for part, name in re.findall(r"\b(reward|trainer)\.(\w+)", rule.advice):
            assert name in reward if part == "reward" else f" {name}: " in trainer
        assert set(re.findall(r"\b[a-z]+_[a-z_]+\b", re.sub(r"\w+\.\w+|\"\w+\"", "", rule.advice))) <= set(RunConfig.model_fields)


def test_the_page_of_metrics_lists_every_rule_with_its_metric_and_threshold() -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([\w/]+)` \| (below|above) ([\d.]+ %)( of its start)?", page, re.MULTILINE)
    assert rows == [
        (rule.name, rule.metric, str(rule.side), share(rule.threshold), " of its start" if rule.relative else "") for rule in RULES
    ]


def lasting() -> tuple[Alarm, Alarm]:
    (alarm,) = alarms(levels("valid/toys/count", 0.0, 0.0))
    (over,) = alarms(levels("valid/toys/count", 0.0, 1.0, 1.0))
    return alarm, over


def test_plain_output_has_a_line_when_an_alarm_starts_and_one_when_it_is_over() -> None:
    screen = Console(file=io.StringIO(), width=100, color_system=None)
    display = PlainDisplay(screen)
    for alarm in lasting():
        display.alarm(alarm)
    assert isinstance(screen.file, io.StringIO)
    first, second = screen.file.getvalue().splitlines()
    assert first.startswith("warning: toys/count: valid proposals 0 % (mean of 10 steps, below 20 %): ") and "azr warmup" in first
    assert second == "over since step 14: valid proposals, below 20 % since step 10"


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_display_shows_an_alarm_while_it_lasts_and_stays_small(width: int) -> None:
    board = Board()
    for made in reports(12):
        board.add_step(made, 20, 480.0)
    for alarm in alarms(history(143, collapsing)):
        board.add_alarm(alarm)
    shown = written(render(board), width)
    assert "! evenness of the last tasks' skeletons 60 %" in shown and "! also: unique skeletons in a step" in shown
    assert len(shown.splitlines()) <= 24 and all(len(line) <= width for line in shown.splitlines())


def test_an_alarm_that_is_over_leaves_the_live_display_with_a_note() -> None:
    board = Board()
    for alarm in lasting():
        board.add_alarm(alarm)
    shown = written(render(board))
    assert "! toys" not in shown and "· over since step 14" in shown


def test_the_live_display_hears_of_alarms() -> None:
    screen = Console(file=io.StringIO(), width=100, height=30, force_terminal=True, color_system=None, _environ={})
    with LiveDisplay(screen) as display:
        display.alarm(lasting()[0])
    assert isinstance(screen.file, io.StringIO)
    assert "valid proposals 0 %" in screen.file.getvalue()


def test_the_report_has_the_alarms_as_figures_as_a_page_and_as_a_picture(sick: Path) -> None:
    folder = report.write(sick)
    figures = json.loads((folder / "report.json").read_text())["alarms"]
    page = (folder / "report.md").read_text()
    assert {"skeletons", "skeletons_fallen"} <= {alarm["rule"] for alarm in figures}
    assert all(set(alarm) == {"rule", "metric", "meaning", "advice", "place", "start", "value", "end", "finding"} for alarm in figures)
    for alarm in figures:
        assert f"| from {alarm['start']} | {alarm['finding']} | {alarm['meaning']} | {alarm['advice']} |" in page
    assert "![health](health.png)" in page and (folder / "health.png").read_bytes().startswith(b"\x89PNG")
    assert "the proposer repeats itself" in " ".join(written(tables.health(read(sick)), 400).split())


def test_a_run_that_was_well_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "well", steps=30)
    assert "no alarm was raised" in written(tables.health(read(run)))
    assert report.summary(read(run))["alarms"] == [] and "No alarm was raised." in report.markdown(read(run))


def test_a_run_of_an_older_azr_without_the_signals_is_still_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "old", steps=0)
    store = RunStore(run / "run.db")
    for step in range(1, 15):
        store.commit(step, [], [], {"seconds/step": 1.0, "valid/toys/count": 0.05})
    store.close()
    config = json.loads((run / "config.json").read_text())
    config.pop("health")
    (run / "config.json").write_text(json.dumps(config))
    assert (report.write(run) / "health.png").is_file()
    assert [alarm.rule.name for alarm in read(run).alarms] == ["valid"]


class Heard(azr.Listener):
    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    def alarm(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)


def test_a_run_tells_its_alarms_and_one_that_is_taken_up_tells_those_that_last(tmp_path: Path) -> None:
    first, second = Heard(), Heard()
    play(tmp_path, listener=first, health={"valid": 0.99})
    run = play(tmp_path, resume=True, listener=second, steps=STEPS + 3)
    (told,) = [alarm for alarm in first.alarms if alarm.rule.name == "valid"]
    assert told.start == 10 and told in second.alarms
    store = RunDirectory(run).open_store()
    noted, steps = store.get_note("alarms"), store.steps()
    store.close()
    assert noted == [alarm.record() for alarm in alarms(steps, {"valid": 0.99})]
    assert noted == report.summary(read(run))["alarms"]


def test_the_variety_of_recent_tasks_does_not_depend_on_where_a_run_was_stopped(tmp_path: Path) -> None:
    whole = play(tmp_path / "whole", steps=9)
    play(tmp_path / "parts", steps=6)
    parts = play(tmp_path / "parts", resume=True, steps=9)
    for name in ("skeletons/unique_recent", "skeletons/entropy", "skeletons/evenness"):
        one, two = ([metrics.get(name) for metrics in read(run).metrics] for run in (whole, parts))
        assert one == two and one[-1] is not None


def test_a_misspelt_rule_stops_a_run_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rule 'skeleton'"):
        play(tmp_path, health={"skeleton": 0.2})
    assert Path(PLUGIN).is_file() and not (tmp_path / "one").exists()
