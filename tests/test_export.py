"""`azr export`: a folder that loads and says what it is, whole or absent, and pushed only when asked."""

from __future__ import annotations

import json
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_run import make_run

from azr_core import checkpoint, hub, run
from azr_core.cli import main
from azr_core.errors import ConfigError, RunError, UsageError
from azr_core.export import Exported, Wanted, export
from azr_core.history import read
from azr_core.lineage import Base, base
from azr_core.progress import Listener
from azr_core.run import Request
from azr_core.store import RunStore

TENSORS = {"weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
PARTS = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "azr.toml"}
BASE_CARD = "---\nlicense: other\nlicense_name: toy-licence\nlibrary_name: transformers\nbase_model: owner/ancestor\n---\n\n# Toy base\n"


def save(folder: Path) -> None:
    """What a trainer of Hugging Face models leaves: weights that only their owner may read, and the state of an optimiser."""
    head = json.dumps(TENSORS).encode()
    for name in PARTS:
        (folder / name).write_text("{}" if name.endswith("json") else "x = 1\n")
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(24))
    (folder / "model.safetensors").chmod(0o600)
    (folder / "optimizer.pt").write_bytes(b"pickled")
    settings = {"tokenizer_class": "TokenizersBackend", "is_local": True, "local_files_only": True, "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Runs of which `toys-001` has checkpoints of steps 30 and 60, and a base with a card."""
    place = tmp_path / "secret-place" / "base"
    place.mkdir(parents=True)
    (place / "README.md").write_text(BASE_CARD)
    (place / "LICENSE").write_text("the terms")
    made = make_run(tmp_path / "runs" / "toys-001", steps=60)
    note_base(made, str(place))
    for step in (30, 60):
        checkpoint.write(made / "checkpoints", step, save, keep=2)
    return made.parent


def note_base(made: Path, model: str) -> None:
    store = RunStore(made / "run.db")
    store.set_note("base", model)
    store.close()


def written(runs: Path, **asked: Any) -> tuple[Exported, dict[str, Any], str]:
    """What was exported, the front matter of its card, and the rest of it."""
    made = export(Wanted("toys-001", runs, **asked), runs.parent / "out")
    _, front, text = (made.folder / "README.md").read_text().split("---\n", 2)
    return made, yaml.safe_load(front), text


def refused(runs: Path, *words: str, **asked: Any) -> None:
    """The export is refused in one line that holds the words, and leaves nothing."""
    before = sorted(runs.parent.rglob("*"))
    with pytest.raises(UsageError) as refusal:
        export(Wanted(**{"run": "toys-001", "runs_dir": runs, **asked}), runs.parent / "out")
    assert "\n" not in str(refusal.value) and [word for word in words if word not in str(refusal.value)] == []
    assert sorted(runs.parent.rglob("*")) == before


def test_an_export_holds_the_model_and_nothing_that_only_a_resume_needs(runs: Path) -> None:
    made, _, _ = written(runs)
    assert {path.name for path in made.folder.iterdir()} == PARTS | {"model.safetensors", "README.md", "LICENSE"}
    assert made.step == 60 and (made.folder / "model.safetensors").read_bytes().endswith(bytes(24))


def test_everybody_may_read_what_is_exported(runs: Path) -> None:
    made, _, _ = written(runs)
    (probe := runs / "probe").touch()
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.folder.iterdir()} == {stat.S_IMODE(probe.stat().st_mode)}


