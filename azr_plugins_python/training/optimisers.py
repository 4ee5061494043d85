"""AdamW whose float32 weights and moments stay on the CPU: the device holds one copy of the model, in the precision it computes in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch


class OffloadedAdamW(torch.optim.AdamW):  # type: ignore[misc]
    """Steps float32 masters on the CPU and copies them into the working parameters.

    A gradient leaves the device as soon as it is whole and is added to its master's in float32, so micro-batches lose nothing to
    bfloat16 and the device never holds the gradients of all parameters. masters: what is clipped and kept; working: what computes.
    """

    def __init__(self, masters: Iterable[torch.nn.Parameter], working: Iterable[torch.nn.Parameter], **settings: Any) -> None:
        self.masters, self.working = torch.nn.ParameterList(masters), list(working)
        super().__init__(self.masters, fused=True, **settings)
        self.hooks = [
            parameter.register_post_accumulate_grad_hook(partial(_hand_over, master))
            for master, parameter in zip(self.masters, self.working, strict=True)
        ]
        self.show()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> Any:
        result = super().step(closure)
        self.zero_grad()  # transformers empties those of the model only
        self.show()
        return result

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def show(self) -> None:
        """Copy the masters into the working parameters."""
        for master, parameter in zip(self.masters, self.working, strict=True):
            parameter.copy_(master)

    @contextmanager
    def exposed(self) -> Iterator[None]:
        """While it lasts the working parameters are the masters, on the CPU, to be written or read."""
        held = [parameter.data for parameter in self.working]
        for master, parameter in zip(self.masters, self.working, strict=True):
            parameter.data = master.data
        try:
            yield
        finally:
            for data, parameter in zip(held, self.working, strict=True):
                parameter.data = data


def _hand_over(master: torch.nn.Parameter, parameter: torch.nn.Parameter) -> None:
    gradient = parameter.grad
    assert gradient is not None
    moved = gradient.to(master.device).float()
    master.grad = moved if master.grad is None else master.grad.add_(moved)
    parameter.grad = None
