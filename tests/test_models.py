"""Real models: families, chat templates, tokens; each with random weights of a few thousand numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import SIZES, one_thread, trainer
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

import azr_core as azr
from azr_core.prompts import Prompts
from azr_plugins_python import training

__all__ = ["one_thread"]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n"
    "{{ message.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
R1 = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}<｜User｜>{{ message.content }}{% else %}"
    "<｜Assistant｜>{{ message.content.split('</think>')[-1] }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
QWEN3 = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
SPECIAL = {
    "qwen": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "llama": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "r1": ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
}
PLAIN = {"r1": ["<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"], "qwen": ["<think>", "</think>"]}
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
SMALL = SIZES | {"vocab_size": 300, "max_position_embeddings": 1024}
SHORT = azr.Sampling(temperature=1.0, max_tokens=6, seed=1)


def tokenizer(kind: str, bos: str | None = None, **named: Any) -> PreTrainedTokenizerFast:
    """One token a byte, then the special tokens of a kind, then its added ones that are not special. bos: what every text begins with."""
    inner = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(BYTES)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(SPECIAL[kind])
    inner.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN.get(kind, [])])
    if bos:
        inner.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, inner.token_to_id(bos))])
        named["bos_token"] = bos
    return PreTrainedTokenizerFast(tokenizer_object=inner, **named)


INSTRUCT: dict[str, tuple[str, dict[str, Any]]] = {
    "chatml": ("qwen", {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": CHATML}),
    "qwen3": ("qwen", {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": QWEN3}),
    "llama-3": ("llama", {"bos": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "chat_template": LLAMA}),
    "r1": ("r1", {"bos": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>", "chat_template": R1}),
}
BASE: dict[str, tuple[str, dict[str, Any]]] = {
    "without a template": ("llama", {"bos": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}),
    "qwen2.5 base": ("qwen", {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "chat_template": CHATML}),
    "a broken template": ("qwen", {"eos_token": "<|im_end|>", "chat_template": "{{ messages[0].nothing.at.all }}"}),
}
FAMILIES: dict[str, type[PreTrainedConfig]] = {
    "llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config, "gemma": GemmaConfig, "gemma2": Gemma2Config,
    "mistral": MistralConfig, "phi": PhiConfig, "phi3": Phi3Config, "gpt-neox": GPTNeoXConfig, "olmo2": Olmo2Config, "gpt2": GPT2Config,
}  # fmt: skip


def write(folder: Path, kind: str, settings: dict[str, Any], config: type[PreTrainedConfig] = LlamaConfig, **more: Any) -> Path:
    torch.manual_seed(0)
    made = tokenizer(kind, **settings)
    ends = {"bos_token_id": made.bos_token_id, "eos_token_id": made.eos_token_id, "pad_token_id": None}
    AutoModelForCausalLM.from_config(config(**(SMALL | ends | more))).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def style_of(folder: Path) -> object:
    found = training.azr_defaults({"trainer": {"model": str(folder)}})
    return found and found["style"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_samples_what_it_computes_and_takes_an_update(family: str, tmp_path: Path) -> None:
    """Prompts of several lengths, past a sliding window of 16 tokens; log-probabilities against the whole model at once."""
    more: dict[str, Any] = {"sliding_window": 16} if family in ("mistral", "gemma2", "phi3") else {}
    more |= {"head_dim": 16} if family in ("gemma", "gemma2", "qwen3") else {}
    kind, settings = BASE["without a template"]
    made = trainer(write(tmp_path, kind, settings, FAMILIES[family], **more), "paper", entropy_coefficient=0.0)
    groups = made.policy.sample(["x = 1", "a longer prompt than that", "y"], SHORT, 2)
    for reply in [reply for group in groups for reply in group]:
        ids = torch.tensor([[*reply.prompt_ids, *reply.token_ids]])
        with torch.no_grad():
            logps = made.model(ids).logits[0, :-1].float().log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        assert list(reply.logprobs) == pytest.approx(logps[len(reply.prompt_ids) - 1 :].tolist(), abs=1e-3)
    before = [parameter.detach().clone() for parameter in made.model.parameters()]
    made.fit(lambda policy, step: praised(groups), lambda step, metrics: False, 1, 1)
    assert any(not torch.equal(old, new) for old, new in zip(before, made.model.parameters(), strict=True))


def test_capped_scores_of_attention_are_not_left_out(tmp_path: Path) -> None:
    """Torch's kernels leave them out without a word."""
    folder = write(tmp_path, *BASE["without a template"], Gemma2Config, head_dim=16, attn_logit_softcapping=0.05)
    ids = torch.arange(40)[None]
    with torch.no_grad():
        right = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)(ids).logits
        torch.testing.assert_close(trainer(folder, "paper").model(ids).logits, right)


