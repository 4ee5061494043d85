"""vLLM's own server in the place of ours: the command that is run, and nothing more of it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Mapping

# Nothing is sent anywhere; a model that is no folder must be in the hub's cache.
QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}

# Compiling needs a compiler and gains little; a prompt that is read in parts ends the engine where the request has a seed.
ON_PROCESSORS = ("--enforce-eager", "--no-enable-chunked-prefill")


def importable() -> bool:
    """Whether vLLM is installed. It is not imported."""
    return importlib.util.find_spec("vllm") is not None


def command(folder: str, name: str, host: str, port: int) -> list[str]:
    """`vllm serve` for a model's folder. Replies are drawn as requests say, not as the model's generation settings do."""
    words = [sys.executable, "-m", *_start(folder), "--served-model-name", name, "--host", host, "--port", str(port)]
    words += ["--dtype", "bfloat16", "--generation-config", "vllm"]
    return [*words, *ON_PROCESSORS] if _for_processors() else words


def environment(key: str | None) -> Mapping[str, str]:
    """Its environment. The key goes there, since everybody may read a command line."""
    return {**QUIET, **os.environ, **({"VLLM_API_KEY": key} if key else {})}


def _start(folder: str) -> list[str]:
    """`vllm serve` asks for the version of a package `vllm`; builds of other names have its server, but not that command."""
    try:
        importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return ["vllm.entrypoints.openai.api_server", "--model", folder]
    return ["vllm.entrypoints.cli.main", "serve", folder]


def _for_processors() -> bool:
    """Whether this vLLM was built to compute on processors."""
    try:
        return "cpu" in importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:  # its build for processors may carry another name
        return True
