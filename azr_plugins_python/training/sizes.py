"""What of a run's settings decides its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import azr_core as azr
from azr_plugins_python.training.options import TrainerOptions

WIDTHS = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Sizes:
    """piece: tokens of a micro-batch. cpu: on a CPU. learns: not an evaluation. again: layers are computed again in the backward pass.

    cached: tokens of all rows sampled together. engine: bytes that another sampler takes of the device, none: transformers samples;
    sleeps: it gives them back while the model learns. ranks, strategy: as in `sharding`.
    """

    piece: int
    prompt: int
    propose: int
    solve: int
    samples: int
    sampling: str
    update: str
    cpu: bool
    packed: bool
    entropy: bool
    learns: bool = True
    lora: int = 0
    targets: tuple[str, ...] = ()
    quantise: str = "none"
    again: bool = False
    offloaded: bool = False
    cached: int = 2**19
    engine: int | None = None
    sleeps: bool = False
    ranks: int = 1
    strategy: str = "one"

    @property
    def form(self) -> str:
        """As in `learner`: all weights are trained, or adapters, or the masters are on the CPU."""
        return "lora" if self.lora else "offloaded" if self.offloaded else "all"

    @classmethod
    def of(
        cls,
        options: TrainerOptions,
        config: azr.RunConfig,
        precisions: tuple[str, str],
        *,
        cpu: bool,
        total: int | None = None,
        ranks: int = 1,
        strategy: str = "one",
    ) -> Self:
        """precisions: of sampling and of the update, as they were chosen. total: bytes of the device, used or not."""
        return cls(
            options.micro_batch_tokens, config.prompt_tokens, config.propose_tokens, config.solve_tokens,
            samples=max(config.probe_samples, config.evaluation.samples),
            sampling=precisions[0],
            update=precisions[1],
            cpu=cpu,
            packed=options.pack,
            entropy=options.entropy_coefficient > 0,
            learns=config.steps > 0,
            lora=options.lora_rank,
            targets=options.lora_targets,
            quantise=options.quantise,
            again=options.gradient_checkpointing,
            offloaded=options.offload_optimizer,
            cached=options.sampling_cache_tokens,
            engine={"transformers": None, "server": 0}.get(options.sampler, int(options.vllm_memory * (0 if cpu else total or 0))),
            sleeps=options.vllm_sleep,
            ranks=ranks,
            strategy=strategy,
        )  # fmt: skip
