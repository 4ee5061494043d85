"""What makes a large model fit: adapters, a base in 4 bits, an optimiser on the CPU, activations computed again."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_training import SHORT, SIZES, episodes, learn, one_thread, token_logprobs, tokenizer, trainer, weights
from transformers import AutoConfig, AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training.trainer import TrlTrainer
from azr_plugins_python.training.weights import whole

__all__ = ["one_thread"]  # autouse
ADVANTAGES = [1.0, -1.0, 0.5, -0.25]
LORA = {"lora_rank": 4, "lora_alpha": 8}
FOUR_BIT = pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs the extra qlora")
KINDS = [LORA, pytest.param(LORA | {"quantise": "nf4"}, marks=FOUR_BIT)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the Qwen2 kind, with a tied head, and widths that 4-bit blocks divide."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("base")
    sizes = SIZES | {"intermediate_size": 128, "num_key_value_heads": 2, "tie_word_embeddings": True}
    Qwen2ForCausalLM(Qwen2Config(**sizes)).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def adapters(made: TrlTrainer) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in made.learner.trained]


def base(made: TrlTrainer) -> list[torch.Tensor]:
    return [parameter.detach().clone() for name, parameter in made.learner.core.named_parameters() if "lora_" not in name]


def exact(old: list[torch.Tensor], new: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(old, new, strict=True))


@pytest.mark.parametrize("options", KINDS)
def test_an_update_moves_the_adapters_alone_in_float32(model: Path, options: dict[str, object]) -> None:
    made = trainer(model, **options)
    frozen, before = base(made), adapters(made)
    learn(made, range(1, 3), ADVANTAGES)
    assert exact(frozen, base(made)) and not exact(before, adapters(made))
    assert {adapter.dtype for adapter in adapters(made)} == {torch.float32}


@pytest.mark.parametrize("options", KINDS)
def test_the_sampler_is_the_adapted_model_itself(model: Path, options: dict[str, object]) -> None:
    made = trainer(model, **options)
    learn(made, range(1, 3), ADVANTAGES)
    [[reply]] = made.policy.sample(["<|solve|>f(1)<|go|>"], SHORT)
    assert reply.logprobs == pytest.approx(token_logprobs(made, reply), abs=2e-4)
    untrained = trainer(model, **options)
    assert reply.logprobs != pytest.approx(token_logprobs(untrained, reply), abs=2e-3)


@pytest.mark.parametrize("options", [{}, LORA], ids=["all", "lora"])
@pytest.mark.parametrize(
    "way", [{"pack": False}, {"gradient_checkpointing": True}, {"micro_batch_tokens": 30}], ids=["pack", "again", "cut"]
)
def test_the_gradient_is_the_same_however_it_is_computed(model: Path, options: dict[str, object], way: dict[str, object]) -> None:
    plain, other = (trainer(model, parity_every=0, **(options | more)) for more in ({}, way))
    for made in (plain, other):
        torch.manual_seed(1)
        for parameter in made.learner.trained:  # so that no gradient is zero because its adapter's other half is
            parameter.data += 0.05 * torch.randn_like(parameter)
    rows = [episode for shared in range(2) for episode in same_prompt(shared)]
    for made in (plain, other):
        made.model.zero_grad = lambda *_, **__: None
        made.fit(lambda policy, step: rows, lambda step, metrics: False, 1, 1)
    for one, two in zip(plain.learner.trained, other.learner.trained, strict=True):
        assert one.grad is not None and two.grad is not None and torch.allclose(one.grad, two.grad, atol=2e-6, rtol=2e-4)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "gemma2", "phi3"])
def test_the_logits_of_an_update_are_never_whole(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **(SIZES | {"head_dim": 16}))
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    made = trainer(tmp_path, **LORA, parity_every=0)
    made.fit(lambda policy, step: episodes(ADVANTAGES), lambda step, metrics: False, 1, 1)  # TRL takes over the head
    calls: list[int] = []
    made.learner.core.get_output_embeddings().register_forward_hook(lambda *_: calls.append(1))
    assert learn(made, range(2, 3), ADVANTAGES)[0]["train/grad_norm"] > 0 and not calls


def same_prompt(seed: int) -> list[azr.Episode]:
    """Replies to one prompt, which are packed behind one copy of it."""
    first, *rest = episodes(ADVANTAGES, seed)
    return [first, *(replace(one, reply=azr.Reply("", first.reply.prompt_ids, one.reply.token_ids)) for one in rest)]


def test_a_small_cache_gives_as_many_replies_a_few_at_a_time(model: Path) -> None:
    made = trainer(model, sampling_cache_tokens=3 * (60 + SHORT.max_tokens))
    rows: list[int] = []
    made.policy.model.register_forward_pre_hook(lambda module, arguments: rows.append(len(arguments[0])))
    groups = made.policy.sample(["<|solve|>f(1)<|go|>", "x" * 60, "y" * 30], SHORT, 5)
    assert [len(group) for group in groups] == [5, 5, 5] and max(rows) <= 3 * (60 + SHORT.max_tokens) // (5 + SHORT.max_tokens)
    for [reply, *_] in groups:
        assert reply.logprobs == pytest.approx(token_logprobs(made, reply), abs=1e-4)
    assert len({reply.token_ids for reply in groups[1]}) > 1


@pytest.mark.parametrize("options", KINDS)
def test_a_resumed_adapter_goes_on_exactly_and_its_checkpoint_is_small(model: Path, options: dict[str, object], tmp_path: Path) -> None:
    made = trainer(model, **options)
    learn(made, range(1, 3), ADVANTAGES)
    made.save(tmp_path)
    assert not list(tmp_path.glob("model*.safetensors"))
    learn(made, range(3, 5), ADVANTAGES)
    resumed = trainer(model, **options)
    resumed.load(tmp_path)
    learn(resumed, range(3, 5), ADVANTAGES)
    assert exact(adapters(made), adapters(resumed))


@pytest.mark.parametrize("options", KINDS)
def test_whole_weights_are_the_model_that_was_trained(model: Path, options: dict[str, object]) -> None:
    made = trainer(model, **options)
    learn(made, range(1, 3), ADVANTAGES)
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    told = plain.load_state_dict(dict(whole(made.model)), strict=False)
    assert told.missing_keys == ["lm_head.weight"] and not told.unexpected_keys  # tied
    ids = torch.arange(7, 40)[None]
    with torch.no_grad():
        assert torch.allclose(plain(ids).logits, made.learner.core.eval()(ids).logits, atol=2e-4)


@pytest.mark.parametrize("options", KINDS)
def test_an_adapters_checkpoint_is_a_model_to_measure_and_to_begin_with(model: Path, options: dict[str, object], tmp_path: Path) -> None:
    made = trainer(model, **options)
    learn(made, range(1, 3), ADVANTAGES)
    made.save(tmp_path)
    [[reply]] = made.policy.sample(["<|solve|>f(1)<|go|>"], SHORT)
    part = azr.Part(name="trl", model=str(tmp_path), sampling_dtype="float32", **options)
    measured = training.azr_trainer(part, azr.RunConfig(plugins=("trl",), style=azr.Style.COMPACT, steps=0))
    assert measured and measured.policy.sample(["<|solve|>f(1)<|go|>"], SHORT)[0][0].token_ids == reply.token_ids
    begun = trainer(tmp_path)
    assert token_logprobs(begun, reply) == pytest.approx(reply.logprobs, abs=2e-4)
    assert not any("lora_" in name for name, _ in begun.model.named_parameters())


def test_a_checkpoint_of_another_form_is_refused(model: Path, tmp_path: Path) -> None:
    full, adapted = tmp_path / "full", tmp_path / "adapted"
    trainer(model).save(full)
    trainer(model, **LORA).save(adapted)
    for folder, options in (
        (full, LORA),
        (adapted, {}),
        (adapted, LORA | {"lora_rank": 8}),
        (adapted, LORA | {"lora_targets": ["q_proj"]}),
    ):
        with pytest.raises(azr.RunError, match=r"written with other settings .*lora_"):
            trainer(model, **options).load(folder)
    other = tmp_path / "other"
    Qwen2ForCausalLM(Qwen2Config(**SIZES)).save_pretrained(other)
    tokenizer().save_pretrained(other)
    with pytest.raises(azr.RunError, match=r"model was '.*base0', is '.*other'"):
        trainer(other, **LORA).load(adapted)
    with pytest.raises(azr.RunError, match="parameters was"):
        trainer(other).load(full)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantise": "nf4"}, "set trainer.lora_rank too"),
        (LORA | {"offload_optimizer": True}, "leave one out"),
        (LORA | {"update_dtype": "bfloat16"}, "alike"),
        (LORA | {"lora_targets": ["nothing"]}, "lora_targets = .'nothing'."),
    ],
)
def test_options_that_contradict_each_other_are_refused(model: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(azr.ConfigError, match=said):
        trainer(model, **options)


def test_without_bitsandbytes_four_bits_are_refused_with_the_command(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(azr.UsageError, match=r"pip install 'azr\[qlora\]'"):
        trainer(model, **LORA, quantise="nf4")


def test_an_optimiser_on_the_cpu_steps_as_one_on_the_device(model: Path, tmp_path: Path) -> None:
    options = {"micro_batch_tokens": 40, "max_grad_norm": 0.5}
    plain, moved = trainer(model, **options), trainer(model, offload_optimizer=True, **options)
    seen = [learn(made, range(1, 4), ADVANTAGES) for made in (plain, moved)]
    for one, two in zip(*seen, strict=True):
        assert one["train/grad_norm"] == pytest.approx(two["train/grad_norm"], rel=1e-5)
    for one, two in zip(weights(plain), weights(moved), strict=True):
        assert torch.allclose(one, two, atol=1e-6)
    moved.save(tmp_path)
    plain.load(tmp_path)  # the state is the same wherever it lies
    assert exact(weights(plain), weights(moved))


def test_offloaded_weights_compute_in_bfloat16_and_are_kept_in_float32(model: Path, tmp_path: Path) -> None:
    made = trainer(model, offload_optimizer=True, sampling_dtype="bfloat16", update_dtype="bfloat16", learning_rate=1e-5)
    before = [master.detach().clone() for master in made.optimizer.masters]
    learn(made, range(1, 3), ADVANTAGES)
    assert made.describe()["precision"].startswith("weights float32 on the CPU, sampling bfloat16")
    assert made.learner.core.dtype is torch.bfloat16 and made.policy.model is made.learner.core
    after = [master.detach().clone() for master in made.optimizer.masters]
    assert not exact(before, after)
    made.save(tmp_path)
    again = trainer(model, offload_optimizer=True, sampling_dtype="bfloat16", update_dtype="bfloat16", learning_rate=1e-5)
    again.load(tmp_path)
    assert exact(after, [master.detach() for master in again.optimizer.masters]) and exact(weights(made), weights(again))
