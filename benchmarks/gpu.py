"""What one device makes of models of published shapes: tokens a second, peak memory against the estimate, distance to the device's bounds.

python benchmarks/gpu.py [--shape 0.5b,3b,7b] [--form all,lora,qlora,offloaded] [--prompt 512] [--reply 512] [--samples 8]
    [--prompts 64] [--steps 2] [--checkpointing] [--set NAME=VALUE] [--json]

Weights are random and made on the device, so nothing is downloaded; `--shape tiny` runs on a CPU in seconds. Every model and form has a
process of its own. Steps: prompts of random tokens get replies of full length, and an update learns from all of them; the first step is
not counted. Bounds: decoding cannot be faster than the weights and the cache are read once a token at the rate of a copy measured here;
an update not faster than its products at the rate of a large one measured here. `outside` is the share of a step that is neither
sampling nor learning; what the engine and the verifiers add is in benchmarks/step.py.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers import models as kinds
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training import attention, models
from azr_plugins_python.training.memory import GIB
from azr_plugins_python.training.shape import Shape
from azr_plugins_python.training.trainer import TrlTrainer

SHAPES: dict[str, dict[str, Any]] = {  # of Qwen2.5
    "tiny": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
    "0.5b": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2},
    "3b": {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2},
    "7b": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4},
}
FORMS: dict[str, dict[str, Any]] = {
    "all": {},
    "lora": {"lora_rank": 32},
    "qlora": {"lora_rank": 32, "quantise": "nf4"},
    "offloaded": {"offload_optimizer": True},
}
WORDS = 500  # tokens that the tokenizer knows; the model's vocabulary is larger
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def describe(name: str, folder: Path) -> Qwen2Config:
    """A model's folder without its weights."""
    rest = {"tiny": (1000, True), "0.5b": (151_936, True), "3b": (151_936, True), "7b": (152_064, False)}[name]
    ends = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0, "max_position_embeddings": 32_768}
    config = Qwen2Config(**SHAPES[name], vocab_size=rest[0], tie_word_embeddings=rest[1], **ends)
    config.save_pretrained(folder)
    (folder / "model.safetensors").touch()
    words = Tokenizer(kinds.WordLevel({"<pad>": 0, "<end>": 1} | {str(n): n for n in range(2, WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<pad>").save_pretrained(folder)
    return config


def made_up(name: str, device: torch.device, *, dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
    """Stands in for `models.load`: random weights, made where they are wanted."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(name)
    config = Qwen2Config.from_pretrained(name)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if "quantization_config" in settings:  # bitsandbytes narrows weights as it reads them, so they have to be in a file
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            del model
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **settings)
    attention.use(model)
    return model, tokenizer


class Meter:
    """Bytes at most and seconds of what runs on a device."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.before = self._now()

    def _now(self) -> int:
        return 0 if self.cuda else self._resident("VmRSS")

    @staticmethod
    def _resident(line: str) -> int:
        lines = dict(one.split(":", 1) for one in Path("/proc/self/status").read_text().splitlines())
        return int(lines[line].split()[0]) * 1024

    def reset(self) -> None:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")

    def peak(self) -> int:
        """Since the last reset; on a CPU less what was resident before the model."""
        return int(torch.cuda.max_memory_allocated()) if self.cuda else self._resident("VmHWM") - self.before

    def seconds(self, call: Callable[[], object]) -> float:
        if self.cuda:
            torch.cuda.synchronize()
        begun = time.perf_counter()
        call()
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - begun


def rates(device: torch.device, dtype: torch.dtype, meter: Meter) -> tuple[float, float]:
    """Bytes a second of a copy, read and written; operations a second of a large product."""
    size, width = (2**31, 8192) if meter.cuda else (2**26, 512)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    one, other = (torch.randn(width, width, device=device, dtype=dtype) for _ in range(2))
    target.copy_(source), one @ other
    copied = min(meter.seconds(lambda: target.copy_(source)) for _ in range(5))
    multiplied = min(meter.seconds(lambda: one @ other) for _ in range(5))
    return 2 * size / copied, 2 * width**3 / multiplied


def trainer(folder: Path, form: str, arguments: argparse.Namespace) -> TrlTrainer:
    more = dict(pair.split("=", 1) for pair in arguments.set)
    options = FORMS[form] | {"gradient_checkpointing": arguments.checkpointing, "check_memory": False, "parity_every": 0} | more
    lengths = {"prompt_tokens": arguments.prompt, "propose_tokens": arguments.reply, "solve_tokens": arguments.reply}
    part = azr.Part(name="trl", model=str(folder), **options)
    made = training.azr_trainer(part, azr.RunConfig(plugins=("trl",), probe_samples=arguments.samples, style=azr.Style.COMPACT, **lengths))
    assert isinstance(made, TrlTrainer)
    made.own.ends = frozenset([-1])  # no token ends a reply: every one has the full length
    return made


def play(made: TrlTrainer, arguments: argparse.Namespace, step: int) -> list[azr.Episode]:
    rng = random.Random(step)
    prompts = [[rng.randrange(2, WORDS) for _ in range(arguments.prompt)] for _ in range(arguments.prompts)]
    groups = made.own.extend(prompts, azr.Sampling(1.0, arguments.reply, seed=step), arguments.samples)
    return [
        azr.Episode("toy/any", azr.Kind.SOLVE, str(index), "", reply, advantage=rng.gauss(0, 1))
        for index, group in enumerate(groups)
        for reply in group
    ]


def measure(name: str, form: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    describe(name, folder)
    models.load = made_up
    meter = Meter(models.device_of("auto"))
    made = trainer(folder, form, arguments)
    assert made.budget.need and made.budget.shape
    need, times = made.budget.need, {"sample": 0.0, "learn": 0.0, "all": 0.0}
    peaks, begun = {"sampling": 0, "learning": 0}, time.perf_counter()

    def sample(policy: azr.Policy, step: int) -> list[azr.Episode]:
        rows: list[azr.Episode] = []
        meter.reset()
        spent = meter.seconds(lambda: rows.extend(play(made, arguments, step)))
        times["sample"] += spent if step > 1 else 0.0
        peaks["sampling"] = max(peaks["sampling"], meter.peak())
        meter.reset()
        return rows

    def after(step: int, metrics: Mapping[str, float]) -> bool:
        nonlocal begun
        peaks["learning"] = max(peaks["learning"], meter.peak())
        if step > 1:
            times["learn"] += metrics["seconds/train"]
            times["all"] += time.perf_counter() - begun
        begun = time.perf_counter()
        return False

    made.fit(sample, after, 1, arguments.steps + 1)
    host = 0 if meter.cuda else need.host
    expected = {
        "sampling": need.loaded + need.optimiser + need.sampling + host,
        "learning": need.loaded + need.optimiser + need.learning + host,
    }
    return figures(made, arguments, times, meter) | {
        f"{phase}_{what}": round(value, 3)
        for phase in peaks
        for what, value in (
            ("peak_gib", peaks[phase] / GIB),
            ("estimate_gib", expected[phase] / GIB),
            ("estimate_over_peak", expected[phase] / max(1, peaks[phase])),
        )
    }


def figures(made: TrlTrainer, arguments: argparse.Namespace, times: Mapping[str, float], meter: Meter) -> dict[str, Any]:
    """Rates of the counted steps, and how far they are from the bounds."""
    shape, sizes = made.budget.shape, made.budget.sizes
    assert shape
    rows = arguments.prompts * arguments.samples
    replies, cells = (
        rows * arguments.reply * arguments.steps,
        arguments.steps * (rows * arguments.reply + arguments.prompts * arguments.prompt),
    )
    copy, product = rates(made.device, DTYPES[sizes.update], meter)
    read, operations = reading(made, arguments, rows), working(shape, sizes.form, arguments) * cells
    return {
        "device": torch.cuda.get_device_name() if meter.cuda else "cpu",
        "torch": torch.__version__,
        "parameters_m": round(shape.parameters / 1e6, 1),
        "sampled_tokens_per_second": round(replies / times["sample"]),
        "trained_tokens_per_second": round(replies / times["learn"]),
        "cells_per_second": round(cells / times["learn"]),
        "outside": round(1 - (times["sample"] + times["learn"]) / times["all"], 4),
        "copy_gb_per_second": round(copy / 1e9, 1),
        "product_tflops": round(product / 1e12, 2),
        "sampling_over_bound": round(times["sample"] / (arguments.steps * read / copy), 2),
        "learning_over_bound": round(times["learn"] / (operations / product), 2),
    }


def reading(made: TrlTrainer, arguments: argparse.Namespace, rows: int) -> float:
    """Bytes that decoding reads in a step: the weights once a token of a batch, and each row's keys and values."""
    shape, sizes = made.budget.shape, made.budget.sizes
    assert shape
    model: Any = made.own.model if hasattr(made.own, "model") else made.model
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    batches = -(-rows // max(1, min(512, sizes.cached // (arguments.prompt + arguments.reply))))
    token = 2 * shape.layers * shape.keys * DTYPES[sizes.sampling].itemsize
    return arguments.reply * (batches * weights + rows * token * (arguments.prompt + arguments.reply / 2))


def working(shape: Shape, form: str, arguments: argparse.Namespace) -> float:
    """Operations of an update for one token: forward 2 a weight, backward 4, of which frozen weights need 2; the forward pass again
    where layers are computed again. Attention over half a row besides."""
    passes = (4 if form == "lora" else 6) + (2 if arguments.checkpointing else 0)
    attended = 2 * shape.layers * shape.across * (arguments.prompt + arguments.reply) / 2
    return passes * (shape.projections + shape.embedding + attended)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="0.5b,3b,7b")
    parser.add_argument("--form", default="all,lora")
    for name, default in (("prompt", 512), ("reply", 512), ("samples", 8), ("prompts", 64), ("steps", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the trainer")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print("\n" + json.dumps(measure(arguments.shape, arguments.form, arguments, Path(arguments.inside))))
        return
    for shape in arguments.shape.split(","):
        for form in arguments.form.split(","):
            with tempfile.TemporaryDirectory() as folder:  # a process of its own: memory that is freed may stay with it
                command = [sys.executable, __file__, *sys.argv[1:], "--shape", shape, "--form", form, "--inside", folder]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"failed": done.returncode}
            line = {"shape": shape, "form": form} | told
            print(json.dumps(line) if arguments.json else "  ".join(f"{key}: {value}" for key, value in line.items()), flush=True)


if __name__ == "__main__":
    main()
