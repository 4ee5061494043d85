"""Public benchmarks: their rules of scoring, what is measured, and what is said where something is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core.cli import main
from azr_core.evaluate import Decoding
from azr_core.examination import Asked, examine, figures, pass_at_k, self_test
from azr_core.measuring import model_of
from azr_core.public import read_source
from azr_plugins_math.public import Gsm8k, Math500, Worker
from azr_plugins_python.public import PUBLIC, Machine, ProgramBenchmark
from azr_plugins_python.public.cruxeval import CruxEvalInput, CruxEvalOutput
from azr_plugins_python.public.inputs import restored
from azr_plugins_python.public.oracles import Oracle
from azr_plugins_python.public.plus import HumanEvalPlus, MbppPlus
from azr_plugins_python.public.programs import HumanEval, Mbpp, fenced

COMPLETION, CHAT = azr.Form.COMPLETION, azr.Form.CHAT
PROGRAMS = {benchmark.name: benchmark for benchmark in PUBLIC}
DOUBLE = {"id": "sample_0", "code": "def f(x):\n    return x * 2", "input": "4", "output": "8"}
MATH = str(Path(__file__).parents[1] / "azr_plugins_math" / "public.py")


class Parrot(azr.Policy):
    """Says the same of everything; chats if it has a template."""

    def __init__(self, *texts: str, template: str = "", room: int = 10**9) -> None:
        self.texts, self.template, self.room = texts, template, room
        self.heard: list[str] = []

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        self.heard += prompts
        return [[azr.Reply(text, token_ids=(1, 2)) for text in self.texts[:n]] for _ in prompts]

    def fits(self, prompt: str, sampling: azr.Sampling) -> bool:
        return len(prompt) + sampling.max_tokens <= self.room

    def chat(self, message: str) -> str | None:
        return self.template.replace("{}", message) if self.template else None


@pytest.fixture
def bench() -> Iterator[Any]:
    """Makes benchmarks of programs and closes them."""
    made: list[ProgramBenchmark] = []

    def make(kind: type[ProgramBenchmark]) -> ProgramBenchmark:
        made.append(kind(Machine(slots=1)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def scored(benchmark: azr.PublicBenchmark, row: azr.Row, *replies: str, form: azr.Form = COMPLETION) -> list[azr.Score]:
    item = benchmark.golds([row])[0]
    scores = benchmark.score([(item, reply) for reply in replies], form)
    assert all(isinstance(score, azr.Score) for score in scores)
    return [score for score in scores if isinstance(score, azr.Score)]


@pytest.mark.parametrize(("samples", "passed", "k"), [(1, 0, 1), (1, 1, 1), (5, 2, 1), (5, 2, 3), (6, 1, 4), (6, 5, 2), (4, 4, 4)])
def test_pass_at_k_is_the_share_of_choices_of_k_samples_that_hold_one_that_passes(samples: int, passed: int, k: int) -> None:
    choices = list(combinations([True] * passed + [False] * (samples - passed), k))
    assert pass_at_k(samples, passed, k) == pytest.approx(sum(map(any, choices)) / len(choices))


def test_figures_average_over_questions_and_have_standard_errors() -> None:
    yes, no = azr.Score(True, also={"base": True}), azr.Score(False, also={"base": True})
    found = figures([[yes, no], [no, no]], (1, 2))
    assert (found["pass@1"], found["pass@2"], found["base pass@1"]) == (0.25, 0.5, 1.0)
    assert found["pass@1 standard error"] == pytest.approx(0.25) and found["base pass@2 standard error"] == 0.0


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("assert f(4) == 8\n", "8"),
        ("8", "8"),
        ("assert f(4) == 8 == 9", "8"),
        ("Let me see: [ANSWER]\nassert f(4) == 8\n", "8"),
        ("assert f(4) = 8", "assert f(4) = 8"),
    ],
)
def test_an_output_is_cut_out_of_its_assertion_as_cruxeval_does(bench: Any, reply: str, answer: str) -> None:
    assert bench(CruxEvalOutput).answer(reply) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [("assert f(4) == 8", "f(4)"), ("f(4)", "f(4)"), ("I think assert f(4) == 8", "f(4)"), ("assert 4 == 8", "assert 4"), ("4", "4")],
)
def test_an_input_is_cut_out_of_its_assertion_as_cruxeval_does(bench: Any, reply: str, answer: str) -> None:
    assert bench(CruxEvalInput).answer(reply) == answer


def test_cruxeval_scores_values_not_texts_and_refuses_a_reply_that_only_repeats_the_call(bench: Any) -> None:
    replies = ["8", "4 * 2", "8.0", "f(4)", "9", "print('x')", ""]
    assert [one.passed for one in scored(bench(CruxEvalOutput), DOUBLE, *replies)] == [True, True, True, False, False, False, False]
    replies = ["assert f(4) == 8", "f(x=4)", "8", "f(5)", "[f(4)][0]"]
    assert [one.passed for one in scored(bench(CruxEvalInput), DOUBLE, *replies)] == [True, True, False, False, True]


def test_a_brace_in_a_row_does_not_fill_in_the_answer(bench: Any) -> None:
    item = bench(CruxEvalOutput).items([DOUBLE | {"input": "'{output}'", "output": "'secret'"}])[0]
    assert "'{output}'" in item.prompt and "secret" not in item.prompt


def test_code_is_taken_from_the_block_that_defines_the_function() -> None:
    reply = "Use it so:\n```python\ng(1)\n```\nHere:\n```python\ndef g(x):\n    return x\n```\nDone."
    assert fenced(reply, "g") == "def g(x):\n    return x\n"
    assert fenced("```\ndef g(x):\n    return x", "g") == "def g(x):\n    return x"
    assert fenced("def g(x): return x", "g") == "def g(x): return x"


PLUS_ONE = {
    "task_id": "HumanEval/0",
    "prompt": "from typing import List\n\ndef plus(x: int) -> int:\n",
    "entry_point": "plus",
    "canonical_solution": "    return x + 1\n",
    "test": "def check(candidate):\n    assert candidate(1) == 2\n",
    "base_input": [[1]],
    "plus_input": [[-5], [10**30]],
    "atol": 0,
}


def test_humaneval_takes_a_continuation_or_a_chat_models_whole_function(bench: Any) -> None:
    benchmark = bench(HumanEval)
    assert [one.passed for one in scored(benchmark, PLUS_ONE, "    return x + 1\n", "    return x\n", "")] == [True, False, False]
    chat = "Sure!\n```python\ndef plus(x: List) -> int:\n    return x + 1\n```"
    good, none = scored(benchmark, PLUS_ONE, chat, "I do not know", form=CHAT)
    assert good.passed and good.extracted and not none.passed and not none.extracted


def test_humaneval_plus_tells_the_original_tests_from_all_of_them(bench: Any) -> None:
    right, lucky, wrong = scored(bench(HumanEvalPlus), PLUS_ONE, "    return x + 1\n", "    return abs(x) + 1\n", "    return x\n")
    assert (right.passed, right.also["base"]) == (True, True)
    assert (lucky.passed, lucky.also["base"]) == (False, True)
    assert (wrong.passed, wrong.also["base"]) == (False, False)


def test_outputs_too_large_for_a_message_are_compared_whole(bench: Any) -> None:
    row = PLUS_ONE | {"canonical_solution": "    return ['ab'] * x\n", "base_input": [[1]], "plus_input": [[50_000], [50_001]]}
    same, other = scored(bench(HumanEvalPlus), row, "    return ['ab'] * x\n", "    return ['ab'] * min(x, 50_000)\n")
    assert same.passed and not other.passed


def test_a_reply_never_shares_a_process_with_the_published_solution(bench: Any) -> None:
    benchmark, sent = bench(HumanEvalPlus), []
    run = benchmark.sandbox.run
    benchmark.sandbox.run = lambda jobs: sent.extend(job.program for job in jobs) or run(jobs)
    scored(benchmark, PLUS_ONE | {"canonical_solution": "    return x + 1  # published\n"}, "    return x + 1  # reply\n")
    assert sent and all(("# published" in program) != ("# reply" in program) for program in sent)


def test_programs_may_import_what_the_tasks_of_self_play_may_not(bench: Any) -> None:
    row = PLUS_ONE | {"test": "def check(candidate):\n    assert candidate(b'x') == '9dd4e461268c8034f5c8564e155c67a6'\n"}
    assert scored(bench(HumanEval), row, "    import hashlib\n    return hashlib.md5(x).hexdigest()\n")[0].passed


def test_the_samples_of_programs_are_those_that_evalplus_reads(bench: Any) -> None:
    benchmark = bench(HumanEval)
    line = benchmark.sample(benchmark.items([PLUS_ONE])[0], "    return 7\n", COMPLETION)
    assert line == {"task_id": "HumanEval/0", "solution": PLUS_ONE["prompt"] + "    return 7\n"}


@pytest.mark.parametrize(
    ("entry", "atol", "arguments", "output", "expected", "accepted"),
    [
        ("f", 0, (), 0.1 + 0.2, 0.3, True),
        ("f", 0, (), [0.1 + 0.2], (0.3,), False),
        ("f", 0, (), [1.0, 2.0], [1.0], False),
        ("f", 0, (), True, 1, True),
        ("f", 0, (), 1, 1.0, True),
        ("f", 0, (), float("nan"), float("nan"), False),
        ("f", 1e-4, (), {"a": 0.10001}, {"a": 0.1}, False),
        ("f", 1e-4, (), [[0.10001]], [[0.1]], True),
        ("f", 0, (), "a", None, False),
        ("find_zero", 1e-4, ([-6, 11, -6, 1],), 1.0000001, None, True),
        ("find_zero", 1e-4, ([-6, 11, -6, 1],), 1.5, None, False),
        ("find_zero", 1e-4, ([-6, 11, -6, 1],), "one", None, False),
        ("Diff", 0, (), [3, 1, 1], [1, 3], True),
        ("sum_div", 0, (7,), 0, 1, True),
        ("digit_distance_nums", 0, (23, 123), 1, 2, True),
        ("surface_Area", 0, (3, 4), 35, 33, True),
        ("are_equivalent", 0, (1, 2), False, True, True),
    ],
)
def test_an_oracle_accepts_what_evalplus_accepts(
    entry: str, atol: float, arguments: Any, output: Any, expected: Any, accepted: bool
) -> None:
    assert Oracle(entry, atol).accepts(arguments, output, expected) is accepted


def test_inputs_get_back_the_types_that_json_has_not() -> None:
    assert restored("Mbpp/2", [[[1, 2], [3]]]) == [[(1, 2), (3,)]]
    assert restored("Mbpp/106", [[[5], [9, 10]]]) == [[[5], (9, 10)]]
    assert restored("Mbpp/115", [[[[1], []]]]) == [[[{1}, {}]]]
    assert restored("Mbpp/124", [["0", "1j"]]) == [[0.0, 1j]]
    assert restored("Mbpp/580", [[[1, [2, [3]]]]]) == [((1, (2, (3,))),)]
    assert restored("Mbpp/3", [[[1]]]) == [[[1]]]


@pytest.mark.parametrize(
    ("reply", "flexible", "strict"),
    [
        ("so 9 * 2 = 18.\n#### 18", True, True),
        ("#### 18 apples", True, True),
        ("The answer is $18.", True, False),
        ("18 eggs, 3 breakfasts", False, False),
        ("#### 18\nCheck: 7", False, True),
        ("It costs 18.00", False, False),
        ("none", False, False),
    ],
)
def test_gsm8k_finds_numbers_as_the_harness_does(reply: str, flexible: bool, strict: bool) -> None:
    (score,) = scored(Gsm8k(), {"question": "?", "answer": "9 * 2 = 18\n#### 18"}, reply)
    assert (score.passed, score.also["strict"], score.extracted) == (flexible, strict, reply != "none")


def test_gsm8k_ignores_commas_and_dollars() -> None:
    (score,) = scored(Gsm8k(), {"question": "?", "answer": "#### 70,000"}, "#### $70000")
    assert score.passed and not score.also["strict"]


def test_math_answers_are_compared_by_value_in_a_worker() -> None:
    pytest.importorskip("math_verify")
    row = {"problem": "?", "answer": "\\frac{1}{2}"}
    replies = ["so \\boxed{0.5}", "\\boxed{\\dfrac{2}{4}}", "\\boxed{2}", "no idea"]
    scores = scored(Math500(), row, *replies)
    assert [(one.passed, one.extracted) for one in scores] == [(True, True), (True, True), (False, True), (False, False)]


def test_a_reply_that_kills_the_worker_is_wrong_and_the_next_one_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("math_verify")
    worker = Worker()
    assert worker.ask("1", "\\boxed{1}") == azr.Score(True)
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    lost = worker.ask("1", "\\boxed{1}")
    assert isinstance(lost, azr.Score) and not lost.passed and "too long" in lost.reason
    assert worker.ask("1", "\\boxed{1}") == azr.Score(True)
    worker.stop()


def asked(samples: int = 1, temperature: float = 0.0, **settings: Any) -> Asked:
    return Asked(Decoding("greedy", temperature, samples), **settings)


def test_a_model_with_a_chat_template_is_asked_in_it_and_others_continue_the_text() -> None:
    rows = [{"question": "How many?", "answer": "#### 18"}]
    chat, base = Parrot("#### 18", template="<user>{}<model>"), Parrot("18\n\nQuestion: 19")
    assert examine(chat, Gsm8k(), rows, asked(), azr.Listener()).result["form"] == "chat"
    assert chat.heard[0].startswith("<user>How many?\n")
    result = examine(base, Gsm8k(), rows, asked(), azr.Listener()).result
    assert base.heard == ["Question: How many?\nAnswer:"] and result["form"] == "completion"
    assert result["pass@1"] == 1.0, "what follows a stop string is not scored"


def test_a_result_says_how_it_was_measured_and_what_each_question_came_to() -> None:
    rows = [{"question": "How many?", "answer": "#### 18"}, {"question": "And now?", "answer": "#### 7"}]
    found = examine(Parrot("18", "none", "7"), Gsm8k(), rows, asked(3, 0.8, ks=(1, 2), tokens=50), azr.Listener())
    result = found.result
    assert (result["n"], result["samples"], result["decoding"]["max_tokens"]) == (2, 3, 50)
    assert result["pass@1"] == pytest.approx(1 / 3) and result["pass@2"] == pytest.approx(2 / 3)
    assert result["extraction_failure_rate"] == pytest.approx(1 / 3)
    assert [line["passed"] for line in result["scores"]] == [[True, False, False], [False, False, True]]
    assert len(result["prompts_sha256"]) == 64 and "lm-eval" in result["scorer"] and len(found.samples) == 6


def test_a_question_that_does_not_fit_the_model_counts_as_not_answered() -> None:
    rows = [{"question": "How many?", "answer": "#### 18"}, {"question": "How" * 99, "answer": "#### 18"}]
    result = examine(Parrot("18", room=100), Gsm8k(), rows, asked(tokens=50), azr.Listener()).result
    assert (result["did_not_fit"], result["pass@1"]) == (1, 0.5)
    with pytest.raises(azr.ConfigError, match=r"gsm8k: no question fits the model's context .* lower --max-tokens"):
        examine(Parrot("18", room=10), Gsm8k(), rows, asked(), azr.Listener())


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_golds_of_the_first_rows_pass(name: str, bench: Any, test_data: Path) -> None:
    benchmark = bench(PROGRAMS[name])
    items = benchmark.golds(read_source(benchmark, test_data))[:12]
    scores = benchmark.score([(item, item.gold) for item in items], COMPLETION)
    assert [item.id for item, score in zip(items, scores, strict=True) if not (isinstance(score, azr.Score) and score.passed)] == []


def test_golds_of_gsm8k_and_a_tenth_of_math500_pass(test_data: Path) -> None:
    pytest.importorskip("math_verify")
    assert all(line.held for line in self_test(Gsm8k(), read_source(Gsm8k(), test_data)))
    (line,) = self_test(Math500(), read_source(Math500(), test_data)[::10])
    assert (line.passed, line.held) == (50, False), "a part of the rows is not what the ceiling is for"


def test_mbpp_measures_the_test_split_and_tests_itself_on_all_rows(bench: Any, test_data: Path) -> None:
    benchmark = bench(Mbpp)
    rows = read_source(benchmark, test_data)
    assert (len(benchmark.items(rows)), len(benchmark.golds(rows))) == (500, 974)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_golds_give_the_published_ceilings(test_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("math_verify")
    assert azr_eval("--self-test", "--data", str(test_data), "--plugin", MATH, "--json") == 0
    lines = json.loads(capsys.readouterr().out)
    assert len(lines) >= 12 and all(line["held"] for line in lines)


def azr_eval(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as stopped:
        main(["eval", *words])
    return stopped.value.code


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with one benchmark of one row."""
    (tmp_path / "cruxeval").mkdir()
    (tmp_path / "cruxeval/cruxeval.jsonl").write_text(json.dumps(DOUBLE))
    return tmp_path


