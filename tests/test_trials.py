"""What a check finds: every planted fault by the trial that is meant for it, and nothing where nothing is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from weak_environments import SOUND, WEAK, Weak, environment

from azr_core.errors import VerifierUnavailable
from azr_core.subject import Finding, Subject, shortened
from azr_core.trials import BESIDE, TRIALS, examine
from azr_core.verification import Verification

PAGE = Path(__file__).parents[1] / "docs/verifier-security.md"


def found(weak: Weak, place: Path) -> list[Finding]:
    subject = Subject(weak.environment, Verification(), place / "canary", **weak.beside)
    return [finding for _, findings in examine(subject) for finding in findings]


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert found(Weak("", SOUND), tmp_path) == []


@pytest.mark.parametrize("what", WEAK)
def test_a_planted_fault_is_found_by_its_own_trial_and_by_no_other(what: str, tmp_path: Path) -> None:
    findings = found(WEAK[what], tmp_path)
    assert {finding.trial for finding in findings} == WEAK[what].ids
    assert all(finding.input and finding.seen and finding.mend for finding in findings)


def test_a_domain_that_evaluates_is_only_warned(tmp_path: Path) -> None:
    assert [finding.grave for finding in found(WEAK["a sum for a number"], tmp_path)] == [False] * 3


def test_a_verifier_that_is_not_available_is_a_finding(tmp_path: Path) -> None:
    def away(task: object, answer: str) -> float:
        raise VerifierUnavailable("the node left")

    findings = found(Weak("", environment(score=away)), tmp_path)
    assert any(finding.trial == "runtime.resource_bounds" and "the node left" in finding.seen for finding in findings)


def test_a_few_tasks_are_no_share_of_them(tmp_path: Path) -> None:
    lucky = environment(lambda proposal: WEAK["odd or even"].environment.verifier.admit(proposal), demonstrations=None)
    assert found(Weak("", lucky), tmp_path) == []


def test_every_trial_has_its_own_name_and_says_what_it_proves() -> None:
    ids = [trial.id for trial in TRIALS] + list(BESIDE)
    assert len(set(ids)) == len(ids)
    assert all(trial.proves for trial in TRIALS)


def test_every_trial_has_a_planted_fault_or_one_in_a_process() -> None:
    import weak_processes

    planted = {id for weak in (*WEAK.values(), *weak_processes.WEAK.values()) for id in weak.ids}
    told_of_a_plugin = {"runtime.startup", "runtime.episode_isolation"}
    assert {trial.id for trial in TRIALS} | set(BESIDE) == planted | told_of_a_plugin


def test_the_page_names_every_trial() -> None:
    text = PAGE.read_text()
    assert [id for id in (*(trial.id for trial in TRIALS), *BESIDE) if f"`{id}`" not in text] == []


def test_a_long_input_is_shortened() -> None:
    assert shortened("ab") == "'ab'"
    assert shortened("a" * 1_000_000) == f"'{'a' * 45}'... (1,000,000 characters)"
