"""The numbers of a step: what is counted, and that the page of metrics has each of them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from playing import ROOT, play

from azr_core.buffer import UniformBuffer
from azr_core.directory import RunDirectory
from azr_core.metrics import held_out, step_metrics, variety
from azr_core.types import Episode, Evaluation, Kind, Outcome, Reply, Verdict

PAGE = (ROOT / "docs/metrics.md").read_text()
NAME = "toys/count"
TRAINER = "## From the trainer"


def documented(text: str) -> set[str]:
    """Names in the first column of the tables."""
    return {name for row in re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]*)`", row)}


def episode(kind: Kind, outcome: Outcome, reward: float, *, group: str = "g", reply: Reply | None = None) -> Episode:
    return Episode(NAME, kind, group, "prompt", reply or Reply("a reply"), Verdict(outcome), reward=reward)


def counted(*episodes: Episode) -> dict[str, float]:
    found = step_metrics(episodes, {NAME: 4}, UniformBuffer(), [])
    return {name.removesuffix(f"/{NAME}"): value for name, value in found.items()}


def test_every_stored_metric_is_documented_and_every_documented_one_is_stored(tmp_path: Path) -> None:
    store = RunDirectory(play(tmp_path, late_solves=True)).open_store()
    stored = {name for _, metrics in store.steps() for name in metrics}
    store.close()
    named = {re.sub(r"(propose|solve)/toys/", "{role}/toys/", name) for name in stored}
    named = {re.sub("^measure/[a-z]+/", "measure/{measure}/", name).replace("toys/squaring", "{environment}") for name in named}
    named = {re.sub("^(held_out[a-z_]*)/.*", r"\1/{benchmark}", name) for name in named}
    core, trainer = PAGE.partition("## Alarms")[0].split(TRAINER)
    assert documented(core) == {name for name in named if not name.startswith("train/")} - documented(trainer)


def test_the_trainers_metrics_are_documented() -> None:
    sources = (path.read_text() for path in (ROOT / "azr_plugins_python/training").rglob("*.py"))
    logged = {name for source in sources for name in re.findall(r'"((?:train|tokens|seconds|sampling)/[a-z_]+)"', source)}
    assert documented(PAGE.partition(TRAINER)[2].partition("\n## ")[0]) == logged


def test_what_our_machinery_broke_is_counted_apart() -> None:
    found = counted(episode(Kind.SOLVE, Outcome.SOLVED, 1.0), episode(Kind.SOLVE, Outcome.FAILED, 0.0))
    assert (found["failed"], found["failed_share"], found["attempts"], found["solve_rate"]) == (1.0, 0.5, 1.0, 1.0)


def test_shares_of_proposals() -> None:
    outcomes = (Outcome.ADMITTED, Outcome.DUPLICATE, Outcome.MALFORMED, Outcome.INVALID)
    found = counted(*(episode(Kind.PROPOSE, outcome, reward) for outcome, reward in zip(outcomes, (0.5, 0.0, -1.0, -1.0), strict=True)))
    wanted = {"valid": 0.5, "duplicate_share": 0.25, "malformed_proposals": 0.25, "earning": 0.25}
    assert {name: found[name] for name in wanted} == wanted


def test_measures_are_averaged_by_whatever_name_they_have() -> None:
    proposals = [episode(Kind.PROPOSE, Outcome.ADMITTED, 0.0) for _ in range(3)]
    proposals[0].measures, proposals[1].measures = {"size": 2.0, "depth": 1.0}, {"size": 4.0}
    found = counted(*proposals)
    assert (found["measure/size"], found["measure/depth"]) == (3.0, 1.0)


def test_a_group_whose_solves_all_earn_the_same_is_flat_and_a_single_solve_is_no_group() -> None:
    rewards = {"a": (1.0, 1.0), "b": (1.0, -0.5), "c": (-0.5,)}
    solves = [episode(Kind.PROBE, Outcome.SOLVED, reward, group=group) for group, some in rewards.items() for reward in some]
    assert counted(*solves)["flat_groups"] == 0.5
    assert "flat_groups" not in counted(solves[-1])


def test_probes_and_solves_of_one_task_are_groups_apart() -> None:
    kinds = (Kind.PROBE, Kind.PROBE, Kind.SOLVE, Kind.SOLVE)
    solves = [episode(kind, Outcome.SOLVED, reward) for kind, reward in zip(kinds, (1.0, 1.0, -0.5, -0.5), strict=True)]
    assert counted(*solves)["flat_groups"] == 1.0


def test_replies_are_told_by_role() -> None:
    long = Reply("wait, I recheck: one two three", token_ids=(1, 2, 3, 4), logprobs=(-1.0, -2.0, -3.0, -2.0), truncated=True)
    short = Reply("one two three four", token_ids=(1, 2), logprobs=(0.0, 0.0))
    found = counted(episode(Kind.SOLVE, Outcome.WRONG, -0.5, reply=long), episode(Kind.PROBE, Outcome.SOLVED, 1.0, reply=short))
    assert (found["reply_tokens/solve"], found["truncated/solve"], found["reflecting/solve"]) == (3.0, 0.5, 0.5)
    assert found["reflection_words/solve"] == pytest.approx(200.0)
    assert found["entropy/solve"] == pytest.approx(8 / 6)
    assert not any(name.endswith("/propose") for name in found)


def test_variety_is_the_entropy_of_skeletons_as_a_share_of_the_most_there_could_be() -> None:
    assert variety(["a", "b", "c", "d"]) == pytest.approx(
        {"skeletons/unique_recent": 1.0, "skeletons/entropy": math.log(4), "skeletons/evenness": 1.0}
    )
    assert variety(["a"] * 8) == {"skeletons/unique_recent": 0.125, "skeletons/entropy": 0.0, "skeletons/evenness": 0.0}
    assert variety(["a", "a", "b", "b"])["skeletons/evenness"] == pytest.approx(0.5)
    assert variety([]) == variety(["a"]) == {}


def measured(step: int, right: int, of: int = 200) -> Evaluation:
    return Evaluation(step, "b", NAME, "sampled", tuple(float(index < right) for index in range(of)))


def test_held_out_accuracy_is_told_against_its_start_and_its_best() -> None:
    found = held_out([measured(0, 100), measured(5, 140), measured(10, 110)])
    assert found == pytest.approx({"held_out/b": 0.55, "held_out_gain/b": 0.05, "held_out_lost/b": 0.15})
    assert held_out([]) == {}


def test_a_loss_that_chance_explains_does_not_count() -> None:
    first = Evaluation(0, "b", NAME, "sampled", (1.0, 0.0, 1.0, 0.0, 1.0))
    last = Evaluation(5, "b", NAME, "sampled", (0.0, 1.0, 0.0, 0.0, 1.0))
    assert held_out([first, last])["held_out_lost/b"] == 0.0
