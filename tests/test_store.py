"""The run's database."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import azr_core as azr
from azr_core.database import on_network
from azr_core.store import RunStore

E = "toy/sorting"


class Sum(azr.Task):
    """A task with a field of its own."""

    size: int = 0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    store = RunStore(tmp_path / "run.db")
    yield store
    store.close()


def task(number: int) -> Sum:
    return Sum(question=f"{number}+1", answer=str(number + 1), size=number)


def record(number: int, step: int = 1) -> azr.TaskRecord:
    return azr.TaskRecord(E, task(number), step, ("p",), "a+b", {"length": 3.0})


def solve(number: int, outcome: azr.Outcome, kind: azr.Kind = azr.Kind.SOLVE, reward: float = 0.5) -> azr.Episode:
    reply = azr.Reply("<answer>", range(5), range(2), (0.0, 0.0))
    return azr.Episode(E, kind, "g", "prompt", reply, azr.Verdict(outcome, 1.0, "why"), task(number), ("p",), 0.25, reward, 1.5)


def contents(store: RunStore) -> list[object]:
    return [list(store.tasks({E: Sum})), store.steps(), [dict(row) for row in store.rows()], store.evaluations()]


def test_a_stored_task_comes_back_with_its_attempts(store: RunStore) -> None:
    episodes = [solve(1, azr.Outcome.SOLVED), solve(1, azr.Outcome.WRONG, azr.Kind.PROBE), solve(2, azr.Outcome.TIMEOUT)]
    store.commit(1, episodes, [record(2), record(1)], {})
    first, second = store.tasks({E: Sum})
    assert (first.task, first.attempts, first.solved) == (task(2), 1, 0)
    assert (second.task, second.attempts, second.solved) == (task(1), 2, 1)
    assert (first.parents, first.skeleton, first.measures, first.step) == (("p",), "a+b", {"length": 3.0}, 1)


def test_a_solve_that_our_machinery_broke_is_no_attempt(store: RunStore) -> None:
    store.commit(1, [solve(1, azr.Outcome.FAILED)], [record(1)], {})
    assert next(store.tasks({E: Sum})).attempts == 0


def test_probes_from_before_a_task_was_remembered_are_not_counted_when_a_run_is_taken_up(store: RunStore) -> None:
    store.commit(1, [solve(1, azr.Outcome.WRONG, azr.Kind.PROBE)], [], {})
    store.commit(2, [solve(1, azr.Outcome.SOLVED, azr.Kind.PROBE)], [record(1, 2)], {})
    before = list(store.tasks({E: Sum}))
    store.truncate(2)
    assert list(store.tasks({E: Sum})) == before and (before[0].attempts, before[0].solved) == (1, 1)


def test_solves_are_told_by_step_and_task_probes_first(store: RunStore) -> None:
    episodes = [solve(2, azr.Outcome.SOLVED), *(solve(1, outcome, azr.Kind.PROBE) for outcome in (azr.Outcome.SOLVED, azr.Outcome.WRONG))]
    store.commit(1, [*episodes, solve(1, azr.Outcome.FAILED, azr.Kind.PROBE)], [], {})
    store.commit(2, [solve(1, azr.Outcome.TIMEOUT)], [], {})
    names = [azr.task_id(E, task(number)) for number in (1, 2)]
    assert list(store.solves()) == [
        azr.TaskSolves(1, azr.Kind.PROBE, E, names[0], 2, 1),
        azr.TaskSolves(1, azr.Kind.SOLVE, E, names[1], 1, 1),
        azr.TaskSolves(2, azr.Kind.SOLVE, E, names[0], 1, 0),
    ]


def test_tasks_of_other_environments_are_left_out(store: RunStore) -> None:
    store.commit(1, [], [record(1)], {})
    assert not list(store.tasks({}))


def test_a_task_that_no_longer_fits_its_type_is_named(store: RunStore) -> None:
    store.commit(1, [], [record(1)], {})
    with pytest.raises(azr.RunError, match=f"task {azr.task_id(E, task(1))} of {E} does not fit its plugin"):
        list(store.tasks({E: azr.Task}))


def test_a_shaper_recalls_what_was_rewarded_step_by_step(store: RunStore) -> None:
    store.commit(1, [solve(1, azr.Outcome.SOLVED, reward=1.0), solve(2, azr.Outcome.WRONG, reward=-0.5)], [], {})
    store.commit(2, [solve(3, azr.Outcome.WRONG, azr.Kind.PROBE)], [], {})
    steps = list(store.rewarded())
    assert [[episode.reward for episode in step] for step in steps] == [[1.0, -0.5], [0.5]]
    assert steps[1][0].kind is azr.Kind.PROBE and steps[1][0].verdict == azr.Verdict(azr.Outcome.WRONG, 1.0, "why")
    assert steps[0][0].group == "g" and steps[0][0].trained


def test_truncating_is_as_if_the_later_steps_never_were(store: RunStore, tmp_path: Path) -> None:
    other = RunStore(tmp_path / "other.db")
    for target in (store, other):
        target.commit(1, [solve(1, azr.Outcome.SOLVED)], [record(1, 0)], {"x": 1.0})
    store.commit(2, [solve(1, azr.Outcome.SOLVED), solve(2, azr.Outcome.WRONG)], [record(2, 2)], {"x": 2.0})
    store.add_evaluations([azr.Evaluation(2, "b", E, "greedy", (1.0,))])
    store.truncate(1)
    assert contents(store) == contents(other)
    assert store.last_step() == 1
    store.truncate(-1)
    assert not list(store.tasks({E: Sum})) and store.last_step() == 0
    other.close()


def test_a_step_is_stored_whole_or_not_at_all(store: RunStore) -> None:
    store.commit(1, [], [record(1)], {})
    with pytest.raises(azr.RunError, match="stored already"):
        store.commit(2, [solve(1, azr.Outcome.SOLVED)], [record(2, 2), record(1, 2)], {})
    assert [r.task for r in store.tasks({E: Sum})] == [task(1)]
    assert not list(store.rows()) and store.last_step() == 1


def test_no_step_is_stored_twice(store: RunStore) -> None:
    store.commit(1, [], [], {})
    with pytest.raises(azr.RunError, match="stored already"):
        store.commit(1, [], [], {})


def test_numbers_that_are_not_finite_are_never_stored(store: RunStore, tmp_path: Path) -> None:
    broken = solve(1, azr.Outcome.SOLVED, reward=math.nan)
    broken.advantage, broken.measures = math.inf, {"a": math.nan, "b": 1.0}
    store.commit(1, [broken], [], {"loss": math.nan, "x": 1.0})
    row = next(store.rows())
    assert (row["reward"], row["advantage"], row["measures"]) == (None, None, {"b": 1.0})
    assert store.steps() == [(1, {"x": 1.0})]
    raw = sqlite3.connect(tmp_path / "run.db")
    assert raw.execute("SELECT metrics FROM steps").fetchone() == ('{"loss": null, "x": 1.0}',)
    raw.close()


def test_rows_are_filtered_and_a_limit_keeps_the_newest(store: RunStore) -> None:
    proposal = azr.Episode(E, azr.Kind.PROPOSE, "q", "propose", azr.Reply("text"), azr.Verdict(azr.Outcome.INVALID))
    store.commit(1, [proposal, solve(1, azr.Outcome.SOLVED)], [], {})
    store.commit(2, [solve(2, azr.Outcome.WRONG, azr.Kind.PROBE)], [], {})
    assert [row["kind"] for row in store.rows(role="solve")] == ["solve", "probe"]
    assert [row["reply"] for row in store.rows(role=azr.Role.PROPOSE)] == ["text"]
    assert [row["step"] for row in store.rows(limit=2)] == [1, 2]
    assert [row["outcome"] for row in store.rows(step=1, outcome="solved")] == ["solved"]
    assert not list(store.rows(environment="toy/other"))
    row = next(store.rows(step=2))
    assert (row["prompt_tokens"], row["reply_tokens"], row["parents"], row["task"]) == (5, 2, ["p"], azr.task_id(E, task(2)))


def test_an_evaluation_made_again_replaces_the_first(store: RunStore) -> None:
    store.add_evaluations([azr.Evaluation(0, "b", E, "greedy", (0.0, 1.0), 3.0), azr.Evaluation(0, "b", E, "sampled", (1.0,))])
    store.add_evaluations([azr.Evaluation(0, "b", E, "greedy", (0.5, 1.0), 4.0)])
    assert {e.decoding: e.scores for e in store.evaluations()} == {"sampled": (1.0,), "greedy": (0.5, 1.0)}


def test_notes_are_kept(store: RunStore) -> None:
    assert store.get_note("wall_s") is None
    store.set_note("wall_s", 1.5)
    store.set_note("wall_s", {"a": [1]})
    assert store.get_note("wall_s") == {"a": [1]}


def test_a_reader_sees_the_last_step_while_a_run_writes(store: RunStore) -> None:
    store.commit(1, [solve(1, azr.Outcome.SOLVED)], [], {})
    reader = RunStore(store.path)
    rows = reader.rows()
    next(rows)
    store.commit(2, [], [], {})
    assert reader.last_step() == 2
    rows.close()  # type: ignore[attr-defined]
    reader.close()


def test_another_schema_is_refused_with_the_mend(store: RunStore) -> None:
    raw = sqlite3.connect(store.path)
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(azr.RunError, match="has schema 99, this azr reads 1; use the version of azr that made the run"):
        RunStore(store.path)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_bytes(b"no database" * 200)
    with pytest.raises(azr.RunError, match=r"run.db: .*not a database; it is no run database or is damaged"):
        RunStore(tmp_path / "run.db")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(azr.RunError, match="check that the run's folder exists"):
        RunStore(tmp_path / "missing" / "run.db")


def test_a_full_disk_says_so_and_keeps_the_steps_before(store: RunStore) -> None:
    store.commit(1, [], [], {})
    with store._db.transaction() as write:
        write.execute("CREATE TABLE filler (x)")
    store._db._connection.execute("PRAGMA max_page_count = 20")
    big = solve(1, azr.Outcome.SOLVED)
    big.prompt = "x" * 1_000_000
    with pytest.raises(azr.RunError, match="full; free some space on the disk, then take the run up with --resume"):
        store.commit(2, [big], [], {})
    assert store.last_step() == 1


def test_a_locked_database_says_who_may_hold_it(store: RunStore) -> None:
    raw = sqlite3.connect(store.path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    store._db._connection.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(azr.RunError, match="locked; another azr works on this run"):
        store.commit(1, [], [], {})
    raw.close()


def test_wal_is_used_except_on_a_network_file_system(store: RunStore, tmp_path: Path) -> None:
    assert store._db._connection.execute("PRAGMA journal_mode").fetchone()[0] == ("truncate" if on_network(store.path) else "wal")
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nhost:/home /net\\040home nfs4 rw 0 0\nkeys /net\\040home/local tmpfs rw 0 0\n")
    assert on_network(Path("/net home/me/run.db"), mounts)
    assert not on_network(Path("/net home/local/run.db"), mounts)
    assert not on_network(Path("/home/run.db"), mounts)
    assert not on_network(Path("/home/run.db"), tmp_path / "missing")
