"""The author's kit: forms of proposals, environments of functions, what is held out, and wrapped parts."""

from __future__ import annotations

import inspect
import json
import random
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

import azr_core as azr
from azr_core.forms import MAX_CHARACTERS, MAX_DEPTH
from azr_core.testing import check_environment
from azr_core.verification import Verification

Small = Annotated[int, Field(ge=0, le=9)]


class Way(StrEnum):
    UP = "up"
    DOWN = "down"


class Point(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    x: int
    y: float = 0.0


class Puzzle(azr.Proposal):
    """Everything that a field may be."""

    word: str = Field(min_length=1, max_length=20, description="any word")
    way: Way = Way.UP
    numbers: tuple[Small, ...] = Field(default=(), max_length=3)
    points: dict[str, Point] = Field(default={})
    any: Any = None
    perhaps: int | None = None


EXAMPLE = Puzzle(word="stone")
JSON, LITERAL = azr.JsonProposer(Puzzle, EXAMPLE), azr.LiteralProposer(Puzzle, EXAMPLE)
puzzles = st.builds(
    Puzzle,
    word=st.from_regex(r"[a-zé:{}'\"`#]{1,20}", fullmatch=True),
    way=st.sampled_from(Way),
    numbers=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    points=st.dictionaries(st.text("ab"), st.builds(Point, x=st.integers(), y=st.floats(allow_nan=False, allow_infinity=False))),
    any=st.recursive(st.none() | st.booleans() | st.integers() | st.text("ab'\" "), st.lists, max_leaves=4),
    perhaps=st.none() | st.integers(),
)


@given(puzzles, st.sampled_from([JSON, LITERAL]))
def test_what_is_written_is_read(puzzle: Puzzle, proposer: azr.FormProposer[Puzzle]) -> None:
    assert proposer.parse(proposer.write(puzzle), ()) == puzzle


@given(st.text(max_size=60) | st.text("{}[]\"':,0a`jsontrue \n", max_size=60), st.sampled_from([JSON, LITERAL]))
def test_any_text_is_a_proposal_or_has_no_form(text: str, proposer: azr.FormProposer[Puzzle]) -> None:
    try:
        found = proposer.parse(text, ())
    except azr.FormatError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert Puzzle.model_validate_json(found.model_dump_json()) == found


def test_the_description_says_what_each_field_may_be() -> None:
    described = JSON.describe()
    assert JSON.write(EXAMPLE) in described
    for line in (
        "- word (text of 1 to 20 characters): any word",
        '- way ("up" or "down"; "up" if left out)',
        "- numbers (a list of at most 3 items, each a whole number 0 to 9; [] if left out)",
        "- points (an object whose values are an object with x (a whole number), y (a number); {} if left out)",
        "- perhaps (a whole number or null; null if left out)",
    ):
        assert line in described.splitlines()
    assert LITERAL.write(EXAMPLE) in LITERAL.describe() and "word: stone" in LITERAL.describe().splitlines()


@pytest.mark.parametrize(
    "text", ['{"word": "a"}', ' \n{"word":"a"}\n', '```json\n{"word": "a"}\n```', 'So:\n```\n{"word": "a"}\n```\nDone.']
)
def test_one_object_is_read_bare_or_fenced(text: str) -> None:
    assert JSON.parse(text, ()) == Puzzle(word="a")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not one JSON object"),
        ("[1]", "no object with word, way"),
        ('{"word": "a"} {"word": "b"}', "not one JSON object: Extra data"),
        ('```json\n{"word": "a"}\n```\n```json\n{"word": "b"}\n```', "2 fenced blocks, one is needed"),
        ("{}", "'word' is missing"),
        ('{"word": "a", "wrd": 1}', "there is no 'wrd'; the fields are word, way"),
        ('{"word": "a", "points": {"p": {"x": 1, "z": 2}}}', "there is no 'points.p.z'"),
        ('{"word": "a", "word": "b"}', "the key 'word' stands twice"),
        ('{"word": "a", "numbers": [10]}', "numbers.0: Input should be less than or equal to 9"),
        ('{"word": "a", "numbers": ["1"]}', "numbers.0: Input should be a valid integer"),
        ('{"word": "a", "numbers": [true]}', "numbers.0: Input should be a valid integer"),
        ('{"word": "a", "any": NaN}', "NaN is not a finite number"),
        ('{"word": "a", "any": 1e999}', "1e999 is not a finite number"),
        ('{"word": "a", "any": "\\ud800"}', "no character"),
        ('{"word": "a", "any": ' + "[" * 40 + "]" * 40 + "}", f"more than {MAX_DEPTH} lists"),
        ('{"word": "a", "any": ' + "[" * 3_000 + "]" * 3_000 + "}", f"more than {MAX_DEPTH} lists"),
        ('{"word": "a", "any": ' + "9" * 5_000 + "}", "not one JSON object"),
        ('{"word": "' + "a" * MAX_CHARACTERS + '"}', f"at most {MAX_CHARACTERS} are read"),
    ],
)
def test_what_is_no_proposal_is_told_in_words(text: str, reason: str) -> None:
    with pytest.raises(azr.FormatError) as refused:
        JSON.parse(text, ())
    assert reason in str(refused.value)