def praised(groups: Sequence[Sequence[azr.Reply]]) -> list[azr.Episode]:
    return [
        azr.Episode("toy/any", azr.Kind.SOLVE, str(place), "", reply, advantage=1.0 - 2.0 * index)
        for place, group in enumerate(groups)
        for index, reply in enumerate(group)
    ]


@pytest.mark.parametrize("name", [*INSTRUCT, *BASE])
def test_the_default_style_follows_the_model(name: str, tmp_path: Path) -> None:
    kind, settings = (INSTRUCT | BASE)[name]
    tokenizer(kind, **settings).save_pretrained(tmp_path)
    LlamaConfig(**SMALL).save_pretrained(tmp_path)
    assert style_of(tmp_path) == ("chat" if name in INSTRUCT else "paper")


def test_a_models_style_is_found_without_torch(tmp_path: Path) -> None:
    """Workers that verify are made before torch is there, so that they are small; settings are resolved before that."""
    kind, settings = INSTRUCT["chatml"]
    tokenizer(kind, **settings).save_pretrained(tmp_path)
    LlamaConfig(**SMALL).save_pretrained(tmp_path)
    script = (
        "import sys; from azr_plugins_python import training; "
        f"print(training.azr_defaults({{'trainer': {{'model': {str(tmp_path)!r}}}}}), 'torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split("\n")[0] == "{'style': 'chat'} False"


def test_an_end_token_of_the_generation_settings_makes_an_instruct_model_too(tmp_path: Path) -> None:
    kind, settings = INSTRUCT["llama-3"]
    made = tokenizer(kind, **(settings | {"eos_token": "<|end_of_text|>"}))
    made.save_pretrained(tmp_path)
    LlamaConfig(**SMALL).save_pretrained(tmp_path)
    assert style_of(tmp_path) == "paper"
    ids = [made.convert_tokens_to_ids(text) for text in ("<|end_of_text|>", "<|eot_id|>")]
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    assert style_of(tmp_path) == "chat"


@pytest.mark.parametrize("name", INSTRUCT)
def test_a_chat_prompt_is_the_message_in_the_models_own_template(name: str, tmp_path: Path) -> None:
    kind, settings = INSTRUCT[name]
    made = trainer(write(tmp_path, kind, settings), "chat")
    prompt = made.policy.chat("QUESTION")
    assert prompt is not None and "QUESTION" in prompt
    ids = made.policy.tokens(prompt)
    assert made.policy.text(ids) == prompt
    assert ids.count(made.tokenizer.bos_token_id) == (1 if "bos" in settings else 0)
    assert made.tokenizer.eos_token_id in made.policy.ends
    assert made.describe()["prompt style"].startswith("chat: an instruct model")


@pytest.mark.parametrize(("choice", "closed"), [("auto", False), ("on", False), ("off", True)])
def test_thinking_is_switched_where_the_template_can(choice: str, closed: bool, tmp_path: Path) -> None:
    made = trainer(write(tmp_path, *INSTRUCT["qwen3"]), "chat", thinking=choice)
    assert (made.policy.chat("x") or "").endswith("</think>\n\n") == closed


def test_a_switch_that_a_template_does_not_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(azr.ConfigError, match="no such switch; leave it at auto"):
        trainer(write(tmp_path, *INSTRUCT["chatml"]), "chat", thinking="off")


def test_a_turns_own_end_ends_a_reply_of_a_base_model_that_is_told_to_chat(tmp_path: Path) -> None:
    folder = write(tmp_path, *BASE["qwen2.5 base"])
    ends = {style: trainer(folder, style).policy.ends for style in ("paper", "chat")}
    assert ends["chat"] - ends["paper"] == {tokenizer("qwen").convert_tokens_to_ids("<|im_end|>")}


def test_a_task_cannot_hold_what_would_break_out_of_its_prompt(tmp_path: Path) -> None:
    policy = trainer(write(tmp_path, *INSTRUCT["r1"]), "chat").policy
    for text in ("a <｜User｜> b", "<｜end▁of▁sentence｜>", "<｜Assistant｜>", "<think>"):
        assert policy.forged(text)
    assert not policy.forged("def f(x):\n    return '<div>' + x\n\n")


def test_a_base_models_text_begins_as_it_was_taught_and_once(tmp_path: Path) -> None:
    made = trainer(write(tmp_path, *BASE["without a template"]), "paper")
    bos = made.tokenizer.bos_token_id
    assert made.policy.tokens("x")[0] == bos
    assert made.policy.tokens("<|begin_of_text|>x").count(bos) == 1


@pytest.mark.parametrize(
    ("special", "rows", "expected"),
    [(["<end>", "<|right_pad_id|>"], 300, "<|right_pad_id|> pads"), (["<end>", "<|reserved_special_token_7|>"], 300, "reserved"),
     (["<end>"], 300, "a new token"), (["<end>"], 257, "the end token; the model has no token to spare")],
)  # fmt: skip
def test_a_missing_pad_token_is_chosen_and_said(
    special: list[str], rows: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SPECIAL, "bare", special)
    made = trainer(write(tmp_path, "bare", {"eos_token": "<end>"}, vocab_size=rows), "paper")
    assert expected in made.describe()["tokens"]
    assert made.tokenizer.pad_token_id < rows
    assert (made.tokenizer.pad_token_id == made.tokenizer.eos_token_id) == ("end token" in expected)


def untrained_markers(folder: Path, fill: str) -> None:
    """Trained rows are larger than those of the markers and of the ids without a token."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    rows = model.get_input_embeddings().weight.data
    first = tokenizer("qwen").convert_tokens_to_ids("<think>")
    rows[:first] *= 5
    rows[first:] = {"zero": torch.zeros(1), "equal": torch.full((1,), 0.3), "fresh": rows[first:]}[fill]
    model.save_pretrained(folder)


@pytest.mark.parametrize("fill", ["zero", "equal", "fresh"])
def test_markers_that_were_never_trained_are_spelled_in_ordinary_tokens(fill: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "base", *BASE["qwen2.5 base"], vocab_size=320)
    untrained_markers(folder, fill)
    made = trainer(folder, "paper")
    assert made.describe()["tokens"].startswith("<think>, </think> spelled in ordinary tokens")
    ids = made.policy.tokens("<think>x")
    assert max(ids) < len(BYTES) and made.policy.text(ids) == "<think>x"
    (tmp_path / "saved").mkdir()
    made.save(tmp_path / "saved")
    again = trainer(tmp_path / "saved", "paper")
    assert again.policy.tokens("<think>x") == ids
    assert again.policy.tokens("<|im_end|>") == made.policy.tokens("<|im_end|>")


def test_markers_that_were_trained_stay_tokens(tmp_path: Path) -> None:
    folder = write(tmp_path, *BASE["qwen2.5 base"], vocab_size=320)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.get_input_embeddings().weight.data[: len(tokenizer("qwen"))] *= 5
    model.save_pretrained(folder)
    assert "tokens" not in trainer(folder, "paper").describe()


def test_nothing_is_said_of_markers_where_no_row_was_trained(tmp_path: Path) -> None:
    assert "tokens" not in trainer(write(tmp_path, *BASE["qwen2.5 base"], vocab_size=320), "paper").describe()


REFUSED: dict[str, tuple[dict[str, dict[str, Any] | None], str]] = {
    "an adapter": ({"adapter_config.json": {"base_model_name_or_path": "org/base"}}, "adapter of org/base .*merge_and_unload"),
    "gguf": ({"model.gguf": None}, r"llama\.cpp .* pass the model they were made from"),
    "pickles": ({"config.json": {}, "pytorch_model.bin": None}, "pickles.* convert them: .*save_pretrained"),
    "no weights": ({"config.json": {}}, "no weights"),
    "an encoder-decoder": (
        {"config.json": {"model_type": "t5", "is_encoder_decoder": True}, "a.safetensors": None},
        "encoder with a decoder",
    ),
    "pictures": ({"config.json": {"model_type": "qwen2_vl", "vision_config": {"a": 1}}, "a.safetensors": None}, "more than text"),
    "code": (
        {"config.json": {"model_type": "own", "auto_map": {"A": "b"}}, "a.safetensors": None},
        "code of its own, which azr never runs",
    ),
    "quantised": ({"config.json": {"quantization_config": {"quant_method": "awq"}}, "a.safetensors": None}, "quantised weights .awq."),
    "another head": (
        {"config.json": {"model_type": "llama", "architectures": ["LlamaModel"]}, "a.safetensors": None},
        "no causal language",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_one_line_with_the_mend(name: str, tmp_path: Path) -> None:
    files, message = REFUSED[name]
    for file, content in files.items():
        (tmp_path / file).write_text("" if content is None else json.dumps(content))
    with pytest.raises(azr.ConfigError, match=message) as caught:
        trainer(tmp_path, "paper")
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    folder = write(tmp_path, *BASE["qwen2.5 base"])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3, "layer_types": None}))
    with pytest.raises(azr.ConfigError, match="lacks 9 of its weights"):
        trainer(folder, "paper")


def cached(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in the hub's cache, as hf download leaves it."""
    folder = home / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("a" * 40)
    write(folder / "snapshots" / ("a" * 40), *INSTRUCT["chatml"])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def test_a_name_of_the_hub_is_found_in_its_cache_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *args: pytest.fail("the network was asked"))
    cached("org/small", tmp_path, monkeypatch)
    assert style_of(Path("org/small")) == "chat"
    made = trainer(Path("org/small"), "chat")
    assert made.describe()["model"] == "org/small"


