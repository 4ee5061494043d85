"""Log-probabilities of given tokens, in batches of rows of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

import azr_core as azr

CELLS = 1 << 26  # rows x length x vocabulary of one forward pass: logits of 256 MiB in float32


def score(model: PreTrainedModel, rows: Sequence[Sequence[int]], top: int) -> list[azr.Scores]:
    """Scores of each row, in order. The model is causal: what pads a row at its end changes nothing before it."""
    vocabulary = model.config.get_text_config().vocab_size
    found: dict[int, azr.Scores] = {}
    with torch.inference_mode():
        for batch in _batches(rows, vocabulary):
            width = max(len(rows[index]) for index in batch)
            ids = torch.tensor([[*rows[index], *[0] * (width - len(rows[index]))] for index in batch], device=model.device)
            logits = model(ids, use_cache=False).logits  # [B, T, V]
            for place, index in enumerate(batch):
                length = len(rows[index])
                found[index] = _scores(logits[place, : length - 1].float().log_softmax(-1), ids[place, 1:length], top)
    return [found[index] for index in range(len(rows))]


def _scores(logps: torch.Tensor, ids: torch.Tensor, top: int) -> azr.Scores:
    """logps: [T - 1, V]; ids: [T - 1]."""
    best = logps.topk(min(top, logps.shape[-1]), -1)
    likeliest = [list(zip(*pair, strict=True)) for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
    return azr.Scores(logps.gather(1, ids[:, None])[:, 0].tolist(), likeliest)


def _batches(rows: Sequence[Sequence[int]], vocabulary: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for index in sorted(range(len(rows)), key=lambda i: len(rows[i])):
        if batch and (len(batch) + 1) * len(rows[index]) * vocabulary > CELLS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
