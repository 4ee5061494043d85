"""Verdicts on answers, for verifiers that work in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import azr_core as azr
from azr_plugins_python.executor import LiteralError, Status

Graded = float | azr.Verdict | azr.FormatError | azr.VerifierUnavailable


def failed(status: Status, reason: str) -> azr.Verdict:
    """The verdict on a call that gave no value. Raises VerifierUnavailable where our machinery is to blame."""
    if status is Status.infra:
        raise azr.VerifierUnavailable(reason)
    return azr.Verdict(azr.Outcome.TIMEOUT if status is Status.timeout else azr.Outcome.WRONG, 0.0, reason_of(status, reason))


def wrong(reason: str) -> azr.Verdict:
    """A readable answer that is not right."""
    return azr.Verdict(azr.Outcome.WRONG, 0.0, reason)


def reason_of(status: Status, reason: str) -> str:
    """A status in words."""
    return f"{status}: {reason}" if reason else str(status)


def read(reader: Callable[[str], Any], text: str) -> Any:
    """A literal of an answer. Raises FormatError."""
    try:
        return reader(text)
    except LiteralError as error:
        raise azr.FormatError(f"not a literal answer: {error}") from None
