"""How much faster an update is when a prompt is computed once for all its replies, as a ratio of CPU seconds.

python benchmarks/update.py MODEL_FOLDER [--prompts 48] [--replies 8] [--single 48] [--repeats 2] [--threads 1] [--json]

Rows as of a self-play step: prompts of 60-170 tokens with replies of 10-60, and prompts of 200 tokens with one reply of 35.
Both ways are measured in turn in one process; the best of the repeats counts.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training.trainer import TrlTrainer


def episodes(prompts: int, replies: int, single: int, vocabulary: int) -> list[azr.Episode]:
    rng = random.Random(0)

    def ids(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.randrange(vocabulary) for _ in range(rng.randint(low, high)))

    pairs = [(prompt, ids(10, 60)) for prompt in [ids(60, 170) for _ in range(prompts)] for _ in range(replies)]
    pairs += [(ids(200, 200), ids(35, 35)) for _ in range(single)]
    return [
        azr.Episode("toy/any", azr.Kind.SOLVE, str(index), "", azr.Reply("", *pair), advantage=rng.gauss(0, 1))
        for index, pair in enumerate(pairs)
    ]


def made(model: str, threads: int, *, pack: bool) -> TrlTrainer:
    part = azr.Part(name="trl", model=model, threads=threads, pack=pack)
    trainer = training.azr_trainer(part, azr.RunConfig(plugins=("trl",)))
    assert isinstance(trainer, TrlTrainer)
    return trainer


def update(trainer: TrlTrainer, rows: list[azr.Episode]) -> tuple[float, Mapping[str, float]]:
    """CPU seconds of one update, and its metrics."""
    seen: list[tuple[float, Mapping[str, float]]] = []
    begun = 0.0

    def play(policy: azr.Policy, step: int) -> list[azr.Episode]:
        nonlocal begun
        begun = time.process_time()
        return rows

    trainer.fit(play, lambda step, metrics: bool(seen.append((time.process_time() - begun, metrics))), 1, 1)
    return seen[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    for name, default in (("prompts", 48), ("replies", 8), ("single", 48), ("repeats", 2), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    trainers = {pack: made(arguments.model, arguments.threads, pack=pack) for pack in (True, False)}
    vocabulary = trainers[True].model.config.get_text_config().vocab_size
    rows = episodes(arguments.prompts, arguments.replies, arguments.single, vocabulary)
    runs = {pack: [update(trainer, rows) for _ in range(arguments.repeats)] for pack, trainer in trainers.items()}
    packed, unpacked = (min(seconds for seconds, _ in runs[pack]) for pack in (True, False))
    figures = {
        "rows": len(rows),
        "tokens": int(runs[True][0][1]["tokens/trained"]),
        "cpu_seconds_packed": round(packed, 2),
        "cpu_seconds_unpacked": round(unpacked, 2),
        "ratio_cpu": round(unpacked / packed, 2),
        "grad_norm_packed": round(runs[True][0][1]["train/grad_norm"], 4),
        "grad_norm_unpacked": round(runs[False][0][1]["train/grad_norm"], 4),
    }
    print(json.dumps(figures) if arguments.json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
