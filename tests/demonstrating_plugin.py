"""A trainer whose policy proposes what a plugin's own generators demonstrate, and solves that: whole runs of any plugin, without torch.

azr run --plugin FILE --plugin tests/demonstrating_plugin.py --set trainer.name=demonstrating --set trainer.file=FILE
"""

from __future__ import annotations

import azr_core as azr
from azr_core.testing import ScriptedPolicy, ScriptedTrainer


class DemonstratingPolicy(ScriptedPolicy):
    """Knows the answers of what it proposed, and says so; of other questions it knows nothing."""

    def __init__(self, environments: list[azr.Environment]) -> None:
        super().__init__(self.reply)
        shown = [(environment, environment.demonstrations) for environment in environments]
        self.examples = {
            environment.templates["paper/propose"].partition("{text}")[0]: generator(azr.chance(0, 0, environment.name))
            for environment, generator in shown
            if generator
        }
        self.answers: dict[str, str] = {}

    def reply(self, prompt: str) -> str:
        for words, examples in self.examples.items():
            if words in prompt:
                example = next(examples)
                self.answers[example.task.question] = example.answer
                return f"so</think> <answer>{example.proposal}</answer>"
        known = [answer for question, answer in self.answers.items() if question in prompt]
        return f"so</think> <answer>{known[0] if known else '?'}</answer>"


@azr.hookimpl
def azr_trainer(part: azr.Part, config: azr.RunConfig) -> azr.Trainer | None:
    if part.name != "demonstrating":
        return None
    plugins = azr.load([str(part.options["file"])])
    return ScriptedTrainer(DemonstratingPolicy(list(plugins.environments(config).values())))
