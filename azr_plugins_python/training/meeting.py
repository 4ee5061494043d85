"""Where the ranks meet in an update, and where they must not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from accelerate.utils import DistributedType


@contextmanager
def meeting(trainer: Any, model: torch.nn.Module, *, last: bool) -> Iterator[None]:
    """Around one forward and backward pass of a trainer of transformers. last: of the update.

    The ranks meet in the gradients: under DDP in those of the last pass only. Where weights are divided gradients are too, as soon as
    they are made, for the device has no room for all of them. They do not meet in what TRL logs of a pass (`Alone`).
    """
    whole = trainer.accelerator
    if whole.num_processes == 1:
        yield
        return
    ddp = whole.distributed_type not in (DistributedType.FSDP, DistributedType.DEEPSPEED)
    whole.gradient_state._set_sync_gradients(last)  # DeepSpeed steps where this is set
    trainer.accelerator = Alone(whole)
    try:
        with whole.no_sync(model) if ddp and not last else nullcontext():
            yield
    finally:
        trainer.accelerator = whole


class Alone:
    """An accelerator in whose gatherings a rank sees only itself: TRL logs means of every pass, whose shapes differ by rank."""

    def __init__(self, whole: Any) -> None:
        self.whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def gather(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    gather_for_metrics = gather

    def reduce(self, tensor: torch.Tensor, reduction: str) -> torch.Tensor:
        return tensor
