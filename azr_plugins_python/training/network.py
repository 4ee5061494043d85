"""Llama's forward pass for warm-ups: float32 masters, copies in fast precision, fused projections. To and from Hugging Face."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

import azr_core as azr
from azr_plugins_python.training.recipe import Shape

HIDDEN = -30_000.0  # score of a later token; bfloat16 holds it


class Network:
    """Weights by name and the function they make. dtype: of the arithmetic."""

    def __init__(self, shape: Shape, weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> None:
        self.shape, self.dtype = shape, dtype
        self.weights = {name: tensor.to(device, torch.float32).requires_grad_() for name, tensor in weights.items()}
        frequencies = shape.theta ** (-torch.arange(0, shape.head_width, 2).float() / shape.head_width)
        angles_TW = torch.arange(shape.context).float()[:, None] * frequencies
        self._cos = torch.cat([angles_TW.cos(), angles_TW.cos()], -1).to(device, dtype)
        self._sin = torch.cat([-angles_TW.sin(), angles_TW.sin()], -1).to(device, dtype)

    def matrices(self) -> list[Tensor]:
        """What Muon updates: the projections."""
        return [tensor for name, tensor in self.weights.items() if name.startswith("layer.") and tensor.ndim == 2]

    def others(self) -> list[Tensor]:
        """What AdamW updates: embeddings and norms."""
        return [tensor for name, tensor in self.weights.items() if not name.startswith("layer.") or tensor.ndim == 1]

    def __call__(self, ids_BT: Tensor) -> Tensor:
        """Right-padded ids -> logits [B, T, V] float32."""
        fast = {name: tensor.to(self.dtype) for name, tensor in self.weights.items()}
        length = ids_BT.shape[1]
        hidden = torch.ones(length, length, dtype=torch.bool, device=ids_BT.device).triu(1)
        mask = torch.zeros(length, length, dtype=self.dtype, device=ids_BT.device).masked_fill(hidden, HIDDEN)
        x_BTW = F.embedding(ids_BT, fast["embedding"])
        for layer in range(self.shape.layers):
            own = {name: fast[f"layer.{layer}.{name}"] for name in ("norm", "qkv", "out", "inner_norm", "gate_up", "down")}
            x_BTW = x_BTW + self._attention(self._norm(x_BTW, own["norm"]), own, mask)
            gate, up = F.linear(self._norm(x_BTW, own["inner_norm"]), own["gate_up"]).chunk(2, -1)
            x_BTW = x_BTW + F.linear(F.silu(gate) * up, own["down"])
        return F.linear(self._norm(x_BTW, fast["norm"]), fast["head"]).float()

    def _attention(self, x_BTW: Tensor, own: Mapping[str, Tensor], mask_TT: Tensor) -> Tensor:
        """Plain products: on a CPU the fused attention's backward is eight times slower than its forward at these lengths."""
        heads, each = self.shape.heads, self.shape.head_width
        rows, length, _ = x_BTW.shape
        q, k, v = F.linear(x_BTW, own["qkv"]).split([heads * each, each, each], -1)
        q = self._rotate(q.view(rows, length, heads, each).transpose(1, 2)).reshape(rows, heads * length, each)
        scores = torch.baddbmm(mask_TT.repeat(heads, 1)[None], q, self._rotate(k).transpose(1, 2), alpha=each**-0.5)
        mixed = torch.bmm(scores.softmax(-1), v).view(rows, heads, length, each)
        return F.linear(mixed.transpose(1, 2).reshape(rows, length, heads * each), own["out"])

    def _rotate(self, x: Tensor) -> Tensor:
        length, half = x.shape[-2], self.shape.head_width // 2
        return x * self._cos[:length] + torch.cat([x[..., half:], x[..., :half]], -1) * self._sin[:length]

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (self.shape.width,), weight, self.shape.epsilon)


