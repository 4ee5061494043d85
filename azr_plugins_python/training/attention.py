"""The attention our shapes want: PyTorch's own kernels, called in the form in which they are fast.

Registered with transformers under one name and used wherever a model would use `sdpa`, so it works for every model.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "azr_sdpa"


def use(model: PreTrainedModel) -> None:
    """Let a model attend with `attend` if it attends with torch's kernels now; other models stay as they are."""
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)


def attend(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    """query: [B, H, T, D]; key, value: [B, G, S, D] with H a multiple of G; returns [B, T, H, D].

    One new token: the query heads of a group become its query positions, so no key is repeated (twice as fast to decode).
    Learning on a CPU: float32, since torch's bfloat16 backward with a mask is seven times slower there (torch 2.13).
    """
    if query.shape[2] == 1 and not query.requires_grad:
        rows, heads, _, width = query.shape
        folded = query.view(rows, key.shape[1], heads // key.shape[1], width)
        out = torch.nn.functional.scaled_dot_product_attention(folded, key, value, attn_mask=attention_mask, scale=kwargs.get("scaling"))
        return out.reshape(rows, 1, heads, -1), None
    if query.requires_grad and query.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):
            return _plain(module, query.float(), key.float(), value.float(), attention_mask, **kwargs)
    return _plain(module, query, key, value, attention_mask, **kwargs)


def _plain(module: torch.nn.Module, *tensors: torch.Tensor | None, **kwargs: Any) -> tuple[torch.Tensor, None]:
    result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, *tensors, **kwargs)
    return result
