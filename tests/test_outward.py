"""Tasks and environments for other tools: exported rows, a reward function for TRL, a taskset for verifiers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import azr_core as azr
from azr_core.cli import main
from azr_core.errors import ConfigError, RunError, UsageError
from azr_core.outward import Format, export_tasks

ROOT = Path(__file__).parents[1]
SORTING = str(ROOT / "plugins/sorting.py")
POSING = str(ROOT / "tests/posing_plugin.py")
COLUMNS = {"id", "environment", "prompt", "question", "answer", "task", "parents", "step", "attempts", "solved", "solve_rate"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of which `one` has proposed tasks of sorting, some of them solved."""
    made = tmp_path_factory.mktemp("outward") / "runs"
    few = ["--set", "trainer.name=posing", "--set", "batch_size=4", "--set", "evaluation.final=false", "--steps", "2"]
    with pytest.raises(SystemExit) as left:
        main(["run", "--plugin", POSING, "--plugin", SORTING, *few, "--runs-dir", str(made), "--name", "one"])
    assert left.value.code == 0
    return made


@pytest.fixture(scope="module")
def rewards() -> Iterator[azr.RewardFunction]:
    made = azr.reward_function(SORTING, style="paper")
    yield made
    made.close()


def exported(runs: Path, out: Path, form: str = "jsonl") -> list[dict[str, Any]]:
    export_tasks("one", runs, form, out)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_exported_rows_hold_prompt_answer_parents_and_what_became_of_the_task(runs: Path, tmp_path: Path) -> None:
    rows = exported(runs, tmp_path / "tasks.jsonl")
    assert {frozenset(row) for row in rows} == {frozenset(COLUMNS)}
    assert all(row["prompt"].endswith(f"{row['question']}\nAssistant: <think>") for row in rows)
    proposed = [row for row in rows if row["step"] > 0]
    ids = {row["id"] for row in rows}
    assert proposed and any(row["parents"] for row in proposed) and all(set(row["parents"]) <= ids for row in rows)
    assert all(row["solve_rate"] == (row["solved"] / row["attempts"] if row["attempts"] else None) for row in rows)
    assert any(row["solve_rate"] for row in rows)


def test_an_exported_task_is_solved_by_its_answer_and_not_by_another(runs: Path, tmp_path: Path, rewards: azr.RewardFunction) -> None:
    rows = exported(runs, tmp_path / "tasks.jsonl")
    columns = {name: [row[name] for row in rows] for name in ("environment", "task")}
    right = [f"so</think> <answer>{row['answer']}</answer>" for row in rows]
    assert rewards([row["prompt"] for row in rows], right, **columns) == [1.0] * len(rows)
    assert rewards([row["prompt"] for row in rows], ["so</think> <answer>1</answer>"] * len(rows), **columns) == [0.0] * len(rows)


