"""Whole prompts: a domain's plain text in its template and the run's envelope."""

from __future__ import annotations

from collections.abc import Sequence

from azr_core.config import Style
from azr_core.envelope import ENVELOPES
from azr_core.interfaces import Environment
from azr_core.types import Role, Task


class Prompts:
    """Renders prompts in one style. Style is applied here, when sampling; it never enters a task."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.envelope = ENVELOPES[style]()

    def propose(self, environment: Environment, references: Sequence[Task]) -> str:
        """The prompt that asks for a task."""
        return self._render(environment, Role.PROPOSE, environment.proposer.prompt(references))

    def solve(self, environment: Environment, task: Task) -> str:
        """The prompt that asks for a task's answer."""
        return self._render(environment, Role.SOLVE, task.question)

    def _render(self, environment: Environment, role: Role, text: str) -> str:
        template = environment.templates.get(f"{self.style}/{role}", "{text}")
        return self.envelope.wrap(role, template.replace("{text}", text))