def test_the_tokenizer_forgets_the_machine_that_wrote_it(runs: Path) -> None:
    made, _, _ = written(runs)
    settings = json.loads((made.folder / "tokenizer_config.json").read_text())
    assert settings == {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>"}


def test_the_card_has_the_front_matter_that_the_hub_reads(runs: Path) -> None:
    _, front, _ = written(runs)
    assert front.pop("tags") == ["azr", "absolute-zero", "self-play", "reinforcement-learning", "toys"]
    assert front == {
        "license": "other", "license_name": "toy-licence", "library_name": "transformers", "pipeline_tag": "text-generation",
        "base_model": "owner/ancestor", "base_model_relation": "finetune",
    }  # fmt: skip


def test_the_card_says_what_was_played_and_what_was_gained(runs: Path) -> None:
    _, _, text = written(runs)
    for told in ("# toys-001, step 60", "Toy base", "toys 1", "540,000 generated", "480,000 trained on", "float32", "toys/count"):
        assert told in text
    assert re.search(r"\| familiar \| all \| sampled \| 900 \| [\d.]+ % \| [\d.]+ % \| [+-][\d.]+ ± [\d.]+ \|", text)


def test_the_card_of_an_earlier_checkpoint_claims_nothing_that_came_later(runs: Path) -> None:
    made, _, text = written(runs, step=30)
    assert made.step == 30 and "270,000 generated" in text and "540,000" not in text and "went on to step 60" in text
    assert "made after step 20" in text  # the light one: 60 tasks of each kind
    assert re.search(r"\| familiar \| all \| sampled \| 180 \|", text)
    assert re.search(r"\| harder \| all \| greedy \| 900 \| .* \| - \| - \|", text)


def test_a_card_tells_no_place_on_this_machine(runs: Path) -> None:
    _, front, text = written(runs)
    assert str(runs.parent) not in text and "secret-place" not in text + str(front)


def test_a_licence_that_is_given_counts_more_than_that_of_the_base(runs: Path) -> None:
    made, front, _ = written(runs, licence="apache-2.0")
    assert made.licence == front["license"] == "apache-2.0" and "license_name" not in front


@pytest.mark.parametrize("card", ["", "# Toy base\n", "---\n[broken\n---\n", "---\n- a list\n---\n"])
def test_an_unknown_licence_is_said_to_be_unknown(card: str, runs: Path) -> None:
    (runs.parent / "secret-place/base/README.md").write_text(card)
    made, front, text = written(runs)
    assert made.licence == "" and front["license"] == "unknown" and "set --license" in text


def test_a_base_on_the_hub_is_named_and_linked(runs: Path) -> None:
    note_base(runs / "toys-001", "owner/model-7B")
    _, front, text = written(runs)
    assert front["base_model"] == "owner/model-7B" and "[owner/model-7B](https://huggingface.co/owner/model-7B)" in text


def test_a_base_that_nobody_recorded_is_said_to_be_unrecorded(runs: Path) -> None:
    note_base(runs / "toys-001", "")
    _, front, text = written(runs)
    assert "base_model" not in front and "not recorded" in text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"run": "toys-01"}, ("'toys-01'", "did you mean 'toys-001'?")),
        ({"step": 45}, ("step 45", "30, 60")),
        ({"licence": "Apache 2!"}, ("--license", "apache-2.0")),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(asked: dict[str, Any], words: Sequence[str], runs: Path) -> None:
    refused(runs, *words, **asked)


def test_a_run_without_a_checkpoint_says_how_to_get_one(runs: Path) -> None:
    shutil.rmtree(runs / "toys-001/checkpoints")
    refused(runs, "no checkpoint", "--resume --name toys-001")


MENDING = """
import shutil
import azr_core as azr

@azr.hookimpl
def azr_export(checkpoint, folder):
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
    return (folder / "part.safetensors").rename(folder / "model.safetensors").parent
"""


def test_a_plugins_azr_export_makes_a_model_of_a_checkpoint_that_is_none(runs: Path) -> None:
    (plugin := runs.parent / "mending.py").write_text(MENDING)
    config = runs / "toys-001" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"plugins": [str(plugin)], "trainer": {"name": "mending"}}))

    def save_part(folder: Path) -> None:
        save(folder)
        (folder / "model.safetensors").rename(folder / "part.safetensors")

    checkpoint.write(runs / "toys-001" / "checkpoints", 60, save_part, keep=2)
    made, _, _ = written(runs)
    assert {path.name for path in made.folder.iterdir()} == PARTS | {"model.safetensors", "README.md", "LICENSE"}


def test_a_checkpoint_that_is_no_model_is_refused(runs: Path) -> None:
    checkpoint.write(runs / "toys-001/checkpoints", 61, lambda folder: (folder / "state.json").touch(), keep=3)
    refused(runs, "step-000061", "config.json", "trl")


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt"])
def test_a_damaged_checkpoint_is_not_given_away(name: str, runs: Path) -> None:
    path = runs / "toys-001/checkpoints/step-000060" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    refused(runs, name, "damaged")


def test_a_folder_that_is_not_empty_is_left_alone(runs: Path) -> None:
    (runs.parent / "out").mkdir()
    (runs.parent / "out/mine.txt").touch()
    refused(runs, "not empty", "--to")


def test_an_empty_folder_is_filled(runs: Path) -> None:
    (runs.parent / "out").mkdir()
    assert (written(runs)[0].folder / "config.json").is_file()


def test_a_model_among_the_runs_would_be_taken_for_one(runs: Path) -> None:
    with pytest.raises(ConfigError, match="taken for one"):
        export(Wanted("toys-001", runs), runs / "model")


def full(source: Path, target: Path) -> None:
    target.write_bytes(b"half")
    raise OSError(28, "No space left on device")


def killed(source: Path, target: Path) -> None:
    target.write_bytes(b"half")
    raise KeyboardInterrupt


def test_a_full_disk_leaves_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "copyfile", full)
    refused(runs, "No space left", "free some space")


