"""A run directory made up for tests of the report, the display and the command line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from azr_core.config import RunConfig
from azr_core.store import RunStore
from azr_core.types import Episode, Evaluation, Kind, Outcome, Reply, StepReport, Task, TaskRecord, Verdict

Made = Callable[[int, random.Random], dict[str, float]]
KINDS = ("toys/count", "toys/order", "toys/rhyme")


def metrics(step: int, rng: random.Random) -> dict[str, float]:
    """Numbers of a step such as the engine's, slowly improving."""
    made: dict[str, float] = {
        "seconds/step": 3.0,
        "seconds/generate": 1.2,
        "seconds/verify": 0.1,
        "seconds/train": 1.6,
        "seconds/other": 0.1,
        "tokens/generated": 9000.0,
        "tokens/trained": 8000.0,
        "skeletons/unique": min(1.0, 0.93 + 0.07 * rng.random()),
        "skeletons/unique_recent": 0.8 + 0.05 * rng.random(),
        "skeletons/entropy": 6.4,
        "skeletons/evenness": 0.93 + 0.01 * rng.random(),
        "failed": 0.0,
        "failed_share": 0.0,
        "held_out_lost/familiar": 0.0,
        "train/loss": 0.1,
        "train/entropy": 0.8 + 0.1 * rng.random(),
    }
    for index, name in enumerate(KINDS):
        rate = min(0.95, max(0.02, 0.38 - 0.12 * index + step / 900 + rng.gauss(0, 0.04)))
        made |= {
            f"proposed/{name}": 16.0,
            f"admitted/{name}": 15.0,
            f"duplicates/{name}": float(rng.random() < 0.1),
            f"valid/{name}": 0.9 + 0.1 * rng.random(),
            f"solve_rate/{name}": rate,
            f"solved/{name}": round(rate * 120),
            f"attempts/{name}": 120.0,
            f"reward/propose/{name}": 0.3 + rng.gauss(0, 0.06),
            f"reward/solve/{name}": 1.5 * rate - 0.5,
            f"reply_tokens/solve/{name}": 40 + step / 8 + 3 * rng.random() + 10 * index,
            f"reply_tokens/propose/{name}": 60 + 3 * rng.random() + 10 * index,
            f"truncated/solve/{name}": 0.02 * rng.random(),
            f"truncated/propose/{name}": 0.01 * rng.random(),
            f"duplicate_share/{name}": 0.05 * rng.random(),
            f"malformed/{name}": 0.1 * rng.random(),
            f"malformed_proposals/{name}": 0.1 * rng.random(),
            f"flat_groups/{name}": 0.4 + 0.1 * rng.random(),
            f"earning/{name}": 0.6 + 0.1 * rng.random(),
            f"entropy/solve/{name}": 0.3 + 0.1 * rng.random(),
            f"entropy/propose/{name}": 0.9 + 0.1 * rng.random(),
            f"reflection_words/solve/{name}": 2 * rng.random(),
            f"measure/size/{name}": 5 + index + rng.random() + step / 60,
            f"buffer/{name}": 15.0 * step,
        }
    return made


def collapsing(step: int, rng: random.Random) -> dict[str, float]:
    """A proposer that repeats itself more and more: unique skeletons from 99 % to 18 % in 143 steps, then for ever."""
    unique = max(0.18, 0.99 - 0.81 * (step - 1) / 142) + rng.gauss(0, 0.02)
    made = metrics(step, rng) | {"skeletons/unique": min(1.0, max(0.0, unique)), "skeletons/evenness": 0.5 + unique / 2}
    return made | {f"duplicate_share/{name}": max(0.0, 0.4 - 0.4 * unique) for name in KINDS}


def evaluations(step: int, seed: int, light: bool = False) -> list[Evaluation]:
    """Held-out accuracy that rises with the step; the same tasks are hard every time."""
    measured = []
    for name, level in (("familiar", 0.2),) if light else (("familiar", 0.2), ("harder", 0.12)):
        for decoding, lift in (("sampled", 0.0),) if light else (("sampled", 0.0), ("greedy", 0.09)):
            for index, kind in enumerate(KINDS):
                rng = random.Random(f"{seed} {name} {decoding} {kind}")
                chance = level + lift + 0.08 * (1 - index) + step / (2000 if decoding == "sampled" else 4000)
                noise = random.Random(f"{seed} {name} {decoding} {kind} {step}")
                scores = tuple(float(rng.random() * 0.8 + noise.random() * 0.2 < chance) for _ in range(300))
                measured.append(Evaluation(step, name, kind, decoding, scores[:60] if light else scores, 41.0))
    return measured


def episodes(step: int) -> list[Episode]:
    """One proposal and two attempts at it."""
    task = Task(question=f"how many [letters] has {'a' * step}?", answer=str(step))
    reply = Reply("<|answer|>a task<|end|>", (1, 2), (3, 4, 5))
    return [
        Episode(KINDS[0], Kind.PROPOSE, f"{step}/0", "make a task", reply, Verdict(Outcome.ADMITTED, 1.0), task, (), 0.5, 0.5, 1.0),
        Episode(KINDS[0], Kind.PROBE, f"{step}/1", task.question, Reply("right"), Verdict(Outcome.SOLVED, 1.0), task, (), 0.5, 1.0, 0.5),
        Episode(KINDS[0], Kind.PROBE, f"{step}/1", task.question, Reply("x\x1b[2J"), Verdict(Outcome.WRONG, 0.0, "it is 1"), task, (), 0.5),
        Episode(KINDS[1], Kind.PROPOSE, f"{step}/2", "make a task", Reply("?"), Verdict(Outcome.MALFORMED, 0.0, "no answer in it")),
    ]


def reports(steps: int, seed: int = 0, made: Made = metrics) -> list[StepReport]:
    """What a listener hears in a run."""
    return [StepReport(step, episodes(step), made(step, random.Random(f"{seed} {step}"))) for step in range(1, steps + 1)]


def make_run(directory: Path, *, steps: int = 6, seed: int = 0, every: int = 20, made: Made = metrics) -> Path:
    """Write a whole run: configuration, database, measurements at the start, on the way and at the end."""
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(RunConfig(plugins=("toys",), seed=seed, steps=steps).model_dump_json())
    (directory / "plugins.json").write_text(json.dumps([{"name": "toys", "version": "1", "sha256": ""}]))
    store = RunStore(directory / "run.db")
    store.add_evaluations(evaluations(0, seed))
    for report in reports(steps, seed, made):
        records = [TaskRecord(one.environment, one.task, report.step) for one in report.episodes if one.kind is Kind.PROPOSE and one.task]
        store.commit(report.step, report.episodes, records, report.metrics)
        if report.step % every == 0 and report.step != steps:
            store.add_evaluations(evaluations(report.step, seed, light=True))
    store.add_evaluations(evaluations(steps, seed))
    store.set_note("wall_s", 3.0 * steps + 30)
    store.set_note("evaluation_s", 25.0)
    store.set_note("evaluation_generate_s", 20.0)
    store.set_note("evaluation_verify_s", 5.0)
    store.close()
    return directory
