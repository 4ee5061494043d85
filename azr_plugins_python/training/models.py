"""Loads a model and its tokenizer, and says what is wrong with a folder that cannot be trained."""

from __future__ import annotations

import logging as records
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

QUIET = {
    **{"HF_HUB_DISABLE_TELEMETRY": "1", "DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "TOKENIZERS_PARALLELISM": "false"},
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait by spinning make a step five times longer where anything else is running
    **{"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "ERROR"},  # TRL imports vLLM wherever there is one
}
for _name, _value in QUIET.items():  # read when the libraries are imported, so set before
    os.environ.setdefault(_name, _value)
records.getLogger("bitsandbytes").setLevel(records.ERROR)  # peft imports it; it names every kernel that this machine lacks
warnings.filterwarnings("ignore", message="TRL currently supports vLLM")  # that is said of its own samplers, which are not used

import torch  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, logging  # noqa: E402

import azr_core as azr  # noqa: E402
from azr_plugins_python.training import attention, sources  # noqa: E402


def load(
    name: str, device: torch.device, *, offline: bool, dtype: torch.dtype = torch.float32, **settings: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The weights and the tokenizer; settings: more for from_pretrained. Raises ConfigError with the mend."""
    common = {"local_files_only": True, "trust_remote_code": False}
    with _loading(name, offline=offline):
        folder = sources.fetched(name, offline=offline)
        tokenizer = AutoTokenizer.from_pretrained(folder, **common)
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **common, **settings
        )
    _check_whole(name, tokenizer, found["missing_keys"])
    attention.use(model)
    return model if "device_map" in settings else model.to(device), tokenizer


def configuration(name: str, *, offline: bool) -> Mapping[str, Any]:
    """The model's config.json with its kind's defaults filled in; nothing else is read. Raises ConfigError with the mend."""
    with _loading(name, offline=offline):
        file = sources.located(name, "config.json", offline=offline)
        if file is None:
            raise FileNotFoundError("no config.json")
        found = AutoConfig.from_pretrained(file.parent, local_files_only=True, trust_remote_code=False).get_text_config()
    settings: dict[str, Any] = found.to_dict()
    return settings


@contextmanager
def _loading(name: str, *, offline: bool) -> Iterator[None]:
    """Says what is wrong with a model's folder or name."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    sources.check(name, offline=offline)
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise azr.ConfigError(f"trainer.model = {name!r} {sources.cannot(name, offline=offline)} ({reason})") from None


def _check_whole(name: str, tokenizer: PreTrainedTokenizerBase, missing: Collection[str]) -> None:
    """missing: weights that the files do not hold, which would be random."""
    if tokenizer.eos_token_id is None:
        raise azr.ConfigError(f"trainer.model = {name!r}: its tokenizer has no end token; set eos_token in tokenizer_config.json")
    if missing:
        raise azr.ConfigError(
            f"trainer.model = {name!r} lacks {len(missing)} of its weights ({min(missing)}, ...); save or download the whole model"
        )


def device_of(choice: str) -> torch.device:
    """The device an option names. Raises ConfigError where it is not there."""
    if choice == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=choice).device
    except (RuntimeError, AssertionError) as error:
        raise azr.ConfigError(f"trainer.device = {choice!r} cannot be used ({str(error).splitlines()[0]}); use auto or cpu") from None


def short(dtype: torch.dtype) -> str:
    """A precision as configurations and people write it."""
    return str(dtype).removeprefix("torch.")


def precision(choice: str, device: torch.device) -> torch.dtype:
    """The precision an option names; auto is bfloat16 where the device computes it in hardware."""
    if choice != "auto":
        return torch.bfloat16 if choice == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else torch.float32
