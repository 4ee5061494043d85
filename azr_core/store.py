"""The run's database: tasks, episodes, steps, evaluations. One transaction a step; what is not committed never was."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from azr_core.database import Database
from azr_core.errors import RunError
from azr_core.types import Episode, Evaluation, Kind, Outcome, Reply, Role, Task, TaskRecord, TaskSolves, Verdict, task_id

VERSION = 1
SCHEMA = """
CREATE TABLE tasks (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, environment TEXT NOT NULL, step INTEGER NOT NULL,
    task TEXT NOT NULL, parents TEXT NOT NULL, skeleton TEXT NOT NULL, measures TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, solved INTEGER NOT NULL DEFAULT 0);
CREATE TABLE episodes (number INTEGER PRIMARY KEY, step INTEGER NOT NULL, environment TEXT NOT NULL, kind TEXT NOT NULL,
    prompt_group TEXT NOT NULL, prompt TEXT NOT NULL, reply TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL,
    truncated INTEGER NOT NULL, outcome TEXT NOT NULL, score REAL, reason TEXT NOT NULL, task TEXT, parents TEXT NOT NULL,
    solve_rate REAL, reward REAL, advantage REAL, trained INTEGER NOT NULL, measures TEXT NOT NULL);
CREATE INDEX episodes_by_step ON episodes (step);
CREATE INDEX episodes_by_task ON episodes (task);
CREATE TABLE steps (step INTEGER PRIMARY KEY, metrics TEXT NOT NULL);
CREATE TABLE evaluations (number INTEGER PRIMARY KEY, step INTEGER NOT NULL, benchmark TEXT NOT NULL, kind TEXT NOT NULL,
    decoding TEXT NOT NULL, scores TEXT NOT NULL, reply_tokens REAL, UNIQUE (step, benchmark, kind, decoding));
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
# A solve that our machinery broke is no attempt, and a task's history begins in the step in which it was remembered.
_SOLVES = f"kind IN ('{Kind.PROBE}', '{Kind.SOLVE}') AND outcome != '{Outcome.FAILED}'"
_OWN = f"episodes.task = tasks.id AND episodes.step >= tasks.step AND {_SOLVES}"
_RECOUNT = f"""
UPDATE tasks SET attempts = (SELECT count(*) FROM episodes WHERE {_OWN}),
    solved = (SELECT count(*) FROM episodes WHERE {_OWN} AND outcome = '{Outcome.SOLVED}')
"""


