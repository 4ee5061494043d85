"""Checks what plugins answer; every fault names the plugin and the hook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from azr_core.errors import PluginError
from azr_core.interfaces import Environment, Proposer, Verifier

_NAME = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")


def claim(owners: dict[str, str], what: str, name: str, plugin: str) -> None:
    """Note which plugin brings a name. Raises PluginError where another one does."""
    if name in owners:
        raise PluginError(f"{what} {name!r} comes from two plugins, {owners[name]!r} and {plugin!r}; load one of them")
    owners[name] = plugin


def checked(hook: str, plugin: str, answer: Any, kind: type) -> Any:
    """The answer, which must be of this type. Raises PluginError."""
    if not isinstance(answer, kind):
        raise PluginError(f"plugin {plugin!r}: {hook} returned {type(answer).__name__}, not {kind.__name__}")
    return answer


def items(hook: str, plugin: str, answer: Any, kind: type) -> list[Any]:
    """The items of an answer, each of this type. Raises PluginError."""
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise PluginError(f"plugin {plugin!r}: {hook} returned {type(answer).__name__}, not a list of {kind.__name__}")
    return [checked(hook, plugin, item, kind) for item in answer]


def check_environment(plugin: str, environment: Environment) -> None:
    """An environment's name and parts. Raises PluginError."""
    if not _NAME.fullmatch(environment.name):
        raise PluginError(f"plugin {plugin!r}: environment name {environment.name!r} is not of the form domain/kind in small letters")
    checked("azr_environments (proposer)", plugin, environment.proposer, Proposer)
    checked("azr_environments (verifier)", plugin, environment.verifier, Verifier)
