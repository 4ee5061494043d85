"""The parity probe: after the sampler was shown new weights, its log-probabilities are held against the trainer's own.

Two engines never agree to the last bit. What bfloat16 does is some hundredths of a nat; a head that stayed behind, weights that
never arrived, or another temperature are tenths and more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

import azr_core as azr
from azr_plugins_python.training.tokenized import TokenizedPolicy

PROMPTS = (
    "Write a function that takes a list of numbers and returns the sum of the squares of those that are even, in order.\n\n",
    "x = [3, 1, 4, 1, 5, 9, 2, 6]\nfor index, value in enumerate(x):\n    print(index, value * 2 + 1)\n\n# It prints:\n",
)
PROMPT_TOKENS, REPLY_TOKENS, REPLIES = 48, 16, 4  # of a fixed prompt, some cached blocks of vLLM; of a reply; of replies a prompt
METRIC = "sampling/parity_nats"


@dataclass(frozen=True)
class Parity:
    """How a sampler is probed. every: steps between probes, 0: never. bound: of the mean absolute difference, nats. temperature: the
    run's. autocast: the trainer's precision."""

    every: int
    bound: float
    temperature: float
    autocast: Callable[[], AbstractContextManager[Any]]

    def due(self, step: int) -> bool:
        """Whether the sampler is probed after a step. Step 0 is the run's beginning, or that of its resumption."""
        return self.every > 0 and step % self.every == 0

    def probe(self, policy: TokenizedPolicy, model: Any) -> dict[str, float]:
        """The metric. model: as the trainer learns with. Raises UsageError above the bound."""
        difference = self.measure(policy, model)
        if difference <= self.bound:
            return {METRIC: difference}
        raise azr.UsageError(
            f"the sampler is not the model that learns: log-probabilities differ by {difference:.3g} nats on average, bound {self.bound:g} "
            "(trainer.parity_bound). Likely: the sampler kept old weights, its head is tied to the embedding where the trainer's is not, "
            "or it computes in another precision (trainer.sampling_dtype). Nothing was learned from its replies; "
            "mend it and go on from the last checkpoint with --resume"
        )

    def measure(self, policy: TokenizedPolicy, model: Any) -> float:
        """Mean absolute difference over the tokens of some short replies, nats: to prompts that were just played, or to fixed ones."""
        temperature = self.temperature or 1.0
        room = REPLY_TOKENS if policy.context is None else max(1, min(REPLY_TOKENS, policy.context // 4))
        width = PROMPT_TOKENS if policy.context is None else max(1, min(PROMPT_TOKENS, policy.context - room))
        fitting = [row for row in policy.recent if policy.context is None or len(row) + room <= policy.context]
        rows = [*fitting, *(policy.tokens(prompt)[:width] for prompt in PROMPTS)][: len(PROMPTS)]
        gaps: list[float] = []
        for group in policy.extend(rows, azr.Sampling(temperature, room), REPLIES):
            with self.autocast():
                told = log_probabilities(model, group, temperature)
            sampled = (reply.logprobs for reply in group)
            gaps += [abs(mine - theirs) for pair in zip(told, sampled, strict=True) for mine, theirs in zip(*pair, strict=True)]
        return sum(gaps) / len(gaps)


def log_probabilities(model: Any, group: list[azr.Reply], temperature: float) -> list[list[float]]:
    """[replies][T], of the tokens of replies to one prompt by the model, in one forward pass: all ranks of a sharded model make it."""
    longest, begin = max(len(reply.token_ids) for reply in group), len(group[0].prompt_ids)
    rows = [[*reply.prompt_ids, *reply.token_ids, *[0] * (longest - len(reply.token_ids))] for reply in group]
    ids = torch.tensor(rows, device=next(model.parameters()).device)
    training = model.training
    model.eval()
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=longest + 1).logits[:, :-1]
    model.train(training)
    logps = (logits.float() / temperature).log_softmax(-1).gather(2, ids[:, begin:, None])[..., 0]
    return [values[: len(reply.token_ids)].tolist() for values, reply in zip(logps, group, strict=True)]
