"""The fakes and checks for plugin authors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import azr_core as azr
from azr_core.testing import ScriptedPolicy, ScriptedTrainer, check, check_environment

TOY = Path(__file__).with_name("toy_plugin.py")
GREEDY = azr.Sampling(temperature=0.0, max_tokens=8)


@pytest.fixture
def toy() -> Iterator[azr.Environment]:
    plugins = azr.load([str(TOY)])
    yield plugins.environments(azr.RunConfig(plugins=(str(TOY),)))["toy/sorting"]
    plugins.close()


def test_the_toy_environment_has_no_finding(toy: azr.Environment) -> None:
    assert check_environment(toy) == []


def test_a_finding_is_one_sentence_that_names_trial_input_and_mend(toy: azr.Environment) -> None:
    lenient = type("Lenient", (type(toy.verifier),), {"grade": lambda self, task, answer: 1.0})()
    [told] = [line for line in check_environment(replace(toy, verifier=lenient)) if line.startswith("question-as-answer")]
    assert "reply 'Sort " in told and "scores 1 for 5 of 5 tasks" in told and told.endswith("compare it with all of the reference")


def test_a_plugin_is_checked_in_a_process_of_its_own() -> None:
    report = check("gone.py")
    assert report.code == 2 and "gone.py does not exist" in report.error


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
