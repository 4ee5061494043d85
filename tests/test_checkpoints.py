"""Which checkpoints are written and kept, and that a run takes up only its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playing import play

import azr_core as azr
from azr_core import checkpoint
from azr_core.checkpoint import Keeping

QUIET = {"steps": 6, "evaluation": {"start": False, "final": False}}


def test_the_newest_stay_and_of_the_older_ones_the_first_and_then_one_in_so_many_hours() -> None:
    hourly = [(step, 3600.0 * step) for step in range(1, 11)]
    assert Keeping(2).spared(hourly) == {9, 10}
    assert Keeping(2, hours=4).spared(hourly) == {1, 5, 9, 10}
    assert Keeping(3, hours=24).spared(hourly) == {1, 8, 9, 10}


def test_what_is_kept_for_good_is_the_same_however_often_it_is_looked_at() -> None:
    keeping, kept = Keeping(1, hours=2.5), list[tuple[int, float]]()
    for step in range(1, 30):
        kept = [item for item in [*kept, (step, 3600.0 * step)] if item[0] in keeping.spared([*kept, (step, 3600.0 * step)])]
    assert [step for step, _ in kept] == [1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 29]


def test_a_checkpoint_is_written_when_its_minutes_are_over(tmp_path: Path) -> None:
    every_step = play(tmp_path, name="timed", checkpoint_every=1000, checkpoint_minutes=1e-9, keep_checkpoints=99, **QUIET)
    assert checkpoint.sealed(every_step / "checkpoints") == [1, 2, 3, 4, 5, 6]
    by_steps = play(tmp_path, name="stepped", checkpoint_every=4, checkpoint_minutes=None, keep_checkpoints=99, **QUIET)
    assert checkpoint.sealed(by_steps / "checkpoints") == [4, 6]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    mine, theirs = play(tmp_path, name="mine", **QUIET), play(tmp_path, name="theirs", seed=1, **QUIET)
    place = mine / "checkpoints/step-000006"
    shutil.rmtree(place)
    shutil.copytree(theirs / "checkpoints/step-000006", place)
    with pytest.raises(azr.RunError, match="of a run with other settings; remove it") as refusal:
        play(tmp_path, name="mine", resume=True, steps=8)
    assert str(place) in str(refusal.value)


def test_a_checkpoint_under_the_name_of_another_step_is_refused(tmp_path: Path) -> None:
    checkpoints = play(tmp_path, **QUIET) / "checkpoints"
    shutil.rmtree(checkpoints / "step-000006")
    (checkpoints / "step-000003").rename(checkpoints / "step-000006")
    with pytest.raises(azr.RunError, match="holds the checkpoint of step 3"):
        play(tmp_path, resume=True, steps=8)


def test_files_of_two_checkpoints_in_one_folder_are_refused(tmp_path: Path) -> None:
    checkpoints = play(tmp_path, **QUIET) / "checkpoints"
    shutil.copy(checkpoints / "step-000003/ballast", checkpoints / "step-000006/ballast-2")
    with pytest.raises(azr.RunError, match="ballast-2 is not of this checkpoint"):
        play(tmp_path, resume=True, steps=8)
    (checkpoints / "step-000006/ballast-2").unlink()
    shutil.copy(checkpoints / "step-000003/ballast", checkpoints / "step-000006/ballast")
    with pytest.raises(azr.RunError, match="ballast is damaged"):
        play(tmp_path, resume=True, steps=8)


def test_how_long_and_how_closely_a_run_goes_on_leaves_its_checkpoints_its_own(tmp_path: Path) -> None:
    folder = play(tmp_path, **QUIET)
    play(tmp_path, resume=True, steps=8, checkpoint_minutes=5, keep_every_hours=1, minutes=60)
    assert checkpoint.sealed(folder / "checkpoints")[-1] == 8
