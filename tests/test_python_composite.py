"""Composite proposals: programs that must build on programs of the buffer."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

import azr_core as azr
from azr_core.buffer import UniformBuffer
from azr_core.config import RunConfig, Style
from azr_core.engine import Parts, SelfPlay
from azr_core.prompts import Prompts
from azr_core.rewards import Learnability
from azr_core.seeding import seed
from azr_core.testing import ScriptedPolicy
from azr_core.types import Kind
from azr_core.verification import Verification
from azr_plugins_python import composite, plugin
from azr_plugins_python.composite import Composite, as_function
from azr_plugins_python.environments import make_environments, make_executor
from azr_plugins_python.executor import Executor, Job, Status
from azr_plugins_python.options import Options
from azr_plugins_python.proposers import ProgramProposer, program_answer
from azr_plugins_python.tasks import DeductionTask, ProgramProposal

DOUBLE = "def f(x):\n    return x * 2"
FACTORIAL = "from math import prod\n\ndef f(n: int) -> int:\n    return prod(range(1, n + 1)) if n < 4 else n * f(n - 1)"
ALWAYS = Composite(start=1, chance=1.0)
REFERENCES = [DeductionTask.of(program, "3", "0") for program in (DOUBLE, FACTORIAL)]
G0 = "def g_0(x):\n    return x * 2"
BUILT = "def f(x):\n    y = g_0(x)\n    return y + 1"


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with make_executor(Options(wall_s=10, slots=2)) as built:  # a busy machine must not decide
        yield built


@pytest.fixture(scope="module")
def environments(executor: Executor) -> dict[str, azr.Environment]:
    return {made.name: made for made in make_environments(Options(composite=ALWAYS, error_task=True), executor)}


def test_composites_are_off_until_they_are_asked_for() -> None:
    proposer = ProgramProposer(Options().composite)
    for step in (0, 1, 1_000):
        proposer.begin(step)
        assert "functions" not in proposer.prompt(REFERENCES)
        assert proposer.parse(program_answer(DOUBLE, "1"), REFERENCES).functions == ()


def test_the_schedule_is_the_released_one() -> None:
    # update_*_start 101, *_interval 50, num_programs_max 3, probability 0.5 by 0.01 up to 0.8
    schedule = Composite(start=10, chance=0.5, most=1, grow_from=101)
    assert [schedule.at(step) for step in (0, 9)] == [(0.0, 0), (0.0, 0)]
    assert [schedule.at(step) for step in (10, 101, 150)] == [(0.5, 1)] * 3
    assert schedule.at(151) == (pytest.approx(0.51), 2)  # (151 - 101) // 50 = 1
    assert schedule.at(251) == (pytest.approx(0.53), 3)  # 3 growths, the most is capped at 3
    assert schedule.at(101 + 50 * 40) == (pytest.approx(0.8), 3)  # 0.5 + 40 * 0.01 = 0.9, capped
    assert Composite(start=1, chance=0.9, most=5, grow_from=1).at(9_999) == (0.9, 5)  # a cap never lowers
    assert Composite(start=1).at(9_999) == (0.5, 1)


def test_the_share_of_composites_is_the_chance_and_their_number_between_least_and_most() -> None:
    asked = Composite(start=1, chance=0.3, least=1, most=2)
    programs = [f"def f(x):\n    return x + {number}" for number in range(5)]
    counts = Counter(len(asked.functions(step, programs)) for step in range(1, 1_001))
    assert set(counts) == {0, 1, 2}
    assert 640 < counts[0] < 760  # 700 +- 4 standard deviations of 14.5
    assert abs(counts[1] - counts[2]) < 70


def test_what_is_asked_follows_from_the_step_and_the_references_alone() -> None:
    asked = Composite(start=1, chance=0.5, most=1)
    programs = [f"def f(x):\n    return x + {number}" for number in range(6)]
    first, second = ProgramProposer(asked), ProgramProposer(asked)
    references = [DeductionTask.of(program, "1", "1") for program in programs]
    for step in (7, 3, 7, 12):
        first.begin(step)
    second.begin(12)
    assert first.prompt(references) == second.prompt(references)
    assert len({asked.functions(step, programs) for step in range(1, 60)}) == 7  # none, or one of six
    assert len({asked.functions(5, programs[turn:] + programs[:turn]) for turn in range(6)}) > 1


def test_there_must_be_more_references_than_functions() -> None:
    assert ALWAYS.functions(1, [DOUBLE]) == ()
    assert len(ALWAYS.functions(1, [DOUBLE, FACTORIAL])) == 1
    assert Composite(start=1, chance=1.0, least=2, most=2).functions(1, [DOUBLE, FACTORIAL]) == ()


def test_functions_are_numbered_and_come_from_different_programs() -> None:
    triple = "def f(x):\n    return x * 3"
    functions = Composite(start=1, chance=1.0, least=2, most=2).functions(4, [DOUBLE, FACTORIAL, triple])
    assert [text.split("(")[0] for text in functions] == ["def g_0", "def g_1"]
    assert functions[0].replace("g_0", "") != functions[1].replace("g_1", "")
    assert Composite(start=1, chance=1.0, least=2, most=2).functions(4, [DOUBLE] * 6) == ()


def test_a_program_becomes_a_function_of_another_name_that_does_the_same(executor: Executor) -> None:
    text = as_function(FACTORIAL, "g_3")
    assert text == "def g_3(n):\n    from math import prod\n    return prod(range(1, n + 1)) if n < 4 else n * g_3(n - 1)"
    both = executor.run([Job(FACTORIAL, ("2", "6")), Job(text, ("2", "6"), "g_3")])
    assert [call.value for call in both[0].calls] == [call.value for call in both[1].calls] == [2, 720]


@pytest.mark.parametrize(
    "program",
    [
        "def h(x):\n    return x\ndef f(x):\n    return h(x)",
        "LIMIT = 3\ndef f(x):\n    return LIMIT",
        "f = abs",
        "class f:\n    pass",
        "async def f(x):\n    return x",
        "from __future__ import annotations\ndef f(x):\n    return x",
        "from math import *\ndef f(x):\n    return pi",
        "from functools import cache\n@cache\ndef f(x):\n    return x",
        "import math\ndef f(x, y=math.pi):\n    return x",
        "import re\ndef f(re):\n    return re",
        "def f(x):\n    f = 3\n    return f",
        "def f(x):\n    global y\n    y = x\n    return y",
        "def f(x):\n    g_1 = 3\n    return g_1",
        f"{G0}\ndef f(x):\n    return g_0(x) + 1",
    ],
)
def test_a_program_that_needs_its_module_is_not_built_on(program: str) -> None:
    assert as_function(program, "g_0") == ""


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def f(x):\n    return x + 1", "does not call g_0"),
        ("def f(x):\n    return 'g_0(x)'", "does not call g_0"),
        ("def h(x):\n    return g_0(x)\ndef f(x):\n    return x", "does not call g_0"),
        (f"{G0}\n{BUILT}", "redefines g_0"),
        ("g_0 = abs\n" + BUILT, "redefines g_0"),
        ("from math import sqrt as g_0\n" + BUILT, "redefines g_0"),
        ("def f(x):\n    g_0 = abs\n    return g_0(x) + 1", "redefines g_0"),
        ("def f(x, g_0=abs):\n    return g_0(x) + 1", "redefines g_0"),
        ("class g_0(int):\n    pass\n" + BUILT, "redefines g_0"),
        ("def f(x):\n    match x:\n        case g_0:\n            return g_0(x) + 1", "redefines g_0"),
        ("def f(x):\n    return g_0(x)", "only wraps"),
        ('def f(x):\n    """Doubles."""\n    return g_0(x)', "only wraps"),
        ("def f(x):\n    y = g_0(x)\n    return y", "only wraps"),
        ("def f(*x):\n    return g_0(*x), 1", "only wraps"),
        ("def f(x):\n    return g_0(g_0(x))", "only wraps"),
        ("f = lambda x: g_0(x) + 1", "no function f"),
        ("    y = 1\n" + BUILT, "not Python without"),
    ],
)
def test_a_program_that_does_not_build_on_its_functions_is_refused(
    environments: dict[str, azr.Environment], program: str, reason: str
) -> None:
    proposal = ProgramProposal(program=program, input="3", functions=(G0,))
    for name in ("deduction", "abduction", "error"):
        with pytest.raises(azr.InvalidTask, match=reason):
            environments[f"python/{name}"].verifier.admit(proposal)


def test_all_functions_must_be_called() -> None:
    with pytest.raises(azr.InvalidTask, match="does not call g_1"):
        composite.check(BUILT, (G0, G0.replace("g_0", "g_1")))
    composite.check(BUILT.replace("+ 1", "+ g_1(y)"), (G0, G0.replace("g_0", "g_1")))


@pytest.mark.parametrize(("name", "answer"), [("deduction", "7"), ("abduction", "3"), ("error", "NoError")])
def test_a_composite_task_is_self_contained_and_keeps_the_law(environments: dict[str, azr.Environment], name: str, answer: str) -> None:
    environment = environments[f"python/{name}"]
    proposal = ProgramProposal(program=BUILT, input="3", functions=(G0,))
    task = environment.verifier.admit(ProgramProposal.model_validate_json(proposal.model_dump_json()))
    assert (task.program, task.own, task.answer) == (f"{G0}\n\n{BUILT}", BUILT, answer)
    assert task.program in task.question
    assert environment.verifier.grade(task, answer) == 1.0
    assert environment.task_type.model_validate_json(task.model_dump_json()) == task


def test_measures_are_those_of_the_proposers_own_part(environments: dict[str, azr.Environment]) -> None:
    branched = "def g_0(x):\n    if x:\n        if x > 2:\n            return 1\n    return 2"
    proposal = ProgramProposal(program=BUILT, input="3", functions=(branched,))
    verifier = environments["python/deduction"].verifier
    task, plain = verifier.admit(proposal), DeductionTask.of(BUILT, "3", "2")
    assert task.output == plain.output
    assert verifier.measures(task, [task]) == verifier.measures(plain, [plain]) == verifier.measures(plain, [task])


@pytest.mark.parametrize("style", ["compact", "paper"])
def test_the_prompt_shows_the_functions_and_the_answer_is_read_with_them(environments: dict[str, azr.Environment], style: str) -> None:
    environment = environments["python/deduction"]
    environment.proposer.begin(1)
    prompt = Prompts(Style(style)).propose(environment, REFERENCES)
    proposal = environment.proposer.parse(program_answer(BUILT, "3"), REFERENCES)
    assert len(proposal.functions) == 1
    assert f"```functions\n{proposal.functions[0]}\n```" in prompt
    assert ("calls every function of the block" in prompt) is (style == "paper")


def test_an_ordinary_runs_prompts_do_not_speak_of_composites() -> None:
    made = make_environments(Options(), make_executor(Options()))
    assert not any("functions block" in text or "{composite}" in text for environment in made for text in environment.templates.values())


def test_the_options_of_a_run_reach_the_proposers_and_a_typo_is_refused() -> None:
    config = RunConfig(plugins=("python",), plugin_options={"python": {"composite": {"start": 1, "chance": 1.0}}})
    first = plugin.azr_environments(config)[0]
    first.proposer.begin(1)
    assert "```functions" in first.proposer.prompt(REFERENCES)
    with pytest.raises(ValidationError, match="chanse"):
        Composite.model_validate({"chanse": 1.0})


def test_a_step_of_a_run_asks_for_composites_from_its_start_on_and_remembers_them(environments: dict[str, azr.Environment]) -> None:
    environment = replace(environments["python/deduction"], proposer=ProgramProposer(Composite(start=2, chance=1.0)))
    config = RunConfig.model_validate({"plugins": ("python",), "batch_size": 4, "probe_samples": 2, "style": "compact"})
    engine = SelfPlay(config, Parts({environment.name: environment}, UniformBuffer(), Learnability(), Verification()))
    seed(engine)
    policy = ScriptedPolicy(lambda prompt: f"<|answer|>{program_answer(BUILT, '3') if prompt.startswith('<|propose|>') else '7'}<|end|>")
    for step, calls in ((1, 0), (2, 4)):
        episodes = [episode for episode in engine.step(policy, step) if episode.kind is Kind.PROPOSE]
        assert sum("```functions" in episode.prompt for episode in episodes) == calls
        assert {episode.outcome for episode in episodes} <= ({azr.Outcome.ADMITTED, azr.Outcome.DUPLICATE, azr.Outcome.INVALID})
        admitted = [episode.task for episode in episodes if episode.outcome is azr.Outcome.ADMITTED]
        assert bool(admitted) is bool(calls) and all(task and task.program.startswith("def g_0(") for task in admitted)  # type: ignore[attr-defined]


def test_functions_made_of_real_programs_do_what_the_programs_do(executor: Executor, test_data: Path) -> None:
    lines = [json.loads(line) for line in (test_data / "cruxeval/cruxeval.jsonl").read_text("utf-8").split("\n") if line]
    made = [(line, text) for line in lines if (text := as_function(line["code"], "g_0"))]
    assert len(made) > 700
    renamed = executor.run([Job(text, (line["input"],), "g_0") for line, text in made])
    plain = executor.run([Job(line["code"], (line["input"],)) for line, _ in made])
    for (line, text), one, other in zip(made, renamed, plain, strict=True):
        assert (one.status, one.reason, one.calls[0].value) == (other.status, other.reason, other.calls[0].value), line["id"]
        assert len(ast.parse(text).body) == 1
    assert sum(result.status is Status.ok for result in renamed) > 700