class RunStore:
    """`run.db`. Non-finite numbers are stored as NULL and left out when mappings are read back. Raises RunError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = Database(path, SCHEMA, VERSION)

    def commit(self, step: int, episodes: Sequence[Episode], records: Sequence[TaskRecord], metrics: Mapping[str, float]) -> None:
        """Store one step in one transaction. The tasks' attempts and solves are counted from the episodes, never taken from records."""
        with self._db.transaction() as write:
            write.executemany(
                "INSERT INTO tasks (id, environment, step, task, parents, skeleton, measures) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (_task_row(record) for record in records),
            )
            write.executemany(f"INSERT INTO episodes VALUES (NULL{', ?' * 19})", (_episode_row(step, episode) for episode in episodes))
            judged = [e for e in episodes if e.kind is not Kind.PROPOSE and e.outcome is not Outcome.FAILED]
            write.executemany(
                "UPDATE tasks SET attempts = attempts + 1, solved = solved + ? WHERE id = ?",
                ((e.outcome is Outcome.SOLVED, e.task_id) for e in judged),
            )
            write.execute("INSERT INTO steps VALUES (?, ?)", (step, _json(metrics)))

    def tasks(self, types: Mapping[str, type[Task]]) -> Iterator[TaskRecord]:
        """The tasks of these environments in the order they came, with their attempts and solves so far."""
        for row in self._db.select("SELECT * FROM tasks ORDER BY number"):
            if row["environment"] not in types:
                continue
            try:
                task = types[row["environment"]].model_validate_json(row["task"])
            except ValidationError as error:
                fault = error.errors()[0]["msg"]
                what = f"task {row['id']} of {row['environment']} does not fit its plugin ({fault})"
                raise RunError(f"{self.path}: {what}; use the plugin version that made the run") from None
            yield TaskRecord(
                row["environment"], task, row["step"], tuple(json.loads(row["parents"])), row["skeleton"], _numbers(row["measures"]),
                row["attempts"], row["solved"],
            )  # fmt: skip

    def remembered(self) -> Iterator[tuple[str, str, str]]:
        """(environment, id, skeleton) of the proposed tasks, in the order they came; seeds are left out."""
        for row in self._db.select("SELECT environment, id, skeleton FROM tasks WHERE step > 0 ORDER BY number"):
            yield row["environment"], row["id"], row["skeleton"]

    def count(self, reason: str) -> int:
        """How many episodes were judged with this reason."""
        return int(next(self._db.select("SELECT count(*) FROM episodes WHERE reason = ?", (reason,)))[0])

    def solves(self) -> Iterator[TaskSolves]:
        """How often each task was tried and solved in each step, probes before solves."""
        counted = f"count(*) AS attempts, sum(outcome = '{Outcome.SOLVED}') AS solved"
        order = "GROUP BY step, kind, task ORDER BY step, kind, min(number)"
        for row in self._db.select(f"SELECT step, kind, environment, task, {counted} FROM episodes WHERE {_SOLVES} {order}"):
            yield TaskSolves(row["step"], Kind(row["kind"]), row["environment"], row["task"], row["attempts"], row["solved"])

    def rewarded(self) -> Iterator[list[Episode]]:
        """Each stored step's episodes in order, with only what a reward shaper needs to recall them; texts are empty."""
        batch: list[Episode] = []
        at = None
        query = "SELECT step, environment, kind, prompt_group, outcome, score, reason, reward, trained FROM episodes ORDER BY number"
        for row in self._db.select(query):
            if row["step"] != at and batch:
                yield batch
                batch = []
            at = row["step"]
            verdict = Verdict(Outcome(row["outcome"]), row["score"] or 0.0, row["reason"])
            batch.append(
                Episode(
                    row["environment"], Kind(row["kind"]), row["prompt_group"], "", Reply(""), verdict,
                    reward=row["reward"] or 0.0, trained=bool(row["trained"]),
                )
            )  # fmt: skip
        if batch:
            yield batch

    def steps(self) -> list[tuple[int, dict[str, float]]]:
        """(step, metrics) of every stored step, in order."""
        return [(row["step"], _numbers(row["metrics"])) for row in self._db.select("SELECT * FROM steps ORDER BY step")]

    def skeletons(self, limit: int) -> list[str]:
        """Skeletons of the newest so many proposed tasks that have one, in the order the tasks came."""
        query = "SELECT skeleton FROM tasks WHERE step > 0 AND skeleton != '' ORDER BY number DESC LIMIT ?"
        return [row["skeleton"] for row in self._db.select(query, (limit,))][::-1]

    def last_step(self) -> int:
        """The last stored step, 0 before the first."""
        return int(next(self._db.select("SELECT coalesce(max(step), 0) FROM steps"))[0])

    def truncate(self, after: int) -> None:
        """Delete all that lies after a step, and count the tasks' attempts and solves anew."""
        with self._db.transaction() as write:
            for table in ("episodes", "steps", "tasks", "evaluations"):
                write.execute(f"DELETE FROM {table} WHERE step > ?", (after,))
            write.execute(_RECOUNT)

    def add_evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        """Store measurements; the same measurement of the same step is replaced."""
        rows = [(e.step, e.benchmark, e.kind, e.decoding, _json(list(e.scores)), _finite(e.reply_tokens)) for e in evaluations]
        with self._db.transaction() as write:
            write.executemany("INSERT OR REPLACE INTO evaluations VALUES (NULL, ?, ?, ?, ?, ?, ?)", rows)

    def evaluations(self) -> list[Evaluation]:
        """All measurements, by step and in the order they were made."""
        return [
            Evaluation(
                row["step"], row["benchmark"], row["kind"], row["decoding"],
                tuple(math.nan if score is None else float(score) for score in json.loads(row["scores"])), row["reply_tokens"] or 0.0,
            )
            for row in self._db.select("SELECT * FROM evaluations ORDER BY step, number")
        ]  # fmt: skip

    def rows(
        self,
        environment: str | None = None,
        role: Role | str | None = None,
        outcome: Outcome | str | None = None,
        step: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """Episodes as text, oldest first; with a limit the newest so many. `task` is an id, `group` names the prompt."""
        kinds = "('propose')" if role == Role.PROPOSE else "('probe', 'solve')"
        conditions = [f"kind IN {kinds}"] if role else ["1"]
        wanted = {"environment": environment, "outcome": outcome, "step": step}
        conditions += [f"{column} = :{column}" for column, value in wanted.items() if value is not None]
        newest = f"SELECT * FROM episodes WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT :limit"
        arguments = wanted | {"limit": -1 if limit is None else limit}
        for row in self._db.select(f"SELECT * FROM ({newest}) ORDER BY number", arguments):
            found = dict(row)
            found["group"] = found.pop("prompt_group")
            found["role"] = Role.PROPOSE if found["kind"] == Kind.PROPOSE else Role.SOLVE
            yield found | {"parents": json.loads(row["parents"]), "measures": _numbers(row["measures"])}

    def set_note(self, key: str, value: Any) -> None:
        """Keep a small JSON value under a key."""
        with self._db.transaction() as write:
            write.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, _json(value)))

    def get_note(self, key: str) -> Any:
        """The value kept under a key, or None."""
        row = next(self._db.select("SELECT value FROM notes WHERE key = ?", (key,)), None)
        return None if row is None else json.loads(row["value"])

    def close(self) -> None:
        """Close the database."""
        self._db.close()


def _task_row(record: TaskRecord) -> tuple[Any, ...]:
    identity = task_id(record.environment, record.task)
    content = record.task.model_dump_json()
    return (identity, record.environment, record.step, content, _json(record.parents), record.skeleton, _json(record.measures))


def _episode_row(step: int, episode: Episode) -> tuple[Any, ...]:
    reply, verdict = episode.reply, episode.verdict or Verdict(episode.outcome)
    numbers = tuple(_finite(number) for number in (episode.solve_rate, episode.reward, episode.advantage))
    return (
        step, episode.environment, episode.kind, episode.group, episode.prompt, reply.text, len(reply.prompt_ids), len(reply.token_ids),
        reply.truncated, verdict.outcome, _finite(verdict.score), verdict.reason, episode.task_id, _json(episode.parents),
        *numbers, episode.trained, _json(episode.measures),
    )  # fmt: skip


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _json(value: Any) -> str:
    if isinstance(value, Mapping):
        value = {key: _finite(number) if isinstance(number, float) else number for key, number in value.items()}
    elif isinstance(value, list | tuple):
        value = [_finite(number) if isinstance(number, float) else number for number in value]
    return json.dumps(value, allow_nan=False)


def _numbers(text: str) -> dict[str, float]:
    return {key: number for key, number in json.loads(text).items() if number is not None}
