"""Packing an update: replies behind one copy of their prompt learn exactly what they learn alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

import azr_core as azr
from azr_plugins_python.training import attention, packing
from azr_plugins_python.training.packing import Exchange
from tests.test_training import SIZES, likelihood, tokenizer, trainer, weights

MAKERS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=272, n_embd=64, n_layer=2, n_head=4, n_positions=128, initializer_range=0.2)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=8)),
}
GROUPS = [(12, [3, 9, 1, 20]), (5, [7]), (17, [1, 1]), (12, [6, 6, 6]), (3, [15])]  # prompt length, reply lengths


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def saved(kind: str, path: Path) -> Path:
    torch.manual_seed(0)
    MAKERS[kind]().save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def grouped() -> list[azr.Episode]:
    """Mixed prompts and lengths; replies of a prompt do not lie side by side."""
    rng = random.Random(1)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(7, 263) for _ in range(count))

    pairs = [(prompt, ids(count)) for prompt, counts in [(ids(length), counts) for length, counts in GROUPS] for count in counts]
    rng.shuffle(pairs)
    return [
        azr.Episode("toy/any", azr.Kind.SOLVE, str(index), "", azr.Reply("", prompt, reply), advantage=rng.gauss(0, 1))
        for index, (prompt, reply) in enumerate(pairs)
    ]


def updated(path: Path, **options: object) -> tuple[dict[str, float], list[torch.Tensor]]:
    """Metrics and gradients of one update."""
    made = trainer(path, learning_rate=1e-9, max_grad_norm=1e9, **options)
    gradients: list[torch.Tensor] = []

    def keep(*args: object) -> None:
        gradients.extend(parameter.grad.clone() for parameter in made.model.parameters() if parameter.grad is not None)

    made.optimizer.register_step_pre_hook(keep)
    seen: list[dict[str, float]] = []
    made.fit(lambda policy, step: grouped(), lambda step, metrics: bool(seen.append(dict(metrics))), 1, 1)
    return seen[0], gradients


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_a_packed_update_has_the_gradients_of_an_unpacked_one(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(kind, tmp_path)
    alone, expected = updated(path, pack=False, micro_batch_tokens=1, entropy_coefficient=0.01)
    for width, tokens in ((512, 3072), (30, 64)):
        monkeypatch.setattr(packing, "WIDTH", width)
        packed, gradients = updated(path, pack=True, micro_batch_tokens=tokens, entropy_coefficient=0.01)
        for name in ("train/grad_norm", "train/loss", "train/entropy"):
            assert packed[name] == pytest.approx(alone[name], rel=1e-4)
        assert len(gradients) == len(expected) > 0
        for mine, theirs in zip(gradients, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5 * float(alone["train/grad_norm"]))


def test_a_packed_update_leaves_the_weights_an_unpacked_one_leaves(tmp_path: Path) -> None:
    path = saved("llama", tmp_path)
    left = []
    for pack in (True, False):
        made = trainer(path, learning_rate=1e-3, pack=pack)
        made.fit(lambda policy, step: grouped(), lambda step, metrics: False, 1, 1)
        left.append((torch.cat([tensor.flatten() for tensor in weights(made)]), likelihood(made, grouped()[0])))
    assert float((left[0][0] - left[1][0]).abs().mean()) < 1e-6
    assert left[0][1] == pytest.approx(left[1][1], rel=1e-3)


def test_packing_in_bfloat16_stays_close_to_float32(tmp_path: Path) -> None:
    path = saved("llama", tmp_path)
    exact, quick = (updated(path, update_dtype=dtype)[1] for dtype in ("float32", "bfloat16"))
    one, other = (torch.cat([gradient.flatten() for gradient in gradients]) for gradients in (exact, quick))
    assert float(torch.nn.functional.cosine_similarity(one, other, dim=0)) > 0.995
    assert float(other.norm()) == pytest.approx(float(one.norm()), rel=0.05)


def test_a_model_with_a_sliding_window_is_trained_unpacked(tmp_path: Path) -> None:
    path = saved("mistral", tmp_path)
    asked, refused = (updated(path, pack=pack, micro_batch_tokens=64)[0] for pack in (True, False))
    alone, _ = updated(path, pack=False, micro_batch_tokens=1)
    assert asked["train/grad_norm"] == refused["train/grad_norm"] == pytest.approx(alone["train/grad_norm"], rel=1e-4)


@pytest.mark.parametrize(("kind", "expected"), [("llama", True), ("qwen2", True), ("gpt2", True), ("mistral", False)])
def test_only_models_that_attend_to_all_before_are_packed(kind: str, expected: bool) -> None:
    model: PreTrainedModel = MAKERS[kind]()
    assert not packing.packable(model)
    attention.use(model)
    assert packing.packable(model) is expected


def test_every_reply_stands_once_and_rows_keep_to_the_width() -> None:
    rng = random.Random(0)
    prompts = [tuple(rng.randrange(9) for _ in range(rng.choice([5, 200, 600]))) for _ in range(6)]
    exchanges = [Exchange(index, prompts[index % 6], (1,) * rng.randint(1, 120)) for index in range(60)]
    rows = packing.packed(exchanges, share=True)
    assert sorted(exchange.index for row in rows for exchange in row) == list(range(60))
    assert all(len({exchange.prompt for exchange in row}) == 1 for row in rows)
    assert all(packing.cells(row) <= packing.WIDTH or len(row) == 1 for row in rows)
    assert len(rows) < 60
    cut = list(packing.pieces(rows, 2048))
    assert sorted(index for piece in cut for index in piece.order) == list(range(60))
    assert all(piece.ids.numel() <= 2048 or len(piece.ids) == 1 for piece in cut)
