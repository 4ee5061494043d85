"""What the gate admits and what the grader takes."""

from __future__ import annotations

import azr_my_plugin as plugin
import pytest

import azr_core as azr
from azr_core.testing import check_environment


def test_the_check_finds_nothing() -> None:
    assert check_environment(plugin.SUMS) == []


@pytest.mark.parametrize(("answer", "score"), [("5", 1.0), (" 5\n", 1.0), ("6", 0.0), ("", 0.0), ("2 + 3", 0.0)])
def test_the_grader_takes_the_sum_and_nothing_else(answer: str, score: float) -> None:
    task = plugin.SUMS.verifier.admit(plugin.Sum(left=2, right=3))
    assert plugin.SUMS.verifier.grade(task, answer) == score


def test_a_sum_with_nothing_is_no_task() -> None:
    with pytest.raises(azr.InvalidTask, match="nothing is added"):
        plugin.SUMS.verifier.admit(plugin.Sum(left=0, right=3))


def test_no_demonstration_is_in_the_benchmark() -> None:
    [benchmark] = plugin.azr_benchmarks()
    held_out = {task.key() for task in benchmark.tasks["my_plugin/sums"]}
    shown = plugin.SUMS.demonstrations(azr.chance(0, 0, "test"))
    assert not held_out & {next(shown).task.key() for _ in range(1_000)}
