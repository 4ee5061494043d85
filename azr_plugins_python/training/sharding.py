"""Models and optimisers that are spread over ranks: by which strategy, and how a whole one is made of them and the other way round."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, distribute_tensor

import azr_core as azr

WRAPPERS = ("_checkpoint_wrapped_module.", "_orig_mod.")


class Strategy(StrEnum):
    """What every rank holds. one: everything, there is one rank. ddp: everything. fsdp2, zero3: a shard of weights and optimiser.
    zero2: the weights, and a shard of the optimiser."""

    ONE = "one"
    DDP = "ddp"
    FSDP2 = "fsdp2"
    ZERO2 = "zero2"
    ZERO3 = "zero3"

    @property
    def deepspeed(self) -> bool:
        return self in (Strategy.ZERO2, Strategy.ZERO3)

    @property
    def told(self) -> str:
        """For the plan."""
        return f"{self} (nobody tried it, and it cannot be resumed)" if self.deepspeed else str(self)

    @property
    def sharded(self) -> bool:
        """Whether no rank has the whole optimiser."""
        return self not in (Strategy.ONE, Strategy.DDP)


def strategy(*, cpu: bool) -> Strategy:
    """What accelerate's configuration asks for. Raises ConfigError for what is not supported."""
    if "LOCAL_RANK" not in os.environ:
        return Strategy.ONE
    if _set("ACCELERATE_USE_DEEPSPEED"):
        if cpu:
            raise azr.ConfigError("accelerate starts no DeepSpeed on CPUs; use torchrun")
        stage = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")
        if stage not in "23":
            raise azr.ConfigError(f"DeepSpeed ZeRO stage {stage} is not supported; set zero_stage to 2 or 3, as configs/accelerate does")
        return Strategy(f"zero{stage}")
    if _set("ACCELERATE_USE_FSDP"):
        if os.environ.get("FSDP_VERSION", "1") != "2":
            raise azr.ConfigError("FSDP 1 is not supported; set fsdp_version: 2, as configs/accelerate/fsdp2.yaml does")
        return Strategy.FSDP2
    return Strategy.DDP if azr.place().count > 1 else Strategy.ONE


def confirm(asked: Strategy, accelerator: Any) -> None:
    """Raises ConfigError where accelerate does not divide the model as its configuration asks for, as on CPUs."""
    if asked is Strategy.FSDP2 and accelerator.distributed_type is not DistributedType.FSDP:
        raise azr.ConfigError(f"accelerate starts no FSDP on {accelerator.device.type}; use configs/accelerate/ddp.yaml, or torchrun")


def compute_in_bfloat16(accelerator: Any) -> None:
    """Let FSDP2 gather weights in bfloat16 and reduce gradients in float32; log-probabilities stay as the head computes them.

    accelerate would do all three in bfloat16.
    """
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    accelerator.state.fsdp_plugin.mixed_precision_policy = policy


def _set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true")


def name_of(parameter: str) -> str:
    """A parameter's name without what wraps its layers."""
    for wrapper in WRAPPERS:
        parameter = parameter.replace(wrapper, "")
    return parameter


def reshard(model: torch.nn.Module) -> None:
    """Put away what a forward pass without a backward one left gathered, in the precision of the arithmetic."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


@contextmanager
def gathered(parameter: torch.Tensor) -> Iterator[torch.Tensor]:
    """The whole of a parameter while entered; every rank must ask."""
    if isinstance(parameter, DTensor):
        yield parameter.full_tensor()
    elif hasattr(parameter, "ds_id"):  # ZeRO-3
        import deepspeed

        with deepspeed.zero.GatheredParameters([parameter]):
            yield parameter
    else:
        yield parameter


def whole_state(optimizer: torch.optim.Optimizer, *, keep: bool) -> dict[str, Any]:
    """An optimiser's state on the CPU as one process would have it; every rank must ask, and those that do not keep it get nothing."""
    state = optimizer.state_dict()
    found: dict[int, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        wholes = {name: value.full_tensor() if isinstance(value, DTensor) else value for name, value in entries.items()}
        if keep:
            found[index] = {name: value.cpu() if torch.is_tensor(value) else value for name, value in wholes.items()}
    return {**state, "state": found}


def spread_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimiser its part of a whole state."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    parts = {index: {name: _part(value, parameters[index]) for name, value in entries.items()} for index, entries in state["state"].items()}
    optimizer.load_state_dict({**state, "state": parts})


def _part(value: Any, parameter: torch.Tensor) -> Any:
    if not (isinstance(parameter, DTensor) and torch.is_tensor(value) and value.shape == parameter.shape):
        return value
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None)
