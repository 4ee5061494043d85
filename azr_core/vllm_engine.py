"""vLLM's own server in the place of ours: the command that is run, and nothing more of it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Mapping

# Nothing is sent anywhere; a model that is no folder must be in the hub's cache.
QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}


def importable() -> bool:
    """Whether vLLM is installed. It is not imported."""
    return importlib.util.find_spec("vllm") is not None


def command(folder: str, name: str, host: str, port: int) -> list[str]:
    """`vllm serve` for a model's folder. Replies are drawn as requests say, not as the model's generation settings do."""
    words = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", folder, "--served-model-name", name]
    words += ["--host", host, "--port", str(port), "--dtype", "bfloat16", "--generation-config", "vllm"]
    return [*words, "--enforce-eager"] if _for_processors() else words


def environment(key: str | None) -> Mapping[str, str]:
    """Its environment. The key goes there, since everybody may read a command line."""
    return {**QUIET, **os.environ, **({"VLLM_API_KEY": key} if key else {})}


def _for_processors() -> bool:
    """Whether this vLLM was built to compute on processors, where compiling the model needs a compiler and gains little."""
    try:
        return "cpu" in importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:  # its build for processors may carry another name
        return True
