"""Checkpoints that are whole or absent: written beside, synced, sealed with a manifest, renamed. What is given away appears so too."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azr_core.errors import RunError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Keeping:
    """Which checkpoints stay: the newest, and of the older ones the first and then one each so many hours; none: no older one."""

    newest: int
    hours: float | None = None

    def spared(self, written: Sequence[tuple[int, float]]) -> set[int]:
        """Steps that stay, of (step, seconds at which it was written), ascending. Those that stayed before stay again."""
        kept = {step for step, _ in written[-self.newest :]}
        last: float | None = None
        for step, second in written if self.hours else ():
            if last is None or second - last >= 3600 * (self.hours or 0.0):
                kept.add(step)
                last = second
        return kept


def write(checkpoints: Path, step: int, save: Callable[[Path], None], keep: Keeping | int, run: str = "") -> Path:
    """Write the checkpoint of a step through `save(folder)` and remove what need not be kept; a number keeps the newest.

    run: what identifies the run, so that no other takes the checkpoint for its own. Raises RunError on a full disk.
    """
    final = place(checkpoints, step)
    partial = checkpoints / f".tmp-step-{step}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save(partial)
        _seal(partial, step, run)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        sync(checkpoints)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise RunError(f"cannot write {final}: {error.strerror or error}; free some space and go on with --resume") from error
    keeping = Keeping(keep) if isinstance(keep, int) else keep
    written = [(old, _written(place(checkpoints, old))) for old in sealed(checkpoints)]
    for old in {old for old, _ in written} - keeping.spared(written):
        shutil.rmtree(place(checkpoints, old))
    return final


def sealed(checkpoints: Path) -> list[int]:
    """Steps of the checkpoints that have a manifest, ascending."""
    names = (manifest.parent.name.removeprefix("step-") for manifest in checkpoints.glob(f"step-*/{MANIFEST}"))
    return sorted(int(name) for name in names if name.isdecimal())


def drop(checkpoints: Path, after: int) -> None:
    """Remove the checkpoints of later steps, and what a killed run left half written."""
    for late in (step for step in sealed(checkpoints) if step > after):
        shutil.rmtree(place(checkpoints, late))
    for partial in checkpoints.glob(".tmp-step-*"):
        shutil.rmtree(partial, ignore_errors=True)


def read(checkpoints: Path, step: int, load: Callable[[Path], None], run: str = "") -> None:
    """Load the checkpoint of a step. Raises RunError where a file is not the one that was sealed, or it is of another run."""
    folder = place(checkpoints, step)
    manifest = _verified(folder, step)
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if strangers := sorted(present - {*manifest["sha256"], MANIFEST}):
        raise RunError(f"{folder / strangers[0]} is not of this checkpoint, which was sealed without it; remove it")
    if (theirs := manifest.get("run", "")) != run and theirs:
        raise RunError(f"{folder} is of a run with other settings; remove it, and --resume goes on from the checkpoint before it")
    load(folder)


def verify(checkpoints: Path, step: int) -> list[str]:
    """Names of the files of a step's checkpoint. Raises RunError where one is not the one that was sealed."""
    return sorted(_verified(place(checkpoints, step), step)["sha256"])


def place(checkpoints: Path, step: int) -> Path:
    """Folder of a step's checkpoint."""
    return checkpoints / f"step-{step:06d}"


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """A path beside `out`, for a file or a folder, that takes its place when all of it is on the disk, and is gone if anything fails.

    Raises RunError where it cannot be written.
    """
    target = out.resolve()
    part = target.with_name(f".{target.name}.part")
    try:
        _remove(part)
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        for path in [*part.rglob("*"), part]:
            sync(path)
        part.rename(target)
        sync(target.parent)
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror or error}; free some space, or choose another --to") from error
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _verified(folder: Path, step: int) -> dict[str, Any]:
    """The manifest of a folder that holds what was sealed."""
    manifest = _manifest(folder)
    if manifest.get("step") != step:
        raise RunError(f"{folder} holds the checkpoint of step {manifest.get('step')}; give it that name back, or remove it")
    for name, digest in manifest["sha256"].items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise _damaged(folder, name)
    return manifest


def _manifest(folder: Path) -> dict[str, Any]:
    """What was sealed; `sha256` is there, hash by file name."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        return manifest | {"sha256": dict(manifest["sha256"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise _damaged(folder, MANIFEST) from None


def _written(folder: Path) -> float:
    """When a checkpoint was sealed, seconds since 1970; by its file's time where it does not say."""
    try:
        return float(json.loads((folder / MANIFEST).read_text())["written"])
    except (OSError, ValueError, KeyError, TypeError):
        return (folder / MANIFEST).stat().st_mtime


def _damaged(folder: Path, name: str) -> RunError:
    return RunError(f"{folder / name} is damaged; remove {folder}, and --resume goes on from the checkpoint before it")


def _seal(folder: Path, step: int, run: str) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        sync(path)
    hashes = {path.relative_to(folder).as_posix(): _digest(path) for path in files}
    manifest = {"step": step, "run": run, "written": time.time(), "sha256": hashes}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    sync(folder / MANIFEST)
    sync(folder)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file or a folder's entries on the disk before going on. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
