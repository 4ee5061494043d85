"""plugins/strict_math.py and plugins/wandb_log.py: what is there is changed or watched, and nothing else happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from gallery import file

import azr_core as azr
from azr_core.desk import judge
from azr_core.run import Request, resolve


@pytest.fixture(scope="module")
def strict() -> Iterator[azr.Environment]:
    config, plugins = resolve(Request(("math", file("strict_math")), {}))
    yield plugins.environments(config)["math/deduction"]
    plugins.close()


def deduction(environment: azr.Environment, *lines: str) -> azr.Task:
    proposal = environment.proposer.parse("\n".join(lines), ())
    [task] = judge(environment, "admit", [proposal])
    return task


def outcomes(environment: azr.Environment, task: azr.Task, answers: list[str]) -> list[str]:
    grades = judge(environment, "grade", [(task, answer) for answer in answers])
    return [str(grade.outcome) if isinstance(grade, azr.Verdict) else str(float(grade)) for grade in grades]


def test_right_answers_that_are_not_written_out_pass_no_longer(strict: azr.Environment) -> None:
    task = deduction(strict, "op: integrate", "expr: x*sqrt(2)/2", "var: x")
    usual: Any = strict.verifier
    answers = [task.answer, "x**2*sqrt(2)/4", "2/8*x**2*sqrt(2)", "0.25*x**2*sqrt(2)", "x**2*sqrt(8)/8", "x**2/(2*sqrt(2))", "x**2"]
    shipped = [grade == 1.0 for grade in usual.wrapped.grade_many([(task, answer) for answer in answers])]
    stricter = [outcome in ("solved", "1.0") for outcome in outcomes(strict, task, answers)]
    assert stricter[:2] == [True, True] and stricter[2:] == [False] * 5
    assert sum(shipped) > sum(stricter) and not shipped[-1]


@pytest.mark.parametrize(
    ("answer", "flawed"),
    [
        ("6/4", True), ("3/2", False), ("x**6/4", False), ("x ** 6 / 4", False), ("2**(6/4)", True), ("-6/4", True), ("6/(4)", True),
        ("4/1", True), ("1.5", True), ("sqrt(8)", True), ("2*sqrt(2)", False), ("sqrt(4)", True), ("sqrt(x)", False), ("sqrt(30)", False),
        ("1/sqrt(2)", True), ("x/(2*sqrt(3))", True), ("sqrt(2)/2", False), ("x6/4", False), ("9" * 500 + "/3", True),
        ("9" * 5000 + "/3", False), ("", False),
    ],
)  # fmt: skip
def test_flaws_are_seen_in_the_text(strict: azr.Environment, answer: str, flawed: bool) -> None:
    grade: Any = strict.verifier
    assert bool(list(grade._grade.__globals__["flaws"](answer))) is flawed


def test_a_flaw_that_the_reference_has_costs_nothing(strict: azr.Environment) -> None:
    rule: Any = strict.verifier
    solved = azr.Verdict(azr.Outcome.SOLVED, 1.0)
    task = azr.Task(question="?", answer="sqrt(8)")
    assert rule._grade(task, "sqrt(8)", solved) is solved
    assert rule._grade(task, "4/2*sqrt(2)", solved).outcome is azr.Outcome.WRONG
    wrong = azr.Verdict(azr.Outcome.WRONG)
    assert rule._grade(task, "6/4", wrong) is wrong


class Recorder(ModuleType):
    """What the plugin calls of wandb."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.begun: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, Any]]] = []

    def init(self, **settings: Any) -> Recorder:
        self.begun.append(settings)
        return self

    def Table(self, columns: list[str], data: list[list[Any]]) -> list[dict[str, Any]]:
        return [dict(zip(columns, row, strict=True)) for row in data]

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))


def report(step: int, count: int = 5) -> azr.StepReport:
    reply = azr.Reply("four")
    verdict = azr.Verdict(azr.Outcome.SOLVED, 1.0)
    made = [azr.Episode("toys/sums", azr.Kind.SOLVE, str(at), f"{at}?", reply, verdict, reward=1.0) for at in range(count)]
    return azr.StepReport(step, made, {})


def test_wandb_log_keeps_a_table_of_a_few_episodes_and_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", recorder)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    options = {"wandb_log": {"episodes": 3, "folder": str(tmp_path / "w")}}
    config, plugins = resolve(Request((file("wandb_log"), file("sorting")), {"plugin_options": options}))
    for step in (1, 2, 1):
        plugins.step(report(step), config)
    assert recorder.begun == [{"project": "azr", "dir": str(tmp_path / "w"), "mode": "offline"}]
    tables = [(step, values["episodes"]) for step, values in recorder.logged]
    assert [step for step, _ in tables] == [1, 2, 1] and all(len(table) == 3 for _, table in tables)
    assert tables[0] == tables[2] and tables[0][1] != tables[1][1]
    assert {key: tables[0][1][0][key] for key in ("environment", "kind", "outcome", "reward", "reply")} == {
        "environment": "toys/sums", "kind": "solve", "outcome": "solved", "reward": 1.0, "reply": "four",
    }  # fmt: skip
    plugins.close()


def test_wandb_log_says_how_to_get_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(azr.UsageError, match="needs wandb: python -m pip install wandb"):
        azr.load([file("wandb_log")])


def test_wandb_takes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="plugins/wandb_log.py needs wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    options = {"wandb_log": {"folder": str(tmp_path)}}
    config, plugins = resolve(Request((file("wandb_log"), file("sorting")), {"plugin_options": options}))
    plugins.step(report(1), config)
    import wandb

    wandb.finish()
    kept = [json.loads(table.read_text()) for table in tmp_path.rglob("media/table/*.json")]
    assert [len(table["data"]) for table in kept] == [5]
    plugins.close()
