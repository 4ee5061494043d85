"""The trainer plugin `trl`: it learns from advantages, samples what it says it samples, and resumes exactly."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training.options import EMBEDDED, TrainerOptions
from azr_plugins_python.training.trainer import TrlTrainer

MARKERS = ["<|pad|>", "<|end|>", "<|propose|>", "<|solve|>", "<|go|>", "<|think|>", "<|answer|>"]
SIZES = {
    "vocab_size": 272, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1,
    "intermediate_size": 96, "max_position_embeddings": 128, "tie_word_embeddings": False, "initializer_range": 0.2,
    "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip
SHORT = azr.Sampling(temperature=1.0, max_tokens=12, seed=3)
PROMPTS = ["<|solve|>f(1)<|go|>", "<|propose|>a much longer prompt than the other one<|go|>", "<|solve|>x<|go|>"]


def tokenizer(**special: str | None) -> PreTrainedTokenizerFast:
    """One token a byte, and the markers."""
    vocabulary = {token: index for index, token in enumerate(MARKERS + sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(MARKERS)
    return PreTrainedTokenizerFast(tokenizer_object=inner, **({"eos_token": "<|end|>", "pad_token": "<|pad|>"} | special))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp(request.param)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)) if request.param == "llama" else Qwen2ForCausalLM(Qwen2Config(**SIZES))
    model.save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("llama-only")
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def trainer(path: Path, style: str = "compact", **options: object) -> TrlTrainer:
    """A trainer as a run gets it, in float32 unless told otherwise."""
    settings = {"learning_rate": 1e-2, "threads": 1, "sampling_dtype": "float32", "update_dtype": "float32"} | options
    part = azr.Part(name="trl", model=str(path), **settings)
    made = training.azr_trainer(part, azr.RunConfig(plugins=("trl",), style=azr.Style(style)))
    assert isinstance(made, TrlTrainer)
    return made


def episodes(advantages: list[float], seed: int = 0) -> list[azr.Episode]:
    """Episodes of random bytes, of different lengths."""
    rng = random.Random(seed)
    made = []
    for index, advantage in enumerate(advantages):
        prompt, reply = ([rng.randrange(7, 263) for _ in range(rng.randint(3, 20))] for _ in range(2))
        made.append(azr.Episode("toy/any", azr.Kind.SOLVE, str(index), "", azr.Reply("", prompt, reply), advantage=advantage))
    return made


def learn(made: TrlTrainer, steps: range, advantages: list[float]) -> list[Mapping[str, float]]:
    """Fit on scripted episodes; the metrics of each step."""
    seen: list[Mapping[str, float]] = []
    made.fit(lambda policy, step: episodes(advantages, step), lambda step, metrics: bool(seen.append(metrics)), steps[0], steps[-1])
    return seen


def weights(made: TrlTrainer) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in made.model.parameters()]


def likelihood(made: TrlTrainer, episode: azr.Episode) -> float:
    """Log-probability of a reply under the master weights, nats."""
    return sum(token_logprobs(made, episode.reply))


def token_logprobs(made: TrlTrainer, reply: azr.Reply) -> list[float]:
    ids = torch.tensor([[*reply.prompt_ids, *reply.token_ids]])
    with torch.no_grad():
        logps = made.model(ids).logits[0, :-1].float().log_softmax(-1)
    picked = logps.gather(1, ids[0, 1:, None])[:, 0]
    return picked[len(reply.prompt_ids) - 1 :].tolist()


def test_three_updates_move_the_weights_and_report(llama: Path) -> None:
    made = trainer(llama, warmup_steps=2, entropy_coefficient=0.001)
    before = weights(made)
    seen = learn(made, range(1, 4), [1.0, -1.0, 0.5])
    assert all(not torch.equal(old, new) for old, new in zip(before, weights(made), strict=True))
    assert [metrics["train/learning_rate"] for metrics in seen] == pytest.approx([0.005, 0.01, 0.01])
    assert all(metrics["train/grad_norm"] > 0 and metrics["train/entropy"] > 0 and metrics["seconds/train"] > 0 for metrics in seen)
    assert seen[0]["tokens/trained"] == sum(len(episode.reply.token_ids) for episode in episodes([1.0, -1.0, 0.5], 1))


def test_praise_makes_a_reply_likelier_and_blame_less_likely(llama: Path) -> None:
    made = trainer(llama, learning_rate=1e-3)
    praised, blamed = episodes([1.0, -1.0], 1)
    before = likelihood(made, praised), likelihood(made, blamed)
    learn(made, range(1, 2), [1.0, -1.0])
    assert likelihood(made, praised) > before[0]
    assert likelihood(made, blamed) < before[1]


def test_the_update_is_the_token_mean_over_all_micro_batches(llama: Path) -> None:
    advantages = [1.0, -1.0, 0.5, 2.0, -0.3]
    norms = [learn(trainer(llama, micro_batch_tokens=size), range(1, 2), advantages)[0]["train/grad_norm"] for size in (1, 40, 10_000)]
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-4)
    made = trainer(llama, entropy_coefficient=0.0)
    rows = episodes(advantages, 1)
    loss = 0.0
    for row in rows:
        ids = torch.tensor([[*row.reply.prompt_ids, *row.reply.token_ids]])
        logps = made.model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[len(row.reply.prompt_ids) - 1 :]
        loss = loss - row.advantage * logps.sum() / sum(len(row.reply.token_ids) for row in rows)
    gradients = torch.autograd.grad(loss, list(made.model.parameters()))
    norm = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    assert learn(made, range(1, 2), advantages)[0]["train/grad_norm"] == pytest.approx(norm, rel=1e-3)


def test_rows_without_advantage_cost_nothing_but_stay_in_the_mean(llama: Path) -> None:
    made = trainer(llama, entropy_coefficient=0.0)
    [metrics] = learn(made, range(1, 2), [1.0, 0.0, 0.0, 0.0])
    assert metrics["train/rows"] == 1
    assert metrics["tokens/trained"] == sum(len(episode.reply.token_ids) for episode in episodes([0.0] * 4, 1))


def test_a_step_with_nothing_to_learn_leaves_the_weights_and_still_reports(llama: Path) -> None:
    made = trainer(llama, entropy_coefficient=0.0)
    learn(made, range(1, 2), [1.0, -1.0])
    before = weights(made)
    [metrics] = learn(made, range(2, 3), [0.0, 0.0])
    assert all(torch.equal(old, new) for old, new in zip(before, weights(made), strict=True))
    assert metrics["train/rows"] == 0


def test_after_can_stop_the_run(llama: Path) -> None:
    made, steps = trainer(llama), list[int]()
    made.fit(lambda policy, step: episodes([1.0, -1.0], step), lambda step, metrics: steps.append(step) or step == 2, 1, 9)
    assert steps == [1, 2]


def test_a_resumed_run_equals_an_uninterrupted_one(llama: Path, tmp_path: Path) -> None:
    whole, first, second = (trainer(llama, warmup_steps=3) for _ in range(3))
    learn(whole, range(1, 4), [1.0, -1.0, 0.5])
    learn(first, range(1, 3), [1.0, -1.0, 0.5])
    first.save(tmp_path)
    second.load(tmp_path)
    learn(second, range(3, 4), [1.0, -1.0, 0.5])
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))
    assert whole.policy.sample(PROMPTS, SHORT, 2) == second.policy.sample(PROMPTS, SHORT, 2)


def test_a_saved_folder_is_a_plain_model(llama: Path, tmp_path: Path) -> None:
    made = trainer(llama)
    learn(made, range(1, 2), [1.0, -1.0])
    made.save(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert all(torch.equal(one, other) for one, other in zip(weights(made), plain.parameters(), strict=True))
    assert plain.config._attn_implementation == "sdpa"


def test_a_folder_without_state_cannot_be_resumed(llama: Path) -> None:
    with pytest.raises(azr.RunError, match=r"optimizer\.pt"):
        trainer(llama).load(llama)


def test_a_bfloat16_update_stays_close_to_a_float32_one(llama: Path) -> None:
    exact, quick = (learn(trainer(llama, update_dtype=dtype), range(1, 2), [1.0, -1.0, 2.0])[0] for dtype in ("float32", "bfloat16"))
    assert quick["train/grad_norm"] == pytest.approx(exact["train/grad_norm"], rel=0.05)


def test_a_checkpoint_keeps_the_sizes_that_suit_its_model(tmp_path: Path) -> None:
    TrlTrainer(TrainerOptions(), azr.RunConfig(plugins=("python",), style=azr.Style.COMPACT)).save(tmp_path)
    assert (tmp_path / "azr.toml").read_text() == (EMBEDDED / "azr.toml").read_text()
