"""Admitting and grading, here and in workers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core.verification import Verification
from azr_core.workers import BATCH

HOSTILE = str(Path(__file__).with_name("hostile_plugin.py"))
REFUSALS = {"form": azr.Outcome.MALFORMED, "refuse": azr.Outcome.INVALID, "away": azr.Outcome.FAILED}


@dataclass
class Bench:
    """A verification with the hostile environment."""

    verification: Verification
    environment: azr.Environment
    plugins: azr.Plugins
    config: azr.RunConfig
    log: Path

    def admit(self, *words: str) -> list[azr.Task | azr.Verdict]:
        kind = type(self.environment.seeds[0])
        return self.verification.admit(self.environment, [kind.model_validate({"word": word}) for word in words])

    def grade(self, *answers: str) -> list[azr.Verdict]:
        task = self.environment.task_type(question="hello", answer="hello")
        return self.verification.grade(self.environment, [(task, answer) for answer in answers])


def bench(folder: Path, in_workers: bool) -> Bench:
    config = azr.RunConfig(plugins=(HOSTILE,), workers=1, verify_timeout=1.5)
    plugins = azr.load([HOSTILE])
    environment = plugins.environments(config)["toy/echo"]
    verification = Verification(config, plugins, folder / "run.log") if in_workers else Verification()
    return Bench(verification, environment, plugins, config, folder / "run.log")


@pytest.fixture
def here(tmp_path: Path) -> Bench:
    return bench(tmp_path, in_workers=False)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One worker for the whole module; it starts before the first test that needs it."""
    made = bench(tmp_path_factory.mktemp("workers"), in_workers=True)
    made.verification.start([made.environment])
    yield made
    made.verification.close()
    made.plugins.close()


@pytest.fixture(params=["here", "there"])
def anywhere(request: pytest.FixtureRequest) -> Bench:
    found: Bench = request.getfixturevalue(request.param)
    return found


def test_a_proposal_becomes_a_task(anywhere: Bench) -> None:
    assert anywhere.admit("hello") == [anywhere.environment.task_type(question="hello", answer="hello")]


def test_refusals_become_verdicts_in_the_order_of_the_proposals(anywhere: Bench) -> None:
    results = anywhere.admit("form", "a", "refuse", "b", "away")
    assert [getattr(result, "outcome", None) for result in results] == [REFUSALS["form"], None, REFUSALS["refuse"], None, REFUSALS["away"]]


def test_grades_become_verdicts_in_the_order_of_the_answers(anywhere: Bench) -> None:
    verdicts = anywhere.grade("hello", "form", "no", "away")
    assert [v.outcome for v in verdicts] == [azr.Outcome.SOLVED, azr.Outcome.MALFORMED, azr.Outcome.WRONG, azr.Outcome.FAILED]
    assert verdicts[1].reason == "no form"


def test_a_task_must_pass_its_own_grader(anywhere: Bench) -> None:
    (verdict,) = anywhere.admit("unlawful")
    assert verdict == azr.Verdict(azr.Outcome.INVALID, reason="its own answer does not score 1.0")


def test_nothing_to_judge_needs_no_worker(tmp_path: Path) -> None:
    made = bench(tmp_path, in_workers=True)
    assert made.admit() == [] and made.grade() == []
    assert made.verification._workers is None


def test_a_verifier_that_is_not_isolated_runs_in_another_process(there: Bench, here: Bench) -> None:
    assert here.grade("process")[0].reason == str(os.getpid())
    assert there.grade("process")[0].reason != str(os.getpid())


def test_an_isolated_verifier_runs_here(there: Bench) -> None:
    verifier: Any = type("Isolated", (type(there.environment.verifier),), {"isolated": True})()
    environment = azr.Environment("toy/echo", there.environment.proposer, verifier, (), there.environment.task_type)
    task = azr.Task(question="q", answer="a")
    assert there.verification.grade(environment, [(task, "process")])[0].reason == str(os.getpid())


def test_many_answers_keep_their_order(there: Bench) -> None:
    answers = ["hello" if number % 3 else "no" for number in range(2 * BATCH + 5)]
    assert [verdict.score for verdict in there.grade(*answers)] == [float(answer == "hello") for answer in answers]