def test_a_line_a_field_takes_json_and_python_and_evaluates_nothing() -> None:
    found = LITERAL.parse("word: a: 'b' # c\nany: ('x', [1, None, True])\nnumbers: [1,2]\nway: down", ())
    assert found == Puzzle(word="a: 'b' # c", any=["x", [1, None, True]], numbers=(1, 2), way=Way.DOWN)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a stone", "is no line `name: value`"),
        ("stone: 1", "is no line `name: value` with a name of word"),
        ("word: a\nword: b", "two lines of 'word'"),
        ("word: a\nany: __import__('os').getcwd()", "not a literal"),
        ("word: a\nany: 1 + 1", "not a literal"),
        ("word: a\nany: {1, 2}", "not a literal"),
        ("word: a\nany: 9 ** 9 ** 9", "not a literal"),
        ("word: a\nany: " + "-" * 5_000 + "1", "not a literal"),
        ("word: a\nany: " + "(" * 5_000 + "1", "not a literal"),
        ("word: a\nany: " + "1+" * 3_000 + "1", "not a literal"),
        ('word: a\nany: {"a": 1, "a": 2}', "stands twice"),
    ],
)
def test_a_line_that_holds_no_literal_is_told_in_words(text: str, reason: str) -> None:
    with pytest.raises(azr.FormatError) as refused:
        LITERAL.parse(text, ())
    assert reason in str(refused.value)


def test_a_model_inside_that_takes_any_key_is_refused() -> None:
    class Loose(BaseModel):
        x: int

    class Holder(azr.Proposal):
        inner: Loose

    with pytest.raises(azr.PluginError, match="its model Loose takes any key"):
        azr.JsonProposer(Holder, Holder(inner=Loose(x=1)))


class Pair(azr.Proposal):
    left: Small
    right: Small


def add(pair: Pair) -> tuple[str, str]:
    if pair.left == pair.right:
        raise azr.InvalidTask("a number twice")
    return f"{pair.left} + {pair.right}", str(pair.left + pair.right)


def exactly(task: azr.PosedTask[Pair], answer: str) -> float:
    if not (answer.isascii() and answer.strip().isdecimal()):
        raise azr.FormatError("no number")
    return float(answer.strip() == str(task.proposal.left + task.proposal.right))


def pair_of(rng: random.Random) -> Pair:
    return Pair(left=rng.randint(0, 9), right=rng.randint(0, 9))


def sums(**changes: Any) -> azr.Environment:
    settings: dict[str, Any] = {"admit": add, "grade": exactly, "seeds": [Pair(left=1, right=2)], "propose": "Write.", "solve": "Add."}
    return azr.environment("toy/sums", changes.pop("proposal", Pair), **{**settings, "draw": pair_of, **changes})


@pytest.mark.parametrize("proposal", [Pair, azr.LiteralProposer(Pair, Pair(left=3, right=4))])
def test_an_environment_of_functions_has_no_finding(proposal: Any) -> None:
    assert check_environment(sums(proposal=proposal)) == []


def test_references_are_shown_in_the_form_of_a_proposal() -> None:
    environment = sums()
    tasks = [environment.verifier.admit(Pair(left=1, right=2)), azr.Task(question="of another environment", answer="")]
    assert environment.proposer.prompt(tasks) == '{"left": 1, "right": 2}\n\nof another environment'