def fresh_weights(shape: Shape, seed: int) -> dict[str, Tensor]:
    """Random weights; those that write to the residual stream start small."""
    across, small = shape.heads * shape.head_width, 0.5 / math.sqrt(shape.layers)
    chance = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> Tensor:
        return torch.randn(rows, columns, generator=chance) * scale / math.sqrt(columns)

    weights = {"norm": torch.ones(shape.width)}
    weights["embedding"] = torch.randn(shape.vocabulary, shape.width, generator=chance) * 0.08
    weights["head"] = torch.randn(shape.vocabulary, shape.width, generator=chance) * 0.02
    for layer in range(shape.layers):
        weights[f"layer.{layer}.norm"] = torch.ones(shape.width)
        weights[f"layer.{layer}.inner_norm"] = torch.ones(shape.width)
        weights[f"layer.{layer}.qkv"] = matrix(across + 2 * shape.head_width, shape.width)
        weights[f"layer.{layer}.out"] = matrix(shape.width, across, small)
        weights[f"layer.{layer}.gate_up"] = matrix(2 * shape.inner, shape.width)
        weights[f"layer.{layer}.down"] = matrix(shape.width, shape.inner, small)
    return weights


# Our names and, in order, those of the Hugging Face tensors that are stacked in them.
_WHOLE = {"embedding": "model.embed_tokens", "head": "lm_head", "norm": "model.norm"}
_FUSED = {
    "norm": ("input_layernorm",),
    "inner_norm": ("post_attention_layernorm",),
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


def _parts(shape: Shape) -> dict[str, tuple[str, ...]]:
    layers = {
        f"layer.{layer}.{name}": tuple(f"model.layers.{layer}.{part}.weight" for part in parts)
        for layer in range(shape.layers)
        for name, parts in _FUSED.items()
    }
    return {name: (f"{part}.weight",) for name, part in _WHOLE.items()} | layers


def export(network: Network, folder: Path, *, end: int, pad: int) -> None:
    """Writes config.json, generation_config.json and model.safetensors in bfloat16."""
    shape, state = network.shape, dict[str, Tensor]()
    sizes = {"q_proj": shape.heads * shape.head_width, "k_proj": shape.head_width, "v_proj": shape.head_width}
    sizes |= {"gate_proj": shape.inner, "up_proj": shape.inner}
    for name, parts in _parts(shape).items():
        tensor = network.weights[name].detach().to("cpu", torch.bfloat16)
        rows = [sizes.get(part.split(".")[-2], tensor.shape[0]) for part in parts]
        state |= {part: piece.contiguous() for part, piece in zip(parts, tensor.split(rows), strict=True)}
    model = LlamaForCausalLM(_config(shape, end, pad)).bfloat16()
    model.load_state_dict(state, strict=True)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad, do_sample=True, temperature=1.0, top_k=0, top_p=1.0)
    model.save_pretrained(folder)


def _config(shape: Shape, end: int, pad: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=1,
        head_dim=shape.head_width,
        max_position_embeddings=shape.context,
        rms_norm_eps=shape.epsilon,
        rope_theta=shape.theta,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
        dtype="bfloat16",
    )


def exported_weights(shape: Shape, folder: Path) -> dict[str, Tensor]:
    """The weights of a folder that `export` wrote. Raises ConfigError where its shape is not the recipe's."""
    try:
        config = json.loads((folder / "config.json").read_text())
        state = load_file(folder / "model.safetensors")
        weights = {name: torch.cat([state[part] for part in parts]).float() for name, parts in _parts(shape).items()}
    except (OSError, KeyError, ValueError) as error:
        raise azr.ConfigError(f"{folder}: azr warmup cannot go on from this model ({error}); without --model it makes a new one") from None
    wanted = {name: tensor.shape for name, tensor in fresh_weights(shape, 0).items()}
    heads = (config.get("num_hidden_layers"), config.get("num_attention_heads"), config.get("num_key_value_heads"))
    if heads != (shape.layers, shape.heads, 1) or any(weights[name].shape != size for name, size in wanted.items()):
        raise azr.ConfigError(f"{folder}: its shape is not the recipe's; name the recipe it was made with (trainer.recipe)")
    return weights
