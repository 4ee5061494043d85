"""Packs an update: the replies of one prompt stand behind one copy of it, and the head sees reply positions only.

A packed row is a prompt and replies 1..k. Each reply sees the prompt and itself, and its positions go on from the prompt's
last, so its log-probabilities and their gradients are those of the reply alone behind its prompt.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from azr_plugins_python.training import attention
from azr_plugins_python.training.decoding import plain
from azr_plugins_python.training.weights import core

WIDTH = 512  # cells of a packed row, where one reply does not need more; attention's cost grows with their square
PROMPT, PADDING = 0, -1  # segments of cells; replies count from 1


@dataclass(frozen=True)
class Exchange:
    """A prompt and one reply to it. index: its place among the rows of the update. sampled: the sampler's log-probability of
    each token of the reply, or nothing."""

    index: int
    prompt: tuple[int, ...]
    reply: tuple[int, ...]
    sampled: tuple[float, ...] = ()


Row = list[Exchange]  # exchanges of one prompt


@dataclass(frozen=True)
class Piece:
    """Packed rows that are computed together.

    order: indices of the replies. ids, positions, segments: [B, T]. sources: [N] the cell, counted through [B, T], that
    predicts each reply token, and targets: [N] that token. sampled: [N] what the sampler gave it, nats, NaN where it did not say.
    scored: [R, W] whether there is a token, replies in `order`.
    """

    order: list[int]
    ids: torch.Tensor
    positions: torch.Tensor
    segments: torch.Tensor
    sources: torch.Tensor
    targets: torch.Tensor
    sampled: torch.Tensor
    scored: torch.Tensor

    def to(self, device: torch.device) -> Piece:
        return replace(self, **{name: value.to(device) for name, value in vars(self).items() if name != "order"})


def packable(model: PreTrainedModel) -> bool:
    """Whether a model computes a reply the same wherever it stands in a row, given a mask and positions."""
    model = core(model)
    config = model.config.get_text_config()
    positioned = "position_ids" in inspect.signature(model.forward).parameters and not getattr(config, "alibi", False)
    return plain(model) and positioned and not model._is_stateful and model.config._attn_implementation == attention.NAME


def packed(exchanges: Sequence[Exchange], *, share: bool) -> list[Row]:
    """Rows of at most WIDTH cells, shortest first. share: put replies of equal prompts in one row where they fit."""
    if not share:
        return sorted(([exchange] for exchange in exchanges), key=cells)
    groups: dict[tuple[int, ...], list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(exchange.prompt, []).append(exchange)
    return sorted((row for group in groups.values() for row in _filled(group)), key=cells)


def _filled(group: list[Exchange]) -> list[Row]:
    """First fit, longest replies first."""
    rows: list[Row] = []
    for exchange in sorted(group, key=lambda exchange: -len(exchange.reply)):
        row = next((row for row in rows if cells(row) + len(exchange.reply) <= WIDTH), None)
        if row is None:
            rows.append([exchange])
        else:
            row.append(exchange)
    return rows


def cells(row: Row) -> int:
    return len(row[0].prompt) + sum(len(exchange.reply) for exchange in row)


def pieces(rows: Sequence[Row], limit: int) -> Iterator[Piece]:
    """Rows of rising length, moved together, at most `limit` cells a piece, padding included."""
    piece: list[Row] = []
    for row in rows:
        if piece and (len(piece) + 1) * cells(row) > limit:
            yield laid_out(piece)
            piece = []
        piece.append(row)
    if piece:
        yield laid_out(piece)


def laid_out(rows: Sequence[Row]) -> Piece:
    width = max(map(cells, rows))
    ids, positions = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.long)
    segments = torch.full_like(ids, PADDING)
    sources: list[int] = []
    for place, row in enumerate(rows):
        begin = len(row[0].prompt)
        ids[place, : cells(row)] = torch.tensor([*row[0].prompt, *(token for exchange in row for token in exchange.reply)])
        positions[place, :begin], segments[place, :begin] = torch.arange(begin), PROMPT
        end = begin
        for number, exchange in enumerate(row, 1):
            start, end = end, end + len(exchange.reply)
            positions[place, start:end] = torch.arange(begin, begin + end - start)
            segments[place, start:end] = number
            sources += [place * width + cell for cell in (begin - 1, *range(start, end - 1))]
    flat = [exchange for row in rows for exchange in row]
    return Piece(
        [exchange.index for exchange in flat],
        ids,
        positions,
        segments,
        torch.tensor(sources),
        torch.tensor([token for exchange in flat for token in exchange.reply]),
        torch.tensor([logp for exchange in flat for logp in exchange.sampled or [math.nan] * len(exchange.reply)]),
        pad_sequence([torch.ones(len(exchange.reply), dtype=torch.bool) for exchange in flat], batch_first=True),
    )


def seen(piece: Piece) -> torch.Tensor:
    """[B, 1, T, T] whether a cell (third axis) sees another: one before it, of the prompt or of its own reply."""
    own = piece.segments[:, :, None] == piece.segments[:, None, :]
    shared = piece.segments[:, None, :] == PROMPT
    return ((own | shared) & torch.ones_like(own[0]).tril())[:, None]


def score(model: torch.nn.Module, piece: Piece, *, share: bool, **kwargs: Any) -> Any:
    """TRL's fused output for the piece's reply tokens, as one row [1, N]: `log_probs`, `entropy`, `aux_loss`.

    The head is TRL's; the hook hands it the states that predict reply tokens instead of all.
    """

    def select(backbone: torch.nn.Module, args: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state.flatten(0, 1)[piece.sources][None]
        return output

    if share:
        kwargs |= {"attention_mask": seen(piece), "position_ids": piece.positions}
    else:
        kwargs |= {"attention_mask": (piece.segments != PADDING).long()}
    handle = core(model).base_model.register_forward_hook(select)
    try:
        return model(piece.ids, shift_labels=piece.targets[None], fused_lm_head=True, **kwargs)
    finally:
        handle.remove()