def test_a_stop_leaves_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(runs.parent.rglob("*"))
    monkeypatch.setattr(shutil, "copyfile", killed)
    with pytest.raises(KeyboardInterrupt):
        export(Wanted("toys-001", runs), runs.parent / "out")
    assert sorted(runs.parent.rglob("*")) == before


def test_what_a_kill_left_is_cleared_away_by_the_next_export(runs: Path) -> None:
    (left := runs.parent / ".out.part").mkdir()
    (left / "junk.bin").write_bytes(b"half")
    made, _, _ = written(runs)
    assert not left.exists() and not (made.folder / "junk.bin").exists()


class Api:
    """The hub's interface as far as it is used; says what it was asked. fault: what an upload meets."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault, self.asked = fault, list[tuple[str, str]]()

    def whoami(self) -> None:
        self.asked.append(("whoami", ""))

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        assert private and exist_ok
        self.asked.append(("create", repo_id))

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str, delete_patterns: list[str]) -> None:
        if self.fault:
            raise self.fault
        self.asked.append(("upload", folder_path))


def test_a_push_makes_a_private_repository_and_uploads_the_folder() -> None:
    api = hub.connect("me/mine", Api())
    assert hub.push(api, Path("out"), "me/mine", "a message") == "https://huggingface.co/me/mine"
    assert isinstance(api, Api) and api.asked == [("whoami", ""), ("create", "me/mine"), ("upload", "out")]


def test_a_push_that_fails_keeps_the_folder_and_says_how_to_go_on() -> None:
    with pytest.raises(RunError, match=r"out is written.*\(no route\); mend it and use `hf upload me/mine out`"):
        hub.push(Api(ConnectionError("no route\nmore")), Path("out"), "me/mine", "a message")


@pytest.mark.parametrize("repo", ["mine", "a/b/c", "me/mi ne", "me/..", "me/a--b"])
def test_a_name_that_is_no_repository_is_refused(repo: str) -> None:
    with pytest.raises(ConfigError, match="--push"):
        hub.connect(repo, Api())


def test_a_push_without_a_token_is_refused_before_anything_is_written(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(SystemExit) as left:
        main(["export", "toys-001", "--to", str(runs.parent / "out"), "--runs-dir", str(runs), "--push", "me/mine"])
    assert left.value.code == 2 and "hf auth login" in capfd.readouterr().err and not (runs.parent / "out").exists()


def test_the_command_says_what_was_written_and_pushes_only_when_asked(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    api = Api()
    monkeypatch.setattr(hub, "connect", lambda repo: api)
    command = ["export", "toys-001", "--runs-dir", str(runs), "--to"]
    for extra in ([], ["--push", "me/mine"]):
        out = runs.parent / f"out{len(extra)}"
        with pytest.raises(SystemExit) as left:
            main([*command, str(out), *extra])
        assert left.value.code == 0 and str(out) in capfd.readouterr().out
        assert api.asked == ([("create", "me/mine"), ("upload", str(out))] if extra else [])
    assert "'me/mine'  # this folder" not in (runs.parent / "out0/README.md").read_text()


NAMED = """
from played_plugin import *

class Named(Learner):
    def describe(self):
        return {"model": "owner/model"}

@azr.hookimpl
def azr_trainer(part):
    return Named() if part.name == "named" else None
"""


def test_a_run_records_the_model_that_its_trainer_started_from(tmp_path: Path) -> None:
    plugin = tmp_path / "named.py"
    plugin.write_text(NAMED)
    settings = {"steps": 1, "batch_size": 1, "trainer": {"name": "named"}, "evaluation": {"final": False}}
    played = run.start(Request((str(plugin),), settings, "one", tmp_path / "runs"), Listener())
    assert read(played).base == "owner/model"


def test_the_base_of_an_older_run_is_the_model_of_its_settings(tmp_path: Path) -> None:
    made = make_run(tmp_path / "toys-001")
    config = json.loads((made / "config.json").read_text()) | {"trainer": {"name": "trl", "model": str(tmp_path)}}
    (made / "config.json").write_text(json.dumps(config))
    assert read(made).base == str(tmp_path)


def test_a_checkpoint_as_base_is_called_by_its_run_and_step() -> None:
    assert base("/home/someone/runs/python-001/checkpoints/step-000100").title == "python-001, step-000100"


def test_a_readme_beside_a_base_counts_only_if_it_is_a_models_card(tmp_path: Path) -> None:
    (folder := tmp_path / "model").mkdir()
    (tmp_path / "README.md").write_text(BASE_CARD)
    assert base(str(folder)).title == "Toy base"
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# A page\n")
    assert base(str(folder)) == Base("model")
