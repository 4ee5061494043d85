"""Several ranks: what they share is what one of them would have done, and what befalls one of them ends all, with its message."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import ranked
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from hypothesis import given
from hypothesis import strategies as st
from playing import Played, played
from ranked import FSDP2, Ranks
from safetensors.torch import load_file
from test_training import SIZES, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

import azr_core as azr
from azr_core.cli import main
from azr_core.errors import UsageError
from azr_core.node import Node
from azr_core.plugins import load
from azr_core.ranks import LEAST, Ranked, shares
from azr_core.verification import Verification
from azr_plugins_python.training import sharding
from azr_plugins_python.training.lessons import Lesson, balanced
from azr_plugins_python.training.ranks import read, written

CONFIGS = Path(__file__).parents[1] / "configs" / "accelerate"
HOST = socket.gethostname()
PLUGIN = str(Path(__file__).with_name("ranked_plugin.py"))
LETTERED = str(Path(__file__).with_name("lettered_plugin.py"))
TRAINER = {"learning_rate": 1e-2, "threads": 1, "device": "cpu", "sampling_dtype": "float32", "update_dtype": "float32", "ddp_timeout": 120}
SETTINGS: Mapping[str, Any] = {
    "steps": 3, "batch_size": 6, "references": 1, "probe_samples": 2, "checkpoint_every": 1, "style": "compact", "propose_tokens": 12,
    "solve_tokens": 12, "prompt_tokens": 500, "reward": {"name": "lettered"}, "evaluation": {"final": False},
}  # fmt: skip


@given(st.integers(0, 200), st.integers(1, 9))
def test_shares_are_the_items_in_order_and_worth_sending(items: int, count: int) -> None:
    pieces = shares(range(items), count)
    assert [item for piece in pieces for item in piece] == list(range(items))
    assert len(pieces) <= count and (len(pieces) == 1 or min(map(len, pieces)) >= LEAST)


@given(st.lists(st.integers(1, 1000), max_size=40), st.integers(1, 9))
def test_parts_hold_every_index_once_and_differ_by_at_most_one_cost(costs: list[int], parts: int) -> None:
    dealt = balanced(costs, parts)
    assert sorted(index for part in dealt for index in part) == list(range(len(costs))) and len(dealt) == parts
    sums = [sum(costs[index] for index in part) for part in dealt]
    assert max(sums) - min(sums) <= max(costs, default=0)


def test_a_lesson_is_dealt_whole_and_survives_the_way() -> None:
    rows = [
        azr.Episode("toy/any", azr.Kind.SOLVE, "", "", azr.Reply("", (1, 2), (3,) * size, (-0.5,) * size), advantage=size)
        for size in (5, 1, 3)
    ]
    lesson = Lesson.of([*rows, azr.Episode("toy/any", azr.Kind.SOLVE, "", "", azr.Reply("", (1,), (2,)))], silent=True)
    assert (lesson.tokens, lesson.computed, lesson.count) == (10, 9, 3)
    parts = [Lesson.read(read(written(part.told()))) for part in lesson.dealt(2, share=False)]
    assert sorted(row.advantage for part in parts for row in part.rows) == [1, 3, 5]
    assert {(part.tokens, part.computed, part.count, part.most) for part in parts} == {(10, 9, 3, 2)}
    assert all(list(row.reply.logprobs) == [-0.5] * len(row.reply.token_ids) for part in parts for row in part.rows)


class Nodes(Ranked):
    """Other ranks that judge in this process, with a plugin. busy: they do something else just now."""

    def __init__(self, count: int, plugin: str = PLUGIN, *, busy: bool = False) -> None:
        self.ranks, self.busy, self.asked = count, busy, 0
        self.nodes = [Node(azr.RunConfig(plugins=(plugin,)).model_dump_json(), (plugin,)) for _ in range(count - 1)]

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    @contextmanager
    def judging(self, jobs: Sequence[azr.Job]) -> Iterator[azr.Answers | None]:
        self.asked += len(jobs)
        answers = [node.answer(job) if job else node.report() for node, job in zip(self.nodes, jobs, strict=False)]
        yield None if self.busy else lambda: answers


@pytest.mark.parametrize("busy", [False, True])
def test_ranks_judge_as_one_would_in_the_same_order_or_one_does(busy: bool) -> None:
    config, plugins = azr.RunConfig(plugins=(PLUGIN,)), load([PLUGIN])
    environment = plugins.environments(config)["toy/words"]
    pairs = [(azr.Task(question=f"Say {word}", answer=word), answer) for word, answer in zip("abcdefghi" * 5, "abcdeXfgh" * 5, strict=True)]
    alone, shared = Verification(config, plugins), Verification(config, plugins)
    with closing(plugins), closing(Nodes(3, busy=busy)) as others:
        shared.share(others, [environment])
        others.asked = 0
        assert shared.grade(environment, pairs) == alone.grade(environment, pairs)
        assert others.asked == 2


def test_a_rank_with_other_sources_is_refused() -> None:
    config, plugins = azr.RunConfig(plugins=(PLUGIN,)), load([PLUGIN])
    environments = plugins.environments(config).values()
    with closing(plugins), closing(Nodes(2, LETTERED)) as others, pytest.raises(UsageError) as refusal:
        Verification(config, plugins).share(others, environments)
    assert "rank 1 cannot judge with rank 0: ranked_plugin is absent there" in str(refusal.value)


def test_a_trainer_of_one_process_says_so() -> None:
    with pytest.raises(UsageError, match="works in one process"):
        Ranked().follow(lambda job: {})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights and one token a byte, the head tied to the embedding."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model")
    LlamaForCausalLM(LlamaConfig(**(SIZES | {"max_position_embeddings": 512, "tie_word_embeddings": True}))).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def script(advantages: Sequence[float], seed: int) -> list[list[Any]]:
    """Prompt, reply, advantage; two replies share a prompt."""
    rng = random.Random(seed)
    rows: list[list[Any]] = []
    for index, advantage in enumerate(advantages):
        prompt, reply = ([rng.randrange(7, 263) for _ in range(rng.randint(3, 20))] for _ in range(2))
        rows.append([rows[-1][0] if index == 1 else prompt, reply, advantage])
    return rows


# The first update has more rows than ranks; the second leaves a rank without any.
SCRIPTS = [script([1.0, -1.0, 0.5, 2.0, -0.3, 0.1], 1), script([0.7], 2)]


def learned(folder: Path, count: int, model: Path, resume: str = "", **environment: str) -> Path:
    options = {"scripts": SCRIPTS, "trainer": {**TRAINER, "learning_rate": 1e-4, "micro_batch_tokens": 40, "entropy_coefficient": 0.01}}
    ended = Ranks(folder, count, ranked.learn, str(model), str(folder), options, resume, environment=environment).wait()
    assert [rank.code for rank in ended] == [0] * count, ended
    return folder


@pytest.fixture(scope="module")
def one(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learned(tmp_path_factory.mktemp("one"), 1, model)


def same_checkpoints(found: Path, expected: Path) -> bool:
    weights, others = (load_file(folder / "model.safetensors") for folder in (found, expected))
    assert weights.keys() == others.keys()
    states = [torch.load(folder / "optimizer.pt")["optimizer"] for folder in (found, expected)]
    assert states[0]["param_groups"] == states[1]["param_groups"] and states[0]["state"].keys() == states[1]["state"].keys()
    moments = [(state["exp_avg"], states[1]["state"][index]["exp_avg"]) for index, state in states[0]["state"].items()]
    return all(torch.allclose(mine, theirs, rtol=0, atol=1e-6) for mine, theirs in moments) and all(
        torch.allclose(weight, others[name], rtol=0, atol=1e-5) for name, weight in weights.items()
    )


def metrics(folder: Path) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = json.loads((folder / "metrics.json").read_text())
    return [{name: value for name, value in step.items() if not name.startswith(("seconds", "sampling"))} for step in seen]


@pytest.mark.parametrize("environment", [{}, FSDP2], ids=["ddp", "fsdp2"])
def test_an_update_on_two_ranks_is_that_of_one(environment: dict[str, str], one: Path, model: Path, tmp_path: Path) -> None:
    two = learned(tmp_path, 2, model, **environment)
    assert all(same_checkpoints(two / step, one / step) for step in ("step-1", "step-2"))
    for mine, theirs in zip(metrics(two), metrics(one), strict=True):
        assert mine.pop("sharded") is bool(environment) and not theirs.pop("sharded")
        assert mine == pytest.approx(theirs, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "environment"), [(3, {}), (2, FSDP2), (1, {})], ids=["ddp", "fsdp2", "one"])
def test_a_checkpoint_is_gone_on_with_by_any_number_of_ranks(
    count: int, environment: dict[str, str], one: Path, model: Path, tmp_path: Path
) -> None:
    written = learned(tmp_path / "first", 2, model, **FSDP2)
    second = learned(tmp_path / "second", count, model, str(written / "step-1"), **environment)
    assert same_checkpoints(second / "step-2", one / "step-2")


@pytest.mark.parametrize(("name", "strategy"), [("ddp", "ddp"), ("fsdp2", "fsdp2"), ("zero2", "zero2"), ("zero3", "zero3")])
def test_accelerate_understands_each_file_that_is_shipped(name: str, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CONFIGS / f"{name}.yaml"
    words = ["--config_file", str(file), "-m", "azr_core", "run"]
    args, _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    args.deepspeed_fields_from_accelerate_config = ""  # the command sets it on its way
    environment = prepare_deepspeed_cmd_env(args)[1] if args.use_deepspeed else prepare_multi_gpu_env(args)
    for variable in [variable for variable in environment if variable.startswith(("ACCELERATE_", "FSDP_"))]:
        monkeypatch.setenv(variable, environment[variable])
    for variable, value in {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(variable, value)
    assert args.num_processes == 8 and environment["ACCELERATE_MIXED_PRECISION"] == "no"
    assert sharding.strategy(cpu=False) == strategy


def test_what_accelerate_does_not_start_on_a_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {"LOCAL_RANK": "0", "ACCELERATE_USE_DEEPSPEED": "true"}.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(azr.ConfigError, match="no DeepSpeed on CPUs"):
        sharding.strategy(cpu=True)


@pytest.mark.slow
def test_a_rank_that_was_started_with_other_settings_is_named(model: Path, tmp_path: Path) -> None:
    options = {"scripts": SCRIPTS, "trainer": TRAINER, f"rank 1 ({HOST})": {"learning_rate": 1.0}}
    ended = Ranks(tmp_path, 2, ranked.learn, str(model), str(tmp_path), options).wait()
    assert [rank.code for rank in ended] == [2, 2]
    assert all(f"azr: rank 1 ({HOST}): started with other settings" in rank.said for rank in ended)


def test_only_a_run_may_be_started_by_a_launcher(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit) as exit_code:
        main(["doctor"])
    assert exit_code.value.code == 2 and "azr doctor works in one process" in capsys.readouterr().err


def begin(folder: Path, model: Path, *, resume: bool = False, fault: str = "") -> Ranks:
    settings = {} if resume else {**SETTINGS, "trainer": {**TRAINER, "name": "trl", "model": str(model)}}
    return Ranks(folder / "logs", 2, ranked.play, (PLUGIN, LETTERED), settings, str(folder), resume, fault)


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A run of two ranks that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    ended = begin(folder, model).wait()
    assert [rank.code for rank in ended] == [0, 0], ended
    assert "azr:" not in ended[1].said
    return played(folder / "one")


def test_the_store_of_two_ranks_holds_every_task_and_reply_once(whole: Played) -> None:
    assert whole.steps == [1, 2, 3]
    assert len({row[1] for row in whole.tasks}) == len(whole.tasks) == 24
    assert [sum(row[0] == step and row[2] == "propose" for row in whole.episodes) for step in whole.steps] == [6, 6, 6]
    assert [sum(row[0] == step and row[2] == "solve" for row in whole.episodes) for step in whole.steps] == [12, 12, 12]
    assert len({row[5] for row in whole.episodes}) > 40  # a rank that sampled with another's seed would repeat its replies


def test_a_rank_is_killed_and_the_run_goes_on_with_nothing_lost_or_doubled(whole: Played, model: Path, tmp_path: Path) -> None:
    ranks = begin(tmp_path, model)
    assert ranks.heard.recv() == 1
    ranks.processes[1].kill()
    first, _ = ranks.wait()
    assert first.code == 2 and "rank 1" in first.said and "--resume" in first.said
    ended = begin(tmp_path, model, resume=True).wait()
    assert [rank.code for rank in ended] == [0, 0], ended
    assert played(tmp_path / "one") == whole


@pytest.mark.parametrize(
    "fault", ["verifier", pytest.param("sampler", marks=pytest.mark.slow), pytest.param("update", marks=pytest.mark.slow)]
)
def test_an_exception_on_one_rank_ends_both_with_its_message(fault: str, model: Path, tmp_path: Path) -> None:
    first, second = begin(tmp_path, model, fault=fault).wait()
    said = f"ZeroDivisionError: a bug of the {fault}"
    assert first.code and first.said.count("azr: ") == 1
    if fault == "update":  # rank 0 stands in the same update and only sees that the other is gone
        assert "another rank ended" in first.said
        assert second.code == 1 and f"rank 1 ({HOST}): {said}" in second.said
    else:
        assert said in first.said and (fault == "verifier" or f"rank 1 ({HOST})" in first.said)
        assert second.code == 0 and "azr: " not in second.said
        assert f"a bug of the {fault}" in (tmp_path / "one" / "run.log").read_text()


@pytest.mark.slow
def test_the_command_plays_under_a_launcher_and_only_rank_0_speaks(model: Path, tmp_path: Path) -> None:
    parts = {"evaluation.final": False, "reward.name": "lettered", **{f"trainer.{name}": value for name, value in TRAINER.items()}}
    settings = {name: value for name, value in SETTINGS.items() if name not in ("evaluation", "reward")} | parts
    words = [f"--set={name}={str(value).lower()}" for name, value in settings.items()] + ["--model", str(model)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    plugins = ["--plugin", PLUGIN, "--plugin", LETTERED]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "azr_core", "run", *plugins, "--name", "one", "--runs-dir", str(tmp_path), *words],
        capture_output=True, text=True, timeout=250, cwd=Path(__file__).parents[1], env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 3/3") == 1 and f"2 by ddp: rank 0 ({HOST}), rank 1 ({HOST})" in done.stdout
    assert played(tmp_path / "one").steps == [1, 2, 3]
