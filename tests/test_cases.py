"""Recorded cases: what agrees, what differs, what decides nothing, and what a bad file is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core.cases import Judged, Tally, judge, read
from azr_core.cli import main
from azr_core.verification import Verification

TOY = str(Path(__file__).with_name("toy_plugin.py"))
GOOD, REFUSED = {"numbers": [3, 1, 2]}, {"numbers": [1]}
Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def toy() -> Iterator[azr.Environment]:
    plugins = azr.load([TOY])
    yield plugins.environments(azr.RunConfig(plugins=(TOY,)))["toy/sorting"]
    plugins.close()


def case(proposal: dict[str, Any] = GOOD, admit: bool | None = None, **rest: Any) -> dict[str, Any]:
    return {"environment": "toy/sorting", "proposal": proposal, "admit": admit} | rest


def answered(answer: str, score: float, proposal: dict[str, Any] = GOOD, admit: bool | None = None) -> dict[str, Any]:
    return case(proposal, admit, answer=answer, score=score)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: dict[str, Any] | str) -> Path:
        file = tmp_path / "cases.jsonl"
        file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
        return file

    return write


@pytest.fixture
def judged(toy: azr.Environment, write: Callable[..., Path]) -> Callable[..., list[Judged]]:
    def judged(*rows: dict[str, Any] | str, environment: azr.Environment = toy) -> list[Judged]:
        environments = {environment.name: environment}
        return judge(read(write(*rows), environments), environments, Verification())

    return judged


@pytest.fixture
def check(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Check:
    """Call `azr plugins check`: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AZR_TRACEBACK", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["plugins", "check", *arguments])
        assert isinstance(left.value.code, int)
        return left.value.code, *capfd.readouterr()

    return call


def grading(environment: azr.Environment, grade: Callable[[Any, str], Any]) -> azr.Environment:
    kind = type(environment.verifier)
    return replace(environment, verifier=type("Changed", (kind,), {"grade": lambda self, task, answer: grade(task, answer)})())


@pytest.mark.parametrize(
    ("row", "agrees"),
    [
        (case(GOOD, True), True),
        (case(REFUSED, True), False),
        (case(REFUSED, False), True),
        (case(GOOD, False), False),
        (answered("1 2 3", 1.0), True),
        (answered("3 2 1", 1.0), False),
        (answered("3 2 1", 0), True),
        (answered("1 2 3", 0.0), False),
        (answered("one", 0.0), True),
        (answered("one", 1.0), False),
        (answered("1 2 3", 1.0, REFUSED), None),
        (answered("1 2 3", 1.0, GOOD, True), True),
        (answered("3 2 1", 1.0, GOOD, True), False),
        (answered("1 2 3", 1.0, REFUSED, True), False),
    ],
)
def test_a_case_agrees_when_gate_and_grader_decide_as_recorded(judged: Any, row: dict[str, Any], agrees: bool | None) -> None:
    assert [one.agrees for one in judged(row)] == [agrees]


def test_what_was_found_is_told_with_its_reason(judged: Any) -> None:
    solved, malformed, refused = judged(answered("1 2 3", 1), answered("one", 0), case(REFUSED, False))
    assert (solved.admitted, solved.score, solved.verdict.outcome) == (True, 1.0, azr.Outcome.SOLVED)
    assert (malformed.admitted, malformed.score, malformed.verdict.outcome) == (True, 0.0, azr.Outcome.MALFORMED)
    assert malformed.verdict.reason == "write whole numbers with spaces between them"
    assert (refused.admitted, refused.score, refused.verdict.reason) == (False, None, "fewer than two numbers")


def test_a_score_may_be_off_by_rounding_only(judged: Any, toy: azr.Environment) -> None:
    partial = grading(toy, lambda task, answer: 1.0 if answer == task.answer else 0.1 + 0.2)
    assert [one.agrees for one in judged(answered("x", 0.3), answered("x", 0.300001), environment=partial)] == [True, False]


def test_a_task_that_fails_its_own_grader_is_not_admitted(judged: Any, toy: azr.Environment) -> None:
    lawless = grading(toy, lambda task, answer: 0.0)
    assert [one.agrees for one in judged(case(GOOD, True), case(GOOD, False), environment=lawless)] == [False, True]


def test_broken_machinery_differs_from_whatever_is_recorded(judged: Any, toy: azr.Environment) -> None:
    def away(task: Any, answer: str) -> float:
        if answer == task.answer and answer != "1 1":
            return 1.0
        raise azr.VerifierUnavailable("the worker is gone")

    environment = grading(toy, away)
    rows = [answered("x", 0.0), case({"numbers": [1, 1]}, False), answered("x", 0.0, {"numbers": [1, 1]})]
    for one in judged(*rows, environment=environment):
        assert (one.agrees, one.score, one.verdict.reason) == (False, None, "the worker is gone")