def test_a_large_model_is_told_the_form_and_a_small_one_the_name() -> None:
    environment = sums()
    large, small = azr.Prompts(azr.Style.PAPER), azr.Prompts(azr.Style.COMPACT)
    assert "Write.\n\nAnswer with one JSON object such as\n\n" in large.propose(environment, ())
    task = environment.verifier.admit(Pair(left=1, right=2))
    assert "Add.\n\n1 + 2" in large.solve(environment, task)
    assert small.propose(environment, ()) == "<|propose|>toy/sums\n<|go|>"
    assert small.solve(environment, task) == "<|solve|>toy/sums\n1 + 2<|go|>"


def only_the_answer(pair: Pair) -> Any:
    return str(pair.left + pair.right)


def test_what_an_author_can_get_wrong_is_told_with_its_mend() -> None:
    with pytest.raises(azr.PluginError, match="toy/sums: it has no seeds"):
        sums(seeds=[])
    with pytest.raises(azr.PluginError, match="which stands for the tasks and the question"):
        sums(solve="Add {text}.")
    with pytest.raises(azr.PluginError, match="only_the_answer returned '3'; return"):
        sums(admit=only_the_answer).verifier.admit(Pair(left=1, right=2))
    with pytest.raises(azr.PluginError, match="none of 5000 random proposals was admitted; draw others"):
        next(sums(draw=lambda rng: Pair(left=1, right=1)).demonstrations(random.Random(0)))  # type: ignore[misc]
    with pytest.raises(azr.PluginError, match="not 200; draw from more, or ask for fewer"):
        azr.held_out(sums())
    with pytest.raises(azr.PluginError, match="give it `draw`"):
        azr.held_out(sums(draw=None))


def test_no_demonstration_is_ever_held_out_and_the_benchmark_is_the_same_each_time() -> None:
    environment = sums()
    benchmark = azr.held_out(environment, count=5)
    assert benchmark.name == "toy/heldout" and len(benchmark.tasks["toy/sums"]) == 5
    assert benchmark.tasks == azr.held_out(sums(), count=5).tasks
    kept = {task.key() for task in benchmark.tasks["toy/sums"]}
    assert environment.demonstrations
    shown = [example.task.key() for example in islice(environment.demonstrations(random.Random(1)), 500)]
    assert len(kept) == 5 and not kept & set(shown)


def graded(verifier: azr.Verifier[Any, Any], answer: str) -> azr.Verdict:
    environment = azr.Environment("toy/sums", sums().proposer, verifier, (), azr.PosedTask[Pair])
    return Verification().grade(environment, [(verifier.admit(Pair(left=1, right=2)), answer)])[0]


def test_a_wrapped_verifier_has_the_last_word_on_what_could_be_read() -> None:
    def shouted(task: azr.Task, answer: str, verdict: azr.Verdict) -> float | azr.Verdict:
        return verdict if answer.endswith(" ") else 0.5

    wrapped = azr.WrappedVerifier(sums().verifier, grade=shouted)
    assert graded(wrapped, "3 ") == azr.Verdict(azr.Outcome.SOLVED, 1.0)
    assert graded(wrapped, "3") == azr.Verdict(azr.Outcome.WRONG, 0.5)
    assert graded(wrapped, "three").outcome is azr.Outcome.MALFORMED


def test_a_wrapped_verifier_may_refuse_what_the_other_admits() -> None:
    def large(task: azr.PosedTask[Pair]) -> azr.Task:
        if task.proposal.left < 5:
            raise azr.InvalidTask("too small")
        return task

    wrapped = azr.WrappedVerifier(sums().verifier, admit=large)
    admitted = wrapped.admit_many([Pair(left=1, right=2), Pair(left=5, right=2), Pair(left=5, right=5)])
    assert [str(one) if isinstance(one, Exception) else one.answer for one in admitted] == ["too small", "7", "a number twice"]
    with pytest.raises(azr.InvalidTask, match="too small"):
        wrapped.admit(Pair(left=1, right=2))


def test_a_wrapper_hands_on_everything_that_a_verifier_or_a_proposer_may_do() -> None:
    for wrapper, kind in ((azr.WrappedVerifier, azr.Verifier), (azr.WrappedProposer, azr.Proposer)):
        may = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
        assert may <= set(vars(wrapper))


def test_a_proposal_of_functions_goes_through_json_to_a_worker_and_back() -> None:
    task = sums().verifier.admit(Pair(left=1, right=2))
    kind = sums().task_type
    assert kind.model_validate_json(task.model_dump_json()) == task
    assert json.loads(task.model_dump_json())["proposal"] == {"left": 1, "right": 2}
