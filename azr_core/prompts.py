"""Whole prompts: a domain's plain text in its template and the run's envelope."""

from __future__ import annotations

from collections.abc import Sequence

from azr_core.config import Style
from azr_core.envelope import ENVELOPES
from azr_core.errors import ConfigError
from azr_core.interfaces import Environment, Policy
from azr_core.types import Role, Sampling, Task

WORDS = {Style.CHAT: Style.PAPER}  # whose words a style takes where a domain has none of its own for it


class Prompts:
    """Renders prompts in one style. Style is applied here, when sampling; it never enters a task.

    A style that chats needs the policy, whose template makes the prompt. Raises ConfigError where there is none.
    """

    def __init__(self, style: Style) -> None:
        self.style = style
        self.envelope = ENVELOPES[style]()

    def propose(self, environment: Environment, references: Sequence[Task], policy: Policy | None = None) -> str:
        """The prompt that asks for a task."""
        return self._render(environment, Role.PROPOSE, environment.proposer.prompt(references), policy)

    def solve(self, environment: Environment, task: Task, policy: Policy | None = None) -> str:
        """The prompt that asks for a task's answer."""
        return self._render(environment, Role.SOLVE, task.question, policy)

    def barred(self, environment: Environment, task: Task, policy: Policy | None, sampling: Sampling) -> str:
        """Why a task cannot be asked: a marker of the style or of the policy's model would break out of the prompt, or it does not fit.

        Empty where it can; without a policy only the style is looked at.
        """
        texts = (task.question, task.answer)
        if any(self.envelope.forged(text) or (policy is not None and policy.forged(text)) for text in texts):
            return "the task holds a marker of the prompt style"
        fits = policy is None or policy.fits(self.solve(environment, task, policy), sampling)
        return "" if fits else "the task is too long to be asked"

    def message(self, environment: Environment, role: Role, text: str) -> str:
        """The prompt around a text; of a style that chats what a user says, before the model's template."""
        words = environment.templates.get(f"{WORDS.get(self.style, self.style)}/{role}", "{text}")
        template = environment.templates.get(f"{self.style}/{role}", words)
        return self.envelope.wrap(role, template.replace("{text}", text))

    def _render(self, environment: Environment, role: Role, text: str, policy: Policy | None) -> str:
        prompt = self.message(environment, role, text)
        if not self.envelope.chats:
            return prompt
        made = policy.chat(prompt) if policy else None
        if made is None:
            raise ConfigError("style = 'chat' needs a model with a chat template; set style=paper, or choose another --model")
        return made
