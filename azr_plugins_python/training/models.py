"""Loads a model and its tokenizer, and says what is wrong with a folder that cannot be trained."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "TOKENIZERS_PARALLELISM": "false"}
for _name, _value in QUIET.items():  # read when the libraries are imported, so set before
    os.environ.setdefault(_name, _value)

import torch  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, logging  # noqa: E402

import azr_core as azr  # noqa: E402
from azr_plugins_python.training import attention  # noqa: E402
from azr_plugins_python.training.machine import holds_weights  # noqa: E402


def load(name: str, device: torch.device, *, offline: bool) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Master weights in float32 and the tokenizer. Raises ConfigError with the mend."""
    with _loading(name):
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=offline)
        _check_tokens(name, tokenizer)
        model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, local_files_only=offline)
    attention.use(model)
    return model.to(device), tokenizer


def configuration(name: str, *, offline: bool) -> Mapping[str, Any]:
    """The model's config.json with its kind's defaults filled in; nothing else is read. Raises ConfigError with the mend."""
    with _loading(name):
        found = AutoConfig.from_pretrained(name, local_files_only=offline).get_text_config()
    settings: dict[str, Any] = found.to_dict()
    return settings


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Says what is wrong with a model's folder or name."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    _check_folder(name)
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        mend = "cannot be loaded; pass a folder written by save_pretrained"
        if not Path(name).is_dir():
            mend = "is no folder and is not in the hub's cache; pass a folder (--model FOLDER), or download it first"
        raise azr.ConfigError(f"trainer.model = {name!r} {mend} ({reason})") from None


def _check_folder(name: str) -> None:
    folder = Path(name)
    if not folder.exists():
        if folder.is_absolute() or name.startswith((".", "~")):
            raise azr.ConfigError(f"trainer.model = {name!r} does not exist; pass a folder written by save_pretrained (--model FOLDER)")
        return
    if not (folder / "config.json").is_file():
        raise azr.ConfigError(f"trainer.model = {name!r} holds no config.json; pass a folder written by save_pretrained (--model FOLDER)")
    if not holds_weights(folder):
        raise azr.ConfigError(
            f"trainer.model = {name!r} holds no weights (*.safetensors); save or download the whole model, or pass another (--model FOLDER)"
        )


def _check_tokens(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    if tokenizer.eos_token_id is None:
        raise azr.ConfigError(f"trainer.model = {name!r}: its tokenizer has no end token; set eos_token in tokenizer_config.json")
    if tokenizer.pad_token_id is None:
        raise azr.ConfigError(
            f"trainer.model = {name!r}: its tokenizer has no pad token; set pad_token in tokenizer_config.json (not the end token)"
        )


def device_of(choice: str) -> torch.device:
    """The device an option names. Raises ConfigError where it is not there."""
    if choice == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=choice).device
    except (RuntimeError, AssertionError) as error:
        raise azr.ConfigError(f"trainer.device = {choice!r} cannot be used ({str(error).splitlines()[0]}); use auto or cpu") from None


def precision(choice: str, device: torch.device) -> torch.dtype:
    """The precision an option names; auto is bfloat16 where the device computes it in hardware."""
    if choice != "auto":
        return torch.bfloat16 if choice == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else torch.float32
