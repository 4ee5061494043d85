"""Where a model's files are, in a folder or in the hub's cache, and what is wrong with those that cannot be trained. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import azr_core as azr
from azr_plugins_python.training.machine import holds_weights

ADAPTER = "adapter_config.json"
_SAVED = "pass a folder written by save_pretrained (--model FOLDER)"
_WANTED = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.toml"]  # of a repository; no pickles, no code
_UNWANTED = ["*/*", "consolidated*"]  # the same weights in other forms
_CONVERT = "AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW) of transformers writes safetensors"


def located(name: str, file: str, *, offline: bool) -> Path | None:
    """A file of a model: beside its weights, or in the hub's cache, fetched where that is allowed. None where there is none."""
    folder = Path(name)
    if folder.exists() or folder.is_absolute():
        return folder / file if (folder / file).is_file() else None
    if not offline and not _cached(name, "config.json"):
        _fetch_descriptions(name)
    return _cached(name, file)


def _cached(name: str, file: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(name, file)
    except ValueError:  # no name of a repository
        return None
    return Path(found) if isinstance(found, str) else None


@lru_cache
def _fetch_descriptions(name: str) -> None:
    """Everything but the weights, once: without a connection the hub's library tries for half a minute."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    with suppress(OSError, ValueError):  # loading says it
        snapshot_download(name, allow_patterns=_WANTED, ignore_patterns=[*_UNWANTED, "*.safetensors"])


def read_json(name: str, file: str, *, offline: bool) -> dict[str, Any]:
    """A JSON file of a model; empty where there is none. Raises ConfigError where it is not JSON."""
    path = located(name, file, offline=offline)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise azr.ConfigError(f"{path}: not JSON ({error}); download the model again, or pass another (--model FOLDER)") from None
    return found if isinstance(found, dict) else {}


def check(name: str, *, offline: bool) -> None:
    """Raises ConfigError with the mend where there is no causal language model that can be trained."""
    folder = Path(name)
    if folder.exists():
        _check_folder(name, folder)
    elif folder.is_absolute() or name.startswith((".", "~")):
        raise azr.ConfigError(f"trainer.model = {name!r} does not exist; {_SAVED}")
    _check_kind(name, read_json(name, "config.json", offline=offline))


def fetched(name: str, *, offline: bool) -> Path:
    """The folder of a model, whole; from the hub where that is allowed. Raises OSError or ValueError where there is none.

    Loading goes by folder and never by name: transformers asks the network about a name even where it is told to use local files.
    """
    folder = Path(name)
    if not folder.exists():
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(name, local_files_only=offline, allow_patterns=_WANTED, ignore_patterns=_UNWANTED))
    _check_folder(name, folder)
    return folder


def cannot(name: str, *, offline: bool) -> str:
    """What to say, with the mend, of a model that the libraries could not load."""
    if Path(name).is_dir():
        return "cannot be loaded; pass a folder written by save_pretrained"
    fetch = f"download it (hf download {name}), or pass a folder (--model FOLDER)"
    if offline:
        return f"is no folder and is not in the hub's cache; let azr fetch it (--set trainer.offline=false), {fetch}"
    barred = [variable for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if os.environ.get(variable, "0") not in ("", "0")]
    if barred:
        return f"is no folder and is not in the hub's cache, and {barred[0]} forbids to fetch it; unset {barred[0]}, or {fetch}"
    look = "look at the name and the connection (a gated model also wants hf auth login)"
    return f"is no folder and could not be fetched; {look}, or {fetch}"


def _check_folder(name: str, folder: Path) -> None:
    """What a folder holds, by the names of its files."""
    held = f"trainer.model = {name!r} holds"
    if folder.is_file():
        gguf = "; a GGUF file is for llama.cpp and cannot be trained" if folder.suffix == ".gguf" else ""
        raise azr.ConfigError(f"trainer.model = {name!r} is a file{gguf}; {_SAVED}")
    if not (folder / "config.json").is_file():
        if (folder / ADAPTER).is_file():
            base = read_json(name, ADAPTER, offline=True).get("base_model_name_or_path")
            raise azr.ConfigError(
                f"{held} an adapter of {base} and no model; merge it first: "
                "AutoPeftModelForCausalLM.from_pretrained(OLD).merge_and_unload().save_pretrained(NEW) of peft"
            )
        if any(folder.glob("*.gguf")):
            raise azr.ConfigError(f"{held} GGUF files, which are for llama.cpp and cannot be trained; pass the model they were made from")
        raise azr.ConfigError(f"{held} no config.json; {_SAVED}")
    if holds_weights(folder) or (folder / ADAPTER).is_file():
        return
    if any(path.suffix in {".bin", ".pt", ".pth"} for path in folder.iterdir()):
        raise azr.ConfigError(f"{held} weights as pickles, which can run code when they are read; convert them: {_CONVERT}")
    if any(folder.glob("*.gguf")):
        raise azr.ConfigError(f"{held} GGUF files, which are for llama.cpp and cannot be trained; pass the model they were made from")
    raise azr.ConfigError(f"{held} no weights (*.safetensors); save or download the whole model, or pass another (--model FOLDER)")


def _check_kind(name: str, config: Mapping[str, Any]) -> None:
    """What config.json says of the model, before any of it is loaded."""
    model = f"trainer.model = {name!r}"
    another = "choose a causal language model (--model)"
    if config.get("is_encoder_decoder"):
        raise azr.ConfigError(f"{model} is an encoder with a decoder; {another}")
    senses = [sense for sense in ("vision_config", "audio_config") if config.get(sense)]
    if senses:
        raise azr.ConfigError(f"{model} takes more than text ({senses[0]}), which azr does not train; {another}")
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method and not located(name, ADAPTER, offline=True):
        raise azr.ConfigError(f"{model} has quantised weights ({method}), which cannot be trained; choose the one it was made from")
    if not config.get("model_type"):
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if config["model_type"] not in CONFIG_MAPPING_NAMES:
        own = " and comes with code of its own, which azr never runs" if config.get("auto_map") else ""
        raise azr.ConfigError(f"{model} ({config['model_type']}) is not known to this transformers{own}; install a newer one, or {another}")
    architectures = config.get("architectures") or []
    if architectures and not set(architectures) & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()):
        raise azr.ConfigError(f"{model} is a {architectures[0]}, no causal language model; {another}")
