"""Whole runs of the Python domain with the real trainer: the same seed, a stop, a kill, measurements, models that are not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from playing import Played, Stop, played
from test_training import SIZES, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

import azr_core as azr
from azr_core import checkpoint, run
from azr_core.run import Request
from azr_plugins_python.training.options import EMBEDDED

ROOT = Path(__file__).parents[1]
PLUGINS = ("python", str(ROOT / "tests/lettered_plugin.py"))
SETTINGS: Mapping[str, Any] = {
    "steps": 4, "batch_size": 2, "references": 1, "probe_samples": 2, "checkpoint_every": 2, "style": "compact",
    "propose_tokens": 16, "solve_tokens": 16, "prompt_tokens": 1500, "reward": {"name": "lettered"},
    "evaluation": {"final": False, "every": 2, "light_tasks": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights and one token a byte: the shape of the embedded model, whose place does not matter here."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model")
    LlamaForCausalLM(LlamaConfig(**(SIZES | {"max_position_embeddings": 2048}))).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def play(runs: Path, settings: Mapping[str, Any], *, resume: bool = False, listener: azr.Listener | None = None) -> Path:
    threads = torch.get_num_threads()
    try:
        return run.start(Request(() if resume else PLUGINS, settings, "one", runs, resume), listener or azr.Listener())
    finally:
        torch.set_num_threads(threads)


def with_model(path: Path, **settings: Any) -> dict[str, Any]:
    trainer = {"model": str(path), "learning_rate": 1e-2, "threads": 1, "sampling_dtype": "float32", "update_dtype": "float32"}
    return {**SETTINGS, "trainer": trainer, **settings}


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The run that nothing interrupted."""
    return played(play(tmp_path_factory.mktemp("whole"), with_model(model)))


def test_a_run_learns_from_what_it_played_and_is_measured_as_asked(whole: Played) -> None:
    assert whole.steps == [1, 2, 3, 4]
    assert {row[2] for row in whole.episodes} == {"propose", "solve"}
    assert {row[1] for row in whole.episodes} == {"python/abduction", "python/deduction", "python/induction"}
    assert len({row[7] for row in whole.episodes}) > 3 and any(row[8] > 0 for row in whole.episodes)  # rewards, advantages
    assert {evaluation.benchmark for evaluation in whole.evaluations} == {"python/heldout", "python/harder"}
    assert {(evaluation.step, evaluation.decoding, len(evaluation.scores)) for evaluation in whole.evaluations} == {(2, "sampled", 2)}


def test_the_same_seed_gives_the_same_run_on_one_thread(model: Path, whole: Played, tmp_path: Path) -> None:
    assert played(play(tmp_path, with_model(model))) == whole
    other = played(play(tmp_path / "other", with_model(model, seed=1, steps=1, evaluation={"final": False})))
    assert other.episodes != [row for row in whole.episodes if row[0] == 1]


def test_a_run_stopped_and_taken_up_equals_one_that_was_not(model: Path, whole: Played, tmp_path: Path) -> None:
    folder = play(tmp_path, with_model(model), listener=Stop(2))
    assert played(folder).steps == [1, 2] and checkpoint.sealed(folder / "checkpoints") == [2]
    play(tmp_path, {}, resume=True)
    assert played(folder) == whole


def test_a_run_killed_and_taken_up_equals_one_that_was_not(model: Path, whole: Played, tmp_path: Path) -> None:
    code = "import sys; from test_run_trl import *; play(Path(sys.argv[1]), with_model(Path(sys.argv[2])), listener=Death())"
    command = [sys.executable, "-c", code, str(tmp_path), str(model)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    child = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=200)
    assert child.returncode == -signal.SIGKILL, child.stderr
    folder = tmp_path / "one"
    assert played(folder).steps == [1, 2, 3] and checkpoint.sealed(folder / "checkpoints") == [2]
    ear = Stop(0)
    play(tmp_path, {}, resume=True, listener=ear)
    assert ear.steps == [3, 4] and played(folder) == whole


class Death(azr.Listener):
    """Kills its own process when step 3 is stored."""

    def step(self, report: azr.StepReport, total_steps: int, remaining_s: float | None) -> None:
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_model_is_measured_on_the_benchmarks_it_is_asked_for(model: Path) -> None:
    settings = with_model(model, solve_tokens=4, evaluation={"greedy": False, "samples": 1})
    measured = run.evaluate_model(Request(PLUGINS, settings), azr.Listener(), ["python/heldout"])
    assert {(one.benchmark, one.decoding, len(one.scores)) for one in measured} == {("python/heldout", "sampled", 300)}
    assert {one.kind for one in measured} == {"python/abduction", "python/deduction", "python/induction"}
    assert all(set(one.scores) <= {0.0, 1.0} and 0 < one.reply_tokens <= 4 for one in measured)


@pytest.mark.parametrize("size", ["700k", "1300k"])  # full in the weights, full in the optimiser's state
def test_a_full_disk_stops_the_real_trainer_in_one_line_and_it_goes_on(size: str, model: Path, whole: Played, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(azr.RunError) as refusal:
            play(disk, with_model(model))
        assert "space" in str(refusal.value) and "\n" not in str(refusal.value)
        assert not list(disk.glob("one/checkpoints/*"))
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        assert played(play(disk, {}, resume=True)) == whole
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("name", ["gone", "./gone", "/gone/for/good"])
def test_a_model_that_does_not_exist_is_one_line_with_the_mend(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(azr.UsageError) as refusal:
        play(tmp_path, with_model(Path(name)) | {"trainer": {"model": name}})
    assert name in str(refusal.value) and "\n" not in str(refusal.value)
    assert "folder" in str(refusal.value)


@pytest.mark.slow
def test_the_embedded_model_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    if not (EMBEDDED / "config.json").is_file():
        pytest.skip("the embedded model is not there; make it with azr warmup")
    sizes = {"steps": 4, "batch_size": 2, "probe_samples": 4, "propose_tokens": 200, "solve_tokens": 160, "checkpoint_every": 2}
    settings = sizes | {"trainer": {"threads": 1}, "evaluation": {"final": False, "every": 0}}
    one, other = tmp_path / "one", tmp_path / "other"
    unbroken = played(play(one, settings))
    play(other, settings, listener=Stop(2))
    assert played(play(other, {}, resume=True)) == unbroken
    assert len(unbroken.tasks) > 24 and {row[6] for row in unbroken.episodes} >= {"admitted", "solved", "wrong"}
