"""Warms a model up from worked examples: data on all cores, Muon and AdamW against the clock, checkpoints, a Hugging Face folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from azr_plugins_python.training import models  # first: it sets what the libraries read when they are imported

from tokenizers import Tokenizer  # isort: skip

import azr_core as azr
from azr_plugins_python.training.course import Course
from azr_plugins_python.training.network import exported_weights, fresh_weights
from azr_plugins_python.training.recipe import Recipe
from azr_plugins_python.training.shards import Makers, Press
from azr_plugins_python.training.tokenizer import train_tokenizer, write_tokenizer

FINGERPRINT = 20  # documents that tell whether a folder was begun with the same ones


def warm_up(
    recipe: Recipe,
    documents: azr.Documents,
    out: Path,
    minutes: float,
    listener: azr.Listener,
    *,
    model: Path | None = None,
    settings: Path | None = None,
    device: str = "cpu",
) -> None:
    """Make a model in `out`, from nothing or from a model made here before; OUT.work beside it holds shards and checkpoints.

    settings: an `azr.toml` of run settings that goes with the model. Raises ConfigError where `out` holds something else.
    """
    begun = time.monotonic()
    work = out.with_name(f"{out.name}.work")
    weights = exported_weights(recipe.shape, model) if model else fresh_weights(recipe.shape, recipe.seed)
    known = _tokenizer_of(model, recipe) if model else None
    _claim(recipe, documents, work, out, model)
    if settings and settings.is_file():
        shutil.copy(settings, out / settings.name)
    listener.note("making documents; training begins with the first shard")
    if not (out / "tokenizer.json").is_file():
        write_tokenizer(known or _new_tokenizer(recipe, documents), recipe, out)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    press = Press(recipe, documents, tokenizer, work / "shards")
    with _held(work, out), Makers(press) as makers:
        course = Course(press, weights, models.device_of(device))
        course.resume(work / "checkpoint.pt")
        _Lesson(course, makers, work, out).learn(begun - course.progress.seconds, minutes * 60, listener)


class _Lesson:
    """Trains a course until its time is over."""

    def __init__(self, course: Course, makers: Makers, work: Path, out: Path) -> None:
        self.course, self.makers, self.work, self.out = course, makers, work, out
        press = course.press
        self.held_out = press.encode(islice(press.documents(press.recipe.seed), press.recipe.held_out_documents))

    def learn(self, start: float, budget: float, listener: azr.Listener) -> None:
        """start: when it would have begun in one piece, by time.monotonic(); budget: seconds from there. At least one update is made."""
        progress, saved = self.course.progress, time.monotonic()
        batches = self.course.batches(self.makers)
        try:
            while progress.step == 0 or progress.seconds < budget:
                self.course.update(next(batches), min(1.0, progress.seconds / max(budget, 1.0)))
                progress.seconds = time.monotonic() - start
                listener.phase("warming up, seconds", int(min(progress.seconds, budget)), max(1, int(budget)))
                if time.monotonic() - saved >= self.course.recipe.checkpoint_minutes * 60:
                    self.keep(listener)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            self.save()
            listener.note(f"stopped after step {progress.step}; the same command goes on")
            raise
        self.keep(listener)
        listener.note(f"{self.work} may be deleted, or kept to go on with more minutes")

    def save(self) -> None:
        """Checkpoint, then the model's folder."""
        self.course.save(self.work / "checkpoint.pt")
        self.course.export(self.out, self.work / "export")

    def keep(self, listener: azr.Listener) -> None:
        """Save, and tell how it goes."""
        self.save()
        progress = self.course.progress
        losses = ", ".join(f"{kind} {loss:.3f}" for kind, loss in self.course.held_out(self.held_out).items())
        listener.note(
            f"step {progress.step}, {progress.tokens / 1e6:.2f} M tokens, {progress.seconds:.0f} s, loss {progress.loss:.3f}; "
            f"held out, nats a reply token: {losses}"
        )
        if self.makers.error():
            listener.note(f"some documents are missing: {self.makers.error()}")


def _claim(recipe: Recipe, documents: azr.Documents, work: Path, out: Path, model: Path | None) -> None:
    """Begin `work`, or see that it was begun with the same recipe, model and documents."""
    first = "".join(document.prompt + document.reply for document in islice(documents(recipe.seed), FINGERPRINT))
    now = {"recipe": recipe.model_dump(mode="json"), "--model": str(model.resolve()) if model else None}
    now["set of documents"] = hashlib.sha256(first.encode()).hexdigest()
    path = work / "begun.json"
    if path.is_file():
        before = json.loads(path.read_text())
        other = [name for name in now if before.get(name) != now[name]]
        if other:
            what = " and ".join(f"another {name}" for name in other)
            raise azr.ConfigError(f"{out} was begun with {what}; choose another --out, or delete it and {work}")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise azr.ConfigError(f"{out} is not empty and no warm-up was begun there; choose another --out (--model goes on from a model)")
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=1))


@contextmanager
def _held(work: Path, out: Path) -> Iterator[None]:
    """Keep other processes from teaching the same model. Raises ConfigError while one does."""
    with (work / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise azr.ConfigError(f"{out} is being made by another process; wait for it or stop it, or choose another --out") from None
        yield


def _new_tokenizer(recipe: Recipe, documents: azr.Documents) -> Tokenizer:
    first = islice(documents(recipe.seed), recipe.tokenizer.documents)
    return train_tokenizer(recipe, (document.prompt + document.reply for document in first))


def _tokenizer_of(model: Path, recipe: Recipe) -> Tokenizer:
    path = model / "tokenizer.json"
    if not path.is_file():
        raise azr.ConfigError(f"{model} holds no tokenizer.json; azr warmup goes on only from a model that it made")
    tokenizer = Tokenizer.from_file(str(path))
    strange = [token for token in (recipe.tokenizer.end, recipe.tokenizer.pad) if tokenizer.token_to_id(token) is None]
    if strange:
        raise azr.ConfigError(f"{model}: its tokenizer has no {' and no '.join(strange)}; set trainer.recipe to the one it was made with")
    return tokenizer
