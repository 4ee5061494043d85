"""How settings are read, laid over one another and parsed, whatever they are of."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from azr_core.errors import ConfigError, nearest

O = TypeVar("O", bound="Options")  # noqa: E741

PARTS = ("buffer", "reward", "trainer")
"""Settings that are pluggable parts: another name means other options."""


class Options(BaseModel):
    """Base of every settings model: frozen, unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse(model: type[O], settings: Mapping[str, Any], where: str) -> O:
    """Parse settings with a pydantic model. Raises ConfigError that names the setting, what is wrong and the mend."""
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError(_sentence(model, error, where)) from None


def _sentence(model: type[BaseModel], error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    name = ".".join(path) or where
    if first["type"] == "extra_forbidden":
        owner: Any = model
        for part in path[:-1]:
            annotation = owner.model_fields[part].annotation
            owner = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else BaseModel
        return f"{where}: unknown setting {name!r}; {nearest(path[-1], owner.model_fields)}"
    if first["type"] == "missing":
        return f"{where}: setting {name!r} is missing"
    choices = re.findall(r"'([^']*)'", first.get("ctx", {}).get("expected", "")) if first["type"] == "literal_error" else []
    mend = f"; {nearest(first['input'], choices)}" if choices and isinstance(first["input"], str) else ""
    return f"{where}: setting {name!r} = {first['input']!r}: {first['msg']}{mend}"


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of several layers, later ones win; nested mappings are merged. A part that changes name starts afresh."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            if not isinstance(value, Mapping):
                merged[key] = value
            elif isinstance(old, Mapping) and (key not in PARTS or value.get("name", old.get("name")) == old.get("name")):
                merged[key] = merge(old, value)
            else:
                merged[key] = merge({}, value)
    return merged


def read_toml(path: Path) -> dict[str, Any]:
    """Settings of a TOML file, or of a JSON file such as a run's config.json. Raises ConfigError with the file and the line.

    `[plugins.NAME]` becomes plugin options.
    """
    try:
        settings = json.loads(path.read_text()) if path.suffix == ".json" else tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give --config an existing TOML file") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not {path.suffix.removeprefix('.').upper() or 'TOML'}: {error}") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: settings are an object, not a {type(settings).__name__}")
    if isinstance(settings.get("plugins"), dict):
        settings["plugin_options"] = settings.pop("plugins")
    return settings


def assignment(text: str) -> dict[str, Any]:
    """`a.b=VALUE` as nested settings; VALUE is TOML where it parses, else text. Raises ConfigError."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}: write it as NAME=VALUE, for example --set trainer.learning_rate=1e-4")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    if "plugins" in parsed and isinstance(parsed["plugins"], dict):
        parsed["plugin_options"] = parsed.pop("plugins")
    return dict(parsed)
