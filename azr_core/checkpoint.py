"""Checkpoints that are whole or absent: written beside, synced, sealed with a manifest, renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from azr_core.errors import RunError

MANIFEST = "manifest.json"


def write(checkpoints: Path, step: int, save: Callable[[Path], None], keep: int) -> Path:
    """Write the checkpoint of a step through `save(folder)` and keep the newest `keep`. Raises RunError on a full disk."""
    final = place(checkpoints, step)
    partial = checkpoints / f".tmp-step-{step}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save(partial)
        _seal(partial, step)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        sync(checkpoints)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise RunError(f"cannot write {final}: {error.strerror or error}; free some space and go on with --resume") from error
    for old in sealed(checkpoints)[:-keep]:
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


def read(checkpoints: Path, step: int, load: Callable[[Path], None]) -> None:
    """Load the checkpoint of a step. Raises RunError where a file is not the one that was sealed."""
    verify(checkpoints, step)
    load(place(checkpoints, step))


def verify(checkpoints: Path, step: int) -> list[str]:
    """Names of the files of a step's checkpoint. Raises RunError where one is not the one that was sealed."""
    folder = place(checkpoints, step)
    sealed_as = _manifest(folder)
    for name, digest in sealed_as.items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise _damaged(folder, name)
    return sorted(sealed_as)


def place(checkpoints: Path, step: int) -> Path:
    """Folder of a step's checkpoint."""
    return checkpoints / f"step-{step:06d}"


def _manifest(folder: Path) -> dict[str, str]:
    """Hash by file name."""
    try:
        hashes: dict[str, str] = dict(json.loads((folder / MANIFEST).read_text())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise _damaged(folder, MANIFEST) from None
    return hashes


def _damaged(folder: Path, name: str) -> RunError:
    return RunError(f"{folder / name} is damaged; remove {folder}, and --resume goes on from the checkpoint before it")


def _seal(folder: Path, step: int) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        sync(path)
    manifest = {"step": step, "sha256": {path.relative_to(folder).as_posix(): _digest(path) for path in files}}
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