def test_a_value_that_the_proposals_type_refuses_is_refused(judged: Any) -> None:
    row = {"numbers": ["many", 1]}
    refused, expected, skipped = judged(case(row, True), case(row, False), answered("1", 0, row))
    assert [refused.agrees, expected.agrees, skipped.agrees] == [False, True, None]
    assert "numbers.0" in refused.verdict.reason and "'many'" in refused.verdict.reason


def test_a_field_too_many_is_a_refusal_where_one_is_expected(judged: Any) -> None:
    (one,) = judged(case(GOOD | {"gold": "1 2 3"}, False))
    assert (one.agrees, one.verdict.reason) == (True, "field 'gold' is unknown")


def test_each_environment_is_asked_once_and_results_keep_their_place(toy: azr.Environment, write: Callable[..., Path]) -> None:
    calls: list[tuple[str, str, int]] = []

    def counting(name: str) -> azr.Environment:
        kind: Any = type(toy.verifier)

        class Counting(kind):  # type: ignore[misc]
            def admit_many(self, proposals: Sequence[Any]) -> Any:
                calls.append((name, "admit", len(proposals)))
                return super().admit_many(proposals)

            def grade_many(self, pairs: Sequence[Any]) -> Any:
                calls.append((name, "grade", len(pairs)))
                return super().grade_many(pairs)

        return replace(toy, name=name, verifier=Counting())

    environments = {name: counting(name) for name in ("toy/one", "toy/two")}
    rows = [
        answered("1 2 3", float(n % 3 == 0), GOOD if n % 2 else REFUSED) | {"environment": f"toy/{'two' if n % 4 else 'one'}"}
        for n in range(40)
    ]
    judged = judge(read(write(*rows), environments), environments, Verification())
    assert [one.case.line for one in judged] == list(range(1, 41))
    assert [one.admitted for one in judged] == [n % 2 == 1 for n in range(40)]
    # the gate, the law of the own answer, the answers
    assert calls == [("toy/one", "admit", 10), ("toy/two", "admit", 30), ("toy/two", "grade", 20), ("toy/two", "grade", 20)]


def test_more_than_one_in_ten_skipped_is_too_many(judged: Any) -> None:
    good, skipped = answered("1 2 3", 1), answered("1 2 3", 1, REFUSED)
    assert not Tally.of(judged(*[good] * 9, skipped)).too_many_skipped
    assert Tally.of(judged(*[good] * 8, skipped)).too_many_skipped
    assert str(Tally.of(judged(*[good] * 9, skipped))) == "10 cases: 9 agree, 0 differ, 1 skipped"


