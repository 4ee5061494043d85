"""Shows a proposer its references from the shortest to the longest, whatever the environment.

azr run --plugin python --plugin plugins/easy_first.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import azr_core as azr


class EasyFirst(azr.Proposer[Any]):
    """Hands another proposer the same references in order of length; of equal ones the first stays first."""

    def __init__(self, wrapped: azr.Proposer[Any]) -> None:
        self.wrapped = wrapped

    def begin(self, step: int) -> None:
        self.wrapped.begin(step)

    def prompt(self, references: Sequence[azr.Task]) -> str:
        return self.wrapped.prompt(_by_length(references))

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Any:
        return self.wrapped.parse(answer, _by_length(references))  # an answer may mean the first of those that were shown


def _by_length(references: Sequence[azr.Task]) -> list[azr.Task]:
    return sorted(references, key=lambda task: len(task.question))


@azr.hookimpl
def azr_proposer(environment: azr.Environment) -> azr.Proposer[Any]:
    """For every environment."""
    return EasyFirst(environment.proposer)
