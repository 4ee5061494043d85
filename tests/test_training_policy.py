"""The sampler of the trainer plugin, against transformers' own generate and against the master weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_training import PROMPTS, SHORT, SIZES, folder, learn, llama, one_thread, token_logprobs, tokenizer, trainer
from transformers import LlamaConfig, LlamaForCausalLM

import azr_core as azr
from azr_plugins_python import training
from azr_plugins_python.training.decoding import nucleus

__all__ = ["folder", "llama", "one_thread"]
GREEDY = azr.Sampling(temperature=0.0, max_tokens=12)


def test_greedy_equals_generate(folder: Path) -> None:
    made = trainer(folder)
    for prompt, [reply] in zip(PROMPTS, made.policy.sample(PROMPTS, GREEDY), strict=True):
        ids = torch.tensor([made.policy.tokens(prompt)])
        own = made.model.generate(ids, max_new_tokens=12, do_sample=False, attention_mask=torch.ones_like(ids))[0, ids.shape[1] :].tolist()
        assert list(reply.token_ids) == own


def test_log_probabilities_are_the_trainers(folder: Path) -> None:
    made = trainer(folder)
    learn(made, range(1, 2), [1.0, -1.0])
    for group in made.policy.sample(PROMPTS, SHORT, 3):
        for reply in group:
            assert list(reply.logprobs) == pytest.approx(token_logprobs(made, reply), abs=1e-4)


def test_the_bfloat16_copy_agrees_within_its_precision(llama: Path) -> None:
    made = trainer(llama, sampling_dtype="bfloat16")
    replies = [reply for group in made.policy.sample(PROMPTS, SHORT, 8) for reply in group]
    gaps = [abs(a - b) for reply in replies for a, b in zip(reply.logprobs, token_logprobs(made, reply), strict=True)]
    assert sum(gaps) / len(gaps) < 0.1


def test_samples_of_a_prompt_differ_and_a_seed_repeats_them(llama: Path) -> None:
    policy = trainer(llama).policy
    [group] = policy.sample(PROMPTS[:1], SHORT, 8)
    assert len({reply.text for reply in group}) > 4
    torch.manual_seed(99)
    assert policy.sample(PROMPTS[:1], SHORT, 8) == [group]
    assert policy.sample(PROMPTS[:1], azr.Sampling(temperature=1.0, max_tokens=12, seed=4), 8) != [group]


def test_draws_follow_the_models_probabilities(llama: Path) -> None:
    made = trainer(llama)
    ids = torch.tensor([made.policy.tokens(PROMPTS[0])])
    with torch.no_grad():
        expected = (made.model(ids).logits[0, -1].float() / 0.5).softmax(-1)
    [group] = made.policy.sample(PROMPTS[:1], azr.Sampling(temperature=0.5, max_tokens=1), 4000)
    counts = torch.bincount(torch.tensor([reply.token_ids[0] for reply in group]), minlength=len(expected))
    assert float((counts / 4000 - expected).abs().max()) < 0.04


def test_nucleus_keeps_the_smallest_sufficient_set() -> None:
    kept = nucleus(torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log(), 0.7).exp()
    assert kept[0].tolist() == pytest.approx([0.625, 0.375, 0.0, 0.0])


def test_a_stop_string_ends_a_reply_and_stays_in_it(llama: Path) -> None:
    policy = trainer(llama).policy
    [[whole]] = policy.sample(PROMPTS[:1], GREEDY)
    stop = policy.tokenizer.decode(whole.token_ids[:3])[-1:]
    [[cut]] = policy.sample(PROMPTS[:1], azr.Sampling(temperature=0.0, max_tokens=12, stop=(stop,)))
    assert cut.text.endswith(stop) and not cut.truncated
    assert list(cut.token_ids) == list(whole.token_ids[: len(cut.token_ids)]) and len(cut.token_ids) <= 3


def test_replies_end_at_the_end_token_or_are_truncated(llama: Path) -> None:
    compact, paper = trainer(llama), trainer(llama, style="paper")
    sampling = azr.Sampling(temperature=1.5, max_tokens=60, seed=1)
    groups = [made.policy.sample(PROMPTS, sampling, 40) for made in (compact, paper)]
    pairs = list(zip(*[[reply for group in groups_ for reply in group] for groups_ in groups], strict=True))
    assert {kept.truncated for kept, _ in pairs} == {True, False}
    for kept, stripped in pairs:
        assert kept.truncated == (kept.token_ids[-1] != 1) == (len(kept.token_ids) == 60 and kept.token_ids[-1] != 1)
        assert kept.text == stripped.text + ("" if kept.truncated else "<|end|>")
        assert kept.token_ids.count(1) == (not kept.truncated)


def test_prompts_that_do_not_fit_are_said(llama: Path) -> None:
    policy = trainer(llama).policy
    assert policy.fits("x" * 100, SHORT) and not policy.fits("x" * 120, SHORT)
    with pytest.raises(azr.UsageError, match="context holds 128"):
        policy.sample(["x" * 120], SHORT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "/no/such/folder"}, "does not exist"),
        ({"model": "no-such/model"}, "not in the hub's cache"),
        ({"learning_rat": 1}, "learning_rate"),
    ],
)
def test_wrong_settings_are_one_line_with_the_mend(options: dict[str, object], message: str) -> None:
    with pytest.raises(azr.ConfigError, match=message) as caught:
        training.azr_trainer(azr.Part(name="trl", **options), azr.RunConfig(plugins=("trl",)))
    assert "\n" not in str(caught.value)


def test_a_folder_without_weights_is_said(tmp_path: Path) -> None:
    with pytest.raises(azr.ConfigError, match=r"holds no config\.json"):
        trainer(tmp_path)
    LlamaConfig(**SIZES).save_pretrained(tmp_path)
    with pytest.raises(azr.ConfigError, match="holds no weights"):
        trainer(tmp_path)


def test_a_model_without_an_end_token_is_said(tmp_path: Path) -> None:
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(tmp_path)
    tokenizer(eos_token=None).save_pretrained(tmp_path)
    with pytest.raises(azr.ConfigError, match="no end token"):
        trainer(tmp_path)


def test_other_names_are_not_ours() -> None:
    assert training.azr_trainer(azr.Part(name="other"), azr.RunConfig(plugins=("trl",))) is None


def test_a_models_own_settings_are_its_defaults(tmp_path: Path) -> None:
    settings = {"trainer": {"model": str(tmp_path)}}
    assert training.azr_defaults(settings) == {"style": "paper"}
    (tmp_path / "azr.toml").write_text('style = "compact"\n[trainer]\nlearning_rate = 3e-4\n')
    assert training.azr_defaults(settings) == {"style": "compact", "trainer": {"learning_rate": 3e-4}}
    (tmp_path / "azr.toml").write_text("style =\n")
    with pytest.raises(azr.ConfigError, match=r"azr\.toml: not TOML"):
        training.azr_defaults(settings)


def test_a_message_goes_into_the_tokenizers_own_chat_template(llama: Path) -> None:
    policy = trainer(llama).policy
    assert policy.chat("hello") is None
    turns = "{% for turn in messages %}[{{ turn.role }}] {{ turn.content }} {% endfor %}"
    policy.tokenizer.chat_template = turns + "{% if add_generation_prompt %}[model]{% endif %}"
    assert policy.chat("hello") == "[user] hello [model]"


def test_a_conversation_that_the_template_refuses_is_said(llama: Path) -> None:
    policy = trainer(llama).policy
    policy.tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(azr.UsageError, match="roles must alternate"):
        policy.converse([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])


def test_scores_are_the_models_log_probabilities_whatever_is_scored_beside(folder: Path) -> None:
    made = trainer(folder)
    rows = [made.policy.tokens(prompt) for prompt in [*PROMPTS, "x"]]
    for row, scores in zip(rows, made.policy.score(rows, 3), strict=True):
        expected = token_logprobs(made, azr.Reply("", row[:1], row[1:]))
        assert list(scores.logprobs) == pytest.approx(expected, abs=1e-4)
        assert [len(likeliest) for likeliest in scores.likeliest] == [3] * (len(row) - 1)
        for logprob, likeliest in zip(scores.logprobs, scores.likeliest, strict=True):
            assert likeliest[0][1] >= likeliest[1][1] >= likeliest[2][1] and likeliest[0][1] >= logprob


def test_the_likeliest_token_is_the_greedy_one(llama: Path) -> None:
    policy = trainer(llama).policy
    [[reply]] = policy.sample(PROMPTS[:1], GREEDY)
    [scores] = policy.score([[*reply.prompt_ids, *reply.token_ids]], 1)
    assert [likeliest[0][0] for likeliest in scores.likeliest[len(reply.prompt_ids) - 1 :]] == list(reply.token_ids)


def test_prompts_given_as_ids_are_continued_like_their_texts(llama: Path) -> None:
    policy = trainer(llama).policy
    assert policy.extend([policy.tokens(prompt) for prompt in PROMPTS], SHORT, 2) == policy.sample(PROMPTS, SHORT, 2)
    assert policy.text(policy.tokens(PROMPTS[0])) == PROMPTS[0]
