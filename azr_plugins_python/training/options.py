"""Options of the trainer `trl`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

import azr_core as azr

EMBEDDED = Path(__file__).parent.parent / "tiny" / "model"
RECIPE = EMBEDDED.with_name("recipe.toml")


class TrainerOptions(azr.Options):
    """How the model learns. Defaults are the paper's (Table 3) or the released code's, where the paper is silent."""

    model: str = Field(default=str(EMBEDDED), description="folder of a transformers model, or a cached hub name")
    learning_rate: float = Field(default=1e-6, gt=0, description="AdamW's learning rate (Table 3)")
    warmup_steps: int = Field(default=0, ge=0, description="updates over which the learning rate rises, then it is constant")
    betas: tuple[float, float] = Field(default=(0.9, 0.999), description="AdamW's decay rates (code)")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's weight decay (code)")
    max_grad_norm: float = Field(default=1.0, gt=0, description="gradients are clipped to this norm (Table 3)")
    clip: float = Field(default=0.2, gt=0, description="epsilon of the surrogate; one update a step never reaches it")
    entropy_coefficient: float = Field(
        default=0.001, ge=0, description="weight of the entropy bonus (code); at 0, rows without advantage cost nothing"
    )
    importance: Literal["none", "token_truncate"] = Field(
        default="token_truncate",
        description="weigh each token by the probability the trainer gives it over the sampler's, truncated; none: all weigh 1 (paper)",
    )
    importance_cap: float = Field(default=2.0, ge=1, description="largest such weight")
    lora_rank: int = Field(default=0, ge=0, description="rank of LoRA adapters, which alone are trained; 0: all weights are")
    lora_alpha: int = Field(default=32, gt=0, description="adapters are scaled by this over their rank")
    lora_targets: tuple[str, ...] = Field(
        default=(), description="names of the layers that get adapters; none: every linear one but the head"
    )
    quantise: Literal["none", "nf4"] = Field(
        default="none", description="nf4: the frozen base of LoRA in 4 bits (QLoRA); needs bitsandbytes (pip install 'azr[qlora]')"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="compute each layer again in the backward pass: a third more work, a small part of the activations"
    )
    offload_optimizer: bool = Field(
        default=False, description="float32 weights and AdamW's moments stay on the CPU; the device holds one copy that learns and samples"
    )
    micro_batch_tokens: int = Field(default=3072, ge=1, description="tokens of a forward and backward pass, with padding")
    pack: bool = Field(default=True, description="compute a prompt once for all its replies; false: once for each of them")
    threads: int | None = Field(default=None, ge=1, description="threads of torch; none: torch's own choice")
    device: str = Field(default="auto", description="torch device; auto: cuda where there is one, else cpu")
    sampling_dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto", description="precision of the copy that samples; auto: bfloat16 where the processor computes it, else float32"
    )
    sampling_cache_tokens: int = Field(
        default=2**19, ge=1, description="tokens of all rows sampled together, prompts and whole replies; what their keys and values take"
    )
    update_dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto", description="precision of the update's arithmetic; the weights and the optimiser stay float32; auto as above"
    )
    sampler: Literal["transformers", "vllm", "server"] = Field(
        default="transformers",
        description="who samples: transformers; vllm: an engine of vLLM in this process (azr[vllm]); server: a `vllm serve` at server_url",
    )
    vllm_memory: float = Field(default=0.4, gt=0, lt=1, description="share of the GPU's memory that the sampler vllm takes")
    vllm_sleep: bool = Field(default=False, description="the sampler vllm gives its share of the GPU's memory to the update")
    server_url: str = Field(
        default="http://127.0.0.1:8000", description="where the sampler server listens; AZR_SERVER_URL in the environment goes before it"
    )
    server_folder: str = Field(default="", description="folder of the weights for the sampler server, which both machines see")
    server_patience: float = Field(default=300.0, ge=0, description="seconds for which a server that does not answer is asked again")
    parity_every: int = Field(
        default=1, ge=0, description="steps between comparisons of the sampler's log-probabilities with the trainer's; 0: none"
    )
    parity_bound: float = Field(
        default=0.05, gt=0, description="nats by which they may differ on average; bfloat16 alone makes 0.01 to 0.03 (docs/scaling.md)"
    )
    ddp_timeout: float = Field(
        default=7200.0,
        gt=0,
        description="seconds for which ranks wait for one another, more than the slowest sampling or verification of a step takes",
    )
    check_memory: bool = Field(
        default=True, description="refuse a model whose weights, optimiser and gradients alone do not fit the device"
    )
    thinking: Literal["auto", "on", "off"] = Field(
        default="auto", description="what a chat template that can switch thinking is told (enable_thinking); auto: nothing"
    )
    recipe: str = Field(default=str(RECIPE), description="TOML file by which azr warmup makes a model")
    offline: bool = Field(default=True, description="never ask the hub; a model that is no folder must be in its cache (hf download NAME)")
