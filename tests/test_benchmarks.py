"""The executor's benchmarks run and report: what they say, never how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(name: str, data: Path, *options: str) -> Any:
    """The figures of a benchmark, run as a user runs it."""
    command = [sys.executable, str(BENCHMARKS / name), "--json", "--data", str(data / "azr_seeds" / "triplets.jsonl"), *options]
    environment = {key: value for key, value in os.environ.items() if key != "AZR_TEST_DATA"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_executor_benchmark_reports_every_way_by_the_same_five_figures(test_data: Path) -> None:
    figures = run("executor.py", test_data, "--programs", "5", "--rounds", "1", "--batches", "1")
    ways = {"in_process", "fork", "routed", "fork_10_calls"}
    assert set(figures) == {*ways, "validate", "ratios"}
    for way in ways:
        assert set(figures[way]) == {"programs_per_s", "cpu_ms", "p50_ms", "p99_ms", "rss_mb"}
        assert all(value >= 0 for value in figures[way].values()) and figures[way]["programs_per_s"] > 0
    assert {"fork_cpu", "routed_cpu", "neighbours_p99_ms_beside_a_loop"} <= set(figures["ratios"])


def test_a_short_soak_leaves_every_value_right_and_nothing_grown(test_data: Path) -> None:
    figures = run("soak.py", test_data, "--programs", "1500", "--batch", "100", "--real", "100")
    assert figures["programs"] == 1500 and figures["wrong"] == {} and figures["alarm"] == ""
    assert sum(figures["hostile_ends"].values()) == 15
    assert all(verdict["held"] for name, verdict in figures["verdicts"].items() if name != "throughput")


def test_a_benchmark_without_programs_measures_our_own_and_says_so() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "AZR_TEST_DATA"}
    small = ["--programs", "10", "--rounds", "1", "--batches", "1", "--json"]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "executor.py"), *small], capture_output=True, text=True, timeout=120, env=environment
    )
    assert "shipped held-out programs" in done.stderr and {"fork", "routed"} <= set(json.loads(done.stdout))
