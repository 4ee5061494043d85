"""What is remembered, what leaves, what is drawn, and that a run taken up again knows the same. Numbers are those of test_faults.py."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import toy_plugin
from hypothesis import given
from hypothesis import strategies as st
from playing import PLUGIN, Stop, play, played
from pydantic import ValidationError

import azr_core as azr
from azr_core.buffer import BUFFERS, BufferOptions, Eviction, StepBuffer, UniformBuffer
from azr_core.config import Part, RunConfig
from azr_core.defaults import azr_buffer
from azr_core.drawing import Drawing
from azr_core.engine import Parts, SelfPlay
from azr_core.metrics import step_metrics
from azr_core.rewards import Learnability
from azr_core.run import Request, plan
from azr_core.seeding import seed
from azr_core.store import RunStore
from azr_core.testing import ScriptedPolicy
from azr_core.types import Episode, Kind, Outcome, TaskRecord, TaskSolves
from azr_core.verification import Verification

E = "toy/sorting"
EVERY = pytest.mark.parametrize("name", sorted(BUFFERS))


def task(number: int) -> azr.Task:
    return azr.Task(question=str(number), answer="")


def identity(number: int) -> str:
    return azr.task_id(E, task(number))


def filled(buffer: azr.Buffer, numbers: Iterable[int]) -> azr.Buffer:
    """A buffer with tasks 0, 1, ... of steps 0, 1, ..."""
    for number in numbers:
        buffer.remember(TaskRecord(E, task(number), number))
    return buffer


def held(buffer: azr.Buffer) -> set[int]:
    return {int(one.question) for one in buffer.sample([E], 10**6, random.Random(0))}


def recount(buffer: azr.Buffer, number: int, attempts: int, solved: int) -> None:
    buffer.recount(TaskSolves(1, Kind.SOLVE, E, identity(number), attempts, solved))


@EVERY
@given(
    arrivals=st.lists(st.tuples(st.sampled_from(["a/a", "b/b"]), st.integers(0, 9), st.integers(0, 3)), max_size=60),
    cap=st.integers(1, 5),
    eviction=st.sampled_from(Eviction),
    k=st.integers(0, 12),
)
def test_no_buffer_ever_holds_more_than_its_cap_or_a_task_twice(
    name: str, arrivals: list[tuple[str, int, int]], cap: int, eviction: Eviction, k: int
) -> None:
    buffer = BUFFERS[name](BufferOptions(cap=cap, eviction=eviction))
    for step, (home, number, solved) in enumerate(arrivals):
        known = buffer.sample([home], 10**6, random.Random(0))
        assert buffer.remember(TaskRecord(home, task(number), step)) == (task(number) not in known)
        assert task(number) in buffer.sample([home], 10**6, random.Random(0))
        buffer.recount(TaskSolves(step, Kind.PROBE, home, azr.task_id(home, task(number)), 3, solved))
    counts = [buffer.count(home) for home in ("a/a", "b/b")]
    assert max(counts) <= cap
    drawn = buffer.sample(["a/a", "b/b", "a/a"], k, random.Random(1))
    assert len(drawn) == min(k, sum(counts)) and drawn == buffer.sample(["a/a", "b/b", "a/a"], k, random.Random(1))
    for home in ("a/a", "b/b"):
        mine = buffer.sample([home], k, random.Random(2))
        assert len(mine) == len({one.question for one in mine}) == min(k, buffer.count(home))


@EVERY
def test_fault_07_a_full_buffer_keeps_the_newest(name: str) -> None:
    buffer = azr_buffer(Part.model_validate({"name": name, "cap": 3}))
    assert buffer and held(filled(buffer, range(10))) == {7, 8, 9}


def test_fault_09_the_least_useful_leave_first_then_the_oldest() -> None:
    buffer = filled(UniformBuffer(BufferOptions(cap=5, eviction=Eviction.LEAST_USEFUL)), range(5))
    for number, solved in ((1, 2), (2, 0), (3, 4)):
        recount(buffer, number, 4, solved)
    assert held(filled(buffer, [5])) == {0, 1, 3, 4, 5}  # nobody solved 2
    assert held(filled(buffer, [6])) == {0, 1, 4, 5, 6}  # everybody solved 3
    assert held(filled(buffer, [7])) == {1, 4, 5, 6, 7}  # 0 was never tried: it is only the oldest


def test_fault_09_a_task_is_useful_again_once_some_solve_it() -> None:
    buffer = filled(UniformBuffer(BufferOptions(cap=2, eviction=Eviction.LEAST_USEFUL)), range(2))
    recount(buffer, 1, 4, 0)
    recount(buffer, 1, 4, 1)
    assert held(filled(buffer, [2])) == {1, 2}


def test_random_eviction_depends_on_nothing_but_the_tasks() -> None:
    options = BufferOptions(cap=20, eviction=Eviction.RANDOM)
    kept = held(filled(UniformBuffer(options), range(200)))
    assert kept == held(filled(UniformBuffer(options), range(200)))
    assert 199 in kept and not kept <= set(range(180, 200))


def test_newer_tasks_are_drawn_more_often_by_step() -> None:
    buffer = filled(StepBuffer(), [0, 1, 3])
    drawn = Counter(buffer.sample([E], 1, random.Random(number))[0].question for number in range(7000))
    assert [drawn[name] for name in "013"] == pytest.approx([1000, 2000, 4000], rel=0.15)  # weights 1, 2 and 4


def test_a_buffer_that_only_adds_is_enough() -> None:
    class Listing(azr.Buffer):
        def __init__(self) -> None:
            self.tasks: list[azr.Task] = []

        def add(self, environment: str, task: azr.Task) -> bool:
            self.tasks.append(task)
            return True

        def sample(self, environments: Sequence[str], k: int, rng: random.Random) -> list[azr.Task]:
            return self.tasks[:k]

        def count(self, environment: str) -> int:
            return len(self.tasks)

    engine = loop(Listing())
    engine.step(player(["5 4", "6 5"]), 1)
    assert engine.buffer.count(E) == 4


def drawn(drawing: Drawing, quota: int, step: int, solved: Iterable[int] = ()) -> list[int]:
    environment = toy_plugin.azr_environments()[0]
    return [int(one.question) for one in drawing.draw(environment, quota, step, {identity(number) for number in solved})]


def drawing(steps: Sequence[int], **settings: object) -> Drawing:
    """Of tasks 0, 1, ... that were remembered in these steps."""
    buffer = UniformBuffer()
    made = Drawing(RunConfig.model_validate({"plugins": ("toy",)} | settings), buffer, ())
    for number, step in enumerate(steps):
        buffer.remember(TaskRecord(E, task(number), step))
        made.note(TaskRecord(E, task(number), step))
    return made


def test_the_papers_batch_is_this_steps_tasks_then_any() -> None:
    batch = drawn(drawing([0, 1, 1, 2, 2]), 4, 2)
    assert batch[:2] == [3, 4] and len(set(batch)) == 4 and set(batch[2:]) < {0, 1, 2}


def test_with_a_lag_the_tasks_of_the_step_before_are_solved_and_later_ones_are_not() -> None:
    made = drawing([0, 1, 1, 2, 2], solve_lag=1)
    assert drawn(made, 2, 2) == [1, 2]
    assert sorted(drawn(made, 9, 2)) == [0, 1, 2]


def test_a_window_counts_the_tasks_of_several_steps_as_new() -> None:
    made = drawing([0, 1, 2, 3, 4], solve_lag=1, solve_window=2)
    assert sorted(drawn(made, 2, 4)) == [2, 3]
    assert len({tuple(sorted(drawn(made, 1, 4) + drawn(drawing([0, 1, 2, 3, 4], solve_window=9, seed=n), 1, 4))) for n in range(9)}) > 1


def test_half_new_and_uniform_total_leave_room_for_the_old() -> None:
    steps = [0] * 50 + [1] * 10
    assert sum(number >= 50 for number in drawn(drawing(steps, solve_mix="max_new"), 10, 1)) == 10
    half = drawn(drawing(steps, solve_mix="half_new"), 10, 1)
    assert all(number >= 50 for number in half[:5]) and len(set(half)) == 10
    assert sum(number >= 50 for number in drawn(drawing(steps, solve_mix="uniform_total"), 10, 1)) < 8


def test_fault_10_a_short_batch_is_filled_from_the_buffer_and_said_so_once() -> None:
    made = drawing([0, 0, 0, 1])
    assert len(set(drawn(made, 3, 1))) == 3
    assert made.counts[f"filled/{E}"] == 2 and not made.counts[f"short/{E}"]
    assert len(made.notes) == 1 and "2 come from the buffer" in made.notes[0] and "missing" not in made.notes[0]
    drawn(made, 9, 2)
    assert made.counts == {f"filled/{E}": 2 + 4, f"short/{E}": 5} and len(made.notes) == 1


@given(
    steps=st.lists(st.integers(0, 6), max_size=20).map(sorted),
    quota=st.integers(0, 12),
    lag=st.integers(0, 2),
    window=st.integers(1, 3),
    mix=st.sampled_from(["max_new", "half_new", "uniform_total"]),
    solved=st.sets(st.integers(0, 19), max_size=6),
)
def test_a_batch_is_never_too_long_never_doubles_and_only_as_short_as_the_buffer(
    steps: list[int], quota: int, lag: int, window: int, mix: str, solved: set[int]
) -> None:
    done = {number for number in solved if number < len(steps)}
    made = drawing(steps, solve_lag=lag, solve_window=window, solve_mix=mix)
    batch = drawn(made, quota, 6, done)
    there = {number for number, step in enumerate(steps) if step <= 6 - lag} - done
    assert len(set(batch)) == len(batch) and set(batch) <= there
    assert len(batch) == max(0, min(quota - len(done), len(there)))
    assert made.counts[f"short/{E}"] == max(0, quota - len(done)) - len(batch)


class Counted(toy_plugin.ToyVerifier):
    """Tasks of equally many numbers are alike."""

    def skeleton(self, task: toy_plugin.Sorting) -> str:
        return str(len(task.numbers))


def loop(buffer: azr.Buffer | None = None, **settings: object) -> SelfPlay:
    base: dict[str, object] = {"plugins": ("toy",), "batch_size": 4, "references": 2, "probe_samples": 4, "style": "compact"}
    shipped = toy_plugin.azr_environments()[0]
    environment = azr.Environment(E, shipped.proposer, Counted(), shipped.seeds, shipped.task_type)
    parts = Parts({E: environment}, buffer or UniformBuffer(), Learnability(), Verification())
    engine = SelfPlay(RunConfig.model_validate(base | settings), parts)
    seed(engine)
    return engine


def player(proposals: Sequence[str], right: Callable[[str, int], bool] = lambda prompt, count: count % 2 == 0) -> ScriptedPolicy:
    """Proposes these in turn; solves where `right(numbers, count)` says so."""
    texts, counter = itertools.cycle(proposals), itertools.count()

    def reply(prompt: str) -> str:
        if prompt.startswith("<|propose|>"):
            return f"<|answer|>{next(texts)}<|end|>"
        numbers = prompt.removeprefix("<|solve|>Sort ").removesuffix("<|go|>")
        answer = " ".join(sorted(numbers.split(), key=int)) if right(numbers, next(counter)) else "0"
        return f"<|think|>easy<|answer|>{answer}<|end|>"

    return ScriptedPolicy(reply)


def remembered(engine: SelfPlay) -> set[str]:
    return {record.task.question.removeprefix("Sort ") for record in engine.take_records() if record.step}


def of(episodes: Sequence[Episode], kind: Kind) -> list[Episode]:
    return [episode for episode in episodes if episode.kind is kind]


def by_difficulty(numbers: str, count: int) -> bool:
    """5 4: always; 6 5: never; others: half of the time."""
    return numbers == "5 4" or (numbers != "6 5" and count % 2 == 0)


@pytest.mark.parametrize(
    ("admit_rates", "kept"),
    [("all", {"5 4", "6 5", "7 6", "8 7"}), ("below_one", {"6 5", "7 6", "8 7"}), ("between", {"7 6", "8 7"})],
)
def test_fault_09_tasks_may_be_kept_out_by_their_solve_rate(admit_rates: str, kept: set[str]) -> None:
    engine = loop(admit_rates=admit_rates)
    episodes = engine.step(player(["5 4", "6 5", "7 6", "8 7"], by_difficulty), 1)
    assert remembered(engine) == kept and engine.buffer.count(E) == 2 + len(kept)
    assert [episode.reward for episode in of(episodes, Kind.PROPOSE)] == [0.0, 0.0, 0.5, 0.5]
    assert engine.take_counts()[f"dropped/{E}"] == 4 - len(kept)


def test_a_task_that_was_not_remembered_may_come_again_and_is_measured_anew() -> None:
    engine = loop(admit_rates="between")
    engine.step(player(["6 5"], by_difficulty), 1)
    again = of(engine.step(player(["6 5"]), 2), Kind.PROPOSE)
    assert again[0].outcome is Outcome.ADMITTED and again[0].solve_rate == 0.5
    assert remembered(engine) == {"6 5"}


def test_a_skeleton_that_was_seen_too_often_makes_a_duplicate() -> None:
    engine = loop(skeleton_cap=3)  # the seeds have two and three numbers
    first = of(engine.step(player(["5 4", "6 5", "7 6", "8 7 6"]), 1), Kind.PROPOSE)
    assert [episode.outcome for episode in first] == [Outcome.ADMITTED, Outcome.ADMITTED, Outcome.DUPLICATE, Outcome.ADMITTED]
    later = of(engine.step(player(["9 8", "9 8 7"]), 2), Kind.PROPOSE)
    assert later[0].outcome is Outcome.DUPLICATE and later[1].outcome is Outcome.ADMITTED
    assert later[0].verdict and later[0].verdict.reason == "3 tasks of its skeleton are known"


def test_without_a_cap_alike_tasks_are_no_duplicates() -> None:
    proposals = of(loop().step(player(["5 4", "6 5", "7 6", "8 7"]), 1), Kind.PROPOSE)
    assert {episode.outcome for episode in proposals} == {Outcome.ADMITTED}


def test_trained_probes_shrink_the_solvers_batch_by_what_they_give() -> None:
    engine = loop()
    episodes = engine.step(player(["5 4", "x", "6 5", "x"]), 1)
    probes, solves = of(episodes, Kind.PROBE), of(episodes, Kind.SOLVE)
    assert len({episode.task_id for episode in probes}) == 2 and len({episode.task_id for episode in solves}) == 4 - 2
    assert not {episode.task_id for episode in probes} & {episode.task_id for episode in solves}
    assert engine.take_counts() == {f"dropped/{E}": 0.0, f"filled/{E}": 2.0, f"short/{E}": 0.0}
    assert of(loop().step(player(["5 4", "6 5", "7 6", "8 7"]), 1), Kind.SOLVE) == []


def test_trained_probes_of_tasks_that_are_not_kept_count_too() -> None:
    episodes = loop(admit_rates="between").step(player(["5 4", "6 5", "7 6", "8 7"], by_difficulty), 1)
    assert of(episodes, Kind.SOLVE) == []


@pytest.mark.parametrize(("probes", "share"), [("train", 1.0), ("measure", 8 / 24)])
def test_the_trained_share_of_generated_tokens_is_measured(probes: str, share: float) -> None:
    numbers = itertools.count(10)
    policy = ScriptedPolicy(lambda prompt: f"<|answer|>{next(numbers) if prompt.startswith('<|propose|>') else 0} 5<|end|>")  # two tokens
    engine = loop(probes=probes)
    episodes = engine.step(policy, 1)
    assert step_metrics(episodes, engine.quotas, engine.buffer, [])["tokens/trained_share"] == pytest.approx(share)


@pytest.mark.parametrize(("probe_format", "rate"), [("required", 0.0), ("ignored", 1.0)])
def test_a_probe_needs_the_replys_form_unless_told_otherwise(probe_format: str, rate: float) -> None:
    def reply(prompt: str) -> str:
        if prompt.startswith("<|propose|>"):
            return "<|answer|>5 4<|end|>"
        numbers = prompt.removeprefix("<|solve|>Sort ").removesuffix("<|go|>")
        return f"<|answer|>7<|end|> no: <|answer|>{' '.join(sorted(numbers.split(), key=int))}"

    episodes = loop(probes="measure", probe_format=probe_format).step(ScriptedPolicy(reply), 1)
    assert {episode.solve_rate for episode in of(episodes, Kind.PROBE)} == {rate}
    assert {episode.outcome for episode in of(episodes, Kind.SOLVE)} == {Outcome.MALFORMED}


@pytest.mark.parametrize("envelope", [envelope() for envelope in azr.ENVELOPES.values()], ids=lambda one: type(one).__name__)
def test_an_answer_is_found_in_what_is_not_a_reply(envelope: azr.Envelope) -> None:
    whole = envelope.reply("thought", "42")
    for text in (
        whole,
        f"{whole}\nand more",
        f"{envelope.reply('', '41')} {whole}",
        whole.removesuffix("<|end|>").removesuffix("</answer>"),
    ):
        assert envelope.find(azr.Reply(text)) == "42"
    with pytest.raises(azr.FormatError):
        envelope.find(azr.Reply("42"))


@pytest.mark.parametrize("setting", [{"probe_format": "ignored"}, {"probe_temperature": 0.0}], ids=str)
def test_probes_that_are_trained_on_are_sampled_and_formed_like_solves(setting: dict[str, object]) -> None:
    RunConfig.model_validate({"plugins": ("toy",), "probes": "measure"} | setting)
    with pytest.raises(ValidationError, match="or probes = 'measure'"):
        RunConfig.model_validate({"plugins": ("toy",), "probes": "train"} | setting)


def test_the_plan_says_that_greedy_probes_let_no_proposal_earn() -> None:
    said = [
        plan(Request((PLUGIN,), {"trainer": {"name": "seeded"}, "probes": "measure", "probe_temperature": heat}))["solves a task"]
        for heat in (0.0, 1.0)
    ]
    assert ["no proposal can earn" in text for text in said] == [True, False]


VARIANTS: dict[str, dict[str, Any]] = {
    "least_useful": {"buffer": {"name": "uniform", "cap": 6, "eviction": "least_useful"}},
    "random": {"buffer": {"name": "step", "cap": 6, "eviction": "random"}, "skeleton_cap": 9},
    "released": {
        "probes": "measure",
        "solve_lag": 1,
        "solve_window": 3,
        "probe_format": "ignored",
        "buffer": {"name": "uniform", "cap": 8},
    },
    "filtered": {"admit_rates": "between", "solve_mix": "half_new", "probes": "measure", "buffer": {"name": "newest_first", "cap": 5}},
}


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_fault_11_a_run_taken_up_again_remembers_evicts_and_draws_the_same(variant: str, tmp_path: Path) -> None:
    settings = VARIANTS[variant]
    whole = play(tmp_path / "whole", **settings)
    parts = tmp_path / "parts"
    for step in (2, 5, 9):
        folder = play(parts, listener=Stop(step), **(settings if step == 2 else {}), resume=step != 2)
    play(parts, resume=True)
    assert played(folder) == played(whole)
    assert numbers(folder) == numbers(whole)


def numbers(folder: Path) -> list[object]:
    """Solve statistics of every task, and the metrics of every step but for times."""
    store = RunStore(folder / "run.db")
    tallies = [tuple(row) for row in store._db.select("SELECT id, attempts, solved FROM tasks ORDER BY number")]
    metrics = [{name: value for name, value in step.items() if not name.startswith("seconds")} for _, step in store.steps()]
    store.close()
    return [tallies, metrics]


def test_fault_09_solve_statistics_of_every_task_survive_in_buffer_and_store(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run.db")
    engine = loop(probes="measure")
    for step in (1, 2, 3):
        episodes = engine.step(player([f"{step}5 4", f"{step}6 5 1"], by_difficulty), step)
        store.commit(step, episodes, engine.take_records(), {})
    again = SelfPlay(engine.config, Parts(engine.environments, UniformBuffer(), Learnability(), Verification()))
    again.restore(store.tasks({E: toy_plugin.Sorting}), store.solves(), store.rewarded())
    known = {azr.task_id(E, record.task): (record.attempts, record.solved) for record in store.tasks({E: toy_plugin.Sorting})}
    for buffer in (engine.buffer, again.buffer):
        assert isinstance(buffer, UniformBuffer)
        tallies = {azr.task_id(E, one.task): (one.attempts, one.solved) for one in buffer.choose(buffer._pool([E]), 99, random.Random(0))}
        assert tallies == known
    assert all(attempts >= 4 for attempts, _ in list(known.values())[2:])
    store.close()
