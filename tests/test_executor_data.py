"""The executor on real programs: CRUXEval reproduces, and the released seeds are accepted and rejected as measured."""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from azr_plugins_python.executor import Executor, Job, LiteralError, Profile, Status, equal, expression_job, parse_arguments, parse_literal
from azr_plugins_python.executor.profiles import profile_of

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux"),
    pytest.mark.skipif(util.find_spec("sympy") is None or util.find_spec("numpy") is None, reason="seeds import sympy and numpy"),
]

ACCEPTED = ("repr_text_equal", "value_equal_only")
OUTSIDE = "14b_coder_seed_io.jsonl:112"
"""The one good seed that is refused: it returns a list that holds `int`, and the attack corpus says that a class is no value."""
_WRAPPED = re.compile(r"(?:dict_keys|deque|Counter|OrderedDict|defaultdict)\((?:<[^>]*>, )?(.*)\)", re.DOTALL)


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


def released(gold: str, value: object) -> bool:
    """Whether a value is the released one, which is stored as its repr: of a container's kind, a symbolic number, an expression."""
    if value == gold:
        return True
    wrapped = _WRAPPED.fullmatch(gold)
    stored = parse_literal(wrapped[1] if wrapped else gold)
    if wrapped and isinstance(value, set):
        return isinstance(stored, list) and set(stored) == value
    return equal(stored, value) or (isinstance(value, float) and equal(stored, float(f"{value:.15g}")))


def check(executor: Executor, rows: list[dict[str, Any]]) -> None:
    """Holds every verdict but those of truncated golds, whose value is recomputed; what is accepted has the released value."""
    results = executor.validate([job(row["code"], row["input"]) for row in rows])
    taken = Counter((row["verdict"], result.status is Status.ok) for row, result in zip(rows, results, strict=True))
    wrong = [
        (row["id"], row["verdict"], result.status, result.reason)
        for row, result in zip(rows, results, strict=True)
        if row["verdict"] != "gold_truncated_to_400"
        and row["id"] != OUTSIDE
        and (result.status is Status.ok) != (row["verdict"] in ACCEPTED)
    ]
    assert wrong == [], taken
    other = [
        (row["id"], result.calls[0].value)
        for row, result in zip(rows, results, strict=True)
        if row["verdict"] in ACCEPTED and row["id"] != OUTSIDE and not released(row["gold_output"], result.calls[0].value)
    ]
    assert other == []


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


def test_seeds_that_import_numpy_or_sympy_or_return_views_are_accepted(executor: Executor, test_data: Path) -> None:
    special = re.compile(r"numpy|sympy|deque|\.keys\(\)$")
    rows = [row for row in seeds(test_data) if row["verdict"] in ACCEPTED and special.search(row["code"])]
    check(executor, rows)
    assert sum(profile_of(row["code"]) is Profile.wide for row in rows) == 35


@pytest.mark.slow
def test_every_seed_gets_its_measured_verdict(executor: Executor, test_data: Path) -> None:
    check(executor, seeds(test_data))
