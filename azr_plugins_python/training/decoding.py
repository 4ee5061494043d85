"""Batched sampling from any causal language model of transformers: one prefill per prompt, finished rows dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

import azr_core as azr

ROWS = 512  # rows decoded together; more gains nothing on a CPU
PREFILL_CELLS = 1 << 26  # rows x length x length of one prefill, the size of its attention mask
CROWDED = 0.75  # rows are compacted when fewer than this share is alive


@dataclass(frozen=True)
class Sample:
    """What was sampled for one row. finished: it ended by itself, with an end token or a stop string."""

    token_ids: list[int]
    logprobs: list[float]
    finished: bool


class FixedLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in a buffer of fixed capacity, written in place and read as views."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.length = room, 0

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Append [B, H, T, D] and return all that is held: [B, H, length, D]."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states, value_states
            self.length = key_states.shape[-2]
            return key_states, value_states
        end = self.length + key_states.shape[-2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.length

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Leave prefill: move into the buffer, each row `repeats` times."""
        self.keys = self._roomy(self.keys.repeat_interleave(repeats, dim=0))
        self.values = self._roomy(self.values.repeat_interleave(repeats, dim=0))

    def _roomy(self, states: torch.Tensor) -> torch.Tensor:
        rows, heads, length, width = states.shape
        buffer = states.new_empty(rows, heads, length + self.room, width)
        buffer[:, :, :length] = states
        return buffer


