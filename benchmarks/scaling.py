"""What the way over Ray costs: the same programs judged in this process and by one actor on this machine, in turn.

python benchmarks/scaling.py [--items 640] [--rounds 5]

Both use the same executor, as many slots each. A ratio stands on a busy machine where programs a second do not, so the two alternate
and both the middle of the rounds and the best of each side are given. Needs the extra azr[ray].
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence
from itertools import islice

import azr_core as azr
from azr_core.verification import Verification

KIND = "python/abduction"  # a program runs to admit a task, and to grade an answer


def timed(verification: Verification, environment: azr.Environment, pairs: Sequence[tuple[azr.Task, str]]) -> float:
    """Programs a second."""
    started = time.perf_counter()
    verdicts = verification.grade(environment, pairs)
    seconds = time.perf_counter() - started
    assert all(verdict.outcome is azr.Outcome.SOLVED for verdict in verdicts)
    return len(pairs) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("items", 640), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    config = azr.RunConfig(plugins=("python",), verify_on="local")
    plugins = azr.load(config.plugins)
    environment = plugins.environments(config)[KIND]
    assert environment.demonstrations is not None
    drawn = islice(environment.demonstrations(random.Random(0)), arguments.items)
    pairs = [(demonstration.task, demonstration.task.answer) for demonstration in drawn]
    here, ray = Verification(), Verification(config, plugins)
    rates: dict[str, list[float]] = {"here": [], "ray": []}
    for verification in (here, ray):
        timed(verification, environment, pairs[:64])  # everything starts
    for _ in range(arguments.rounds):
        rates["here"].append(timed(here, environment, pairs))
        rates["ray"].append(timed(ray, environment, pairs))
    ray.close()
    plugins.close()
    best = {f"programs_per_second_{name}": round(max(found)) for name, found in rates.items()}
    ratios = sorted(there / own for own, there in zip(rates["here"], rates["ray"], strict=True))
    ratio_best = max(rates["ray"]) / max(rates["here"])
    figures = {"ratio_median": statistics.median(ratios), "ratio_best": ratio_best, "ratio_low": ratios[0], "ratio_high": ratios[-1]}
    print(json.dumps({"items": len(pairs), **best, **{name: round(value, 2) for name, value in figures.items()}}))


if __name__ == "__main__":
    main()
