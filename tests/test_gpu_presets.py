"""The files in configs/gpu hold what makes the models that they name fit the memory that they name, by the estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_memory import LLAMA_8B, QWEN_7B, shape

import azr_core as azr
from azr_core.config import read_toml
from azr_plugins_python.training.memory import GIB, estimate
from azr_plugins_python.training.options import TrainerOptions
from azr_plugins_python.training.proposals import fitting
from azr_plugins_python.training.sizes import Sizes

FOLDER = Path(__file__).parents[1] / "configs" / "gpu"
SPARE = 0.93  # of the memory: the driver, the allocator's fragments, and what the estimate does not know
QWEN_3B = QWEN_7B | {
    "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
    "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
QWEN_14B = QWEN_7B | {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
}
MODELS = {"3b": QWEN_3B, "7b": QWEN_7B, "8b": LLAMA_8B, "14b": QWEN_14B}
LENGTHS = {"short": (1024, 1024), "paper": (6144, 8096)}  # of a prompt and of a reply
NAMED = {  # GiB of a device, devices, models
    "1x24gb": (24, 1, "3b 7b 8b"),
    "1x80gb": (80, 1, "3b 7b 8b 14b"),
    "1xh200": (139, 1, "3b 7b 8b 14b"),
    "4x80gb": (80, 4, "3b 7b 8b"),
    "8x80gb": (80, 8, "7b 8b 14b"),
}
CASES = [(file, name, lengths) for file, (_, _, names) in NAMED.items() for name in names.split() for lengths in LENGTHS]


def sizes(file: str, lengths: str, strategy: str = "one") -> tuple[Sizes, int]:
    """Of a run with the file on a GPU, and the bytes of one."""
    room, ranks, _ = NAMED[file]
    prompt, reply = LENGTHS[lengths]
    told: dict[str, Any] = dict(read_toml(FOLDER / f"{file}.toml")["trainer"])
    config = azr.RunConfig(plugins=("trl",), prompt_tokens=prompt, propose_tokens=reply, solve_tokens=reply, probe_samples=8)
    options = azr.parse(TrainerOptions, told, "[trainer]")
    bf16 = ("bfloat16", "bfloat16")
    return Sizes.of(options, config, bf16, cpu=False, total=room * GIB, ranks=ranks, strategy=strategy), room * GIB


def test_every_file_names_its_memory_and_its_models() -> None:
    assert {file.stem for file in FOLDER.glob("*.toml")} == NAMED.keys()
    for file, (_, devices, _) in NAMED.items():
        text = (FOLDER / f"{file}.toml").read_text()
        assert "billion" in text and ("accelerate launch --num_processes" in text) == (devices > 1)


@pytest.mark.parametrize(("file", "model", "lengths"), CASES)
def test_a_named_model_fits_the_named_memory(file: str, model: str, lengths: str) -> None:
    strategies = ("one",) if NAMED[file][1] == 1 else ("fsdp2", "zero3")
    for strategy in strategies:
        run, room = sizes(file, lengths, strategy)
        assert estimate(shape(MODELS[model]), run).total <= SPARE * room


def test_without_its_file_no_large_model_fits() -> None:
    plain = Sizes(3072, 6144, 8096, 8096, 8, "bfloat16", "bfloat16", cpu=False, packed=True, entropy=True)
    assert estimate(shape(QWEN_7B), plain).total > 139 * GIB
    assert fitting(shape(QWEN_7B), plain, 75 * GIB, ram=500 * GIB) == {
        "trainer.offload_optimizer": True,
        "trainer.gradient_checkpointing": True,
    }
