"""docs/algorithm.md names nothing that is not there, and its register says what the presets say."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_plugins_python.options import Options
from azr_plugins_python.training.options import TrainerOptions

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/algorithm.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::([\w.]+)`", PAGE)))
NUMBERS, REGISTER = (PAGE.split(head)[1].split("\n\n")[0] for head in ("\n| number |", "\n| topic |"))


@cache
def defined(file: str) -> frozenset[str]:
    """Names of a file's functions, classes, and what stands in the classes."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from walk(node.body, f"{node.name}.")

    return frozenset(walk(ast.parse((ROOT / file).read_text()).body, ""))


def preset(name: str) -> Mapping[str, Any]:
    return tomllib.loads((ROOT / f"configs/presets/{name}.toml").read_text())


def setting(settings: Mapping[str, Any], name: str) -> Any:
    found: Any = settings
    for part in name.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_what_the_page_names_exists(file: str, name: str) -> None:
    assert name in defined(file), f"docs/algorithm.md names {file}::{name}"


def test_every_row_of_the_register_has_both_values_of_the_presets_and_a_test() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in REGISTER.splitlines()[2:]]
    assert len(rows) == 10
    for topic, option, *values, held in rows:
        told = [json.loads(value.strip("`")) for value in values]
        assert told == [setting(preset(name), option.strip("`")) for name in ("paper", "reference")], topic
        assert held.startswith("`tests/"), topic


def test_every_fault_has_a_test_of_its_number() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| \d+\. ", line)]
    assert len(rows) == 13
    for number, row in enumerate(rows, 1):
        assert row.startswith(f"| {number}. ") and f"::test_fault_{number:02d}_" in row


def test_every_option_that_the_page_gives_for_a_number_exists() -> None:
    models = {"trainer": TrainerOptions, "plugins.python": Options}
    for line in NUMBERS.splitlines()[2:]:
        for option in re.findall(r"`([\w.]+)`", line.split("|")[4]):
            owner, _, field = option.rpartition(".")
            assert field in models.get(owner, azr.RunConfig).model_fields or option == "buffer.cap", option
