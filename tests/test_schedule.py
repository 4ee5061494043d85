"""Mixtures: which environments a step plays and how often, also after a run was stopped and taken up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mixed_plugin
import pytest
from playing import SETTINGS, Stop, played

import azr_core as azr
from azr_core import run
from azr_core.directory import RunDirectory
from azr_core.run import Request
from azr_core.schedule import SCHEDULES, Schedule, make_schedule
from azr_core.series import under
from azr_core.shares import LEAST, domain, split, spread

NAMES = ("a/x", "a/y", "b/z")
COSTS = {"a/x": 10.0, "a/y": 10.0, "b/z": 90.0}  # tokens a prompt
EVERY = [(name, unit) for name in SCHEDULES for unit in ("tasks", "tokens")]


def quotas(shares: dict[str, float], names: Sequence[str], batch_size: int) -> dict[str, int]:
    """Prompts by fixed shares."""
    return split(spread(shares, names), batch_size * len(names))


def made(name: str = "mixed", unit: str = "tasks", plugged: tuple[str, ...] = (), **settings: Any) -> Schedule:
    told = {"plugins": ("p",), "batch_size": 20, "steps": 40, "schedule": {"name": name, "unit": unit}}
    return make_schedule(azr.parse(azr.RunConfig, told | settings, "configuration"), NAMES, plugged)


def stepped(asked: Mapping[str, int], rates: Mapping[str, float] | None = None) -> dict[str, float]:
    """The metrics of a step in which everything went as it was asked."""
    found: dict[str, float] = {}
    for name, quota in asked.items():
        if quota:
            found |= {f"quota/{name}": quota, f"tasks/played/{name}": 2.0 * quota, f"tokens/generated/{name}": COSTS[name] * quota}
            found |= {f"solve_rate/{name}": rates[name]} if rates else {}
    return found


def spent(schedule: Schedule, steps: int, metric: str) -> Counter[str]:
    """What domains had after so many steps."""
    total: Counter[str] = Counter()
    for _ in range(steps):
        metrics = stepped(schedule.quotas())
        schedule.see(metrics)
        for name, amount in under(metrics, metric).items():
            total[domain(name)] += int(amount)
    return total


@pytest.mark.parametrize("shares", [{}, {"a": 1.0, "b": 3.0}, {"a/x": 1.0, "a/y": 0.01, "b": 1.0}, {"a": 1.0, "b": 0.0}])
def test_a_mixture_of_tasks_is_the_shares_in_every_step(shares: dict[str, float]) -> None:
    schedule = made(environments=shares)
    for _ in range(3):
        assert schedule.quotas() == quotas(shares, NAMES, 20)
        schedule.see(stepped(schedule.quotas(), dict.fromkeys(NAMES, 0.5)))


def test_prompts_are_the_shares_before_their_costs_are_known() -> None:
    assert made(unit="tokens").quotas() == made().quotas()


@pytest.mark.parametrize("name", ["mixed", "alternating"])
def test_generated_tokens_approach_the_shares(name: str) -> None:
    total = spent(made(name, "tokens", environments={"a": 1.0, "b": 1.0}), 60, "tokens/generated")
    assert total["a"] / total["b"] == pytest.approx(1.0, rel=0.1)


def test_an_environment_that_is_dear_keeps_the_least_number_of_prompts() -> None:
    schedule = made(unit="tokens", environments={"a": 1.0, "b": 0.001})
    spent(schedule, 3, "tokens/generated")
    assert schedule.quotas()["b/z"] == LEAST


def test_a_cost_that_changes_is_learned_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = made(unit="tokens", environments={"a": 1.0, "b": 1.0})
    spent(schedule, 20, "tokens/generated")
    monkeypatch.setitem(COSTS, "b/z", 10.0)
    spent(schedule, 60, "tokens/generated")
    assert schedule.quotas()["b/z"] == pytest.approx(30, abs=1)


def test_a_step_of_an_alternation_gives_all_prompts_to_one_domain_by_the_shares_inside() -> None:
    schedule = made("alternating", environments={"b": 1.0, "a/x": 1.0, "a/y": 2.0})
    steps = []
    for _ in range(4):
        steps.append(schedule.quotas())
        schedule.see(stepped(steps[-1]))
    assert steps[0] == {"a/x": 0, "a/y": 0, "b/z": 60} and steps[1] == {"a/x": 20, "a/y": 40, "b/z": 0}
    assert [bool(step["b/z"]) for step in steps] == [True, False, False, False]  # one part in four


@pytest.mark.parametrize("unit", ["tasks", "tokens"])
def test_an_alternation_is_never_further_from_its_shares_than_a_step(unit: str) -> None:
    schedule = made("alternating", unit, environments={"a": 3.0, "b": 1.0})
    metric = {"tasks": "tasks/played", "tokens": "tokens/generated"}[unit]
    total: Counter[str] = Counter()
    for _ in range(30):
        total += spent(schedule, 1, metric)
        largest = {"tasks": 120, "tokens": 60 * 90}[unit]
        assert abs(total["a"] - 3 * total["b"]) <= 3 * largest


def order(schedule: Schedule, steps: int) -> str:
    """The domains in the order in which they were played, a letter a step."""
    letters = ""
    for _ in range(steps):
        asked = schedule.quotas()
        letters += "".join(sorted({domain(name) for name, quota in asked.items() if quota}))
        schedule.see(stepped(asked))
    return letters


def test_a_sequence_follows_the_settings_else_the_plugins_and_its_last_domain_goes_on() -> None:
    assert order(made("sequential", steps=8, environments={"b": 1.0, "a": 3.0}), 10) == "bbaaaaaaaa"
    assert order(made("sequential", steps=6, plugged=("b", "a")), 6) == "bbaaaa"  # a has two of the three environments
    assert order(made("sequential", steps=4, environments={"a": 1.0, "b": 1.0}, plugged=("b", "a")), 4) == "aabb"


def test_a_sequence_divides_the_budget_of_its_unit() -> None:
    halves = {"environments": {"a": 1.0, "b": 1.0}}
    assert order(made("sequential", "tokens", tokens=1200 + 1200, **halves), 4) == "aabb"  # a step of a is 600 tokens
    assert order(made("sequential", "tasks", tasks=600, **halves), 5) == "aaabb"  # and 120 tasks
    assert order(made("sequential", "tokens", steps=6, **halves), 6) == "aaabbb"


def test_progress_draws_prompts_and_the_shares_stay_where_there_is_none() -> None:
    schedule = made("adaptive", environments={"a": 2.0, "b": 1.0})
    whole = schedule.quotas()
    for _ in range(5):
        schedule.see(stepped(schedule.quotas(), dict.fromkeys(NAMES, 0.5)))
    assert schedule.quotas() == whole
    for step in range(10):
        schedule.see(stepped(schedule.quotas(), {"a/x": 0.5, "a/y": 0.5, "b/z": 0.5 - 0.04 * step}))
    assert schedule.quotas() == {"a/x": 6, "a/y": 6, "b/z": 48}  # getting worse counts; a floor of 0.3 by share stays


def test_environments_that_progress_alike_keep_their_shares() -> None:
    schedule = made("adaptive", environments={"a": 2.0, "b": 1.0})
    whole = schedule.quotas()
    for step in range(10):
        schedule.see(stepped(schedule.quotas(), dict.fromkeys(NAMES, 0.05 * step)))
    assert schedule.quotas() == whole


@pytest.mark.parametrize(("name", "unit"), EVERY)
def test_a_share_of_zero_stays_zero(name: str, unit: str) -> None:
    schedule = made(name, unit, environments={"a/x": 1.0, "a/y": 0.0, "b": 1.0})
    for step in range(12):
        assert schedule.quotas()["a/y"] == 0 and sum(schedule.quotas().values()) > 0
        schedule.see(stepped(schedule.quotas(), dict.fromkeys(NAMES, 0.05 * step)))
    assert "a/y held out" in schedule.describe()


@pytest.mark.parametrize("name", ["alternating", "sequential"])
def test_with_one_domain_turns_play_as_mixed_and_say_so(name: str) -> None:
    schedule = made(name, environments={"a": 1.0})
    assert order(schedule, 3) == "aaa" and schedule.quotas() == quotas({"a": 1.0}, NAMES, 20)
    assert f"{name} with one domain plays as mixed" in schedule.describe()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": {"name": "alternate"}}, "'schedule.name' = 'alternate'.*did you mean 'alternating'"),
        ({"schedule": {"unit": "token"}}, "did you mean 'tokens'"),
        ({"schedule": {"period": 3}}, "unknown setting 'schedule.period'"),
        ({"schedule": {"name": "sequential"}, "minutes": 5}, "minutes are none; set steps"),
        ({"environments": {"a": 0.0}}, "all shares"),
    ],
)
def test_a_mixture_that_makes_no_sense_is_refused_with_the_mend(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(azr.ConfigError, match=message):
        azr.parse(azr.RunConfig, {"plugins": ["p"]} | settings, "configuration")


def test_a_sequence_with_steps_or_a_budget_may_have_minutes_too() -> None:
    for budget in ({"steps": 9}, {"tokens": 9, "schedule": {"unit": "tokens"}}, {"tasks": 9}):
        azr.parse(azr.RunConfig, azr.merge({"plugins": ["p"], "minutes": 5, "schedule": {"name": "sequential"}}, budget), "configuration")


def test_another_schedule_keeps_the_unit() -> None:
    assert azr.merge({"schedule": {"unit": "tokens"}}, {"schedule": {"name": "adaptive"}})["schedule"] == {
        "unit": "tokens",
        "name": "adaptive",
    }


def play(runs: Path, *, resume: bool = False, listener: azr.Listener | None = None, **settings: Any) -> Path:
    whole = {**SETTINGS, "evaluation": {"final": False}, "environments": {"short": 1.0, "long": 1.0}}
    asked = settings if resume else azr.merge(whole, settings)
    return run.start(Request(() if resume else (str(Path(mixed_plugin.__file__)),), asked, "one", runs, resume), listener or azr.Listener())


def quotas_of(folder: Path) -> list[dict[str, float]]:
    store = RunDirectory(folder).open_store()
    try:
        return [under(metrics, "quota") for _, metrics in store.steps()]
    finally:
        store.close()


PLAYED = [("mixed", "tasks"), ("mixed", "tokens"), ("alternating", "tokens"), ("sequential", "tasks"), ("adaptive", "tasks")]


@pytest.mark.parametrize(("name", "unit"), PLAYED)
def test_a_run_that_was_stopped_is_scheduled_as_one_that_was_not(name: str, unit: str, tmp_path: Path) -> None:
    settings = {"schedule": {"name": name, "unit": unit}, "steps": 7}
    whole = play(tmp_path / "whole", **settings)
    broken = play(tmp_path / "broken", listener=Stop(3), **settings)
    assert len(quotas_of(broken)) == 3
    play(tmp_path / "broken", resume=True)
    asked = quotas_of(whole)
    assert quotas_of(broken) == asked and len(asked) == 7 and played(broken) == played(whole)
    assert all(asked[0] == one for one in asked) == ((name, unit) == ("mixed", "tasks"))


def test_an_environment_that_is_held_out_is_asked_for_nothing(tmp_path: Path) -> None:
    told: list[Mapping[str, str]] = []

    class Ear(azr.Listener):
        def plan(self, lines: Mapping[str, str]) -> None:
            told.append(lines)

    shares = {"short": 1.0, "short/squares": 0.0, "long": 1.0}
    folder = play(tmp_path, listener=Ear(), steps=4, schedule={"name": "alternating"}, environments=shares)
    assert "short/squares held out" in told[0]["prompts a step"] and "short/squares" not in told[0]["valid proposals"]
    store = RunDirectory(folder).open_store()
    assert {row["environment"] for row in store.rows()} == {"short/squaring", "long/squaring"}
    assert not [key for _, metrics in store.steps() for key in metrics if key.endswith("short/squares")]
    store.close()


def test_a_run_stops_when_its_tasks_are_spent_and_goes_on_with_more(tmp_path: Path) -> None:
    folder = play(tmp_path, tasks=100, steps=50)

    def tasks() -> list[float]:
        store = RunDirectory(folder).open_store()
        found = [metrics["tasks/played"] for _, metrics in store.steps()]
        store.close()
        return found

    first = tasks()
    assert sum(first) >= 100 > sum(first[:-1])
    play(tmp_path, resume=True)
    assert tasks() == first
    play(tmp_path, resume=True, tasks=150)
    assert sum(tasks()) >= 150 > sum(tasks()[:-1])
