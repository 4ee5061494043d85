"""What a whole step costs beside its bare work, and beside plain GRPOTrainer of TRL, in one run on one model.

python benchmarks/step.py [MODEL_FOLDER] [--batch 16] [--steps 3] [--threads 2] [--rows 128] [--json]

Steps of the Python plugin are played, learned from and stored as `azr run` does. After each of them, with the same weights (the learning
rate is nothing), the same calls of the sampler and the same update are done again with nothing around them: `vs_sum` is the first over
the second. GRPOTrainer samples from the same prompts as often and as long, with a reward that counts tokens; `vs_trl` compares seconds
a generated token, since its rows end elsewhere. The first step of each kind warms up and does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import azr_core as azr
from azr_core.directory import RunDirectory
from azr_core.run import Request, resolve
from azr_core.runner import Runner
from azr_plugins_python.training import models
from azr_plugins_python.training.options import EMBEDDED
from azr_plugins_python.training.packing import Exchange, packed, pieces, score

RATE = 1e-12  # so that every step has the same weights
Call = tuple[list[str], azr.Sampling, int]


class Recording(azr.Policy):
    """A policy that remembers what it was asked."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.calls: list[Call] = []

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        self.calls.append((list(prompts), sampling, n))
        replies: list[list[azr.Reply]] = self.policy.sample(prompts, sampling, n)
        return replies

    def stream(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> Iterator[tuple[int, list[azr.Reply]]]:
        self.calls.append((list(prompts), sampling, n))
        yield from self.policy.stream(prompts, sampling, n)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)


class Steps(azr.Listener):
    """Does the bare work of every step again as soon as it is stored, so that both are measured on the same busy machine."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.policy = trainer.policy = Recording(trainer.policy)
        self.metrics: list[Mapping[str, float]] = []
        self.bare: list[tuple[float, float]] = []  # seconds of generating and of the update
        self.calls: list[Call] = []

    def step(self, report: azr.StepReport, total_steps: int, remaining_s: float | None) -> None:
        self.calls, self.policy.calls = self.policy.calls, []
        generate = clocked(lambda: [self.policy.policy.sample(*call) for call in self.calls])
        update = clocked(lambda: bare_update(self.trainer, report.episodes))
        self.bare.append((generate, update))
        self.metrics.append(report.metrics)


def clocked(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def bare_update(trainer: Any, episodes: Sequence[azr.Episode]) -> None:
    """Forward, backward and one AdamW step over the rows a step has learned from, without TRL."""
    rows = [episode for episode in episodes if episode.trained and len(episode.reply.token_ids)]
    total = sum(len(row.reply.token_ids) for row in rows)
    exchanges = [Exchange(index, tuple(row.reply.prompt_ids), tuple(row.reply.token_ids)) for index, row in enumerate(rows)]
    device = trainer.device
    half = models.precision(trainer.options.update_dtype, device) is torch.bfloat16
    trainer.model.train()
    for piece in pieces(packed(exchanges, share=True), trainer.options.micro_batch_tokens):
        piece = piece.to(device)
        advantages = torch.tensor([rows[index].advantage for index in piece.order], device=device)
        weights = advantages[:, None].expand_as(piece.scored)[piece.scored]
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            scores = score(trainer.model, piece, share=True)
        loss = -(weights * scores.log_probs.flatten()).sum() / total - trainer.options.entropy_coefficient * scores.entropy.sum() / total
        loss.backward()
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), trainer.options.max_grad_norm)
    trainer.optimizer.step()
    trainer.optimizer.zero_grad(set_to_none=True)


def play(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of the steps and of their bare work, and the calls of the last one."""
    settings = {
        "batch_size": arguments.batch,
        "steps": arguments.steps + 1,
        "evaluation": {"final": False, "start": False},
        "checkpoint_every": 10_000,
        "trainer": {"model": arguments.model, "threads": arguments.threads, "learning_rate": RATE},
    }
    config, plugins = resolve(Request(("python",), settings))
    listener = azr.Listener()
    directory = RunDirectory(folder)
    directory.reserve()
    directory.record(config, plugins.listing())
    runner = Runner(config, plugins, directory, listener)
    try:
        runner.prepare()
        runner.listener = steps = Steps(runner.trainer)
        runner.play_all()
    finally:
        runner.close()
        plugins.close()
    metrics, bare = steps.metrics[1:], steps.bare[1:]
    return {
        "config": config,
        "calls": steps.calls,
        "step_s": [m["seconds/step"] for m in metrics],
        "sum_s": [sum(pair) for pair in bare],
        "bare": {"generate": round(sum(one for one, _ in bare), 2), "update": round(sum(other for _, other in bare), 2)},
        "tokens": [m["tokens/generated"] for m in metrics],
        "shares": {
            name: round(sum(m.get(f"seconds/{name}", 0.0) for m in metrics), 2) for name in ("generate", "verify", "train", "other")
        },
    }


def plain_trl(arguments: argparse.Namespace, played: dict[str, Any], folder: Path) -> tuple[list[float], list[float]]:
    """Seconds and generated tokens of updates of GRPOTrainer as it comes, on the prompts of a step."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    config: azr.RunConfig = played["config"]
    model, tokenizer = models.load(arguments.model, torch.device("cpu"), offline=True)[:2]
    n = config.probe_samples
    texts = sorted({text for prompts, _, samples in played["calls"] if samples > 1 for text in prompts})
    count = min(len(texts), max(1, arguments.rows // n))
    seconds: list[float] = []
    tokens: list[float] = []

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        tokens.append(float(sum(map(len, completion_ids))))
        return [float(len(ids)) for ids in completion_ids]

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begun = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(time.perf_counter() - self.begun)

    settings = GRPOConfig(
        output_dir=str(folder), max_steps=arguments.steps + 1, per_device_train_batch_size=count * n, num_generations=n,
        max_completion_length=config.solve_tokens, temperature=1.0, beta=0.0, learning_rate=RATE, use_cpu=True,
        bf16=models.precision("auto", torch.device("cpu")) is torch.bfloat16, gradient_checkpointing=False,
        save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    data = Dataset.from_dict({"prompt": (texts * (1 + (arguments.steps + 1) * count // len(texts)))[: (arguments.steps + 1) * count]})
    trainer = GRPOTrainer(model, reward, args=settings, train_dataset=data, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Clock())
    trainer.train()
    return seconds[1:], tokens[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=str(EMBEDDED))
    for name, default in (("batch", 16), ("steps", 3), ("threads", 2), ("rows", 128)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        played = play(arguments, Path(scratch) / "run")
        seconds, tokens = plain_trl(arguments, played, Path(scratch) / "trl")
    ours = statistics.median(s / t for s, t in zip(played["step_s"], played["tokens"], strict=True))
    theirs = statistics.median(s / t for s, t in zip(seconds, tokens, strict=True))
    figures = {
        "step_s": [round(value, 2) for value in played["step_s"]],
        "sum_s": [round(value, 2) for value in played["sum_s"]],
        "bare_s": played["bare"],
        "shares_s": played["shares"],
        "tokens_a_step": played["tokens"],
        "microseconds_a_token": round(1e6 * ours, 1),
        "trl_microseconds_a_token": round(1e6 * theirs, 1),
        "trl_tokens_a_step": tokens,
        "vs_sum": round(statistics.median(a / b for a, b in zip(played["step_s"], played["sum_s"], strict=True)), 3),
        "vs_trl": round(ours / theirs, 3),
    }
    print(json.dumps(figures) if arguments.json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
