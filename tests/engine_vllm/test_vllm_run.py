"""Whole runs of the embedded model that sample with vLLM, as a user starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from playing import ROOT, played
from vllm_models import BOUND, NEEDED

from azr_core.directory import RunDirectory

pytestmark = NEEDED
WORDS = (
    *("run", "--plugin", "python", "--name", "one", "--set", "trainer.sampler=vllm", "--set", "trainer.threads=1", "--set", "batch_size=2"),
    *("--set", "probe_samples=2", "--set", "solve_tokens=128", "--set", "propose_tokens=128", "--set", "evaluation.final=false"),
)


def azr_run(runs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from azr_core.cli import main; main()", *words, "--runs-dir", str(runs)]
    return subprocess.run(command, cwd=runs.parent, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=500)


def test_the_embedded_model_plays_and_its_sampler_is_the_model_that_learns(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    ended = azr_run(runs, *WORDS, "--steps", "3")
    assert ended.returncode == 0, ended.stderr[-2000:]
    store = RunDirectory(runs / "one").open_store()
    metrics = [metrics for _, metrics in store.steps()]
    store.close()
    assert played(runs / "one").steps == [1, 2, 3]
    assert all(step["sampling/parity_nats"] < BOUND and step["tokens/generated"] > 0 for step in metrics), json.dumps(metrics)