@pytest.mark.parametrize("form", ["parquet", "hf"])
def test_datasets_loads_what_is_exported_for_it(runs: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    out = tmp_path / f"tasks.{form}"
    count = export_tasks("one", runs, form, out)
    found = datasets.load_dataset("parquet", data_files=str(out)) if form == "parquet" else datasets.load_dataset(str(out))
    assert set(found["train"].column_names) == COLUMNS and len(found["train"]) == count


def test_verl_finds_its_columns(runs: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export_tasks("one", runs, "verl", tmp_path / "train.parquet")
    for index, row in enumerate(parquet.read_table(tmp_path / "train.parquet").to_pylist()):
        assert set(row) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
        assert (row["data_source"], row["ability"]) == ("azr/order/sorting", "order")
        [message] = row["prompt"]
        assert message["role"] == "user" and row["extra_info"]["question"] in message["content"] and "<answer>" in message["content"]
        assert row["reward_model"]["style"] == "rule"
        assert json.loads(row["extra_info"]["task"])["answer"] == row["reward_model"]["ground_truth"]
        assert row["extra_info"]["index"] == index


def test_lm_eval_gets_a_task_whose_metric_is_azrs_verdict(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "lm"
    count = export_tasks("one", runs, "lm-eval", out)
    assert sorted(path.name for path in out.iterdir()) == ["azr_one.yaml", "azr_tasks.py", "tasks.jsonl"]
    row = json.loads((out / "tasks.jsonl").read_text().splitlines()[0])
    code = (
        f"import sys, json; sys.path.insert(0, {str(out)!r}); import azr_tasks\n"
        f"row = json.loads({json.dumps(json.dumps(row))})\n"
        "for answer in (row['answer'], '1'): print(azr_tasks.judge(row, [f'so</think> <answer>{answer}']))\n"
        "print(len(azr_tasks.load()['test']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=_offline(tmp_path))
    assert done.stdout.split("\n")[:3] == ["{'solved': 1.0}", "{'solved': 0.0}", str(count)], done.stderr[-500:]


def _offline(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}


def test_lm_eval_loads_the_task(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed: python -m pip install lm-eval")
    from lm_eval.tasks import TaskManager

    count = export_tasks("one", runs, "lm-eval", tmp_path / "lm")
    loaded = TaskManager(include_path=str(tmp_path / "lm")).load_task_or_group("azr_one")
    [task] = loaded.values()
    docs = list(task.test_docs())
    assert len(docs) == count and task.doc_to_text(docs[0]) == docs[0]["prompt"]


@pytest.mark.parametrize("form", list(Format))
def test_an_export_overwrites_nothing(runs: Path, tmp_path: Path, form: Format) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(ConfigError, match=r"mine exists; choose another --to"):
        export_tasks("one", runs, form, tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "keep" and len(list(tmp_path.iterdir())) == 1


def test_an_export_that_fails_leaves_nothing(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("azr_core.checkpoint.sync", full)
    for form in Format:
        with pytest.raises(RunError, match="No space left on device; free some space"):
            export_tasks("one", runs, form, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_or_run_is_named(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format 'json'; did you mean 'jsonl'"):
        export_tasks("one", runs, "json", tmp_path / "out")
    with pytest.raises(RunError, match="no run 'two'"):
        export_tasks("two", runs, "jsonl", tmp_path / "out")


def test_the_command_exports_tasks_and_its_short_form_still_exports_models(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, code in ((["tasks", "one", "--to", str(tmp_path / "tasks.jsonl")], 0), (["one", "--to", str(tmp_path / "model")], 2)):
        with pytest.raises(SystemExit) as left:
            main(["export", *words, "--runs-dir", str(runs)])
        assert left.value.code == code
    assert (tmp_path / "tasks.jsonl").is_file() and "makes models to export" in capsys.readouterr().err


def test_rows_are_tasks_of_seeds_and_examples_and_solved_by_their_answers(rewards: azr.RewardFunction) -> None:
    rows = rewards.rows(5)
    assert rows == rewards.rows(5) != rewards.rows(5, seed=1)
    assert len({row["id"] for row in rows}) == 5
    scores = rewards(
        prompts=[row["prompt"] for row in rows],
        completions=[f"</think> <answer>{row['answer']}</answer>" for row in rows],
        environment=[row["environment"] for row in rows],
        task=[row["task"] for row in rows],
    )
    assert scores == [1.0] * 5


HOSTILE = [
    "",
    "1 2",
    "<answer>1 2</answer>",
    "so</think> <answer>1 2</answer> or <answer>2 1</answer>",
    "so</think> <answer>2 1</answer>",
    "so</think> <answer>__import__('os')._exit(0)</answer>",
    "(" * 10_000,
    f"so</think> <answer>{'1 ' * 100_000}</answer>",
]


def test_completions_that_are_no_answer_earn_nothing(rewards: azr.RewardFunction) -> None:
    row = rewards.rows(1)[0]
    assert row["answer"] == "1 2"
    columns = {name: [row[name]] * len(HOSTILE) for name in ("environment", "task")}
    assert rewards([row["prompt"]] * len(HOSTILE), HOSTILE, **columns) == [0.0] * len(HOSTILE)


def test_a_chat_style_has_messages_and_reads_them() -> None:
    rewards = azr.reward_function(SORTING)
    try:
        [row] = rewards.rows(1)
        [message] = row["prompt"]
        assert message["role"] == "user" and "<answer>" in message["content"]
        completions = [[{"role": "assistant", "content": f"so\n<answer>{answer}</answer>"}] for answer in (row["answer"], "2 1")]
        columns = {name: [row[name]] * 3 for name in ("environment", "task")}
        assert rewards(prompts=[row["prompt"]] * 3, completions=[*completions, []], **columns) == [1.0, 0.0, 0.0]
    finally:
        rewards.close()


def test_a_verdict_that_could_not_be_had_is_no_reward(rewards: azr.RewardFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    row = rewards.rows(1)[0]
    broken = [azr.Verdict(azr.Outcome.FAILED, reason="a worker died")]
    monkeypatch.setattr(rewards._verification, "grade", lambda environment, pairs: broken * len(pairs))
    assert rewards([row["prompt"]], ["</think> <answer>1 2</answer>"], environment=[row["environment"]], task=[row["task"]]) == [None]


def test_columns_that_hold_no_task_are_named(rewards: azr.RewardFunction) -> None:
    row = rewards.rows(1)[0]
    with pytest.raises(UsageError, match="holds 'order/sort', which no plugin of the reward function brings; did you mean 'order/sorting'"):
        rewards([""], [""], environment=["order/sort"], task=[row["task"]])
    with pytest.raises(UsageError, match="the column task holds no task of order/sorting"):
        rewards([""], [""], environment=["order/sorting"], task=["{}"])


def test_grpo_calls_it_as_a_reward_function(rewards: azr.RewardFunction) -> None:
    """The keywords of GRPOTrainer._calculate_rewards, whose generations repeat each row."""
    rows = [row for row in rewards.rows(2) for _ in range(2)]
    replies = [f"</think> <answer>{row['answer'] if at % 2 else 'none'}</answer>" for at, row in enumerate(rows)]
    columns = {name: [row[name] for row in rows] for name in rows[0] if name not in ("prompt", "completion", "completion_ids")}
    hooks = {"trainer_state": None, "log_extra": None, "log_metric": None}
    called = rewards(prompts=[row["prompt"] for row in rows], completions=replies, completion_ids=[[1]] * 4, **columns, **hooks)
    assert called == [0.0, 1.0, 0.0, 1.0] and rewards.__name__ == "azr"


def test_verifiers_loads_the_taskset_by_its_id_and_gets_azrs_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("verifiers.v1", reason="verifiers is not installed: python -m pip install verifiers")
    from verifiers.v1.envs.single_agent import SingleAgentEnvConfig
    from verifiers.v1.utils.loaders import load_environment

    from azr_core import taskset

    (tmp_path / "sorted_numbers.py").write_text('from azr_core.taskset import AzrTaskset\n\n__all__ = ["AzrTaskset"]\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    asked = {"id": "sorted-numbers", "plugins": [SORTING], "count": 3}
    loaded: Any = load_environment(SingleAgentEnvConfig.model_validate({"taskset": asked}))
    tasks = list(loaded.taskset)
    assert len({task.data.id for task in tasks}) == 3 and "<answer>" in tasks[0].data.prompt
    answer = json.loads(tasks[0].data.task)["answer"]
    replies = [f"so <answer>{answer}</answer>", "<answer>1</answer>", answer, None]
    assert [asyncio.run(tasks[0].verdict(SimpleNamespace(last_reply=reply))) for reply in replies] == [1.0, 0.0, 0.0, 0.0]
    taskset._rewards((SORTING,)).close()


@pytest.mark.slow
def test_grpo_trains_with_it(tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    rewards = azr.reward_function("python", style="compact")
    try:
        rows = Dataset.from_list(rewards.rows(2))
        told = {"max_steps": 1, "num_generations": 2, "per_device_train_batch_size": 2, "max_completion_length": 16}
        config = GRPOConfig(str(tmp_path), report_to=[], use_cpu=True, save_strategy="no", **told)
        tiny = str(ROOT / "azr_plugins_python/tiny/model")
        trainer = GRPOTrainer(tiny, reward_funcs=[rewards], args=config, train_dataset=rows)
        trainer.train()
        assert any("rewards/azr/mean" in entry for entry in trainer.state.log_history)
    finally:
        rewards.close()
