"""Importance weights: an update corrects for a sampler that is not the trainer, and is the same where they agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training.importance import Importance
from azr_plugins_python.training.trainer import TrlTrainer
from tests.test_training import PROMPTS, SHORT, SIZES, episodes, token_logprobs, tokenizer, trainer

ADVANTAGES = [1.0, -1.0, 0.5, 2.0]
Sampler = Callable[[list[float]], list[float]]  # the sampler's log-probabilities by the trainer's


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("llama")
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def update(path: Path, sampler: Sampler | None, **options: object) -> tuple[Mapping[str, float], torch.Tensor]:
    """Metrics and gradient of one update on replies with the log-probabilities of a sampler."""
    made = trainer(path, max_grad_norm=1e9, entropy_coefficient=0.0, **options)
    rows = [sampled(made, row, sampler) for row in episodes(ADVANTAGES, 1)]
    kept: list[torch.Tensor] = []
    made.optimizer.register_step_pre_hook(lambda *_: kept.extend(p.grad.flatten().clone() for p in made.model.parameters()))
    seen: list[Mapping[str, float]] = []
    made.fit(lambda policy, step: rows, lambda step, metrics: bool(seen.append(dict(metrics))), 1, 1)
    return seen[0], torch.cat(kept)


def sampled(made: TrlTrainer, row: azr.Episode, sampler: Sampler | None) -> azr.Episode:
    logps = sampler(token_logprobs(made, row.reply)) if sampler else []
    return replace(row, reply=replace(row.reply, logprobs=logps))


def test_a_sampler_that_is_the_trainer_changes_nothing(llama: Path) -> None:
    plain, expected = update(llama, None, importance="none")
    for sampler in (None, lambda logps: logps):
        metrics, gradient = update(llama, sampler)
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6 * float(expected.norm()))
        assert metrics["train/loss"] == pytest.approx(plain["train/loss"], abs=1e-6)
        assert metrics.get("sampling/difference", 0.0) < 1e-5


def test_tokens_the_sampler_found_less_likely_weigh_more(llama: Path) -> None:
    _, expected = update(llama, None)
    metrics, gradient = update(llama, lambda logps: [logp - math.log(1.5) for logp in logps], micro_batch_tokens=40)
    torch.testing.assert_close(gradient, 1.5 * expected, rtol=1e-3, atol=1e-5 * float(expected.norm()))
    assert metrics["sampling/difference"] == pytest.approx(math.log(1.5), rel=1e-4)
    assert metrics["sampling/weight"] == pytest.approx(1.5, rel=1e-4)
    assert metrics["sampling/weight_capped"] == 0


def test_a_weight_ends_at_the_cap(llama: Path) -> None:
    _, expected = update(llama, None)
    metrics, gradient = update(llama, lambda logps: [logp - 5.0 for logp in logps], importance_cap=3.0)
    torch.testing.assert_close(gradient, 3.0 * expected, rtol=1e-3, atol=1e-5 * float(expected.norm()))
    assert metrics["sampling/weight"] == pytest.approx(3.0)
    assert metrics["sampling/weight_capped"] == 1
    assert metrics["sampling/difference_max"] == pytest.approx(5.0, rel=1e-3)


def test_without_correction_the_difference_is_still_measured(llama: Path) -> None:
    _, expected = update(llama, None)
    metrics, gradient = update(llama, lambda logps: [logp - 1.0 for logp in logps], importance="none")
    assert torch.equal(gradient, expected)
    assert metrics["sampling/difference"] == pytest.approx(1.0, rel=1e-4)


def test_replies_that_are_learned_from_one_update_late_are_weighed(llama: Path) -> None:
    made, seen = trainer(llama), list[Mapping[str, float]]()
    replies = [reply for group in made.policy.sample(PROMPTS, SHORT, 2) for reply in group]
    rows = [azr.Episode("toy/any", azr.Kind.SOLVE, "", "", reply, advantage=(-1.0) ** index) for index, reply in enumerate(replies)]
    made.fit(lambda policy, step: rows, lambda step, metrics: bool(seen.append(dict(metrics))), 1, 2)
    now, late = seen
    assert now["sampling/difference"] < 1e-5 and now["sampling/weight"] == pytest.approx(1.0)
    assert late["sampling/difference"] > 1e-3 and late["sampling/weight"] <= 2.0


def test_late_solves_without_weights_are_refused(llama: Path) -> None:
    part = azr.Part(name="trl", model=str(llama), importance="none")
    with pytest.raises(azr.UsageError, match=r"trainer\.importance"):
        training.azr_trainer(part, azr.RunConfig(plugins=("trl",), late_solves=True))


def test_weights_by_hand() -> None:
    trained = torch.tensor([0.5, 0.2, 0.9, 0.3]).log()
    weights = (importance := Importance(2.0)).weigh(trained, torch.tensor([0.5, 0.4, 0.3, math.nan]).log())
    assert weights.tolist() == pytest.approx([1.0, 0.5, 2.0, 1.0])
    metrics = importance.metrics()
    assert metrics["sampling/weight"] == pytest.approx(3.5 / 3)
    assert metrics["sampling/weight_capped"] == pytest.approx(1 / 3)
    assert metrics["sampling/difference"] == pytest.approx((math.log(2) + math.log(3)) / 3)