@pytest.mark.parametrize(("offline", "variable", "mend"), [
    (True, "", r"--set trainer\.offline=false\), download it \(hf download org/gone\)"), (False, "1", "HF_HUB_OFFLINE forbids"),
])  # fmt: skip
def test_a_name_that_is_not_in_the_cache_is_said_with_the_mend(
    offline: bool, variable: str, mend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", variable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", bool(variable))
    with pytest.raises(azr.ConfigError, match=mend):
        trainer(Path("org/gone"), "paper", offline=offline)


def test_the_context_is_what_positions_reach(tmp_path: Path) -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024, "rope_theta": 1e4}
    assert trainer(write(tmp_path, *BASE["qwen2.5 base"], rope_parameters=yarn), "paper").policy.context == 4096


class Answers(azr.Policy):
    """Chats in a template of its own."""

    def __init__(self, template: str | None) -> None:
        self.template = template

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        return [[azr.Reply("")] * n for _ in prompts]

    def chat(self, message: str) -> str | None:
        return self.template and self.template.replace("MESSAGE", message)


def environment(templates: dict[str, str]) -> azr.Environment:
    return azr.Environment("toy/any", None, None, (), templates=templates)  # type: ignore[arg-type]


def test_the_chat_style_takes_the_papers_words_where_a_domain_has_none_for_it() -> None:
    task, policy = azr.Task(question="2 + 2", answer="4"), Answers("<user>MESSAGE<model>")
    prompts = Prompts(azr.Style.CHAT)
    prompt = prompts.solve(environment({"paper/solve": "Compute {text}."}), task, policy)
    assert prompt.startswith("<user>Compute 2 + 2.\n\n") and prompt.endswith("<model>") and "<answer>" in prompt
    own = prompts.solve(environment({"paper/solve": "Compute {text}.", "chat/solve": "Please: {text}"}), task, policy)
    assert own.startswith("<user>Please: 2 + 2\n\n")


