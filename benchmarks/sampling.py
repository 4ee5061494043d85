"""Tokens a second of the samplers `vllm` and `transformers` on the same prompts, side by side in one run.

python benchmarks/sampling.py [MODEL_FOLDER] [--prompts 48] [--samples 8] [--tokens 64] [--rounds 2] [--threads 1] [--json]

Needs an environment with vLLM (make test-vllm builds one). The samplers take turns in one process, once unmeasured. Replies end
only at the pad token, so that nearly all have the full length; the tokens that were drawn are counted. `refresh_s` is how long new
weights take to be shown.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from typing import Any

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training.options import EMBEDDED
from azr_plugins_python.training.trainer import TrlTrainer

SAMPLERS = ("vllm", "transformers")


def prompts(count: int) -> list[str]:
    """Texts of 40 to 200 characters."""
    rng = random.Random(0)
    return ["".join(rng.choice("abcdefgh 0123456789()+") for _ in range(rng.randint(40, 200))) for _ in range(count)]


def made(model: str, sampler: str, threads: int) -> TrlTrainer:
    part = azr.Part(name="trl", model=model, threads=threads, sampler=sampler, sampling_dtype="bfloat16")
    trainer = training.azr_trainer(part, azr.RunConfig(plugins=("trl",)))
    assert isinstance(trainer, TrlTrainer)
    trainer.policy.ends = frozenset([trainer.tokenizer.pad_token_id])
    return trainer


def measured(trainer: TrlTrainer, texts: list[str], sampling: azr.Sampling, samples: int) -> tuple[int, float, float]:
    """Tokens, wall and CPU seconds of one round."""
    wall, cpu = time.perf_counter(), time.process_time()
    groups = trainer.policy.sample(texts, sampling, samples)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    return sum(len(reply.token_ids) for group in groups for reply in group), *spent


def figures(rounds: list[tuple[int, float, float]], refresh_s: float) -> dict[str, Any]:
    tokens, wall, cpu = (sum(column) for column in zip(*rounds, strict=True))
    return {
        "tokens_per_s": round(tokens / wall),
        "tokens_per_cpu_s": round(tokens / cpu),
        "tokens": tokens,
        "refresh_s": round(refresh_s, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=str(EMBEDDED))
    for name, default in (("prompts", 48), ("samples", 8), ("tokens", 64), ("rounds", 2), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    texts, sampling = prompts(asked.prompts), azr.Sampling(temperature=1.0, max_tokens=asked.tokens)
    trainers = {sampler: made(asked.model, sampler, asked.threads) for sampler in SAMPLERS}
    rounds: dict[str, list[tuple[int, float, float]]] = {sampler: [] for sampler in SAMPLERS}
    for number in range(asked.rounds + 1):
        for sampler, trainer in trainers.items():
            result = measured(trainer, texts, sampling, asked.samples)
            rounds[sampler] += [result] if number else []
    found: dict[str, Any] = {}
    for sampler, trainer in trainers.items():
        begun = time.perf_counter()
        trainer.policy.refresh()
        found[sampler] = figures(rounds[sampler], time.perf_counter() - begun)
    ratio = found["vllm"]["tokens_per_s"] / found["transformers"]["tokens_per_s"]
    found |= {"vllm_over_transformers": round(ratio, 2), "device": str(trainers["vllm"].device), "threads": asked.threads}
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