def plain(model: PreTrainedModel) -> bool:
    """Whether every layer attends to all that came before, so that one mask and one kind of cache serve all layers."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    slides = getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)
    return kinds == {"full_attention"} and not slides


@dataclass(frozen=True)
class Endings:
    """What ends a reply: end tokens (`ids`), and stop strings found in its last tokens. text: decodes token ids."""

    ids: torch.Tensor
    pad: int
    stop: tuple[str, ...]
    text: Callable[[list[list[int]]], list[str]]

    def ended(self, tokens: torch.Tensor, done: torch.Tensor) -> torch.Tensor:
        """[B] whether the newest of the tokens [B, T] ends its row; rows that are done are not looked at."""
        ended = torch.isin(tokens[:, -1], self.ids)
        if not self.stop:
            return ended
        tail = max(len(stop.encode()) for stop in self.stop) + 1
        open_rows = (~(ended | done)).nonzero()[:, 0]
        texts = self.text(tokens[open_rows, -tail:].tolist())
        hits = [any(stop in text for stop in self.stop) for text in texts]
        ended[open_rows] = torch.tensor(hits, dtype=torch.bool, device=tokens.device)
        return ended


def batches(prompts: Sequence[Sequence[int]], n: int, reply: int, tokens: int) -> Iterator[list[int]]:
    """Indices of prompts of like length that are decoded together. tokens: of all rows' prompts and whole replies at once."""
    batch: list[int] = []
    for index in sorted(range(len(prompts)), key=lambda i: len(prompts[i])):
        count, length = len(batch) + 1, len(prompts[index])
        if batch and (count * n > ROWS or count * length**2 > PREFILL_CELLS or count * n * (length + reply) > tokens):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def parts(n: int, row: int, tokens: int) -> list[int]:
    """How many replies to one prompt are decoded at a time, where all of them would exceed `tokens`. row: tokens of one."""
    most = max(1, tokens // row)
    return [min(most, n - begin) for begin in range(0, n, most)]


@dataclass(frozen=True)
class Draw:
    """Draws next tokens as a sampling asks. logits: [B, V]; returns tokens [B] and their log-probabilities [B], nats."""

    sampling: azr.Sampling
    generator: torch.Generator

    def __call__(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = logits.float()
        if self.sampling.temperature == 0:
            logps = scores.log_softmax(-1)
            chosen = logps.argmax(-1)
            return chosen, logps.gather(1, chosen[:, None])[:, 0]
        logps = (scores / self.sampling.temperature).log_softmax(-1)
        if self.sampling.top_p < 1:
            logps = nucleus(logps, self.sampling.top_p)
        # one uniform a row through the cumulative distribution: a tenth of the cost of a noise per vocabulary entry
        levels = logps.exp().cumsum(-1, dtype=torch.float64)
        uniform = torch.rand(len(logps), 1, generator=self.generator, device=logps.device, dtype=torch.float64)
        chosen = torch.searchsorted(levels, uniform * levels[:, -1:], right=True)[:, 0].clamp(max=logps.shape[-1] - 1)
        return chosen, logps.gather(1, chosen[:, None])[:, 0]


def nucleus(logps: torch.Tensor, top_p: float) -> torch.Tensor:
    """The smallest set of tokens that holds at least top_p of the probability, renormalised. logps: [B, V]."""
    ordered, order = logps.sort(-1, descending=True)
    probabilities = ordered.exp()
    outside = probabilities.cumsum(-1) - probabilities >= top_p
    dropped = torch.zeros_like(outside).scatter(1, order, outside)
    return logps.masked_fill(dropped, -torch.inf).log_softmax(-1)


def cache_of(model: PreTrainedModel, room: int) -> Cache:
    """An empty cache; room: tokens a reply may have."""
    config = model.config.get_text_config()
    if not plain(model):
        return DynamicCache(config=config)
    return Cache(layers=[FixedLayer(room) for _ in range(config.num_hidden_layers)])


class Decoding:
    """The state of one batch while it is decoded.

    rows: [B] index of each living row among all samples. position: [B, 1] of the next token. blocked: [B, C] additive
    mask over the cache, None where no prompt is padded. done: [B] rows that ended since the last compaction.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], n: int, room: int, pad: int) -> None:
        self.model, self.simple = model, plain(model)
        self.cache = cache_of(model, room)
        width = max(map(len, prompts))
        gaps = [width - len(prompt) for prompt in prompts]
        ids = torch.tensor([[pad] * gap + list(prompt) for gap, prompt in zip(gaps, prompts, strict=True)], device=model.device)
        mask = torch.tensor([[0] * gap + [1] * (width - gap) for gap in gaps], device=model.device)
        padded = bool((mask == 0).any())
        self.mask: torch.Tensor | None = None
        self.logits = self._forward(ids, mask if padded else None, (mask.cumsum(-1) - 1).clamp(min=0))
        self.cache.batch_repeat_interleave(n)
        self.logits = self.logits.repeat_interleave(n, 0)
        self.position = mask.sum(-1, keepdim=True).repeat_interleave(n, 0)
        self.length = width
        if padded:
            whole = torch.nn.functional.pad(mask.repeat_interleave(n, 0), (0, room), value=1)
            blocked = torch.where(whole == 1, 0.0, torch.finfo(model.dtype).min).to(model.dtype)
            self.mask = blocked if self.simple else whole
        self.rows = torch.arange(len(prompts) * n, device=model.device)
        self.done = torch.zeros_like(self.rows, dtype=torch.bool)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor | None, position: torch.Tensor) -> torch.Tensor:
        output = self.model(ids, attention_mask=mask, position_ids=position, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def advance(self, tokens: torch.Tensor) -> None:
        """Feed the chosen tokens [B], dropping rows that are done once enough are."""
        if int(self.done.sum()) > (1 - CROWDED) * len(self.done):
            tokens = self._compact(tokens)
        self.length += 1
        mask = self.mask
        if mask is not None:
            mask = mask[:, None, None, : self.length] if self.simple else mask[:, : self.length]
        self.logits = self._forward(tokens[:, None], mask, self.position)
        self.position = self.position + 1

    def _compact(self, tokens: torch.Tensor) -> torch.Tensor:
        keep = (~self.done).nonzero()[:, 0]
        self.cache.batch_select_indices(keep)
        self.rows, self.position, self.done = self.rows[keep], self.position[keep], self.done[keep]
        if self.mask is not None:
            self.mask = self.mask[keep]
        return tokens[keep]


def decode(model: PreTrainedModel, prompts: Sequence[Sequence[int]], n: int, draw: Draw, endings: Endings) -> list[Sample]:
    """n samples for each prompt of one batch, those of a prompt side by side."""
    limit, total, device = draw.sampling.max_tokens, len(prompts) * n, model.device
    tokens = torch.zeros(total, limit, dtype=torch.long, device=device)
    logprobs = torch.zeros(total, limit, device=device)
    lengths = torch.full((total,), limit, device=device)
    finished = torch.zeros(total, dtype=torch.bool, device=device)
    with torch.inference_mode():
        state = Decoding(model, prompts, n, limit, endings.pad)
        for step in range(limit):
            chosen, logps = draw(state.logits)
            tokens[state.rows, step], logprobs[state.rows, step] = chosen, logps
            ended = endings.ended(tokens[state.rows, : step + 1], state.done) & ~state.done
            lengths[state.rows[ended]] = step + 1
            finished[state.rows[ended]] = True
            state.done |= ended
            if bool(state.done.all()) or step + 1 == limit:
                break
            state.advance(chosen)
    whole = zip(tokens.tolist(), logprobs.tolist(), lengths.tolist(), finished.tolist(), strict=True)
    return [Sample(row[:count], logps[:count], end) for row, logps, count, end in whole]
