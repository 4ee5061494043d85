"""A model that the real trainer saved, exported: it is the same model wherever it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from made_run import make_run
from test_training import SHORT, SIZES, episodes, learn, tokenizer, trainer
from test_training_fitting import FOUR_BIT
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from azr_core import checkpoint
from azr_core.export import Wanted, export
from azr_core.lineage import located
from azr_core.store import RunStore
from azr_plugins_python import training
from azr_plugins_python.training.options import EMBEDDED
from azr_plugins_python.training.trainer import TrlTrainer

PROMPTS = ["<|solve|>f(1)<|go|>", "<|propose|>a longer one<|go|>"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def exported(made: TrlTrainer, place: Path) -> Path:
    """The folder that comes of a trainer's checkpoint in a made-up run."""
    run = make_run(place / "runs" / "toys-001", steps=1)
    store = RunStore(run / "run.db")
    store.set_note("base", located(made.describe()["model"]))
    store.close()
    checkpoint.write(run / "checkpoints", 1, made.save, keep=1)
    return export(Wanted("toys-001", run.parent), place / "mine").folder


@pytest.fixture(scope="module")
def learned() -> TrlTrainer:
    """The embedded model after one update."""
    made = trainer(EMBEDDED, learning_rate=1e-3)
    learn(made, range(1, 2), [1.0, -1.0])
    return made


@pytest.fixture(scope="module")
def folder(learned: TrlTrainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(learned, tmp_path_factory.mktemp("export"))


def test_an_exported_model_gives_the_log_probabilities_of_the_policy(learned: TrlTrainer, folder: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    reply = episodes([1.0])[0].reply
    ids = torch.tensor([[*reply.prompt_ids, *reply.token_ids]])
    with torch.no_grad():
        mine, theirs = (model(ids).logits.log_softmax(-1) for model in (learned.policy.model, plain))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)
    assert all(torch.equal(one, other) for one, other in zip(learned.model.parameters(), plain.parameters(), strict=True))


def test_an_exported_tokenizer_encodes_as_the_trainer_does(learned: TrlTrainer, folder: Path) -> None:
    plain = AutoTokenizer.from_pretrained(folder)
    assert [plain(prompt, add_special_tokens=False)["input_ids"] for prompt in PROMPTS] == [
        learned.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in PROMPTS
    ]
    assert (plain.eos_token, plain.pad_token, plain.padding_side) == ("<|end|>", "<|pad|>", "left")


def test_a_run_from_an_exported_model_samples_as_the_policy_did_and_finds_its_sizes(learned: TrlTrainer, folder: Path) -> None:
    assert trainer(folder).policy.sample(PROMPTS, SHORT, 2) == learned.policy.sample(PROMPTS, SHORT, 2)
    assert training.azr_defaults({"trainer": {"model": str(folder)}}) == training.azr_defaults({})


def test_the_card_of_a_model_made_from_the_embedded_one_names_it_and_its_licence(folder: Path) -> None:
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "apache-2.0" and "azr tiny" in text and "1.82 million, float32" in text


@pytest.mark.parametrize("quantise", ["none", pytest.param("nf4", marks=FOUR_BIT)])
def test_an_adapters_checkpoint_is_exported_as_the_whole_model(tmp_path: Path, quantise: str) -> None:
    made = trainer(EMBEDDED, lora_rank=4, quantise=quantise)
    learn(made, range(1, 3), [1.0, -1.0])
    folder = exported(made, tmp_path)
    assert not list(folder.glob("adapter*")) and "quantization_config" not in (folder / "config.json").read_text()
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.arange(7, 60)[None]
    with torch.no_grad():
        mine, theirs = (model(ids).logits.log_softmax(-1) for model in (made.policy.model.eval(), plain))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-4)
    assert trainer(folder).policy.sample(PROMPTS, SHORT, 2)[0][0].token_ids == made.policy.sample(PROMPTS, SHORT, 2)[0][0].token_ids
    assert not any((tmp_path / "runs").parent.glob(".azr-export-*"))


def test_a_chat_template_and_what_the_base_says_of_generation_are_kept(tmp_path: Path) -> None:
    base = tmp_path / "base"
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    model.generation_config.update(temperature=0.5, do_sample=True)
    model.save_pretrained(base)
    words = tokenizer()
    words.chat_template = "{% for message in messages %}<|solve|>{{ message.content }}{% endfor %}<|go|>"
    words.save_pretrained(base)
    folder = exported(trainer(base), tmp_path)
    message = [{"role": "user", "content": "hi"}]
    assert AutoTokenizer.from_pretrained(folder).apply_chat_template(message, tokenize=False) == "<|solve|>hi<|go|>"
    assert AutoModelForCausalLM.from_pretrained(folder).generation_config.temperature == 0.5
