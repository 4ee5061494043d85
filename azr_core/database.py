"""One SQLite file: opened for its file system, written in transactions, failing with a sentence that names the mend."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azr_core.errors import RunError

_NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "ocfs2", "fuse.")


class Database:
    """A file of one schema. version: of the schema, kept as `user_version`. Raises RunError."""

    def __init__(self, path: Path, schema: str, version: int) -> None:
        self.path = path
        with self._mended():
            self._connection = sqlite3.connect(path, timeout=10.0, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
        try:
            self._prepare(schema, version)
        except BaseException:
            self._connection.close()
            raise

    def select(self, query: str, arguments: Any = ()) -> Iterator[sqlite3.Row]:
        """Rows as they are read."""
        with self._mended():
            yield from self._connection.execute(query, arguments)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing."""
        with self._mended():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk rolls back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _prepare(self, schema: str, version: int) -> None:
        with self._mended():
            stored = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if stored not in (0, version):
                raise RunError(f"{self.path} has schema {stored}, this azr reads {version}; use the version of azr that made the run")
            self._connection.execute(f"PRAGMA journal_mode = {'TRUNCATE' if on_network(self.path) else 'WAL'}")
            self._connection.execute("PRAGMA synchronous = FULL")  # a checkpoint trusts that its step is on disk
        if stored == 0:
            with self.transaction():
                for statement in schema.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {version}")

    @contextmanager
    def _mended(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise RunError(f"{self.path}: {error}: the step or task is stored already; take the run up with --resume") from error
        except sqlite3.DatabaseError as error:
            raise RunError(f"{self.path}: {error}; {_mend(str(error))}") from error


def on_network(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Whether a file lies on a network file system, where SQLite's shared memory (WAL) does not work."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return False
    kinds = {line.split()[1].replace("\\040", " "): line.split()[2] for line in lines}
    place = path.resolve()
    holder = next((str(folder) for folder in (place, *place.parents) if str(folder) in kinds), None)
    return holder is not None and kinds[holder].startswith(_NETWORK)


def _mend(message: str) -> str:
    mends = {
        "full": "free some space on the disk, then take the run up with --resume",
        "locked": "another azr works on this run; wait for it or stop it",
        "readonly": "make the folder writable, or choose another --runs-dir",
        "unable to open": "check that the run's folder exists and can be written",
        "not a database": "it is no run database or is damaged; restore it or start a new run",
        "malformed": "it is damaged; restore it or start a new run",
    }
    return next((mend for word, mend in mends.items() if word in message), "check the disk, then take the run up with --resume")
