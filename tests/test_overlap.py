"""Overlap: replies are judged while others are sampled, and late solves while the update runs; what is stored is the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import toy_plugin
from playing import Stop, before, play, played
from test_engine import loop, player

import azr_core as azr
from azr_core import late, rounds
from azr_core.directory import RunDirectory
from azr_core.errors import PluginError
from azr_core.testing import ScriptedPolicy

WAIT_S = 30.0  # a test that waits longer has failed
LATE: Mapping[str, Any] = {"late_solves": True, "probes": "measure", "steps": 8}


class Streaming(azr.Policy):
    """Another policy's replies, group by group, the last prompt first. between: what happens after each group."""

    def __init__(self, inner: azr.Policy, between: Any = lambda: None) -> None:
        self.inner, self.between = inner, between

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        return self.inner.sample(prompts, sampling, n)

    def stream(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> Iterator[tuple[int, list[azr.Reply]]]:
        for index, group in reversed(list(enumerate(self.inner.sample(prompts, sampling, n)))):
            yield index, group
            self.between()


def judging_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "azr-judging"]


def test_judging_begins_before_the_last_group_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "BATCH", 2)
    engine = loop()
    verifier, judged, waited = engine.environments["toy/sorting"].verifier, threading.Event(), list[bool]()
    grade = verifier.grade

    def telling(task: toy_plugin.Sorting, answer: str) -> float | azr.Verdict:
        judged.set()
        return grade(task, answer)

    monkeypatch.setattr(verifier, "grade", telling)
    solved = engine.solve(Streaming(player([]), lambda: waited.append(judged.wait(WAIT_S))), engine.draw())
    assert len(waited) > 1 and all(waited) and all(episode.verdict for episode in solved)


def test_groups_that_finish_in_another_order_are_stored_in_that_of_their_prompts() -> None:
    proposals = ["4 3", "6 5 1", "no", "9 8", "7 2", "7 2"]
    plain, streamed = loop(), loop()
    for step in (1, 2, 3):
        assert streamed.step(Streaming(player(proposals)), step) == plain.step(player(proposals), step)
    assert streamed.take_records() == plain.take_records()


@pytest.mark.parametrize("late_solves", [False, True])
def test_a_bug_in_a_verifier_stops_the_step_and_leaves_no_thread(late_solves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(task: azr.Task, answer: str) -> float:
        raise ZeroDivisionError("a bug")

    engine = loop(late_solves=late_solves, probes="measure")
    drawn = engine.draw()
    monkeypatch.setattr(engine.environments["toy/sorting"].verifier, "grade", broken)
    with pytest.raises(PluginError, match="toy/sorting"):
        engine.solve(player([]), drawn)
        engine.settle()
    assert not judging_threads()


def test_judging_that_failed_ends_the_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "BATCH", 1)
    failed, groups = threading.Event(), list[int]()

    def judge(batch: Sequence[azr.Episode]) -> None:
        failed.set()
        raise PluginError("a bug")

    def between() -> None:
        groups.append(1)
        failed.wait(WAIT_S)
        judging_threads()[0].join(WAIT_S) if judging_threads() else None

    asked = rounds.Round(judge, loop().clock)
    blank = azr.Episode("toy/sorting", azr.Kind.SOLVE, "", "", azr.Reply(""))
    with pytest.raises(PluginError, match="a bug"):
        asked.sample(Streaming(ScriptedPolicy(lambda prompt: "x"), between), [blank] * 9, azr.Sampling(1.0, 8), 1)
    assert len(groups) == 1 and not judging_threads()


