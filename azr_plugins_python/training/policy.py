"""The policy: a copy of the model that only samples, in the precision that samples fastest."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from transformers import PreTrainedModel

import azr_core as azr
from azr_plugins_python.training.decoding import Draw, Endings, Sample, batches, decode, parts
from azr_plugins_python.training.scoring import score
from azr_plugins_python.training.tokenized import TokenizedPolicy, Wording
from azr_plugins_python.training.weights import whole


class TransformersPolicy(TokenizedPolicy):
    """Samples from a copy of the master weights; `refresh` copies them again after an update.

    dtype: the copy's precision; None: the master samples itself. device: of the copy; None: the master's. cache_tokens: prompts' and
    replies' of all rows at once. spent: what the model works in, so that the end of memory is said as the user can mend it.
    """

    def __init__(
        self,
        master: PreTrainedModel,
        wording: Wording,
        *,
        dtype: torch.dtype | None,
        cache_tokens: int,
        device: torch.device | None = None,
        spent: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        super().__init__(wording)
        self.master, self.cache_tokens, self.spent = master, cache_tokens, spent
        self.model = master if dtype is None else copy.deepcopy(master).to(device, dtype).requires_grad_(False).eval()

        self.model.get_output_embeddings().register_forward_pre_hook(_compact)

    def refresh(self) -> None:
        """Copy the master's weights, in place."""
        if self.model is self.master:
            return
        with torch.no_grad():
            for mine, (_, theirs) in zip(self.model.parameters(), whole(self.master), strict=True):
                mine.copy_(theirs)
            for mine, theirs in zip(self.model.buffers(), self.master.buffers(), strict=True):
                mine.copy_(theirs)

    def score(self, rows: Sequence[Sequence[int]], top: int = 0) -> list[azr.Scores]:
        self.check(rows, 0)
        with self.spent("scoring"):
            return score(self.model.eval(), rows, top)

    def draw(self, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int) -> Iterator[tuple[int, list[Sample]]]:
        self.model.eval()  # a master that samples was left in training mode by its update
        device = self.model.device
        draw = Draw(sampling, torch.Generator(device).manual_seed(sampling.seed))
        ends = torch.tensor(sorted(self.ends), device=device)
        endings = Endings(ends, self.tokenizer.pad_token_id, sampling.stop, self.tokenizer.batch_decode)
        for batch in batches(rows, n, sampling.max_tokens, self.cache_tokens):
            longest = len(batch) * (len(rows[batch[-1]]) + sampling.max_tokens)
            groups: list[list[Sample]] = [[] for _ in batch]
            for count in parts(n, longest, self.cache_tokens):
                with self.spent("sampling"):
                    samples = decode(self.model, [rows[index] for index in batch], count, draw, endings)
                for place, group in enumerate(groups):
                    group += samples[place * count : (place + 1) * count]
            yield from zip(batch, groups, strict=True)


def _compact(head: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The last states [B, 1, H] of a prefill are a view, for which torch on a CPU would copy the head's weights B times."""
    return (arguments[0].contiguous(), *arguments[1:])
