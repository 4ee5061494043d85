"""Makes a model folder of a run's checkpoint that others can load: the files of the model, made portable, and a card."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azr_core import checkpoint, lineage
from azr_core.card import Subject, card, weigh
from azr_core.directory import RunDirectory, find
from azr_core.errors import ConfigError, RunError
from azr_core.history import read
from azr_core.lineage import CARD
from azr_core.plugins import installed, load
from azr_core.types import Outcome, Role

SIZES = "azr.toml"
# What a model is loaded from. The rest of a checkpoint, such as an optimiser's state, serves only a resume; no pickle is given away.
MODEL = (".safetensors", ".json", ".jinja", ".txt", ".model")
TOKENIZER = "tokenizer_config.json"
PRIVATE = ("is_local", "local_files_only", "name_or_path")  # say where a tokenizer was loaded from, and bind others to it
CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast"}  # the first only transformers 5 knows, the second all
LONGEST = 2000  # characters of a prompt on a card


@dataclass(frozen=True)
class Wanted:
    """What is exported, and how. step: none is the newest. licence: its id on the hub, none: the base's. place: what loads it."""

    run: str
    runs_dir: Path
    step: int | None = None
    licence: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Exported:
    """What was written. licence: empty if unknown."""

    folder: Path
    step: int
    licence: str


def export(wanted: Wanted, out: Path) -> Exported:
    """Write the folder `out`, whole or not at all. Raises UsageError."""
    if wanted.licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", wanted.licence):
        raise ConfigError(f"--license {wanted.licence!r} is no licence of the hub; write its id, such as apache-2.0, mit or other")
    run = find(wanted.run, wanted.runs_dir)
    target = _free(out, wanted.runs_dir)
    step = _step(run, wanted.step)
    history = read(run.path)
    base = lineage.base(history.base)
    licence = {"license": wanted.licence} if wanted.licence else base.licence
    plugins, prompt = _plugins(run), _prompt(run)
    with checkpoint.appearing(target) as folder, _model(run, step, target.parent) as source:
        folder.mkdir()
        _copy(source, folder)
        for path in base.terms:
            shutil.copyfile(path, folder / path.name)
        known = (history.until(step), step, history.last_step, base, licence)
        about = Subject(*known, plugins, weigh(folder), prompt, wanted.place or target.name)
        (folder / CARD).write_text(card(about), "utf-8")
    return Exported(out, step, " ".join(str(value) for value in licence.values()))


def _free(out: Path, runs_dir: Path) -> Path:
    """The whole path of a folder that can be written. Raises ConfigError."""
    target = out.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{out} is not empty; choose another --to, or remove it first")
    if target.parent == runs_dir.resolve():
        raise ConfigError(f"{out} lies among the runs and would be taken for one; choose a --to outside of {runs_dir}")
    return target


def _step(run: RunDirectory, asked: int | None) -> int:
    steps = checkpoint.sealed(run.checkpoints)
    if not steps:
        raise RunError(f"the run {run.path.name} has no checkpoint; go on with it (azr run --resume --name {run.path.name})")
    if asked is not None and asked not in steps:
        raise RunError(f"the run {run.path.name} has no checkpoint of step {asked}; there are those of {', '.join(map(str, steps))}")
    return steps[-1] if asked is None else asked


@contextmanager
def _model(run: RunDirectory, step: int, beside: Path) -> Iterator[Path]:
    """A folder with the checkpoint's model: the checkpoint, or what the trainer's plugin makes of it while this lasts. Raises RunError."""
    checkpoint.verify(run.checkpoints, step)
    source = checkpoint.place(run.checkpoints, step)
    if lineage.complete(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix=".azr-export-", dir=beside) as scratch:
        plugins = load(_trainer(run))
        try:
            made = plugins.export(source, Path(scratch))
        finally:
            plugins.close()
        if made is None or not lineage.complete(made):
            raise RunError(
                f"{source} holds no {lineage.CONFIG} with {lineage.WEIGHTS} weights; only a trainer that saves them, such as trl, "
                "makes models to export"
            )
        yield made


def _trainer(run: RunDirectory) -> list[str]:
    """The plugin that brings the run's trainer; all of the run's, where no installed one has its name."""
    config = run.config()
    name = config.get("trainer", {}).get("name", "")
    return [name] if name in {plugin.name for plugin in installed()} else list(config.get("plugins", []))


def _copy(source: Path, folder: Path) -> None:
    """Contents only: weights are saved for their owner's eyes alone, and what is given away has the modes of any new file."""
    names = [name for name in _names(source) if name.endswith(MODEL) or name == SIZES]
    try:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, folder / name)
    except FileNotFoundError:
        raise RunError(f"{source} is gone: the run goes on, and keeps its newest checkpoints only; export again") from None
    if TOKENIZER in names:
        settings = {key: value for key, value in json.loads((folder / TOKENIZER).read_text("utf-8")).items() if key not in PRIVATE}
        kind = settings.get("tokenizer_class")
        settings |= {"tokenizer_class": CLASSES[kind]} if kind in CLASSES else {}
        (folder / TOKENIZER).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _names(source: Path) -> list[str]:
    return sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file() and path.name != checkpoint.MANIFEST)


def _plugins(run: RunDirectory) -> list[dict[str, str]]:
    path = run.path / "plugins.json"
    try:
        plugins: list[dict[str, str]] = json.loads(path.read_text())
    except (OSError, ValueError):
        raise RunError(f"{path} is missing or damaged, so nobody can say what was played; bring it back") from None
    return plugins


def _prompt(run: RunDirectory) -> str:
    """The newest prompt that was answered rightly; empty if it is long, or there is none."""
    store = run.open_store()
    try:
        prompts = [str(row["prompt"]) for row in store.rows(role=Role.SOLVE, outcome=Outcome.SOLVED, limit=1)]
    finally:
        store.close()
    return next((prompt for prompt in prompts if len(prompt) <= LONGEST), "")
