"""A whole run: repeated, killed, stopped, and taken up again."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from playing import STEPS, WORDS, Played, Stop, before, begin, play, played, uninterrupted

import azr_core as azr
from azr_core import checkpoint
from azr_core.directory import RunDirectory


@pytest.fixture
def whole() -> Played:
    return uninterrupted()


def test_the_same_seed_gives_the_same_tasks_rewards_and_measurements(whole: Played, tmp_path: Path) -> None:
    again = played(play(tmp_path))
    assert again == whole and whole.steps == list(range(1, STEPS + 1))
    other = played(play(tmp_path, name="two", seed=1))
    assert other.tasks != whole.tasks and other.episodes != whole.episodes


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_loses_nothing_and_doubles_nothing(seed: int, whole: Played, tmp_path: Path) -> None:
    rng = random.Random(seed)
    folder = tmp_path / "runs" / "one"
    words = list(WORDS)
    for _ in range(3):
        kill(tmp_path / "runs", words, rng.randint(0, STEPS), rng.uniform(0.0, 0.03))
        if not (folder / "config.json").is_file():
            continue
        sealed = checkpoint.sealed(folder / "checkpoints")
        if sealed:
            assert played(folder, sealed[-1]) == before(whole, sealed[-1])
        words = ["--resume"]
    last = begin(tmp_path / "runs", *words)
    _, error = last.communicate(timeout=60)
    assert last.returncode == 0, error
    assert played(folder) == whole


def kill(runs: Path, words: list[str], step: int, delay: float) -> None:
    """Start the command and kill it some time after the line of a step, if it gets that far."""
    child = begin(runs, *words)
    assert child.stdout
    for line in child.stdout:
        if line.startswith(f"step {max(1, step)}/") or (step == 0 and "toys/heldout" in line):
            time.sleep(delay)
            break
    child.kill()
    child.communicate(timeout=60)


def test_an_interrupted_run_stops_after_its_step_and_goes_on(whole: Played, tmp_path: Path) -> None:
    ear = Stop(4)
    folder = play(tmp_path, listener=ear)
    assert ear.steps == [1, 2, 3, 4] and ear.ended and "stopping after this step; press Ctrl-C again to stop at once" in ear.notes
    assert checkpoint.sealed(folder / "checkpoints")[-1] == 4
    assert played(folder) == before(whole, 4)
    again = Stop(0)
    play(tmp_path, resume=True, listener=again)
    assert again.steps == list(range(5, STEPS + 1)) and again.ended is False
    assert played(folder) == whole


def test_ctrl_c_from_outside_seals_a_checkpoint_that_the_same_command_goes_on_from(tmp_path: Path) -> None:
    child = begin(tmp_path / "runs", *WORDS, "--steps", "100000")
    assert child.stdout
    for line in child.stdout:
        if line.startswith("step 2/"):
            child.send_signal(signal.SIGINT)
            break
    out, error = child.communicate(timeout=60)
    assert child.returncode == 0, error
    assert "azr run --resume --name one" in out
    folder = tmp_path / "runs" / "one"
    last = played(folder).steps[-1]
    assert 2 <= last < 100000 and checkpoint.sealed(folder / "checkpoints")[-1] == last
    play(tmp_path / "runs", resume=True, steps=last + 2)
    reference = played(play(tmp_path / "reference", steps=last + 2))
    assert played(folder).episodes == reference.episodes and played(folder).tasks == reference.tasks


def test_a_run_stops_when_its_minutes_are_over_and_goes_on_with_more(tmp_path: Path) -> None:
    ear = Stop(0)
    begun = time.monotonic()
    folder = play(tmp_path, steps=100000, minutes=0.01, listener=ear)
    assert ear.ended and time.monotonic() - begun < 10
    last = ear.steps[-1]
    assert checkpoint.sealed(folder / "checkpoints")[-1] == last
    play(tmp_path, resume=True, minutes=60, steps=last + 3)
    assert played(folder).steps == list(range(1, last + 4))


def test_a_changed_setting_is_refused_by_name_and_a_watching_one_is_not(whole: Played, tmp_path: Path) -> None:
    folder = play(tmp_path, steps=3)
    settled = (folder / "config.json").read_text()
    with pytest.raises(azr.RunError) as refusal:
        play(tmp_path, resume=True, batch_size=5, seed=1, reward={"novelty": 0.5}, steps=9)
    message = str(refusal.value)
    assert "\n" not in message and "steps" not in message
    for words in ("batch_size was 4, is 5", "seed was 0, is 1", "reward.novelty was 1.0, is 0.5"):
        assert words in message
    assert (folder / "config.json").read_text() == settled and played(folder).steps == [1, 2, 3]
    watching: dict[str, Any] = {"minutes": 60, "checkpoint_every": 2, "keep_checkpoints": 1, "evaluation": {"every": 1, "greedy": False}}
    play(tmp_path, resume=True, steps=STEPS, **watching)
    assert played(folder).episodes == whole.episodes
    assert checkpoint.sealed(folder / "checkpoints") == [STEPS]
    assert json.loads((folder / "config.json").read_text())["evaluation"]["every"] == 1


def test_a_run_that_was_killed_before_its_last_measurement_makes_it_up(whole: Played, tmp_path: Path) -> None:
    folder = play(tmp_path)
    store = RunDirectory(folder).open_store()
    with store._db.transaction() as write:
        write.execute("DELETE FROM evaluations WHERE step IN (4, 12)")
    store.close()
    play(tmp_path, resume=True)
    assert {evaluation.step for evaluation in played(folder).evaluations} == {0, 8, 12}
    assert [row for row in played(folder).evaluations if row.step == STEPS] == [row for row in whole.evaluations if row.step == STEPS]
