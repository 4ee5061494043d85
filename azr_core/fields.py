"""The fields of a proposal in words, from its JSON schema: what a prompt says of the form that it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from azr_core.errors import PluginError
from azr_core.types import Proposal

Schema = Mapping[str, Any]
DEEPEST = 4  # models inside models that are spelt out
_KINDS = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false", "null": "null"}


class Fields:
    """The fields of a model, by name. Raises PluginError where a model inside it would let unknown keys pass."""

    def __init__(self, model: type[Proposal]) -> None:
        schema = model.model_json_schema()
        self._shared: Mapping[str, Schema] = schema.get("$defs", {})
        self.properties: Mapping[str, Schema] = schema.get("properties", {})
        for title, inner in self._shared.items():
            if "properties" in inner and inner.get("additionalProperties") is not False:
                mend = 'give it model_config = ConfigDict(extra="forbid", frozen=True)'
                raise PluginError(
                    f"{model.__name__}: its model {title} takes any key, so one proposal could be written in many ways; {mend}"
                )

    @property
    def names(self) -> str:
        """All names, for an error message."""
        return ", ".join(self.properties)

    def plain(self, name: str) -> bool:
        """Whether a field is text and nothing else."""
        return self._resolved(self.properties[name]).get("type") == "string"

    def lines(self) -> Iterator[str]:
        """A line a field: name, kind, whether it may be missing, and what its description says."""
        for name, schema in self.properties.items():
            missing = f"; {json.dumps(schema['default'])} if left out" if "default" in schema else ""
            described = schema.get("description") or self._resolved(schema).get("description", "")
            meaning = f": {' '.join(described.split())}" if described else ""
            yield f"- {name} ({self._kind(schema, 0)}{missing}){meaning}"

    def _resolved(self, schema: Schema) -> Schema:
        reference = schema.get("$ref", "")
        return self._shared[reference.rpartition("/")[2]] if reference else schema

    def _kind(self, schema: Schema, depth: int) -> str:
        schema = self._resolved(schema)
        choices = [schema["const"]] if "const" in schema else schema.get("enum", [])
        if choices:
            return " or ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
        if "anyOf" in schema:
            return " or ".join(self._kind(one, depth) for one in schema["anyOf"])
        kind = str(schema.get("type", "any value"))
        if kind == "array":
            return f"a list{self._items(schema, depth)}"
        if kind == "object":
            return f"an object{self._inside(schema, depth)}"
        return _KINDS.get(kind, kind) + _bounds(schema)

    def _items(self, schema: Schema, depth: int) -> str:
        if "prefixItems" in schema:
            return f" of {', '.join(self._kind(item, depth) for item in schema['prefixItems'])}"
        count = _range(schema.get("minItems"), schema.get("maxItems"))
        each = f", each {self._kind(schema['items'], depth)}" if schema.get("items") else ""
        return (f" of {count} items" if count else "") + each

    def _inside(self, schema: Schema, depth: int) -> str:
        if depth >= DEEPEST:
            return ""
        if "properties" in schema:
            return f" with {', '.join(f'{name} ({self._kind(inner, depth + 1)})' for name, inner in schema['properties'].items())}"
        values = schema.get("additionalProperties")
        return f" whose values are {self._kind(values, depth + 1)}" if isinstance(values, Mapping) else ""


def _bounds(schema: Schema) -> str:
    """Limits of a number or of a text's length."""
    parts = [_range(schema.get("minimum"), schema.get("maximum"))]
    length = _range(schema.get("minLength"), schema.get("maxLength"))
    parts += [f"of {length} characters" if length else ""]
    parts += [f"above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else ""]
    parts += [f"below {schema['exclusiveMaximum']}" if "exclusiveMaximum" in schema else ""]
    parts += [f"that matches {schema['pattern']}" if "pattern" in schema else ""]
    return "".join(f" {part}" for part in parts if part)


def _range(least: float | None, most: float | None) -> str:
    if least is None or most is None:
        return f"at least {least}" if least is not None else f"at most {most}" if most is not None else ""
    return f"{least}" if least == most else f"{least} to {most}"
