"""Who samples for the trainer: the choice `trainer.sampler`. A module of a sampler is imported where it is chosen."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import torch

import azr_core as azr
from azr_plugins_python.training import models
from azr_plugins_python.training.learner import Learner
from azr_plugins_python.training.options import TrainerOptions
from azr_plugins_python.training.parity import Parity
from azr_plugins_python.training.policy import TransformersPolicy
from azr_plugins_python.training.tokenized import TokenizedPolicy, Wording

Spent = Callable[[str], AbstractContextManager[object]]


def policy_of(options: TrainerOptions, learner: Learner, wording: Wording, spent: Spent) -> TokenizedPolicy:
    """The sampler that the options name, with the learner's weights, or as the learner's model itself where that samples too."""
    dtype = sampling_dtype(options, learner.device)
    if options.sampler == "vllm":
        from azr_plugins_python.training.vllm_policy import VllmPolicy

        return VllmPolicy(
            learner.model, wording, dtype=dtype, share=options.vllm_memory, sleeps=options.vllm_sleep, device=learner.device, spent=spent
        )
    if options.sampler == "server":
        return _server(options, learner, wording, dtype)
    tokens, own = options.sampling_cache_tokens, None if learner.shared else dtype
    return TransformersPolicy(learner.core, wording, dtype=own, cache_tokens=tokens, device=learner.device, spent=spent)


def _server(options: TrainerOptions, learner: Learner, wording: Wording, dtype: torch.dtype) -> TokenizedPolicy:
    if not options.server_folder:
        raise azr.ConfigError("trainer.sampler = 'server' reads weights from a folder; set trainer.server_folder to one that both see")
    try:
        from azr_plugins_python.training.vllm_server import ServerPolicy
    except ImportError as error:
        raise azr.UsageError(f"trainer.sampler = 'server' needs {error.name}; pip install 'azr[server]'") from None

    url, folder = os.environ.get("AZR_SERVER_URL") or options.server_url, Path(options.server_folder).resolve()
    return ServerPolicy(learner.model, wording, dtype=dtype, url=url, folder=folder, patience=options.server_patience)


def parity_of(options: TrainerOptions, learner: Learner, temperature: float) -> Parity:
    """How the sampler is probed."""
    autocast = partial(torch.autocast, learner.device.type, torch.bfloat16, enabled=learner.autocast)
    return Parity(options.parity_every, options.parity_bound, temperature, autocast)


def sampling_dtype(options: TrainerOptions, device: torch.device) -> torch.dtype:
    """The precision that samples."""
    return models.precision(options.sampling_dtype, device)
