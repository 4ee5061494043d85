"""The plugins in plugins/: each is loaded as a user would and does what its docstring says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from resumed_plugin import Squaring, environment

import azr_core as azr
from azr_core.cli import main
from azr_core.desk import judge
from azr_core.run import Request, resolve

ROOT = Path(__file__).parents[1]
GALLERY = sorted((ROOT / "plugins").glob("*.py"))
SEEDED = str(ROOT / "tests/resumed_plugin.py")
POSING = str(ROOT / "tests/posing_plugin.py")
PROGRAM = "def f(x):\n    return [x, x + 1]"
Resolve = Callable[..., tuple[azr.RunConfig, azr.Plugins]]


@pytest.fixture
def loaded() -> Iterator[Resolve]:
    """Resolve the settings of a run with the plugins of these names and files, as `azr run` does."""
    opened: list[azr.Plugins] = []

    def load(*names: str, settings: Mapping[str, Any] | None = None) -> tuple[azr.RunConfig, azr.Plugins]:
        config, plugins = resolve(Request(names, settings or {}))
        opened.append(plugins)
        return config, plugins

    yield load
    for plugins in opened:
        plugins.close()


def path(name: str) -> str:
    return str(ROOT / "plugins" / f"{name}.py")


def play(tmp_path: Path, *words: str) -> None:
    """`azr run` with a scripted trainer, and the words."""
    asked = ["run", "--plugin", SEEDED, "--set", "trainer.name=seeded", "--set", "batch_size=4", "--runs-dir", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as left:
        main([*asked, "--name", "one", *words])
    assert left.value.code == 0


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_every_plugin_of_the_gallery_says_how_it_is_run(file: Path) -> None:
    assert f"--plugin plugins/{file.name}" in file.read_text()


@pytest.mark.parametrize("name", ["easy_first", "exact_text", "sorting", "step_log"])
def test_a_plugin_that_brings_one_thing_is_short(name: str) -> None:
    assert len(Path(path(name)).read_text().splitlines()) < 60


def test_step_log_writes_a_line_a_step_to_the_file_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    play(tmp_path, "--steps", "3", "--plugin", path("step_log"), "--set", "plugins.step_log.file=mine.jsonl")
    rows = [json.loads(line) for line in Path("mine.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all(row["episodes"] and "solve_rate/toys/squaring" in row for row in rows)
    assert not Path("steps.jsonl").exists()


def test_step_log_has_a_file_by_default_and_names_one_that_it_cannot_write(
    loaded: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config, plugins = loaded(SEEDED, path("step_log"), settings={"trainer": {"name": "seeded"}})
    plugins.step(azr.StepReport(1, (), {"failed": 0.0}), config)
    assert json.loads(Path("steps.jsonl").read_text()) == {"step": 1, "episodes": 0, "failed": 0.0}
    config, plugins = loaded(SEEDED, path("step_log"), settings={"plugin_options": {"step_log": {"file": "no/such/folder"}}})
    with pytest.raises(azr.RunError, match=r"no/such/folder.*choose another file"):
        plugins.step(azr.StepReport(1, (), {}), config)


def deduction(config: azr.RunConfig, plugins: azr.Plugins) -> tuple[azr.Environment, azr.Task]:
    found = plugins.environments(config)["python/deduction"]
    [task] = judge(found, "admit", [found.proposer.parse(f"```python\n{PROGRAM}\n```\n```input\n1\n```", ())])
    return found, task


@pytest.mark.parametrize(("answer", "usual", "exact"), [("[1, 2]", 1, 1), ("[1,2]", 1, 0), (" [1, 2]\n", 1, 1), ("[1]", 0, 0)])
def test_exact_text_wants_the_text_where_the_value_would_do(loaded: Resolve, answer: str, usual: int, exact: int) -> None:
    for names, wanted in ((("python",), usual), (("python", path("exact_text")), exact)):
        found, task = deduction(*loaded(*names))
        block = f"```output\n{answer.strip()}\n```"
        assert [score(grade) for grade in judge(found, "grade", [(task, answer), (task, block)])] == [wanted, wanted]
        assert score(found.verifier.grade(task, answer)) == wanted


def score(grade: Any) -> float:
    return grade.score if isinstance(grade, azr.Verdict) else float(grade)


def test_exact_text_replaces_deduction_only_and_keeps_what_it_wraps(loaded: Resolve) -> None:
    _, plain = loaded("python")
    config, plugins = loaded("python", path("exact_text"))
    found = plugins.environments(config)
    usual = plain.environments(config)
    replaced = {name for name in found if type(found[name].verifier) is not type(usual[name].verifier)}
    assert replaced == {"python/deduction"}
    verifier, task = deduction(config, plugins)[0].verifier, deduction(config, plugins)[1]
    assert verifier.isolated is True
    assert verifier.skeleton(task) == usual["python/deduction"].verifier.skeleton(task) != ""
    assert verifier.measures(task, ()) == usual["python/deduction"].verifier.measures(task, ())
    assert verifier.protection() == usual["python/deduction"].verifier.protection()
    assert verifier.checks() == usual["python/deduction"].verifier.checks() != ()
    shipped = [benchmark.environments["python/deduction"].verifier for benchmark in plugins.benchmarks(config)]
    assert all(type(one) is type(usual["python/deduction"].verifier) for one in shipped)


@pytest.mark.parametrize("isolated", [True, False])
def test_exact_text_runs_where_the_verifier_it_wraps_runs(loaded: Resolve, isolated: bool) -> None:
    config, plugins = loaded("python", path("exact_text"))
    wrapper: Any = type(plugins.environments(config)["python/deduction"].verifier)
    wrapped = environment().verifier
    wrapped.isolated = isolated
    assert wrapper(wrapped).isolated is isolated


def test_easy_first_shows_short_references_first_and_reads_the_answer_beside_the_same(loaded: Resolve) -> None:
    config, plugins = loaded(SEEDED, path("easy_first"), settings={"trainer": {"name": "seeded"}})
    found = plugins.environments(config)["toys/squaring"]
    tasks = [environment().verifier.admit(Squaring(number=number)) for number in (12345, 7, 123)]
    shown = found.proposer.prompt(tasks)
    assert [shown.index(f"Square {number}\n") for number in (7, 123, 12345)] == sorted(shown.index(task.question + "\n") for task in tasks)
    assert found.proposer.parse("9", tasks).model_dump() == {"number": 9}


def test_easy_first_takes_any_proposer(loaded: Resolve) -> None:
    config, plugins = loaded("python", str(ROOT / "tests/toy_plugin.py"), path("easy_first"))
    found = plugins.environments(config)
    assert len(found) == 4 and len({type(one.proposer) for one in found.values()}) == 1
    induction = found["python/induction"]
    longer, shorter = (deduction_of(found["python/deduction"], text) for text in (PROGRAM, "def f(x):\n    return x"))
    blocks = "\n".join([*(f"```input\n{number}\n```" for number in range(10)), "```message\nhint\n```"])
    proposal: Any = induction.proposer.parse(blocks, [longer, shorter])
    assert proposal.program == "def f(x):\n    return x" and "return x" in induction.proposer.prompt([longer, shorter])


def deduction_of(found: azr.Environment, program: str) -> azr.Task:
    tasks: Sequence[azr.Task] = judge(found, "admit", [found.proposer.parse(f"```python\n{program}\n```\n```input\n1\n```", ())])
    return tasks[0]


def loads(file: Path) -> bool:
    """Whether what a plugin needs is installed."""
    try:
        azr.load([str(file)]).close()
    except azr.UsageError as error:
        assert "python -m pip install" in str(error)
        return False
    return True


def test_a_run_with_the_whole_gallery_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [word for file in filter(loads, GALLERY) for word in ("--plugin", str(file))]
    few = ["--set", "batch_size=4", "--set", "evaluation.final=false", "--steps", "2", "--runs-dir", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as left:
        main(["run", "--plugin", POSING, "--set", "trainer.name=posing", *few, *files])
    assert left.value.code == 0


def test_sorting_takes_the_numbers_in_order_however_they_are_spaced(loaded: Resolve) -> None:
    config, plugins = loaded(path("sorting"))
    found = plugins.environments(config)["order/sorting"]
    [task] = judge(found, "admit", [found.proposer.parse('{"numbers": [3, -1, 2, 2]}', ())])
    scores = {"-1 2 2 3": 1, " -1 2\n2 3 ": 1, "-1 2 3": 0, "3 2 2 -1": 0, "-1, 2, 2, 3": 0, "": 0}
    assert judge(found, "grade", [(task, answer) for answer in scores]) == list(scores.values())
    [refusal] = judge(found, "admit", [found.proposer.parse('{"numbers": [1, 2]}', ())])
    assert str(refusal) == "the numbers are in order already"
    with pytest.raises(azr.FormatError, match="less than or equal to 99"):
        found.proposer.parse('{"numbers": [100, 1]}', ())
