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
    micro_batch_tokens: int = Field(default=3072, ge=1, description="tokens of a forward and backward pass, with padding")
    pack: bool = Field(default=True, description="compute a prompt once for all its replies; false: once for each of them")
    threads: int | None = Field(default=None, ge=1, description="threads of torch; none: torch's own choice")
    device: str = Field(default="auto", description="torch device; auto: cuda where there is one, else cpu")
    sampling_dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto", description="precision of the copy that samples; auto: bfloat16 where the processor computes it, else float32"
    )
    update_dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto", description="precision of the update's arithmetic; the weights and the optimiser stay float32; auto as above"
    )
    check_memory: bool = Field(
        default=True, description="refuse a model whose weights, optimiser and gradients alone do not fit the device"
    )
    recipe: str = Field(default=str(RECIPE), description="TOML file by which azr warmup makes a model")
    offline: bool = Field(default=True, description="never ask the hub; a model that is not a folder must be in its cache")
