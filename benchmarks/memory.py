"""How far the plan's estimate of memory is from what is taken: peak resident memory on a CPU. Linux.

python benchmarks/memory.py [--models head,weights,...] [--heap] [--json]

Models of random weights sample one whole batch, or learn twice from full micro-batches, with prompts and replies of the longest length.
Measured is the peak of the resident memory less what was resident before the model was made: libraries are not in the estimate. Nor is
what glibc's heap keeps of freed tensors, a tenth to half as much again, so tensors are kept out of it (`--heap` leaves them in).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training.decoding import ROWS
from azr_plugins_python.training.memory import GIB
from azr_plugins_python.training.packing import WIDTH
from azr_plugins_python.training.trainer import TrlTrainer


class Setup(NamedTuple):
    """A model and what is done with it. piece: tokens of a micro-batch; 0: it samples. reply: tokens of every reply."""

    kind: str
    width: int
    inner: int
    layers: int
    heads: int
    groups: int
    vocabulary: int
    tied: bool
    piece: int
    reply: int
    more: dict[str, Any] = {}  # noqa: RUF012


SETUPS = {  # named after what takes most
    "head": Setup("qwen2", 256, 768, 4, 4, 2, 64_000, True, 512, 26),
    "weights": Setup("llama", 768, 2048, 14, 12, 4, 8_000, False, 256, 20),
    "activations": Setup("llama", 384, 1024, 10, 6, 6, 8_000, False, 1536, 26),
    "masks": Setup("qwen2", 192, 384, 8, 4, 1, 2_000, True, 512, 1900),
    "again": Setup("llama", 384, 1024, 10, 6, 6, 8_000, False, 1536, 26, {"gradient_checkpointing": True}),
    "lora": Setup("llama", 768, 2048, 14, 12, 4, 8_000, False, 1536, 26, {"lora_rank": 16}),
    "offloaded": Setup("llama", 768, 2048, 14, 12, 4, 8_000, False, 256, 20, {"offload_optimizer": True}),
    "cache": Setup("llama", 256, 512, 8, 4, 4, 2_000, False, 0, 32),
    "drawing": Setup("qwen2", 256, 512, 2, 4, 2, 64_000, False, 0, 3),
}
TINY = Setup("qwen2", 64, 128, 1, 2, 1, 500, True, 64, 4)
PROMPT, SAMPLES = 96, 8
MAPPED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}  # for glibc: a tensor is given back when it is freed


def write(setup: Setup, folder: Path) -> None:
    """A model of random weights whose tokens are words of digits."""
    config, model = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}[setup.kind]
    made: PreTrainedModel = model(
        config(
            hidden_size=setup.width,
            intermediate_size=setup.inner,
            num_hidden_layers=setup.layers,
            num_attention_heads=setup.heads,
            num_key_value_heads=setup.groups,
            vocab_size=setup.vocabulary,
            tie_word_embeddings=setup.tied,
            max_position_embeddings=4096,
            bos_token_id=None,
            eos_token_id=1,
            pad_token_id=0,
        )
    )
    made.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<end>": 1} | {str(n): n for n in range(2, setup.vocabulary)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<pad>").save_pretrained(folder)


def trainer(setup: Setup, folder: Path) -> TrlTrainer:
    options: dict[str, Any] = {"device": "cpu", "threads": 1, "check_memory": False, "parity_every": 0} | setup.more
    part = azr.Part(name="trl", model=str(folder), micro_batch_tokens=setup.piece or 1, **options)
    lengths = {"prompt_tokens": PROMPT, "propose_tokens": setup.reply, "solve_tokens": setup.reply}
    made = training.azr_trainer(part, azr.RunConfig(plugins=("trl",), probe_samples=SAMPLES, **lengths))
    assert isinstance(made, TrlTrainer)
    return made


def episodes(setup: Setup) -> list[azr.Episode]:
    """Replies of the longest length to one prompt: two micro-batches of full rows."""
    rng = random.Random(0)
    fit = max(1, (WIDTH - PROMPT) // setup.reply)
    rows = 2 * max(1, setup.piece // (PROMPT + fit * setup.reply))
    prompt, *replies = (
        tuple(rng.randrange(2, setup.vocabulary) for _ in range(length)) for length in (PROMPT, *[setup.reply] * (rows * fit))
    )
    return [
        azr.Episode("toy/any", azr.Kind.SOLVE, str(index), "", azr.Reply("", prompt, reply), advantage=rng.gauss(0, 1))
        for index, reply in enumerate(replies)
    ]


def resident(line: str) -> float:
    """GiB. line: VmRSS is what is resident now, VmHWM the most so far (ru_maxrss would count the process that started this one)."""
    lines = dict(one.split(":", 1) for one in Path("/proc/self/status").read_text().splitlines())
    return int(lines[line].split()[0]) * 1024 / GIB


def measure(setup: Setup, folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as small:  # what the libraries load when they are first used is not the model's
        write(TINY, Path(small))
        trainer(TINY, Path(small)).fit(lambda policy, step: episodes(TINY), lambda step, metrics: False, 1, 1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    made = trainer(setup, folder)
    need, loaded = made.budget.need, resident("VmHWM") - before
    assert need
    if setup.piece:
        rows = episodes(setup)
        made.fit(
            lambda policy, step: rows[:1] if step == 1 else rows, lambda step, metrics: False, 1, 2
        )  # the optimiser's state is made first
        expected = need.loaded + need.optimiser + need.learning + need.host
    else:
        prompts = [" ".join(["7"] * PROMPT)] * (ROWS // SAMPLES)
        made.policy.sample(prompts, azr.Sampling(1.0, setup.reply), SAMPLES)
        expected = need.loaded + need.sampling
    measured = resident("VmHWM") - before
    return {
        "parameters_m": round(sum(parameter.numel() for parameter in made.model.parameters()) / 1e6, 1),
        "loading_gib": round(loaded, 3),
        "measured_gib": round(measured, 3),
        "estimate_gib": round(expected / GIB, 3),
        "ratio": round(expected / GIB / measured, 2),
        "parts_gib": {part: round(size / GIB, 3) for part, size in vars(need).items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(SETUPS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--heap", action="store_true", help="leave tensors in glibc's heap, as a run does")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.inside:
        print("\n" + json.dumps(measure(SETUPS[arguments.models], Path(arguments.inside))))
        return
    for name in arguments.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            write(SETUPS[name], Path(folder))
            # a process of its own: what is freed may stay resident
            command = [sys.executable, __file__, "--models", name, "--inside", folder]
            environment = os.environ if arguments.heap else {**os.environ, **MAPPED}
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment)
        figures = {"model": name} | json.loads(done.stdout.splitlines()[-1])
        print(json.dumps(figures) if arguments.json else "  ".join(f"{key}: {value}" for key, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
