"""What rank 0 does alone: how many episodes a second the loop and the store take, by batch size.

python benchmarks/loop.py [--batches 64,512,4096] [--characters 4000] [--steps 3] [--json]

The model answers from a script and the verifier compares lines of text, so what is left is the loop: prompts, reading replies, the gate,
novelty, rewards, advantages, and one transaction a step with prompts and replies of so many characters. Seconds are CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import azr_core as azr
from azr_core.directory import RunDirectory
from azr_core.engine import SelfPlay
from azr_core.metrics import step_metrics
from azr_core.run import Request, resolve
from azr_core.runner import Parts
from azr_core.testing import ScriptedPolicy
from azr_core.verification import Verification

PLUGIN = Path(__file__).parents[1] / "plugins" / "sorting.py"


def answers(seed: int, characters: int) -> ScriptedPolicy:
    """Replies of the paper's form: half of the proposals valid, half of the solutions right."""
    rng = random.Random(seed)
    thought = "so it goes " * (characters // 11)

    def reply(prompt: str) -> str:
        numbers = [rng.randint(-99, 99) for _ in range(6)]
        if "write whole numbers" in prompt:
            answer = json.dumps({"numbers": numbers if rng.random() < 0.5 else sorted(numbers)})
        else:
            shown = prompt.rpartition("\n")[0].splitlines()[-1].split()
            answer = (
                " ".join(sorted(shown, key=lambda text: int(text) if text.lstrip("-").isdecimal() else 0)) if rng.random() < 0.5 else "1"
            )
        return f"{thought}</think> <answer>{answer}</answer>"

    return ScriptedPolicy(reply)


def measure(batch: int, steps: int, characters: int) -> dict[str, float]:
    """Episodes of a step, and CPU microseconds an episode of the loop and of the store."""
    config, plugins = resolve(Request((str(PLUGIN),), {"batch_size": batch, "style": "paper", "trainer": {"name": "trl"}}))
    environments = plugins.environments(config)
    parts = Parts(environments, plugins.buffer(config), plugins.shaper(config), Verification(config))
    engine, policy = SelfPlay(config, parts), answers(batch, characters)
    looped = stored = 0.0
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        store = RunDirectory(Path(folder)).open_store()
        for step in range(1, steps + 1):
            begun = time.process_time()
            episodes = engine.step(policy, step)
            records = engine.take_records()
            skeletons = [record.skeleton for record in records if record.skeleton]
            metrics = step_metrics(episodes, engine.quotas, engine.buffer, skeletons)
            between = time.process_time()
            store.commit(step, episodes, records, metrics)
            looped, stored, count = looped + between - begun, stored + time.process_time() - between, count + len(episodes)
        store.close()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    plugins.close()
    solved = sum(episode.outcome is azr.Outcome.SOLVED for episode in episodes)
    return {
        "batch": batch,
        "episodes_a_step": count / steps,
        "solved_share": round(solved / len(episodes), 2),
        "loop_microseconds": round(1e6 * looped / count, 1),
        "store_microseconds": round(1e6 * stored / count, 1),
        "bytes_an_episode": round(size / count),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="64,512,4096")
    parser.add_argument("--characters", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [measure(int(batch), arguments.steps, arguments.characters) for batch in arguments.batches.split(",")]
    if arguments.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
