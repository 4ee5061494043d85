"""The texts a model is warmed up on."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

import azr_core as azr
from azr_core.documents import documents
from azr_core.types import Document
from azr_plugins_python import demonstrations as python
from azr_plugins_python.environments import INDUCTION, make_environments, make_executor
from azr_plugins_python.generator import reserved
from azr_plugins_python.options import Options
from azr_plugins_python.tasks import ProgramTask
from tests.toy_plugin import azr_environments

ROOT = Path(__file__).parents[1]
PROMPTS = azr.Prompts(azr.Style.COMPACT)
TOY = azr_environments()[0]
PYTHON = make_environments(Options(), make_executor(Options()))


def drawn(*environments: azr.Environment, amount: int = 300, seed: int = 1) -> list[Document]:
    return list(islice(documents(environments, PROMPTS, seed), amount))


def proposals(*environments: azr.Environment, amount: int = 300) -> list[Document]:
    return [document for document in drawn(*environments, amount=amount) if document.role is azr.Role.PROPOSE]


def shown(document: Document) -> int:
    return document.prompt.count("Sort")


def test_the_seed_decides_every_document() -> None:
    assert drawn(TOY, *PYTHON) == drawn(TOY, *PYTHON)
    assert drawn(TOY) != drawn(TOY, seed=2)


def test_there_are_about_five_solutions_to_a_proposal_and_environments_take_turns() -> None:
    roles = Counter((document.environment, document.role) for document in drawn(*PYTHON, amount=900))
    for environment in PYTHON:
        assert 0.1 < roles[environment.name, azr.Role.PROPOSE] / roles[environment.name, azr.Role.SOLVE] < 0.35
    solved = [roles[environment.name, azr.Role.SOLVE] for environment in PYTHON]
    assert max(solved) - min(solved) <= 1


def test_a_proposal_is_shown_no_to_six_references_mostly_few() -> None:
    counts = Counter(map(shown, proposals(TOY, amount=1200)))
    assert set(counts) == set(range(7))
    assert counts[0] + counts[1] + counts[2] > sum(counts.values()) / 2


def test_an_environment_with_an_exact_number_of_references_is_always_shown_so_many() -> None:
    assert {shown(document) for document in proposals(replace(TOY, reference_count=3))} == {3}


def test_a_reply_opens_to_the_answer_and_solves_its_task() -> None:
    for document in drawn(TOY, amount=50):
        answer = PROMPTS.envelope.open(azr.Reply(document.reply))
        if document.role is azr.Role.SOLVE:
            assert sorted(map(int, answer.split())) == list(map(int, answer.split()))


def test_without_demonstrations_there_is_nothing_to_teach() -> None:
    with pytest.raises(azr.PluginError, match="toy/sorting has demonstrations"):
        drawn(replace(TOY, demonstrations=None))


def test_demonstrations_that_end_are_an_error_of_their_plugin() -> None:
    def two(rng: random.Random) -> Iterator[azr.Demonstration]:
        assert TOY.demonstrations
        yield from islice(TOY.demonstrations(rng), 2)

    with pytest.raises(azr.PluginError, match="toy/sorting: its demonstrations came to an end"):
        drawn(replace(TOY, demonstrations=two))


@pytest.mark.parametrize("environment", PYTHON, ids=lambda environment: environment.name)
def test_a_programs_references_are_other_programs_that_share_a_trait(environment: azr.Environment) -> None:
    assert environment.demonstrations
    for example in islice(environment.demonstrations(random.Random(1)), 150):
        assert example.references is not None and len(example.references) <= 6
        programs = {task.program for task in example.references if isinstance(task, ProgramTask)}
        assert not any(map(reserved, programs))
        mine = example.task.model_dump()["program"]
        assert not reserved(mine)
        assert programs == {mine} if environment.name == INDUCTION else mine not in programs


def test_a_proposal_to_induce_shows_the_program_it_is_for() -> None:
    environment = PYTHON[2]
    for document in proposals(environment):
        proposal = environment.proposer.parse(PROMPTS.envelope.open(azr.Reply(document.reply)), next(_references(environment)))
        assert len(proposal.inputs) == 10
        assert document.prompt.count("```python\n") == 1


def _references(environment: azr.Environment) -> Iterator[tuple[azr.Task, ...]]:
    assert environment.demonstrations
    for example in environment.demonstrations(random.Random(0)):
        assert example.references
        yield example.references


def test_traits_sort_programs_by_type_constructs_and_length() -> None:
    samples = list(islice(python.samples(random.Random(0), (1, 2, 3)), 60))
    assert all(1 < len({trait(sample) for sample in samples}) < len(samples) for trait in python.TRAITS)


def test_another_process_draws_the_same_documents() -> None:
    code = "import tests.test_documents as t; print(t.digest())"
    for hashes in ("1", "2"):
        environ = os.environ | {"PYTHONHASHSEED": hashes}
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environ)
        assert found.stdout.strip() == digest()


def digest() -> str:
    return hashlib.sha256(repr(drawn(TOY, *PYTHON)).encode()).hexdigest()
