"""The fakes and checks for plugin authors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core.testing import ScriptedPolicy, ScriptedTrainer, check_environment

TOY = Path(__file__).with_name("toy_plugin.py")
GREEDY = azr.Sampling(temperature=0.0, max_tokens=8)


@pytest.fixture
def toy() -> Iterator[azr.Environment]:
    plugins = azr.load([str(TOY)])
    yield plugins.environments(azr.RunConfig(plugins=(str(TOY),)))["toy/sorting"]
    plugins.close()


def test_the_toy_environment_has_no_finding(toy: azr.Environment) -> None:
    assert check_environment(toy) == []


def graded(environment: azr.Environment, grade: Callable[..., Any]) -> azr.Environment:
    kind = type(environment.verifier)
    return replace(environment, verifier=type("Changed", (kind,), {"grade": lambda self, task, answer: grade(task, answer)})())


def admitting(environment: azr.Environment, admit: Callable[..., Any]) -> azr.Environment:
    kind = type(environment.verifier)
    return replace(environment, verifier=type("Changed", (kind,), {"admit": lambda self, proposal: admit(kind(), proposal)})())


def refuse(verifier: Any, proposal: Any) -> None:
    raise azr.InvalidTask("never")


def test_each_fault_is_found(toy: azr.Environment) -> None:
    counter = iter(range(10_000))

    def drift(verifier: Any, proposal: Any) -> Any:
        return verifier.admit(proposal).model_copy(update={"answer": f"0 {next(counter)}"})

    faults = {
        "its own answer scores 0.0, not 1.0": graded(toy, lambda task, answer: 0.0),
        "the answer '' scores 1.0": graded(toy, lambda task, answer: 1.0),
        "gave 7; return a number from 0 to 1": graded(toy, lambda task, answer: 7),
        "gave ValueError": graded(toy, lambda task, answer: float(answer)),
        "twice gives two scores": graded(toy, lambda task, answer: 1.0 if next(counter) % 2 == 0 else 0.5),
        "refused: never": admitting(toy, refuse),
        "no seed was admitted": replace(admitting(toy, refuse), demonstrations=None),
        "twice gives two ids": admitting(toy, drift),
        "not the environment's task_type": admitting(toy, lambda verifier, proposal: azr.Task(question="q", answer="1 2")),
        "does not survive the round trip": replace(toy, task_type=azr.Task),
    }
    missed = [
        sentence for sentence, environment in faults.items() if not any(sentence in found for found in check_environment(environment))
    ]
    assert missed == []


def test_a_proposer_that_raises_something_else_is_found(toy: azr.Environment) -> None:
    class Broken(type(toy.proposer)):  # type: ignore[misc]
        def prompt(self, references: Sequence[azr.Task]) -> Any:
            return 5

        def parse(self, answer: str, references: Sequence[azr.Task]) -> Any:
            raise KeyError(answer)

    findings = " ".join(check_environment(replace(toy, proposer=Broken(), demonstrations=None)))
    assert "is 5, not text" in findings and "raise FormatError" in findings


def test_a_scripted_policy_replies_in_order_and_remembers_its_prompts() -> None:
    policy = ScriptedPolicy(["a", "b", "c", "d"])
    assert [[reply.text for reply in group] for group in policy.sample(["x", "y"], GREEDY, 2)] == [["a", "b"], ["c", "d"]]
    assert policy.prompts == ["x", "y"]
    with pytest.raises(AssertionError, match="no reply left for 'z'"):
        policy.sample(["z"], GREEDY)


def test_a_scripted_policy_may_be_a_function_of_the_prompt() -> None:
    policy = ScriptedPolicy(str.upper)
    assert [group[0].text for _, group in policy.stream(["x", "y"], GREEDY)] == ["X", "Y"]


def test_a_scripted_trainer_plays_every_step_until_told_to_stop(tmp_path: Path) -> None:
    trainer = ScriptedTrainer(ScriptedPolicy([]))
    played: list[int] = []

    def play(policy: azr.Policy, step: int) -> list[azr.Episode]:
        played.append(step)
        return []

    trainer.fit(play, lambda step, metrics: step == 4, 2, 9)
    assert played == [2, 3, 4]
    trainer.save(tmp_path)
    again = ScriptedTrainer(trainer.policy)
    again.load(tmp_path)
    assert again.updates == 3