def test_blank_lines_and_line_separators_inside_text_are_not_new_lines(judged: Any) -> None:
    one, other = judged(answered("1 2\u2028 3", 1), "", answered("3", 0), "")
    assert (one.agrees, other.case.line) == (True, 3)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON object"),
        (case(GOOD, True) | {"environment": "toy/sortign"}, "did you mean 'toy/sorting'?"),
        (answered("1 2", 1, {"numbres": [1, 2]}), "unknown proposal field 'numbres'; did you mean 'numbers'?"),
        (case({"numbres": [1, 2]}, False), "unknown proposal field 'numbres'; did you mean 'numbers'?"),
        (case(GOOD | {"gold": "1"}, True), "unknown proposal field 'gold'"),
        (case({}, False), "proposal field 'numbers' is missing"),
        ({"environment": "toy/sorting", "proposal": GOOD}, "field 'admit' is missing"),
        (case() | {"admit": "yes"}, "field 'admit' = 'yes'"),
        (case(admit=True, answer="1", score=2), "field 'score' = '2'"),
        (case(admit=True, answer="1"), "an answer and its score go together"),
        (case(), "an answer and its score are needed"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(judged: Any, row: Any, words: str) -> None:
    with pytest.raises(azr.UsageError) as error:
        judged(case(GOOD, True), row)
    assert "cases.jsonl, line 2: " in str(error.value) and words in str(error.value)


def test_an_environment_without_seeds_is_told_what_cases_need(judged: Any, toy: azr.Environment) -> None:
    with pytest.raises(azr.PluginError, match="toy/sorting: its seeds are of 0 types"):
        judged(case(GOOD, True), environment=replace(toy, seeds=[]))


def test_the_command_exits_with_0_when_all_agree_and_prints_each_case(check: Check, write: Callable[..., Path]) -> None:
    code, out, error = check(TOY, "--cases", str(write(case(GOOD, True, id="fine", why="ordinary"), answered("3 2 1", 0))))
    assert (code, error) == (0, "")
    assert "fine" in out and "ordinary" in out and "line 2" in out and "wrong, score 0" in out
    assert out.rstrip().endswith("2 cases: 2 agree, 0 differ, 0 skipped")


def test_the_command_exits_with_1_and_shows_what_differs_first(check: Check, write: Callable[..., Path]) -> None:
    code, out, _ = check(TOY, "--cases", str(write(case(GOOD, True, id="right"), case(REFUSED, True, id="other\x1b[2J"))))
    assert code == 1
    assert out.index(r"other\x1b[2J") < out.index("right")
    assert "differs" in out and "fewer than two numbers" in out


def test_the_command_exits_with_1_when_too_many_are_skipped(check: Check, write: Callable[..., Path]) -> None:
    file = write(answered("1 2 3", 1), answered("1 2 3", 1, REFUSED))
    code, out, error = check(TOY, "--cases", str(file), "--json")
    assert code == 1 and json.loads(out)["skipped"] == 1
    assert "1 of 2 cases are skipped" in error


def test_the_command_exits_with_2_when_file_or_plugin_is_broken(check: Check, write: Callable[..., Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(Path(TOY).read_text().replace("return float(read(answer)", "return 1 / 0 * float(read(answer)"))
    fine, folder = str(write(case(GOOD, True))), str(tmp_path)
    Path("bad.jsonl").write_text("{")
    Path("empty.jsonl").write_text("\n")
    Path("binary.jsonl").write_bytes(b"\xff")
    bad = {
        ("gone.py", "--cases", fine): "gone.py",
        (TOY, "--cases", "gone.jsonl"): "gone.jsonl: No such file",
        (TOY, "--cases", folder): "Is a directory",
        (TOY, "--cases", "bad.jsonl"): "bad.jsonl, line 1: not JSON",
        (TOY, "--cases", "empty.jsonl"): "no cases",
        (TOY, "--cases", "binary.jsonl"): "not UTF-8",
        (TOY, "--cases", fine, "--set", "workers=0"): "workers",
        (str(broken), "--cases", fine): "ZeroDivisionError",
        ("trl", "--cases", fine): "brings no environments",
        (TOY, "trl", "--cases", fine): "name one",
    }
    for arguments, words in bad.items():
        code, out, error = check(*arguments)
        assert (code, out) == (2, "") and words in error and error.count("\n") == 1


def test_figures_of_a_check_are_one_object(check: Check, write: Callable[..., Path]) -> None:
    file = write(answered("one", 0.0) | {"id": "m"}, "", case(REFUSED, True))
    code, out, error = check(TOY, "--cases", str(file), "--json")
    assert (code, error) == (1, "")
    assert json.loads(out) == {
        "plugin": TOY,
        "cases": [
            {
                "id": "m",
                "line": 1,
                "environment": "toy/sorting",
                "expected": {"admit": None, "score": 0.0},
                "found": {"admit": True, "score": 0.0, "outcome": "malformed", "reason": "write whole numbers with spaces between them"},
                "agrees": True,
            },
            {
                "id": None,
                "line": 3,
                "environment": "toy/sorting",
                "expected": {"admit": True, "score": None},
                "found": {"admit": False, "score": None, "outcome": "invalid", "reason": "fewer than two numbers"},
                "agrees": False,
            },
        ],
        "agree": 1,
        "differ": 1,
        "skipped": 0,
    }


def test_without_cases_the_environments_are_checked(check: Check, tmp_path: Path) -> None:
    code, out, _ = check(TOY)
    assert code == 0 and out.startswith("toy/sorting: nothing found\ntoy/sorting: 29 trials, verdict ")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(Path(TOY).read_text().replace("return float(read(answer)", "return 0.5 * float(read(answer)"))
    code, out, _ = check(str(wrong), "--json")
    (row,) = json.loads(out)["environments"]
    refused = {"environment": "toy/sorting", "trial": "seeds-admitted", "seen": "refused: its own answer does not score 1.0", "grave": True}
    assert code == 1 and row["name"] == "toy/sorting" and any(refused.items() <= finding.items() for finding in row["findings"])


def test_options_of_the_plugin_reach_its_gate(check: Check, write: Callable[..., Path]) -> None:
    program = "def f(n):\n    return n * n"
    proposal = {"program": program, "inputs": ["0", "1", "2"], "message": ""}
    file = str(write({"environment": "python/induction", "proposal": proposal, "admit": True}))
    assert check("python", "--cases", file)[0] == 1
    assert check("python", "--cases", file, "--set", "plugins.python.pairs=3")[0] == 0
    Path("pairs.toml").write_text("[plugins.python]\npairs = 3\n")
    assert check("python", "--cases", file, "--config", "pairs.toml")[0] == 0


def test_the_python_plugin_decides_its_recorded_cases(check: Check, test_data: Path) -> None:
    code, out, _ = check("python", "--cases", str(test_data / "cases" / "python.jsonl"), "--json")
    found = json.loads(out)
    assert [one for one in found["cases"] if one["agrees"] is not True] == []
    assert (code, found["differ"], found["skipped"]) == (0, 0, 0)
