"""Warming a model up: from nothing, on after a stop, and on from a model."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import azr_core as azr
from azr_core.documents import documents
from azr_core.types import Document
from azr_plugins_python.training.course import Course, cut
from azr_plugins_python.training.network import Network, exported_weights, fresh_weights
from azr_plugins_python.training.options import RECIPE
from azr_plugins_python.training.recipe import Recipe, Shape, read_recipe
from azr_plugins_python.training.shards import Makers, Press
from azr_plugins_python.training.tokenizer import train_tokenizer
from azr_plugins_python.training.warmup import warm_up
from tests.toy_plugin import azr_environments

SECONDS = 2.0
CPU = torch.device("cpu")
SHAPE = Shape(vocabulary=320, width=32, layers=2, heads=2, head_width=8, inner=48, context=256, theta=10_000.0, epsilon=1e-5)
STRANGE = ["", " a  b ", "héllo\n\n\tx'y' 12 ```input\n", "<|go|>\x00\u2028<|end|>", "日本"]


def recipe(**changes: object) -> Recipe:
    shipped = read_recipe(RECIPE)
    fast = {"shape": SHAPE, "shards": 6, "shard_documents": 200, "held_out_documents": 40, "longest": 200, "batch_tokens": 1024}
    asked = shipped.tokenizer.model_copy(update={"documents": 300})
    return shipped.model_copy(update=fast | {"tokenizer": asked, "rise_steps": 5} | changes)


def toy_documents(seed: int) -> Iterator[Document]:
    return documents(azr_environments(), azr.Prompts(azr.Style.COMPACT), seed)


class Ear(azr.Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Made:
    out: Path
    notes: list[str]

    @property
    def step(self) -> int:
        state = torch.load(self.out.with_name(f"{self.out.name}.work") / "checkpoint.pt", weights_only=True)
        return int(state["progress"]["step"])


def teach(out: Path, seconds: float = SECONDS, asked: Recipe | None = None, model: Path | None = None) -> Made:
    ear = Ear()
    warm_up(asked or recipe(), toy_documents, out, seconds / 60, ear, model=model)
    return Made(out, ear.notes)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other on busy cores are slower than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return teach(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="module")
def press(tmp_path_factory: pytest.TempPathFactory) -> Press:
    asked = recipe()
    texts = (document.prompt + document.reply for document in islice(toy_documents(0), 300))
    return Press(asked, toy_documents, train_tokenizer(asked, texts), tmp_path_factory.mktemp("shards"))


def course_of(press: Press) -> Course:
    return Course(press, fresh_weights(SHAPE, 0), CPU)


def test_a_model_that_another_process_makes_is_left_to_it(made: Made) -> None:
    before = made.step
    with (made.out.with_name(f"{made.out.name}.work") / ".lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(azr.ConfigError, match="is being made by another process"):
            teach(made.out, 2 * SECONDS)
    assert made.step == before


def test_the_loss_falls(press: Press) -> None:
    course, lesson = course_of(press), press.encode(islice(toy_documents(5), 200))
    held_out = press.encode(islice(toy_documents(6), 40))
    before = course.held_out(held_out)
    for batch in cut(lesson, 256, azr.chance(0, 0, "order")):
        course.update(batch, 0.0)
    after = course.held_out(held_out)
    assert set(before) == {"toy/sorting/solve", "toy/sorting/propose"}
    assert all(after[kind] < 0.8 * before[kind] for kind in before)


def test_a_made_folder_is_a_transformers_model_that_any_text_fits(made: Made) -> None:
    tokenizer = AutoTokenizer.from_pretrained(made.out)
    model = AutoModelForCausalLM.from_pretrained(made.out)
    assert all(tokenizer.decode(tokenizer(text)["input_ids"]) == text for text in STRANGE)
    assert tokenizer.eos_token == "<|end|>" and model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.pad_token_id == model.config.pad_token_id != tokenizer.eos_token_id
    assert model.dtype == torch.bfloat16 and len(tokenizer) <= model.config.vocab_size == SHAPE.vocabulary


def test_the_exported_model_computes_what_was_trained(made: Made) -> None:
    ids = torch.randint(0, SHAPE.vocabulary, (2, 60), generator=torch.Generator().manual_seed(0))
    network = Network(SHAPE, exported_weights(SHAPE, made.out), CPU, torch.float32)
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(made.out, dtype=torch.float32)(ids).logits
        assert torch.allclose(network(ids), theirs, atol=1e-4)


def test_the_same_command_goes_on_and_a_spent_time_is_spent(made: Made) -> None:
    before = made.step
    assert before > 0
    assert teach(made.out).step == before
    assert teach(made.out, made_seconds(made) + SECONDS).step > before


def made_seconds(made: Made) -> float:
    state = torch.load(made.out.with_name(f"{made.out.name}.work") / "checkpoint.pt", weights_only=True)
    return float(state["progress"]["seconds"])


def test_going_on_with_another_recipe_or_model_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(azr.ConfigError, match="begun with another recipe; choose another --out"):
        teach(made.out, asked=recipe(peak_rate=1e-3))
    with pytest.raises(azr.ConfigError, match="begun with another --model"):
        teach(made.out, model=made.out)
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(azr.ConfigError, match="is not empty"):
        teach(tmp_path)


def test_a_model_is_gone_on_with_in_its_own_tokens(made: Made, tmp_path: Path) -> None:
    further = teach(tmp_path / "further", 0.0, model=made.out)
    assert further.step == 1
    assert (further.out / "tokenizer.json").read_bytes() == (made.out / "tokenizer.json").read_bytes()
    old, new = exported_weights(SHAPE, made.out), exported_weights(SHAPE, further.out)
    assert all(torch.allclose(old[name], new[name], atol=0.01) for name in old)
    with pytest.raises(azr.ConfigError, match="its shape is not the recipe's"):
        teach(tmp_path / "other", asked=recipe(shape=SHAPE.model_copy(update={"inner": 64})), model=made.out)
    assert not (tmp_path / "other").exists()


def test_a_checkpoint_goes_on_where_it_stopped(press: Press, tmp_path: Path) -> None:
    course = course_of(press)
    lessons = cut(press.encode(islice(toy_documents(5), 60)), 1024, azr.chance(0, 0, "order"))
    course.update(lessons[0], 0.0)
    course.save(tmp_path / "checkpoint.pt")
    again = course_of(press)
    again.resume(tmp_path / "checkpoint.pt")
    for one in (course, again):
        one.update(lessons[1], 0.5)
    assert course.progress == again.progress and course.progress.step == 2
    assert all(torch.equal(course.network.weights[name], again.network.weights[name]) for name in course.network.weights)


def test_a_shard_holds_the_documents_of_its_seed(press: Press) -> None:
    with Makers(press) as makers:
        makers.wait(2)
    expected = press.encode(islice(toy_documents(press.recipe.seed + 1), press.recipe.shard_documents))
    found = press.read(0)
    assert [(e.tokens.tolist(), e.prompt_length, e.kind) for e in found] == [(e.tokens.tolist(), e.prompt_length, e.kind) for e in expected]
    first = next(toy_documents(press.recipe.seed + 1))
    assert press.tokenizer.decode(found[0].tokens.tolist(), skip_special_tokens=False) == first.prompt + first.reply


def test_every_document_ends_in_the_end_token_whatever_the_style(press: Press) -> None:
    paper = documents(azr_environments(), azr.Prompts(azr.Style.PAPER), 0)
    wide = Press(recipe(longest=10_000), toy_documents, press.tokenizer, press.folder)
    for example in [*wide.encode(islice(paper, 5)), *wide.encode(islice(toy_documents(0), 5))]:
        assert example.tokens.tolist().count(press.tokenizer.token_to_id("<|end|>")) == 1


def test_a_generator_that_breaks_is_named(press: Press, tmp_path: Path) -> None:
    def broken(seed: int) -> Iterator[Document]:
        raise ZeroDivisionError("by nought")

    with Makers(Press(press.recipe, broken, press.tokenizer, tmp_path)) as makers, pytest.raises(azr.PluginError, match="by nought"):
        makers.wait(1)


def test_the_shipped_recipe_is_complete_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    shipped = read_recipe(RECIPE)
    assert shipped.weight("nobody/knows/solve") == shipped.reply_weight
    (tmp_path / "recipe.toml").write_text(RECIPE.read_text().replace("\npeak_rate", "\npeek_rate = 1\npeak_rate"))
    with pytest.raises(azr.ConfigError, match="unknown setting 'peek_rate'; did you mean 'peak_rate'"):
        read_recipe(tmp_path / "recipe.toml")
