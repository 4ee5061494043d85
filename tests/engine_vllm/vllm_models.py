"""Random models that vLLM can hold, and what the tests of its samplers need of a machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from test_training import SIZES, tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

import azr_core as azr
from azr_plugins_python.training.trainer import TrlTrainer

NEEDED = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed; make test-vllm has its own environment"),
]
BOUND = 0.02  # nats
PROMPTS = [
    "<|solve|>f(1)<|go|>",
    "<|propose|>a much longer prompt than the other one, of some blocks of the cache<|go|>",
    "<|solve|>x<|go|>",
]


SAMPLING = azr.Sampling(temperature=0.8, max_tokens=40, seed=5)


def difference(made: TrlTrainer) -> float:
    """Nats between a trainer and its sampler."""
    made.policy.sample(PROMPTS, SAMPLING)  # what is probed are the prompts of the last request
    return made.parity.measure(made.policy, made.model)


def write_model(folder: Path, *, tied: bool) -> Path:
    """A Qwen2 of random weights with heads of 32, one token a byte."""
    torch.manual_seed(0)
    sizes = SIZES | {"hidden_size": 128, "max_position_embeddings": 2048, "initializer_range": 0.1, "tie_word_embeddings": tied}
    Qwen2ForCausalLM(Qwen2Config(**sizes)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


@contextmanager
def disturbed(model: torch.nn.Module, amount: float = 0.02) -> Iterator[None]:
    """What an update does to weights, only more of it; taken back at the end."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=amount)
        yield
        for name, parameter in model.named_parameters():
            parameter.copy_(before[name])
