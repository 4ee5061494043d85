"""Memory: what a model and a run take by their sizes, what is said where it does not fit, and what becomes of a run whose memory ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import SIZES, episodes, tokenizer, trainer
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import azr_core as azr
from azr_core import checkpoint, run
from azr_core.run import Request
from azr_plugins_python.training import decoding, packing, working
from azr_plugins_python.training.memory import GIB, estimate
from azr_plugins_python.training.proposals import SETTINGS, fitting
from azr_plugins_python.training.room import Budget, exhausted, room_of
from azr_plugins_python.training.shape import Shape
from azr_plugins_python.training.sizes import Sizes

QWEN_7B = {
    "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 131072, "tie_word_embeddings": False,
}  # fmt: skip
QWEN_HALF = QWEN_7B | {
    "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
    "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
LLAMA_8B = QWEN_7B | {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256,
}  # fmt: skip
QWEN3 = QWEN_7B | {"model_type": "qwen3", "head_dim": 128, "num_attention_heads": 32, "tie_word_embeddings": True, "num_hidden_layers": 3}
BIASED = LLAMA_8B | {"attention_bias": True, "mlp_bias": True, "num_hidden_layers": 2}
RUN = Sizes(3072, 1024, 1024, 1024, 8, "bfloat16", "bfloat16", cpu=False, packed=True, entropy=True)
DEAF = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"


def shape(config: Mapping[str, Any]) -> Shape:
    read = Shape.read(config)
    assert read
    return read


@pytest.mark.parametrize("config", [QWEN_7B, QWEN_HALF, LLAMA_8B, QWEN3, BIASED], ids=["7b", "tied", "llama", "qwen3", "biased"])
def test_parameters_are_counted_from_the_config_as_the_model_has_them(config: dict[str, Any]) -> None:
    small = config | {"num_hidden_layers": 2}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**small))
    assert shape(small).parameters == sum(parameter.numel() for parameter in model.parameters())


def test_published_models_have_their_published_parameters() -> None:
    assert [shape(config).parameters for config in (QWEN_HALF, QWEN_7B, LLAMA_8B)] == [494_032_768, 7_615_616_512, 8_030_261_248]


def test_a_config_without_the_usual_sizes_has_no_estimate() -> None:
    assert Shape.read({"model_type": "gpt2", "n_embd": 768, "vocab_size": 50257}) is None
    assert Shape.read(QWEN_7B | {"num_experts": 64}) is None


def test_the_parts_that_follow_from_parameters_alone() -> None:
    need, count = estimate(shape(QWEN_7B), RUN), shape(QWEN_7B).parameters
    assert (need.weights, need.optimiser, need.sampler, need.gradients) == (4 * count, 8 * count, 2 * count, 4 * count)
    exact = estimate(shape(QWEN_7B), replace(RUN, sampling="float32", update="float32"))
    assert exact.sampler == 4 * count and exact.casts == 0 < need.casts


@pytest.mark.parametrize("field", ["piece", "prompt", "propose", "solve"])
@pytest.mark.parametrize("cpu", [True, False])
def test_more_tokens_never_take_less(field: str, cpu: bool) -> None:
    totals = [estimate(shape(QWEN_HALF), replace(RUN, cpu=cpu, **{field: size})) for size in (256, 2048, 16_384)]
    assert [need.total for need in totals] == sorted(need.total for need in totals)
    assert totals[0].total < totals[-1].total


def test_only_the_larger_phase_counts_and_all_its_parts_are_told() -> None:
    for sizes in (RUN, replace(RUN, piece=200_000), replace(RUN, learns=False)):
        need = estimate(shape(QWEN_HALF), sizes)
        assert sum(need.peak().values()) == need.total
        assert ("cache" in need.peak()) == (need.sampling > need.learning)
    assert need.peak().keys() == {"weights", "cache", "drawing"}


def test_the_sizes_of_batches_are_those_of_the_decoder_and_the_packer() -> None:
    assert (working.ROWS, working.PREFILL_CELLS, working.PACKED) == (decoding.ROWS, decoding.PREFILL_CELLS, packing.WIDTH)


def test_no_batch_of_the_decoder_needs_a_larger_cache_than_estimated() -> None:
    small = shape(SIZES | {"model_type": "llama", "max_position_embeddings": 8192})
    token = 2 * small.layers * small.keys * 4
    for length in (1, 90, 400, 1024, 3000):
        for n, tokens in ((1, 2**19), (8, 2**19), (1, 9000), (8, 9000), (8, 500)):
            need = estimate(small, replace(RUN, prompt=length, propose=50, solve=50, sampling="float32", cached=tokens))
            largest = max(len(batch) for batch in decoding.batches([[0] * length] * 600, n, 50, tokens))
            rows = max(decoding.parts(n, largest * (length + 50), tokens)) * largest
            assert rows * (length + 50) <= max(tokens, length + 50) and rows * (length + 50) * token <= need.sampling


def test_settings_that_are_proposed_fit_and_none_of_them_is_needless() -> None:
    half = shape(QWEN_HALF)
    sizes = replace(RUN, piece=16_384, prompt=2048, propose=4096, solve=4096)
    full = estimate(half, sizes).total
    for room in (full - 1, full // 2, full // 3):
        settings = fitting(half, sizes, room)
        assert settings
        changes = {name: settings[label] for name, label in SETTINGS.items() if label in settings}
        assert len(changes) == len(settings) and estimate(half, replace(sizes, **changes)).total <= room
        for name in changes:
            assert estimate(half, replace(sizes, **{other: size for other, size in changes.items() if other != name})).total > room
    assert fitting(half, sizes, half.parameters // 2) is None


def test_a_run_that_fits_is_planned_with_its_parts() -> None:
    budget = Budget("m", "cuda", shape(QWEN_HALF), RUN, 80 * GIB)
    budget.check()
    assert budget.line().startswith("about 14.8 GiB of 80.0 GiB (weights 1.8, sampler 0.9, optimiser 3.7, gradients 1.8, casts 0.7")


def test_a_run_that_may_not_fit_is_told_in_the_plan_with_what_would() -> None:
    budget = Budget("m", "cuda", shape(QWEN_HALF), RUN, 12 * GIB)
    budget.check()
    assert "more than there is, by this estimate; --set " in budget.line() and budget.line().endswith(" would fit")


def test_a_model_that_cannot_fit_is_refused_with_the_mend() -> None:
    count = shape(QWEN_7B).parameters
    fits = Budget("m", "cuda", shape(QWEN_7B), RUN, 18 * count)  # float32 weights, two moments and gradients, a bfloat16 copy
    fits.check()
    with pytest.raises(azr.UsageError, match=r"alone take 127\.7 GiB|alone take 128 GiB") as caught:
        replace(fits, room=18 * count - 1).check()
    assert "smaller --model" in str(caught.value) and "trainer.check_memory=false" in str(caught.value) and "\n" not in str(caught.value)


def test_who_only_samples_needs_no_room_for_learning() -> None:
    sampling = Budget("m", "cuda", shape(QWEN_7B), replace(RUN, learns=False), 15 * GIB)
    sampling.check()
    with pytest.raises(azr.UsageError, match=r"its weights alone take 14\.2 GiB"):
        replace(sampling, room=14 * GIB).check()


def test_a_model_too_large_to_train_whole_is_told_what_trains_it() -> None:
    budget = Budget("m", "cuda", shape(QWEN_7B), RUN, 79 * GIB, ram=2000 * GIB)
    with pytest.raises(azr.UsageError, match=r"--set trainer.offload_optimizer=true.* would fit"):
        budget.check()
    with pytest.raises(azr.UsageError, match=r"--set trainer.lora_rank=32.* would fit"):
        replace(budget, ram=60 * GIB).check()
    with pytest.raises(azr.UsageError, match=r"quantise=nf4 --set trainer.lora_rank=32.* would fit"):
        replace(budget, room=15 * GIB, ram=60 * GIB).check()


def test_masters_on_the_cpu_need_the_machines_memory() -> None:
    budget = Budget("m", "cuda", shape(QWEN_7B), replace(RUN, offloaded=True), 79 * GIB, ram=128 * GIB)
    budget.check()
    assert "and 113 GiB of the machine's memory" in budget.line()
    with pytest.raises(azr.UsageError, match=r"offload_optimizer needs 113 GiB of the machine's memory"):
        replace(budget, ram=100 * GIB).check()


def test_each_way_to_save_memory_saves_some() -> None:
    for config in (QWEN_HALF, QWEN_7B, LLAMA_8B):
        sizes, model = replace(RUN, cached=2**17), shape(config)
        plain, lora = estimate(model, sizes), estimate(model, replace(sizes, lora=32))
        assert estimate(model, replace(sizes, again=True)).total < plain.total
        assert (
            estimate(model, replace(sizes, lora=32, quantise="nf4")).weights
            < lora.weights
            < estimate(model, replace(sizes, lora=256)).weights
        )
        assert estimate(model, replace(sizes, offloaded=True)).total < plain.total
        assert estimate(model, replace(sizes, cached=2**16)).sampling < plain.sampling
        shards = [estimate(model, replace(sizes, ranks=8, strategy=strategy)).certain for strategy in ("ddp", "zero2", "fsdp2")]
        assert shards == sorted(shards, reverse=True) and shards[-1] < plain.certain < shards[0]


def test_another_sampler_takes_its_share_of_the_device_and_nothing_besides() -> None:
    vllm = estimate(shape(QWEN_7B), replace(RUN, engine=30 * GIB))
    assert (vllm.sampler, vllm.sampling) == (30 * GIB, 0)
    asleep = estimate(shape(QWEN_7B), replace(RUN, engine=30 * GIB, sleeps=True))
    assert (asleep.sampler, asleep.sampling) == (0, 30 * GIB) and asleep.total == vllm.total - 30 * GIB


def test_a_model_that_does_not_fit_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    LlamaConfig(**(SIZES | {"hidden_size": 65_536, "intermediate_size": 65_536, "num_hidden_layers": 1000})).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nobody can read this")
    with pytest.raises(azr.UsageError, match="does not fit"):
        trainer(tmp_path)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(DEAF)], ids=type)
def test_the_end_of_memory_is_an_error_that_the_user_can_mend(error: Exception) -> None:
    budget, said = Budget("m", "cuda", shape(QWEN_HALF), RUN, None), r"cuda ran out of memory while learning; .*--resume.* with --set .*="
    with pytest.raises(azr.UsageError, match=said) as caught, budget.spent("learning"):
        raise error
    assert caught.value.__cause__ is error and "\n" not in str(caught.value) and "gradient_checkpointing=true" in str(caught.value)


def test_settings_that_do_not_help_a_phase_are_not_proposed_for_it() -> None:
    budget = Budget("m", "cuda", shape(QWEN_HALF), RUN, None)
    with pytest.raises(azr.UsageError, match="sampling_cache_tokens") as caught, budget.spent("sampling"):
        raise MemoryError
    assert "micro_batch_tokens" not in str(caught.value) and "lora" not in str(caught.value)


def test_another_error_stays_what_it_is() -> None:
    assert not exhausted(RuntimeError("shape mismatch")) and not exhausted(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="shape mismatch"), Budget("m", "cpu", None, RUN, None).spent("learning"):
        raise RuntimeError("shape mismatch")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**(SIZES | {"max_position_embeddings": 2048}))).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def hunger(*_: object) -> None:
    """Ask for more than any machine has, as a layer would."""
    torch.empty(1 << 60)


def test_sampling_and_learning_say_what_ended(llama: Path) -> None:
    made = trainer(llama)
    assert made.describe()["memory"].startswith("about 0.") and (room_of(torch.device("cpu")) or GIB) > 0
    handle = made.policy.model.register_forward_hook(hunger)
    with pytest.raises(azr.UsageError, match="ran out of memory while sampling"):
        made.policy.sample(["x"], azr.Sampling(1.0, 4))
    handle.remove()
    made.model.model.register_forward_hook(hunger)
    with pytest.raises(azr.UsageError, match="ran out of memory while learning"):
        made.fit(lambda policy, step: episodes([1.0, -1.0]), lambda step, metrics: False, 1, 1)


class Hungry(azr.Listener):
    """Uses up the memory after an update."""

    def step(self, report: azr.StepReport, steps: int, remaining: float | None) -> None:
        if report.step == 2:
            hunger()


def test_a_run_whose_memory_ended_is_taken_up_again(llama: Path, tmp_path: Path) -> None:
    settings = {
        "steps": 2, "batch_size": 2, "references": 1, "probe_samples": 2, "checkpoint_every": 1, "style": "compact",
        "propose_tokens": 8, "solve_tokens": 8, "prompt_tokens": 1500, "evaluation": {"final": False},
        "trainer": {"model": str(llama), "threads": 1},
    }  # fmt: skip
    toy = str(Path(__file__).with_name("toy_plugin.py"))
    with pytest.raises(azr.UsageError, match="ran out of memory while learning"):
        run.start(Request((toy,), settings, "one", tmp_path), Hungry())
    assert checkpoint.sealed(tmp_path / "one" / "checkpoints") == [1]
    run.start(Request((), {}, "one", tmp_path, resume=True), azr.Listener())
    assert checkpoint.sealed(tmp_path / "one" / "checkpoints") == [1, 2]