def test_the_self_test_fails_where_golds_do_not_come_to_the_ceiling(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert azr_eval("--self-test", "--data", str(small), "--benchmark", "cruxeval-o") == 1
    said = capsys.readouterr().out
    assert "1 of 1" in said and "800 of 800" in said and "differs" in said


def test_eval_finds_a_public_benchmark_by_name_and_writes_its_result(
    small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small)
    assert azr_eval("--benchmark", "cruxeval-o", "--data", ".", "--max-tokens", "8", "--out", "here/one.json") == 0
    result = json.loads((small / "here/one.json").read_text())
    assert (result["benchmark"], result["n"], result["decoding"]["name"]) == ("cruxeval-o", 1, "greedy")
    assert json.loads((small / "here/one.samples.jsonl").read_text())["task_id"] == "sample_0"
    assert "cruxeval-o" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--benchmark", "cruxevalo"], "no benchmark 'cruxevalo'; did you mean 'cruxeval-o'?"),
        (["--plugin", "python", "--benchmark", "humanevall"], "no benchmark 'humanevall'; did you mean 'humaneval'?"),
        (["--self-test", "--benchmark", "mbbp"], "no public benchmark 'mbbp'; did you mean 'mbpp'?"),
        (["--benchmark", "cruxeval-o", "--k", "1,10"], "pass@k needs at least k samples, here 1 to 1; set --samples"),
        (["--benchmark", "cruxeval-o", "--k", "ten"], "--k 'ten' is no list of numbers"),
        (["--benchmark", "cruxeval-o", "--samples", "4"], "4 greedy samples are all alike; set a --temperature"),
        (["--benchmark", "cruxeval-o", "--benchmark", "mbpp", "--out", "x.json"], "--out names one file"),
        (["--plugin", "python", "--benchmark", "cruxeval-o", "--benchmark", "python/heldout"], "by a command each"),
        (["one", "--model", "two", "--benchmark", "cruxeval-o"], "the model is named twice"),
    ],
)
def test_what_cannot_be_measured_is_said_with_the_mend(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert azr_eval(*words) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_missing_files_are_said_with_what_to_download_and_where_to_put_it(bench: Any, tmp_path: Path) -> None:
    for kind in PUBLIC:
        benchmark = bench(kind)
        with pytest.raises(azr.ConfigError) as refused:
            read_source(benchmark, tmp_path)
        said = str(refused.value)
        assert benchmark.source.url in said and str(tmp_path / benchmark.source.file) in said and "--data" in said


def test_a_network_that_is_not_there_is_said_with_what_to_download() -> None:
    class Unreachable(Gsm8k):
        def fetch(self) -> Sequence[azr.Row]:
            raise ConnectionError("no route\nto the hub")

    with pytest.raises(azr.ConfigError, match=r"^gsm8k: openai/gsm8k cannot be had \(no route\); download https.*--data DIR$"):
        read_source(Unreachable(), None)


def test_a_damaged_file_is_named(bench: Any, small: Path) -> None:
    (small / "cruxeval/cruxeval.jsonl").write_text("{")
    with pytest.raises(azr.ConfigError, match=r"cruxeval\.jsonl: not JSON lines"):
        read_source(bench(CruxEvalOutput), small)


def test_a_run_means_its_newest_checkpoint_and_anything_else_a_model(tmp_path: Path) -> None:
    run = tmp_path / "runs/one"
    run.mkdir(parents=True)
    (run / "run.db").touch()
    (run / "config.json").write_text(json.dumps({"plugins": ["python"], "trainer": {"name": "trl", "model": "start"}}))
    with pytest.raises(azr.RunError, match="has no checkpoint yet"):
        model_of("one", tmp_path / "runs")
    for step in (5, 10):
        (run / f"checkpoints/step-{step:06d}").mkdir(parents=True)
        (run / f"checkpoints/step-{step:06d}/manifest.json").touch()
    newest = str(run / "checkpoints/step-000010")
    assert model_of("one", tmp_path / "runs") == {"plugins": ["python"], "trainer": {"name": "trl", "model": newest}}
    assert model_of(str(run), tmp_path)["trainer"]["model"] == newest
    shutil.rmtree(run)
    assert model_of("one", tmp_path / "runs") == {"trainer": {"model": "one"}}


def test_mbpp_plus_reports_its_files_own_assertions_beside_evalplus_inputs(bench: Any) -> None:
    row = {
        "task_id": "Mbpp/9999",
        "prompt": '"""\nDouble.\n"""\n',
        "entry_point": "double",
        "canonical_solution": "def double(x):\n    return 2 * x\n",
        "base_input": [[1]],
        "plus_input": [[2]],
        "atol": 0,
        "assertion": "assert double(1) == 3",
    }
    (score,) = scored(bench(MbppPlus), row, "def double(x):\n    return x + x\n")
    assert score.passed and score.also == {"base": True, "base assertions": False}


def test_a_file_may_hold_characters_that_end_lines_elsewhere(tmp_path: Path) -> None:
    row = {"question": "1\u2028+\x851", "answer": "#### 2"}
    (tmp_path / Gsm8k.source.file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / Gsm8k.source.file).write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    assert read_source(Gsm8k(), tmp_path) == [row]
