"""The model's weights as one whole, whatever the model is wrapped in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel
from peft.utils.integrations import dequantize_module_weight
from transformers import PreTrainedModel

from azr_plugins_python.training.sharding import gathered, name_of, reshard

LORA, BASE = "lora_", ".base_layer."


def core(model: Any) -> PreTrainedModel:
    """The transformers model itself; adapters stay in its layers."""
    if not isinstance(model, PreTrainedModel | PeftModel):
        model = model.module  # what DDP and DeepSpeed wrap
    return model.get_base_model() if isinstance(model, PeftModel) else model


def whole(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Each weight under its Hugging Face name; a tied head comes once, under the name of the embedding.

    Adapters are added to the weights they adapt, in float32, one at a time, and 4-bit weights are widened. Where ranks hold shards, all
    of them must walk through it together; a weight is whole until the next one is asked for.
    """
    inner = core(model)
    reshard(inner)
    for name, parameter in inner.named_parameters():
        if LORA in name:
            continue
        with gathered(parameter) as weight:
            yield name_of(name).replace(BASE, "."), (_merged(inner, name, parameter) if weight is parameter else weight).detach()


def _merged(inner: PreTrainedModel, name: str, parameter: torch.Tensor) -> torch.Tensor:
    path, _, kind = name.rpartition(".")
    if kind != "weight":
        return parameter
    weight: torch.Tensor = dequantize_module_weight(inner.get_submodule(path))
    return weight.detach().float() + _delta(inner.get_submodule(path.removesuffix(BASE[:-1]))) if BASE in name else weight


def _delta(layer: Any) -> torch.Tensor:
    return sum(layer.get_delta_weight(adapter).detach().float() for adapter in layer.active_adapters)