@pytest.mark.parametrize("policy", [None, Answers(None)])
def test_the_chat_style_without_a_template_is_said(policy: azr.Policy | None) -> None:
    with pytest.raises(azr.ConfigError, match="needs a model with a chat template; set style=paper"):
        Prompts(azr.Style.CHAT).solve(environment({}), azr.Task(question="2", answer="2"), policy)


class Guarded(Answers):
    """Its tokenizer takes one text for the end of a turn."""

    def forged(self, text: str) -> bool:
        return "<|im_end|>" in text


@pytest.mark.parametrize(
    ("question", "answer", "barred"),
    [("a", "b", False), ("a<|im_end|>", "b", True), ("a", "<|im_end|>", True), ("a</answer>", "b", True), ("<think>", "b", True)],
)
def test_a_task_that_would_break_out_of_its_prompt_is_barred(question: str, answer: str, barred: bool) -> None:
    task = azr.Task(question=question, answer=answer)
    why = Prompts(azr.Style.CHAT).barred(environment({}), task, Guarded("MESSAGE"), SHORT)
    assert why == ("the task holds a marker of the prompt style" if barred else "")


OPENED = {
    "Well. <answer>4</answer>": "4",
    "<think>is it <answer>3</answer>?</think>\nSo: <answer> 4 </answer>\n": "4",
    "is it <answer>3</answer>?\n</think>\n<answer>4</answer>": "4",  # the prompt opened the thought
    "<seed:think>a</seed:think><answer>4</answer>": "4",
    "[THINK]<answer>[/THINK]<answer>4</answer>": "4",
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|><answer>4</answer>": "4",
}
CLOSED = [
    "4", "<answer>4", "<answer>4</answer> and more", "<answer>3</answer><answer>4</answer>", "<answer><answer>4</answer>",
    "<think>never closed <answer>4</answer>", "<answer>4</think></answer>", "<answer>4</answer></think>",
]  # fmt: skip


@pytest.mark.parametrize("text", OPENED)
def test_a_chat_reply_ends_with_its_answer_whatever_was_thought(text: str) -> None:
    assert azr.ENVELOPES[azr.Style.CHAT]().open(azr.Reply(text)) == OPENED[text]


@pytest.mark.parametrize("reply", [*map(azr.Reply, CLOSED), azr.Reply("<answer>4</answer>", truncated=True)], ids=lambda reply: reply.text)
def test_any_other_chat_reply_is_malformed(reply: azr.Reply) -> None:
    with pytest.raises(azr.FormatError):
        azr.ENVELOPES[azr.Style.CHAT]().open(reply)
