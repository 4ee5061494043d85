"""What a run's model was made from: a name that others can read, its home on the hub, its licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CARD, CONFIG = "README.md", "config.json"
WEIGHTS = "model*.safetensors"
HUB = re.compile(r"[\w.-]+/[\w.-]+")  # owner/name
_FRONT = re.compile(r"---\s*\n(.*?)\n---\s*(?:\n|$)", re.DOTALL)
_LICENCE = ("license", "license_name", "license_link")
_TERMS = ("LICENSE*", "LICENCE*", "NOTICE*")


@dataclass(frozen=True)
class Base:
    """title: for people. hub: id of the model there, or of the one that its own card names; or empty.

    licence: the fields of the card's front matter. terms: files that go wherever the weights go.
    """

    title: str
    hub: str = ""
    licence: Mapping[str, Any] = field(default_factory=dict)
    terms: tuple[Path, ...] = ()


def located(model: str) -> str:
    """A model's name in a form that stays true elsewhere: the whole path of a folder, else the name as it is."""
    return str(Path(model).resolve()) if model and Path(model).is_dir() else model


def complete(folder: Path) -> bool:
    """Whether a folder holds all of a model, as Hugging Face names its files; an adapter's checkpoint does not."""
    return (folder / CONFIG).is_file() and next(folder.glob(WEIGHTS), None) is not None


def base(model: str) -> Base:
    """What is known of a model that `located` named, from its folder, or from the hub's cache."""
    folder = Path(model)
    if model and not folder.is_absolute():
        hub = model if HUB.fullmatch(model) else ""
        front, _ = _read(_cached(hub)) if hub else ({}, "")
        return Base(model, hub, _licence(front))
    if not model:
        return Base("not recorded: the trainer's default")
    front, title = _card_of(folder)
    named = front.get("base_model")
    hub = named if isinstance(named, str) and HUB.fullmatch(named) else ""
    terms = tuple(sorted(path for pattern in _TERMS for path in folder.glob(pattern) if path.is_file()))
    return Base(title or _label(folder), hub, _licence(front), terms)


def _card_of(folder: Path) -> tuple[Mapping[str, Any], str]:
    """The card in a model's folder, else one beside it, if that is a model's too."""
    inside, beside = _read(folder / CARD), _read(folder.parent / CARD)
    return beside if not inside[0] and "library_name" in beside[0] else inside


def _label(folder: Path) -> str:
    """Run and step of a checkpoint, else the folder's name; never a whole path, which is nobody else's business."""
    return ", ".join(folder.parts[-3::2]) if folder.parent.name == "checkpoints" else folder.name


def _cached(hub: str) -> Path:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub, CARD)
    return Path(found) if isinstance(found, str) else Path()


def _read(card: Path) -> tuple[Mapping[str, Any], str]:
    """Front matter and title of a model's card; a README without front matter is none."""
    import yaml

    try:
        text = card.read_text("utf-8-sig")
        match = _FRONT.match(text)
        front = yaml.safe_load(match[1]) if match else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}, ""
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    return (front, title[1].strip() if title else "") if isinstance(front, dict) else ({}, "")


def _licence(front: Mapping[str, Any]) -> dict[str, Any]:
    return {name: front[name] for name in _LICENCE if front.get(name)}
