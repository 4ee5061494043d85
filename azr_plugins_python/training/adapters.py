"""LoRA and QLoRA: low-rank adapters in float32 on a frozen base, which may be kept in 4 bits."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from peft.utils import load_peft_weights
from transformers import BitsAndBytesConfig, PreTrainedModel

import azr_core as azr
from azr_plugins_python.training.options import TrainerOptions

CONFIG = "adapter_config.json"


def wrap(base: PreTrainedModel, options: TrainerOptions, seed: int) -> PeftModel:
    """The base, frozen, with new adapters that change nothing yet. Raises ConfigError for targets it does not have."""
    settings = LoraConfig(
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        target_modules=list(options.lora_targets) or "all-linear",
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = get_peft_model(base, settings)
    except ValueError as error:
        raise azr.ConfigError(f"trainer.lora_targets = {list(options.lora_targets)!r}: {str(error).splitlines()[0]}") from None
    base.is_loaded_in_4bit = False  # where it is set TRL casts adapters to bfloat16, in which a small step is lost
    return model


def quantisation(dtype: torch.dtype) -> BitsAndBytesConfig:
    """How bitsandbytes keeps a base in 4 bits: nf4, scales quantised too, arithmetic in `dtype`. Raises UsageError where it is missing."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise azr.UsageError("trainer.quantise = 'nf4' needs bitsandbytes; pip install 'azr[qlora]'")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def keep_layout(model: torch.nn.Module) -> None:
    """Have 4-bit layers on a CPU compute as they learn: to sample, bitsandbytes would pack their weights anew and round to bfloat16."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def quantised(model: Any) -> bool:
    """Whether a model's settings say that it is kept in 4 bits."""
    return getattr(model.config, "quantization_config", None) is not None


def holds(folder: Path) -> bool:
    """Whether a folder is the checkpoint of an adapter."""
    return (folder / CONFIG).is_file()


def base_of(folder: Path) -> tuple[str, bool]:
    """The model that a checkpoint's adapter belongs to, and whether it was kept in 4 bits. Raises ConfigError."""
    try:
        base = str(json.loads((folder / CONFIG).read_text())["base_model_name_or_path"])
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError, KeyError) as error:
        raise azr.ConfigError(f"{folder / CONFIG} does not name its base ({error}); take another checkpoint") from None
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise azr.ConfigError(f"{folder} is an adapter of {base}, which is not there; bring it back, or take a model that azr export wrote")
    return base, "quantization_config" in config


def put_on(base: PreTrainedModel, folder: Path, *, merge: bool) -> PreTrainedModel:
    """The base with a checkpoint's adapters, added to its weights for good (`merge`) or beside them. A 4-bit base is widened to merge."""
    if merge and quantised(base):
        base = base.dequantize().float()
        base.config.__dict__.pop("quantization_config", None)
    model = PeftModel.from_pretrained(base, folder)
    merged: PreTrainedModel = model.merge_and_unload().requires_grad_(True) if merge else model.get_base_model()
    return merged


def write(model: PeftModel, base: str, folder: Path) -> None:
    """The adapters, the base's name and its config.json."""
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty card
    model.get_base_model().config.save_pretrained(folder)


def read(model: PeftModel, folder: Path) -> None:
    """Put a checkpoint's adapters into the model's."""
    set_peft_model_state_dict(model, load_peft_weights(str(folder), device=str(model.device)))
