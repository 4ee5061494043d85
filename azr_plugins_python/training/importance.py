"""Truncated importance weights: the trainer corrects for a sampler that was not quite itself.

Replies come from a copy in another precision, from another engine, or from weights one update older. The gradient of a token
is multiplied by the probability the trainer gives it over the one the sampler gave it, at most `cap` (TRL's `token_truncate`).
Below top_p = 1 the sampler's log-probabilities are those of the nucleus, so equal weights leave the nucleus's mass, top_p to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch


class Importance:
    """Weights of the tokens of one update, and how far sampler and trainer were apart. cap: None measures and weighs nothing."""

    def __init__(self, cap: float | None) -> None:
        self.cap = cap
        self.sums = dict.fromkeys(("tokens", "difference", "weight", "capped"), 0.0)
        self.largest = 0.0

    def weigh(self, logps: torch.Tensor, sampled: torch.Tensor) -> torch.Tensor:
        """[N] the weights of tokens by the trainer's and the sampler's log-probabilities [N]; 1 where the latter is unknown (NaN)."""
        known = ~sampled.isnan()
        gaps = torch.where(known, logps.detach().float() - sampled, 0.0)
        ratios = gaps.exp()
        weights = ratios if self.cap is None else ratios.clamp(max=self.cap)
        count = int(known.sum())
        if count:
            self.largest = max(self.largest, float(gaps.abs().max()))
            sums = (count, gaps.abs().sum(), weights[known].sum(), (weights < ratios).sum())
            for name, amount in zip(self.sums, sums, strict=True):
                self.sums[name] += float(amount)
        return torch.ones_like(weights) if self.cap is None else weights

    def metrics(
        self, total: Callable[[Sequence[float]], Sequence[float]] = list, most: Callable[[float], float] = float
    ) -> dict[str, float]:
        """Means over the tokens seen so far; empty where no sampler gave log-probabilities. total, most: over all ranks."""
        tokens, difference, weight, capped = total(list(self.sums.values()))
        largest = most(self.largest)
        if not tokens:
            return {}
        return {
            "sampling/difference": difference / tokens,
            "sampling/difference_max": largest,
            "sampling/weight": weight / tokens,
            "sampling/weight_capped": capped / tokens,
        }
