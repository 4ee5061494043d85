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
HIDDEN = -30_000.0  # score of a token that is not seen; bfloat16 holds it


def use(model: PreTrainedModel) -> None:
    """Let a model attend with `attend` if it attends with torch's kernels now; other models stay as they are.

    A model that caps its scores (Gemma 2) would be another one with them: they leave the cap out, and transformers does not say so.
    """
    if getattr(model.config.get_text_config(), "attn_logit_softcapping", None):
        model.set_attn_implementation("eager")
    elif model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)


def attend(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    """query: [B, H, T, D]; key, value: [B, G, S, D] with H a multiple of G; returns [B, T, H, D].

    One new token: the query heads of a group become its query positions, so no key is repeated (twice as fast to decode).
    Learning on a CPU: torch's fused bfloat16 backward with a mask is seven times slower than its float32 one (torch 2.13),
    and plain products are faster still.
    """
    if query.shape[2] == 1 and not query.requires_grad:
        rows, heads, _, width = query.shape
        folded = query.view(rows, key.shape[1], heads // key.shape[1], width)
        out = torch.nn.functional.scaled_dot_product_attention(folded, key, value, attn_mask=attention_mask, scale=kwargs.get("scaling"))
        return out.reshape(rows, 1, heads, -1), None
    if query.requires_grad and query.device.type == "cpu":
        half = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
        with torch.autocast("cpu", enabled=False):
            if half is torch.bfloat16 and attention_mask is not None and not _special(kwargs):
                return _products(query.to(half), key.to(half), value.to(half), attention_mask, kwargs.get("scaling")), None
            return _plain(module, query.float(), key.float(), value.float(), attention_mask, **kwargs)
    return _plain(module, query, key, value, attention_mask, **kwargs)


def _special(kwargs: dict[str, Any]) -> bool:
    """Whether the model wants more of its attention than a mask and a scale."""
    return bool(kwargs.get("dropout")) or kwargs.get("position_bias") is not None


def _products(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float | None) -> torch.Tensor:
    """The query heads of a group become its query positions. mask: [B, 1, T, S], true or zero where a key is seen."""
    rows, heads, length, width = query.shape
    groups, keys = key.shape[1], key.shape[2]
    added = torch.where(mask, 0.0, HIDDEN).to(query.dtype) if mask.dtype is torch.bool else mask.to(query.dtype)
    folded = query.reshape(rows, groups, -1, width) * (width**-0.5 if scale is None else scale)
    scores = (folded @ key.transpose(2, 3)).view(rows, groups, -1, length, keys)
    weights = scores.add_(added[:, :, None]).softmax(-1)
    mixed = weights.view(rows, groups, -1, keys) @ value
    return mixed.view(rows, heads, length, -1).transpose(1, 2).contiguous()


def _plain(module: torch.nn.Module, *tensors: torch.Tensor | None, **kwargs: Any) -> tuple[torch.Tensor, None]:
    result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, *tensors, **kwargs)
    return result
