"""Datasets of reasoning-gym as environments: a proposal chooses a level and a seed, the dataset makes the task and grades the answer.

python -m pip install reasoning-gym
azr run --plugin plugins/reasoning_gym.py --set plugins.reasoning_gym.datasets='["leg_counting", "base_conversion"]'

Which datasets it takes, which it refuses and why: docs/reasoning-gym.md.
"""

from __future__ import annotations

import copy
import random
from functools import lru_cache
from typing import Any

from pydantic import Field

import azr_core as azr

state = random.getstate()  # which the import changes
try:
    from reasoning_gym.factory import CURRICULA, DATASETS, create_curriculum, create_dataset
except ImportError as error:
    raise azr.UsageError("plugins/reasoning_gym.py needs reasoning-gym: python -m pip install reasoning-gym") from error
finally:
    random.setstate(state)

LONGEST = 10_000  # characters of a reply that is graded
REFUSED = {
    name: reason
    for reason, names in {
        "guessing pays": "acre aiw binary_alternation calendar_arithmetic circuit_logic "
        "complex_arithmetic course_schedule family_relationships game_of_life gcd "
        "isomorphic_strings knight_swap largest_island letter_counting "
        "mahjong_puzzle maze number_format polynomial_equations ransom_note "
        "rectangle_count rotate_matrix rotten_oranges self_reference "
        "shortest_path string_manipulation syllogism zebra_puzzles",
        "replies are run as code: one ended the process": "binary_matrix countdown intermediate_integration n_queens "
        "polynomial_multiplication puzzle24 simple_integration spiral_matrix "
        "string_insertion",
        "it gives no reference answer, so the law cannot be held": "boxnet graph_color propositional_logic rubiks_cube rush_hour",
        "its tasks differ from process to process": "bf codeio list_functions word_ladder",
        "an answer with other content passes": "coin_flip knights_knaves sokoban",
        "questions hold their answers": "color_cube_rotation needle_haystack",
        "its own answers do not score 1": "jugs tower_of_hanoi",
        "it makes no tasks as it comes": "composite",
        "an empty reply scores": "game_of_life_halting",
        "the trials take more than 120 s": "number_sequence",
        "it scores outside 0 to 1, or breaks": "spell_backward",
    }.items()
    for name in names.split()
}


class Options(azr.Options):
    """`[plugins.reasoning_gym]`."""

    datasets: tuple[str, ...] = Field(default=("leg_counting", "base_conversion"), description="names of reasoning-gym's datasets")
    partial: bool = Field(default=False, description="whether a score below 1 counts as it is, and not as 0")
    refused: bool = Field(default=False, description="play also datasets whose grader can be gamed, or runs replies as code (dangerous)")


class Exercise(azr.Proposal):
    """What a proposer writes."""

    level: int = Field(ge=0, le=5, description="0: the dataset as it comes; 1 to 5: its own ladder, from easy to hard")
    seed: int = Field(ge=0, lt=1_000_000, description="which exercise of that level")


@lru_cache(maxsize=1024)
def made(name: str, exercise: Exercise) -> tuple[Any, dict[str, Any]]:
    """A dataset and its only entry. Raises whatever the dataset does where it cannot make one."""
    given: dict[str, Any] = {"seed": exercise.seed, "size": 1}
    if exercise.level:
        ladder = create_curriculum(name)
        ladder.set_global_level(exercise.level - 1)
        given = vars(ladder.generate_configuration(given))
    dataset = create_dataset(name, **given)
    return dataset, dataset[0]


class Bridge:
    """The gate and the grader of a dataset. partial: whether a score below 1 counts."""

    def __init__(self, name: str, partial: bool) -> None:
        self.name, self.partial = name, partial

    def admit(self, exercise: Exercise) -> tuple[str, str]:
        """Question and answer that the dataset makes of it."""
        if exercise.level and self.name not in CURRICULA:
            raise azr.InvalidTask("this dataset has no ladder; the level is 0")
        try:
            entry = made(self.name, exercise)[1]
        except Exception as error:  # of somebody else's generator: whatever it raises, there is no task
            raise azr.InvalidTask(f"the dataset cannot make it: {type(error).__name__}: {error!s:.100}") from None
        if not (isinstance(entry["question"], str) and isinstance(entry["answer"], str) and entry["answer"].strip()):
            raise azr.InvalidTask("the dataset gives no answer to it")
        return entry["question"], entry["answer"]

    def grade(self, task: azr.PosedTask[Exercise], answer: str) -> float:
        """The dataset's own score."""
        if len(answer) > LONGEST:
            raise azr.FormatError(f"{len(answer)} characters, at most {LONGEST} are read")
        if not all(letter.isascii() or letter in task.question + task.answer for letter in answer):
            raise azr.FormatError("a character that neither ASCII nor the task has")
        dataset, entry = made(self.name, task.proposal)
        if entry["question"] != task.question:
            raise azr.VerifierUnavailable(f"{self.name}: the task was made by another version of reasoning-gym; install that one")
        try:
            score = float(dataset.score_answer(answer, copy.deepcopy(entry)))
        except Exception as error:  # of somebody else's grader, which cannot read the answer
            raise azr.FormatError(f"the grader cannot read it: {type(error).__name__}: {error!s:.100}") from None
        return score if self.partial or score >= 1.0 else 0.0

    def environment(self) -> azr.Environment:
        """The dataset as an environment."""
        levels = range(4 if self.name in CURRICULA else 1)
        return azr.environment(
            f"reasoning_gym/{self.name}",
            Exercise,
            admit=self.admit,
            grade=self.grade,
            seeds=[Exercise(level=0, seed=seed) for seed in range(8)],
            propose=f"Task: choose an exercise of the kind {self.name} for somebody else, neither trivial nor hopeless.",
            solve="Task: solve this. The answer is what is asked for, alone.",
            draw=lambda rng: Exercise(level=rng.choice(levels), seed=rng.randrange(1_000_000)),
        )


def environments(config: azr.RunConfig) -> list[azr.Environment]:
    """One for each dataset of the options. Raises ConfigError."""
    options = azr.plugin_options(config, "reasoning_gym", Options)
    for name in options.datasets:
        if name not in DATASETS:
            raise azr.ConfigError(f"[plugins.reasoning_gym] datasets: no {name!r} in reasoning-gym; {azr.nearest(name, DATASETS)}")
        if name in REFUSED and not options.refused:
            told = f"{name!r} is refused: {REFUSED[name]}; leave it out, or set plugins.reasoning_gym.refused=true"
            raise azr.ConfigError(f"[plugins.reasoning_gym] datasets: {told}")
    return [Bridge(name, options.partial).environment() for name in options.datasets]


@azr.hookimpl
def azr_environments(config: azr.RunConfig) -> list[azr.Environment]:
    return environments(config)


@azr.hookimpl
def azr_benchmarks(config: azr.RunConfig) -> list[azr.Benchmark]:
    return [azr.held_out(*environments(config), count=25)]
