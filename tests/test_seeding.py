"""Seeds: grown by a model from the first one on, kept in files, and admitted from them through the gate."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import toy_plugin

import azr_core as azr
from azr_core import seeding
from azr_core.buffer import UniformBuffer
from azr_core.cli import main
from azr_core.engine import Parts, SelfPlay
from azr_core.rewards import Learnability
from azr_core.testing import ScriptedPolicy
from azr_core.verification import Verification
from azr_plugins_python.environments import ABDUCTION, DEDUCTION, INDUCTION, make_environments
from azr_plugins_python.executor import Executor
from azr_plugins_python.options import Options
from azr_plugins_python.tasks import InductionProposal, ProgramProposal

NAME = "toy/sorting"
jail = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")
Environments = dict[str, azr.Environment]


@pytest.fixture(scope="module")
def python() -> Iterator[Environments]:
    with Executor() as executor:
        yield {environment.name: environment for environment in make_environments(Options(), executor)}


def toy() -> Environments:
    return {environment.name: environment for environment in toy_plugin.azr_environments()}


def loop(environments: Environments, benchmarks: Sequence[azr.Benchmark] = ()) -> SelfPlay:
    config = azr.RunConfig(plugins=("toy",), batch_size=2, references=2, style=azr.Style.COMPACT)
    return SelfPlay(config, Parts(environments, UniformBuffer(), Learnability(), Verification(), benchmarks))


def reply(answer: str) -> str:
    return azr.ENVELOPES[azr.Style.COMPACT]().reply("", answer)


def longer(prompt: str) -> str:
    """Another list of numbers for every prompt: those it shows, and their number."""
    numbers = [word for word in prompt.split() if word.isdigit()]
    return reply(f"{' '.join(numbers[-9:])} {len(numbers)}")


def grow(file: Path, policy: azr.Policy, environments: Environments, tasks: int = 6, stop: Callable[[], bool] = lambda: False) -> Any:
    growth = seeding.Growth(file, tasks, azr.Listener(), stop)
    return seeding.grow(loop(environments), policy, growth)


def written(file: Path, *lines: object) -> str:
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(file)


def seeds(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_seeds_grow_from_the_first_one_alone_and_only_what_was_grown_is_shown(tmp_path: Path) -> None:
    policy, file = ScriptedPolicy(longer), tmp_path / "new" / "seeds.jsonl"
    assert grow(file, policy, toy()) == {NAME: 6}
    grown = seeds(file)
    assert grown[0] == {"environment": NAME, "proposal": {"numbers": [2, 1]}} and len(grown) == 6
    questions = {" ".join(map(str, line["proposal"]["numbers"])) for line in grown}
    shown = {line.removeprefix("Sort ") for prompt in policy.prompts for line in prompt.splitlines() if line.startswith("Sort ")}
    assert shown and shown <= questions and "3 1 2" not in questions


def test_a_growth_that_was_stopped_goes_on_to_the_file_of_one_that_was_not(tmp_path: Path) -> None:
    whole, parted = tmp_path / "whole.jsonl", tmp_path / "parted.jsonl"
    grow(whole, ScriptedPolicy(longer), toy())
    rounds = itertools.count()
    assert grow(parted, ScriptedPolicy(longer), toy(), stop=lambda: next(rounds) > 1)[NAME] < 6
    with parted.open("a") as file:
        file.write('{"environment": "toy/sor')  # the line in which a process was killed
    assert grow(parted, ScriptedPolicy(longer), toy()) == {NAME: 6}
    assert parted.read_text() == whole.read_text()


def test_a_full_file_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "seeds.jsonl"
    grow(file, ScriptedPolicy(longer), toy())
    before = file.read_text()
    assert grow(file, ScriptedPolicy([]), toy(), tasks=4) == {NAME: 6} and file.read_text() == before


def test_a_model_that_makes_no_seeds_is_told_so_with_reasons_and_what_it_made_is_kept(tmp_path: Path) -> None:
    policy = ScriptedPolicy(lambda prompt: reply("1"))
    with pytest.raises(azr.UsageError, match=r"toy/sorting: 8 rounds .* first 1 \(2 × fewer than two numbers\); choose a stronger --model"):
        grow(tmp_path / "seeds.jsonl", policy, toy())
    assert len(seeds(tmp_path / "seeds.jsonl")) == 1 and len(policy.prompts) == 16


class Shared(seeding.PlainSeeds):
    """One form for two environments."""

    def read(self, lines: Sequence[Any]) -> list[Any]:
        return super().read([{**line, "environment": NAME} for line in lines])


def test_what_environments_share_is_a_seed_only_if_each_admits_it(tmp_path: Path) -> None:
    class NoFives(toy_plugin.ToyVerifier):
        def admit(self, proposal: toy_plugin.Numbers) -> toy_plugin.Sorting:
            if 5 in proposal.numbers:
                raise azr.InvalidTask("a five")
            return super().admit(proposal)

    (plain,) = toy().values()
    form = Shared(plain)
    both = {
        name: azr.Environment(name, toy_plugin.ToyProposer(), verifier, plain.seeds, toy_plugin.Sorting, seed_format=form)
        for name, verifier in ((NAME, toy_plugin.ToyVerifier()), ("toy/other", NoFives()))
    }
    numbers = itertools.count(3)
    assert grow(tmp_path / "s.jsonl", ScriptedPolicy(lambda prompt: reply(f"9 {next(numbers)}")), both) == {"toy/sorting, toy/other": 6}
    assert [line["proposal"]["numbers"][1] for line in seeds(tmp_path / "s.jsonl")] == [1, 3, 4, 6, 7, 8]
    engine = loop(both)
    seeding.seed(engine, None, [str(tmp_path / "s.jsonl")])
    assert [engine.buffer.count(name) for name in both] == [6, 6]


def test_a_run_starts_from_its_files_alone_and_says_what_came_of_them(tmp_path: Path) -> None:
    numbers = [{"environment": NAME, "proposal": {"numbers": row}} for row in ([5, 4], [9, 8, 7], [1], [5, 4], ["x"])]
    engine = loop(toy())
    notes = seeding.seed(engine, None, [written(tmp_path / "s.jsonl", *numbers, {"environment": "other/kind"})])
    refused = "1 × fewer than two numbers, 1 × the task is known, 1 × not a proposal"
    assert notes[0] == f"toy/sorting: 2 of 5 seeds admitted; refused: {refused}"
    assert notes[1].startswith("1 of 6 lines in ") and engine.buffer.count(NAME) == 2


def test_an_environment_without_seeds_in_the_files_starts_from_its_own(tmp_path: Path) -> None:
    engine = loop(toy())
    seeding.seed(engine, None, [written(tmp_path / "s.jsonl", {"environment": "other/kind"})])
    assert engine.buffer.count(NAME) == 2


def test_a_held_out_task_does_not_come_in_through_a_file(tmp_path: Path) -> None:
    environments = toy()
    task = toy_plugin.ToyVerifier().admit(toy_plugin.Numbers(numbers=(5, 4)))
    engine = loop(environments, [azr.Benchmark("held", {NAME: [task]}, environments)])
    rows = ([5, 4], [6, 4])
    file = written(tmp_path / "s.jsonl", *({"environment": NAME, "proposal": {"numbers": row}} for row in rows))
    assert "1 of 2 seeds admitted; refused: 1 × the task is in a benchmark" in seeding.seed(engine, None, [file])[0]


def test_a_seed_that_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    class Short(ScriptedPolicy):
        def fits(self, prompt: str, sampling: azr.Sampling) -> bool:
            return "7 8 9" not in prompt

    rows = ([5, 4], [7, 8, 9])
    file = written(tmp_path / "s.jsonl", *({"environment": NAME, "proposal": {"numbers": row}} for row in rows))
    assert "refused: 1 × the task is too long to be asked" in seeding.seed(loop(toy()), Short([]), [file])[0]


@pytest.mark.parametrize(("text", "mend"), [('{"a": 1}\n[2]\n', "line 2: not a JSON object"), (None, "cannot be read")])
def test_a_broken_or_missing_file_is_named(text: str | None, mend: str, tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl"
    if text:
        file.write_text(text)
    with pytest.raises(azr.ConfigError, match=f"s.jsonl.*{mend}"):
        seeding.seed(loop(toy()), None, [str(file)])


def test_the_setting_takes_one_file_or_several_and_makes_them_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = str(tmp_path / "one.jsonl"), str(tmp_path / "two.jsonl")
    assert azr.RunConfig.model_validate({"plugins": ("x",), "seeds": "one.jsonl"}).seeds == (one,)
    assert azr.RunConfig.model_validate({"plugins": ("x",), "seeds": ["one.jsonl", two]}).seeds == (one, two)
    with pytest.raises(azr.ConfigError, match="seeds"):
        azr.parse(azr.RunConfig, {"plugins": ("x",), "seeds": 3}, "configuration")


@jail
def test_grown_programs_lose_comments_and_global_statements_and_must_stand_without_them(python: Environments, tmp_path: Path) -> None:
    program = 'import math\nN = 3\ndef f(x):\n    """Doubles."""\n    return x * 2  # twice\nprint(f(1))'
    needs = "N = 3\ndef f(x):\n    return x + N"
    texts = itertools.cycle(reply(f"```python\n{text}\n```\n```input\n7\n```") for text in (needs, program))
    two = {name: python[name] for name in (DEDUCTION, ABDUCTION)}
    grow(tmp_path / "s.jsonl", ScriptedPolicy(lambda prompt: next(texts)), two, tasks=2)
    assert seeds(tmp_path / "s.jsonl")[1] == {
        "snippet": "import math\n\ndef f(x):\n    return x * 2", "input": "7", "output": "14", "imports": ["import math"],
        "original_snippet": "import math\n\ndef f(x):\n    return x * 2", "composite_functions": [],
    }  # fmt: skip


@jail
def test_inductions_grow_on_the_programs_that_were_grown_before_them(python: Environments, tmp_path: Path) -> None:
    inputs = "\n".join(f"```input\n{number}\n```" for number in range(10))
    numbers = itertools.count(2)

    def answer(prompt: str) -> str:
        if "input" not in prompt:  # asked for inputs: the program alone is shown
            return reply(f"{inputs}\n```message\nwhat comes out\n```")
        return reply(f"```python\ndef f(x):\n    return x * {next(numbers)}\n```\n```input\n7\n```")

    grown = grow(tmp_path / "s.jsonl", ScriptedPolicy(answer), dict(python), tasks=4)
    assert grown == {f"{DEDUCTION}, {ABDUCTION}": 4, INDUCTION: 4}
    lines = seeds(tmp_path / "s.jsonl")
    programs = {line["snippet"] for line in lines[:4]}
    assert all("input" in line for line in lines[:4]) and {line["snippet"] for line in lines[4:]} <= programs


@jail
def test_inputs_that_are_code_become_the_literals_they_stand_for_or_are_refused(python: Environments) -> None:
    form = python[DEDUCTION].seed_format
    assert form
    texts = ["dict(a=1, b=[2])", "list(range(3)), k=2 ** 3", "lambda x: x", "f(", "print(1) or 5", "[1, 2]"]
    found = form.read([{"snippet": "def f(*a, **k):\n    return a", "input": text} for text in texts])
    read = [one.input if isinstance(one, ProgramProposal) else None for one in found]
    assert read == ["dict(a=1, b=[2])", "[0, 1, 2], k=8", None, None, "5", "[1, 2]"]
    assert all("an input stands for no literal" in str(found[index]) for index in (2, 3))


@jail
@pytest.mark.parametrize("line", [{"snippet": 1, "input": "2"}, {"input": "2"}, {"snippet": "def f(x): 1", "input": 2}])
def test_a_line_of_the_form_with_wrong_types_is_refused_and_any_other_is_not_ours(line: dict[str, Any], python: Environments) -> None:
    form, induction = python[DEDUCTION].seed_format, python[INDUCTION].seed_format
    assert form and induction
    assert isinstance(form.read([line])[0], azr.InvalidTask) and form.read([{"snippet": "x"}, {"inputs": []}]) == [None, None]
    assert isinstance(induction.read([{"inputs": "no list"}])[0], azr.InvalidTask) and induction.read([line]) == [None]


@jail
def test_released_seeds_are_admitted_through_the_gate_and_written_as_they_stand(
    python: Environments, test_data: Path, tmp_path: Path
) -> None:
    folder = test_data / "azr_seeds" / "released"
    programs, inductions = (
        [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()[:40]]
        for name in ("14b_coder_seed_io", "7b_code_f_seed_io")
    )
    engine = loop(python)
    notes = seeding.seed(engine, None, [written(tmp_path / "both.jsonl", *programs, *inductions)])
    counts = [engine.buffer.count(name) for name in (DEDUCTION, ABDUCTION, INDUCTION)]
    assert counts[0] == counts[1] >= 36 and counts[2] >= 28
    assert all(any(note.startswith(f"{name}: {count} of 40 seeds") for note in notes) for name, count in zip(python, counts, strict=True))
    again = [line | {"input": one.input} for line, one in zip(programs, read(python, DEDUCTION, programs), strict=True)]
    for name, lines in ((DEDUCTION, again), (INDUCTION, inductions[1:])):
        form = python[name].seed_format
        assert form
        for line, proposal in zip(lines, read(python, name, lines), strict=True):
            task = python[name].verifier.admit_many([proposal])[0]
            if isinstance(task, azr.Task):
                kept = {key: value for key, value in line.items() if not key.startswith("_")}
                made = dict(form.write(proposal, task))
                assert made.keys() == kept.keys() and read(python, name, [made]) == [proposal]


def read(environments: Environments, name: str, lines: Sequence[Any]) -> list[ProgramProposal | InductionProposal]:
    form = environments[name].seed_format
    assert form
    found = form.read(lines)
    assert all(isinstance(one, azr.Proposal) for one in found)
    return found


@jail
def test_the_embedded_model_grows_seeds_and_a_run_starts_from_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, sizes = str(tmp_path / "seeds.jsonl"), ["--set", "batch_size=6", "--set", "trainer.threads=1", "--set", "propose_tokens=160"]
    with pytest.raises(SystemExit) as left:
        main(["seed", "--plugin", "python", "--out", file, "--tasks", "4", *sizes])
    told = capfd.readouterr().out
    assert left.value.code == 0 and "python/induction  4 seeds" in told and "--set seeds=" in told.replace("\n", "")
    with pytest.raises(SystemExit) as left:
        main(["run", "--plugin", "python", "--dry-run", "--set", f"seeds={file}", "--set", "environments.python/deduction=1", *sizes])
    assert left.value.code == 0 and "python/induction: 4 of 4 seeds admitted" in " ".join(capfd.readouterr().out.split())
