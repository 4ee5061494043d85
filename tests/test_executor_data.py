"""The executor on real programs: CRUXEval reproduces, and the released seeds are accepted and rejected as measured."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azr_plugins_python.executor import Executor, Job, LiteralError, Status, equal, expression_job, parse_arguments, parse_literal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")

ACCEPTED = ("repr_text_equal", "value_equal_only")
OUTSIDE = ("ImportError", "type", "dict_keys", "deque")
"""Why a seed that the released executor took is outside ours: it imports sympy or numpy, or returns what is no value."""


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as built:
        yield built


def job(program: str, text: str) -> Job:
    """Released inputs are mostly literals; the others are code, which runs in the jail with the program."""
    try:
        parse_arguments(text)
    except LiteralError:
        return expression_job(program, text)
    return Job(program, (text,))


def seeds(test_data: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (test_data / "azr_seeds" / "triplets.jsonl").read_text().splitlines()]


def check(executor: Executor, rows: list[dict[str, Any]]) -> None:
    """Holds every verdict but those of truncated golds, whose value is recomputed."""
    results = executor.validate([job(row["code"], row["input"]) for row in rows])
    taken = Counter((row["verdict"], result.status is Status.ok) for row, result in zip(rows, results, strict=True))
    wrong = [
        (row["id"], row["verdict"], result.status, result.reason)
        for row, result in zip(rows, results, strict=True)
        if row["verdict"] != "gold_truncated_to_400"
        and (result.status is Status.ok) != (row["verdict"] in ACCEPTED)
        and result.reason not in OUTSIDE
    ]
    assert wrong == [], taken
    assert sum(result.reason in OUTSIDE for result in results) <= max(10, len(rows) // 100)


def test_all_800_functions_of_cruxeval_reproduce(executor: Executor, test_data: Path) -> None:
    rows = [json.loads(line) for line in (test_data / "cruxeval" / "cruxeval.jsonl").read_text().splitlines()]
    results = executor.run([job(row["code"], row["input"]) for row in rows])
    wrong = [
        (row["id"], result.status)
        for row, result in zip(rows, results, strict=True)
        if result.status is not Status.ok or not equal(result.calls[0].value, parse_literal(row["output"]))
    ]
    assert wrong == [] and len(rows) == 800


def test_seeds_that_depend_on_order_hash_address_or_history_are_rejected(executor: Executor, test_data: Path) -> None:
    check(executor, [row for row in seeds(test_data) if row["verdict"] not in ACCEPTED])


def test_a_fixed_sample_of_good_seeds_is_accepted(executor: Executor, test_data: Path) -> None:
    check(executor, random.Random(0).sample([row for row in seeds(test_data) if row["verdict"] in ACCEPTED], 300))


@pytest.mark.slow
def test_every_seed_gets_its_measured_verdict(executor: Executor, test_data: Path) -> None:
    check(executor, seeds(test_data))
