"""A configuration as TOML that explains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from azr_core.config import Part, RunConfig


def toml(config: RunConfig) -> str:
    """Every setting with its meaning; what it prints can be given back with --config."""
    tables: list[str] = []
    lines = []
    for name, field in RunConfig.model_fields.items():
        value = getattr(config, name)
        if name == "plugin_options":
            tables += [_table(f"plugins.{plugin}", options, "options of the plugin") for plugin, options in value.items()]
        elif isinstance(value, Part):
            tables.append(_table(name, {"name": value.name, **value.options}, field.description))
        elif isinstance(value, BaseModel):
            tables.append(_described(name, value))
        elif isinstance(value, Mapping):
            tables.append(_table(name, value, field.description))
        elif name == "plugins":
            lines.append(f"# azr run {' '.join(f'--plugin {plugin}' for plugin in value)}")
        else:
            lines.append(_line(name, value, field.description))
    return "\n\n".join(["\n".join(lines), *tables]) + "\n"


def _described(name: str, model: BaseModel) -> str:
    fields = type(model).model_fields
    return "\n".join([f"[{name}]", *(_line(key, getattr(model, key), field.description) for key, field in fields.items())])


def _table(name: str, values: Mapping[str, Any], description: str | None) -> str:
    return "\n".join([f"[{name}]  # {description}", *(_line(key, value) for key, value in values.items())])


def _line(name: str, value: Any, description: str | None = None) -> str:
    key = name if name.replace("_", "").isalnum() else json.dumps(name)
    comment = f"  # {description}" if description else ""
    return f"# {key} =  (not set){comment}" if value is None else f"{key} = {_literal(value)}{comment}"


def _literal(value: Any) -> str:
    """A value as TOML: JSON is TOML for text, numbers, booleans and lists; mappings become inline tables."""
    if isinstance(value, Part):
        value = {"name": value.name, **value.options}
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_literal(item)}" for key, item in value.items() if item is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
