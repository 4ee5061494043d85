"""Gives the tasks of a run away, in the forms that other tools read. What is written appears whole or not at all, over nothing."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from azr_core import checkpoint
from azr_core.config import RunConfig, Style, parse
from azr_core.directory import RunDirectory, find
from azr_core.errors import ConfigError, RunError, UsageError, nearest
from azr_core.plugins import load
from azr_core.prompts import Prompts
from azr_core.rewarding import Row, row


class Format(StrEnum):
    """Who reads the tasks."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    HF = "hf"
    VERL = "verl"
    LM_EVAL = "lm-eval"


@dataclass(frozen=True)
class Told:
    """All that is written. name: of the run. stop: strings that end a reply of its style."""

    name: str
    config: RunConfig
    rows: Sequence[Row]
    stop: tuple[str, ...]


def export_tasks(run: str, runs_dir: Path, form: str, out: Path) -> int:
    """Write a run's tasks to a new file or folder, and say how many. Raises UsageError."""
    if form not in list(Format):
        raise ConfigError(f"no format {form!r}; {nearest(form, [one.value for one in Format])}")
    if out.exists():
        raise ConfigError(f"{out} exists; choose another --to, or remove it first")
    told = _told(find(run, runs_dir), Style.CHAT if form == Format.VERL else None)
    with checkpoint.appearing(out) as part:
        WRITERS[Format(form)](told, part)
    return len(told.rows)


def _told(run: RunDirectory, style: Style | None) -> Told:
    """What a run remembered; style: of the prompts, where it is not the run's own."""
    config = parse(RunConfig, run.config(), str(run.path / "config.json"))
    plugins = load(list(config.plugins))
    store = run.open_store()
    try:
        environments = plugins.environments(config)
        prompts = Prompts(style or config.style)
        rows = [
            {
                **row(prompts, record.environment, environments[record.environment], record.task),
                "parents": list(record.parents),
                "step": record.step,
                "attempts": record.attempts,
                "solved": record.solved,
                "solve_rate": record.solved / record.attempts if record.attempts else None,
            }
            for record in store.tasks({name: environment.task_type for name, environment in environments.items()})
        ]
    finally:
        store.close()
        plugins.close()
    if not rows:
        raise RunError(f"{run.path.name} has no tasks yet; go on with it (azr run --resume --name {run.path.name})")
    return Told(run.path.name, config, rows, prompts.envelope.stop)


def _jsonl(told: Told, part: Path) -> None:
    with part.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(one)}\n" for one in told.rows)


def _parquet(told: Told, part: Path) -> None:
    _columns(told.rows, part)


def _hub(told: Told, part: Path) -> None:
    """A folder as the hub has datasets; `load_dataset` takes it as it is."""
    (part / "data").mkdir(parents=True)
    _columns(told.rows, part / "data/train.parquet")
    (part / "README.md").write_text(CARD.format(name=told.name, count=len(told.rows)), "utf-8")


def _verl(told: Told, part: Path) -> None:
    """The schema of verl's RLHFDataset. ability: the domain. A reward function finds azr's own columns in extra_info."""
    extra = ("id", "environment", "task", "question", "parents", "step", "attempts", "solved", "solve_rate")
    _columns(
        [
            {
                "data_source": f"azr/{one['environment']}",
                "prompt": one["prompt"],
                "ability": one["environment"].partition("/")[0],
                "reward_model": {"style": "rule", "ground_truth": one["answer"]},
                "extra_info": {"split": "train", "index": index, **{name: one[name] for name in extra}},
            }
            for index, one in enumerate(told.rows)
        ],
        part,
    )


def _lm_eval(told: Told, part: Path) -> None:
    """A folder for `lm_eval --include_path`: the task, its items, and azr's own verdict as the metric."""
    part.mkdir(parents=True)
    texts = [one | {"prompt": one["prompt"] if isinstance(one["prompt"], str) else one["prompt"][0]["content"]} for one in told.rows]
    _jsonl(Told(told.name, told.config, texts, told.stop), part / "tasks.jsonl")
    settings = {"plugin_options": told.config.plugin_options}
    words = {"plugins": list(told.config.plugins), "style": str(told.config.style), "settings": settings, "stop": "".join(told.stop[:1])}
    (part / "azr_tasks.py").write_text(JUDGE.format(**{name: repr(word) for name, word in words.items()}), "utf-8")
    task = TASK.format(name=json.dumps(f"azr_{told.name}"), stop=json.dumps(list(told.stop)), tokens=told.config.solve_tokens)
    (part / f"azr_{told.name}.yaml").write_text(task, "utf-8")


def _columns(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("this format needs pyarrow: python -m pip install pyarrow; or use --format jsonl") from None
    parquet.write_table(arrow.Table.from_pylist([dict(one) for one in rows]), path)


WRITERS: Mapping[Format, Callable[[Told, Path], None]] = {
    Format.JSONL: _jsonl, Format.PARQUET: _parquet, Format.HF: _hub, Format.VERL: _verl, Format.LM_EVAL: _lm_eval,
}  # fmt: skip


CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train.parquet
tags:
- azr
---

# Tasks of {name}

{count} tasks that a model proposed to itself and a verifier admitted, written by `azr export tasks`. `prompt` asks for the answer, `task`
is all that azr's verifier needs to grade one, `parents` are the tasks that the proposer was shown, and `solved` of `attempts` were right.
"""
TASK = """task: {name}
custom_dataset: !function azr_tasks.load
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{answer}}}}"
process_results: !function azr_tasks.judge
generation_kwargs:
  until: {stop}
  max_gen_toks: {tokens}
  do_sample: false
metric_list:
- metric: solved
  aggregation: mean
  higher_is_better: true
metadata:
  version: 1
"""
JUDGE = '''"""Written by `azr export tasks` for lm-eval: the items beside this file, and azr's verdict, for which it needs the plugins."""

from functools import cache
from pathlib import Path

import azr_core as azr


@cache
def rewards():
    return azr.reward_function(*{plugins}, style={style}, settings={settings})


def load(**arguments):
    import datasets

    return datasets.load_dataset("json", data_files={{"test": str(Path(__file__).with_name("tasks.jsonl"))}})


def judge(doc, results):
    reply = results[0] + {stop}  # which lm-eval cuts off
    [reward] = rewards()([doc["prompt"]], [reply], environment=[doc["environment"]], task=[doc["task"]])
    return {{"solved": float(reward == 1.0)}}
'''
