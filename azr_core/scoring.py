"""A policy that shows its tokens: what a server and measuring by log-probabilities need beyond sampling text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from azr_core.interfaces import Policy
from azr_core.types import Reply, Sampling


@dataclass(frozen=True)
class Scores:
    """Log-probabilities of a row of T given tokens, nats, at temperature 1.

    logprobs: [T - 1], of each token after the first, given those before it. likeliest: [T - 1][top], the ids that were likeliest in its
    place, with their log-probabilities, likeliest first.
    """

    logprobs: Sequence[float]
    likeliest: Sequence[Sequence[tuple[int, float]]]


class TokenPolicy(Policy):
    """A policy whose tokens can be given and seen, and that knows conversations.

    context: tokens that a prompt and its reply may have together; None: any number. vocabulary: ids are 0 to vocabulary - 1.
    """

    context: int | None
    vocabulary: int

    @abstractmethod
    def tokens(self, prompt: str) -> list[int]:
        """Ids of a prompt, as `sample` gives them to the model."""

    @abstractmethod
    def text(self, ids: Sequence[int]) -> str:
        """What the ids say, special tokens included."""

    @abstractmethod
    def extend(self, rows: Sequence[Sequence[int]], sampling: Sampling, n: int = 1) -> list[list[Reply]]:
        """`sample` for prompts that are given as ids."""

    @abstractmethod
    def score(self, rows: Sequence[Sequence[int]], top: int = 0) -> list[Scores]:
        """What the model makes of given tokens, row by row; no row is empty. top: how many of the likeliest are told."""

    def chat(self, message: str) -> str | None:
        return self.converse([{"role": "user", "content": message}])

    def converse(self, turns: Sequence[Mapping[str, str]]) -> str | None:
        """`chat` for a conversation; turns: `role` and `content` of each. Raises UsageError for one that the template refuses."""
        return None
