"""How fast the trainer's sampler is, as a ratio to transformers.generate on the same model, prompts and reply lengths.

python benchmarks/sampler.py MODEL_FOLDER [--prompts 48] [--samples 8] [--tokens 64] [--threads 2]

Replies are forced to full length on both sides. Ratios stand on a busy machine where seconds do not, so both are
measured in turn in one process, and CPU time is given beside wall time.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable

from transformers import AutoModelForCausalLM

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training.trainer import TrlTrainer


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def prompts(count: int) -> list[str]:
    """Texts of 40 to 200 characters."""
    rng = random.Random(0)
    return ["".join(rng.choice("abcdefgh 0123456789()+") for _ in range(rng.randint(40, 200))) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    for name, default in (("prompts", 48), ("samples", 8), ("tokens", 64), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    part = azr.Part(name="trl", model=arguments.model, threads=arguments.threads)
    trainer = training.azr_trainer(part, azr.RunConfig(plugins=("trl",)))
    assert isinstance(trainer, TrlTrainer)
    policy, texts = trainer.policy, prompts(arguments.prompts)
    policy.ends = frozenset([-1])  # no token ends a reply: every row has the full length
    sampling = azr.Sampling(temperature=1.0, max_tokens=arguments.tokens)

    stock = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=policy.model.dtype).eval()
    tokenizer = policy.tokenizer
    tokenizer.padding_side = "left"
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    batch.pop("token_type_ids", None)

    def generate() -> None:
        stock.generate(
            **batch, do_sample=True, temperature=1.0, top_k=0, num_return_sequences=arguments.samples, pad_token_id=tokenizer.pad_token_id,
            min_new_tokens=arguments.tokens, max_new_tokens=arguments.tokens,
        )  # fmt: skip

    policy.sample(texts[:4], azr.Sampling(temperature=1.0, max_tokens=2), 2)
    ours, theirs = timed(lambda: policy.sample(texts, sampling, arguments.samples)), timed(generate)
    tokens = arguments.prompts * arguments.samples * arguments.tokens
    figures = {
        "tokens": tokens,
        "threads": arguments.threads,
        "dtype": str(policy.model.dtype),
        "tokens_per_second": round(tokens / ours[0]),
        "tokens_per_cpu_second": round(tokens / ours[1]),
        "generate_tokens_per_second": round(tokens / theirs[0]),
        "generate_tokens_per_cpu_second": round(tokens / theirs[1]),
        "ratio_wall": round(theirs[0] / ours[0], 2),
        "ratio_cpu": round(theirs[1] / ours[1], 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
