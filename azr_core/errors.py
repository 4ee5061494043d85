"""Every error azr raises on purpose.

AzrError
├── UsageError            the user can mend it: one line, with the mend
│   ├── ConfigError       a setting is unknown or has a wrong value
│   ├── PluginError       a plugin cannot be found, loaded, or breaks its contract
│   └── RunError          a run directory exists, is missing, or belongs to another configuration
├── FormatError           a reply does not have the form that was asked for      (data, becomes a verdict)
├── InvalidTask           a proposal is not a task                               (data, becomes a verdict)
└── VerifierUnavailable   our own machinery broke while judging                  (data, becomes `failed`)
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any


class AzrError(Exception):
    """Base of every error azr raises on purpose."""


class UsageError(AzrError):
    """Something the user can mend; the message is one line and names the mend."""


class ConfigError(UsageError):
    """A setting is unknown or has a wrong value."""


class PluginError(UsageError):
    """A plugin cannot be found or loaded, or breaks the contract of a hook."""


class RunError(UsageError):
    """A run directory exists, is missing, or belongs to another configuration."""


class FormatError(AzrError):
    """A reply does not have the form that was asked for."""


class InvalidTask(AzrError):
    """A proposal is not a task: it does not run, is not deterministic, or cannot be graded."""


class VerifierUnavailable(AzrError):
    """Our machinery broke while judging (a worker died, a node left); the model is not to blame."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: `did you mean 'x'?` where one is near, else the list of what exists."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "none are known"


def caught(call: Callable[..., Any], *args: Any) -> Any:
    """The result, or the refusal that was raised instead: one place of what `admit_many` and `grade_many` return."""
    try:
        return call(*args)
    except (FormatError, InvalidTask, VerifierUnavailable) as refusal:
        return refusal


def only(results: Sequence[Any]) -> Any:
    """The one result of a batch of one; a refusal is raised. For an `admit` or a `grade` that is made of its batch."""
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]
