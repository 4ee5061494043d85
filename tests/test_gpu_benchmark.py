"""The script that measures a GPU runs where none is, on a tiny model."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import pytest

from azr_plugins_python.training import models

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


@pytest.mark.parametrize("form", ["all", "lora"])
def test_rates_peaks_and_bounds_are_told(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "load", models.load)  # put back what the script replaces
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    small = argparse.Namespace(prompt=12, reply=6, samples=2, prompts=2, steps=1, checkpointing=False, set=["device=cpu", "threads=1"])
    told = script.measure("tiny", form, small, tmp_path)
    assert told["parameters_m"] == 0.4 and 0 <= told["outside"] < 1
    rates = {name: told[name] for name in told if name.endswith(("per_second", "tflops", "over_bound", "over_peak"))}
    assert len(rates) == 9 and all(rate >= 0 for rate in rates.values())