def test_a_hang_is_a_timeout_of_the_answer_that_hangs(there: Bench) -> None:
    started = time.monotonic()
    verdicts = there.grade("hello", "hang", "no")
    assert [v.outcome for v in verdicts] == [azr.Outcome.SOLVED, azr.Outcome.TIMEOUT, azr.Outcome.WRONG]
    assert time.monotonic() - started < 60


def test_a_death_fails_only_what_died(there: Bench) -> None:
    verdicts = there.grade("hello", "die")
    assert [v.outcome for v in verdicts] == [azr.Outcome.SOLVED, azr.Outcome.FAILED]
    assert "exit code 9" in verdicts[1].reason
    (refused,) = there.admit("die")
    assert isinstance(refused, azr.Verdict) and refused.outcome is azr.Outcome.FAILED


def test_a_proposal_that_hangs_is_invalid(there: Bench) -> None:
    (verdict,) = there.admit("hang")
    assert isinstance(verdict, azr.Verdict) and verdict.outcome is azr.Outcome.INVALID and verdict.reason.startswith("timeout")


def test_what_a_verifier_prints_is_in_the_log(there: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    there.grade("printed")
    assert "judging printed\n" in there.log.read_text()
    assert "printed" not in capfd.readouterr().out


def test_a_benchmark_is_graded_by_the_verifier_it_ships(there: Bench) -> None:
    (held,) = there.plugins.benchmarks(there.config)
    environment = held.environments["toy/echo"]
    assert there.plugins.origin(environment) == "held"
    assert there.verification.grade(environment, [(held.tasks["toy/echo"][0], "a")])[0].outcome is azr.Outcome.SOLVED


def test_an_environment_no_plugin_brings_is_not_judged_without_protection(there: Bench) -> None:
    stranger = azr.Environment("toy/echo", there.environment.proposer, type(there.environment.verifier)(), (), there.environment.task_type)
    with pytest.raises(azr.PluginError, match="no loaded plugin brings it"):
        there.verification.grade(stranger, [(azr.Task(question="q", answer="a"), "a")])


def test_a_bug_in_a_verifier_stops_the_run_and_names_the_task(here: Bench) -> None:
    identity = azr.task_id("toy/echo", here.environment.task_type(question="hello", answer="hello"))
    with pytest.raises(azr.PluginError, match=f"toy/echo, grade of task {identity}: ZeroDivisionError: a bug"):
        here.grade("hello", "bug")
    with pytest.raises(azr.PluginError, match=r"toy/echo, admit of Word.*bug.*ZeroDivisionError"):
        here.admit("hello", "bug")


def test_a_bug_in_a_worker_stops_the_run_and_names_the_task(there: Bench) -> None:
    with pytest.raises(azr.PluginError, match=r"toy/echo, grade of task .*: ZeroDivisionError: a bug"):
        there.grade("hello", "bug")
    assert "ZeroDivisionError" in there.log.read_text()
    assert there.grade("hello")[0].outcome is azr.Outcome.SOLVED


def test_a_score_outside_0_to_1_is_a_bug(anywhere: Bench) -> None:
    with pytest.raises(azr.PluginError, match=r"its verifier scored 2.0; return a number from 0 to 1"):
        anywhere.grade("excess")


def test_a_worker_that_cannot_load_its_plugins_says_why(tmp_path: Path) -> None:
    path = tmp_path / "vanishing.py"
    path.write_text(Path(HOSTILE).read_text())
    config = azr.RunConfig(plugins=(str(path),), workers=1)
    plugins = azr.load([str(path)])
    environment = plugins.environments(config)["toy/echo"]
    path.write_text("1/0")
    verification = Verification(config, plugins, tmp_path / "run.log")
    with pytest.raises(azr.PluginError, match=r"could not start: plugin .*vanishing.py failed to import: ZeroDivisionError"):
        verification.admit(environment, environment.seeds)


def test_a_verifier_that_loses_results_is_named() -> None:
    class Forgetful(azr.Verifier[azr.Proposal, azr.Task]):
        isolated = True

        def admit(self, proposal: azr.Proposal) -> azr.Task:
            return azr.Task(question="", answer="")

        def grade(self, task: azr.Task, answer: str) -> float:
            return 1.0

        def grade_many(self, pairs: Any) -> list[Any]:
            return []

    environment = azr.Environment("toy/x", None, Forgetful(), ())  # type: ignore[arg-type]
    with pytest.raises(azr.PluginError, match="grade_many gave 0 results for 1"):
        Verification().grade(environment, [(azr.Task(question="", answer=""), "")])