def test_a_policy_that_leaves_prompts_unanswered_is_named() -> None:
    class Lazy(Streaming):
        def stream(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> Iterator[tuple[int, list[azr.Reply]]]:
            yield next(super().stream(prompts, sampling, n))

    with pytest.raises(PluginError, match=r"Lazy\.stream answered 1 of 4 prompts"):
        loop().step(Lazy(player(["4 3"])), 1)
    assert not judging_threads()


def test_a_sampler_that_breaks_off_leaves_no_thread() -> None:
    def broken() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop().step(Streaming(player(["4 3"]), broken), 1)
    assert not judging_threads()


def test_hidden_verification_is_not_counted_as_time_of_the_step(tmp_path: Path) -> None:
    for _, metrics in RunDirectory(play(tmp_path, steps=2)).open_store().steps():
        known = sum(metrics[f"seconds/{activity}"] for activity in ("generate", "verify", "train", "other"))
        assert known == pytest.approx(metrics["seconds/step"]) and metrics["seconds/verify_hidden"] >= 0


def test_late_solves_are_judged_during_the_update_and_learned_from_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loop(late_solves=True, probes="measure")
    verifier, updated = engine.environments["toy/sorting"].verifier, threading.Event()
    grade = verifier.grade

    def when_updated(task: toy_plugin.Sorting, answer: str) -> float | azr.Verdict:
        assert updated.wait(WAIT_S)
        return grade(task, answer)

    drawn = engine.draw()
    monkeypatch.setattr(verifier, "grade", when_updated)
    assert engine.solve(player([]), drawn) == []  # it returns although nothing can be judged yet
    updated.set()
    solves = engine.settle()
    assert len(solves) == len(drawn) and all(episode.verdict and episode.solve_rate is not None for episode in solves)
    assert engine.step(player(["4 3", "6 5 1"]), 2)[-len(solves) :] == solves
    assert not [episode for episode in engine.settle() if episode in solves]


def test_late_solves_are_stored_with_their_own_step(tmp_path: Path) -> None:
    """In the first step nothing is learned yet, so late or not, the same is played."""
    usual = played(play(tmp_path, name="usual", probes="measure", steps=1))
    late_ones = played(play(tmp_path, name="late", probes="measure", steps=1, late_solves=True))
    assert [row[:7] for row in late_ones.episodes] == [row[:7] for row in usual.episodes]


def learned(folder: Path) -> list[tuple[float, ...]]:
    """What each update learned from, in tokens and late solves."""
    names = ("tokens/trained", "late/learned", "late/waiting")
    return [tuple(metrics[name] for name in names) for _, metrics in RunDirectory(folder).open_store().steps()]


def test_a_run_with_late_solves_that_is_interrupted_learns_the_same_as_one_that_is_not(tmp_path: Path) -> None:
    whole = play(tmp_path / "whole", **LATE)
    ear = Stop(4)
    parts = play(tmp_path / "parts", **LATE, listener=ear)
    assert played(parts) == before(played(whole), 4)
    assert "4 late solves are judged and not learned from; --resume begins with them" in ear.notes
    play(tmp_path / "parts", resume=True)
    assert played(parts) == played(whole) and learned(parts) == learned(whole)
    assert [late_ones for _, late_ones, _ in learned(whole)] == [0.0] + [4.0] * 7


def test_late_solves_survive_the_disk_with_all_that_is_learned_from(tmp_path: Path) -> None:
    reply = azr.Reply("text", (1, 2), (3, 4, 5), (-0.1, -2.25, -1e-7))
    late.save(tmp_path, [azr.Episode("toy/sorting", azr.Kind.SOLVE, "g", "prompt", reply, reward=-0.5, advantage=1 / 3)])
    [back] = late.load(tmp_path)
    assert (back.reply.prompt_ids, back.reply.token_ids, back.reply.logprobs) == (reply.prompt_ids, reply.token_ids, reply.logprobs)
    assert (back.environment, back.group, back.reward, back.advantage, back.trained) == ("toy/sorting", "g", -0.5, 1 / 3, True)


def test_without_late_solves_no_file_is_written(tmp_path: Path) -> None:
    assert not list(play(tmp_path, steps=2).glob(f"checkpoints/*/{late.FILE}"))
