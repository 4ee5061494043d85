"""A run that meets a fault: a damaged checkpoint, a full disk, a broken plugin, bad input."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playing import PLUGIN, STEPS, WORDS, Played, Stop, begin, play, played, uninterrupted

import azr_core as azr
from azr_core import checkpoint, run
from azr_core.directory import RunDirectory
from azr_core.run import Request


@pytest.fixture
def whole() -> Played:
    return uninterrupted()


@pytest.mark.parametrize("name", ["ballast", "scripted.json", checkpoint.MANIFEST])
@pytest.mark.parametrize("damage", ["cut", "gone", "changed"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(name: str, damage: str, whole: Played, tmp_path: Path) -> None:
    folder = play(tmp_path, steps=6)
    file = folder / "checkpoints" / "step-000006" / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"?" + content[1:])
    if (damage, name) != ("gone", checkpoint.MANIFEST):  # without its manifest it was never a checkpoint
        with pytest.raises(azr.RunError) as refusal:
            play(tmp_path, resume=True, steps=STEPS)
        assert str(file) in str(refusal.value) and "damaged" in str(refusal.value) and "\n" not in str(refusal.value)
        file.parent.rename(file.parent.with_name("step-000006.damaged"))
    ear = Stop(0)
    play(tmp_path, resume=True, steps=STEPS, listener=ear)
    assert ear.steps[0] == 4
    assert played(folder).episodes == whole.episodes and played(folder).tasks == whole.tasks


def test_checkpoints_of_steps_that_are_not_stored_are_removed(whole: Played, tmp_path: Path) -> None:
    folder = play(tmp_path, steps=6)
    checkpoints = folder / "checkpoints"
    (checkpoints / "step-000006").rename(checkpoints / "step-000099")
    (checkpoints / ".tmp-step-6").mkdir()
    play(tmp_path, resume=True, steps=STEPS)
    assert {path.name for path in checkpoints.iterdir()} == {"step-000009", "step-000012"}
    assert played(folder).episodes == whole.episodes


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_space(small_disk: Path, tmp_path: Path) -> None:
    with pytest.raises(azr.RunError) as refusal:
        play(small_disk, steps=100000, evaluation={"final": False})
    assert "\n" not in str(refusal.value) and "space" in str(refusal.value) and "--resume" in str(refusal.value)
    with pytest.raises(azr.RunError, match="space"):
        play(small_disk, resume=True)
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    folder = small_disk / "one"
    sealed = checkpoint.sealed(folder / "checkpoints")[-1]
    play(small_disk, resume=True, steps=sealed + 4)
    reference = played(play(tmp_path, steps=sealed + 4, evaluation={"final": False}))
    assert played(folder) == reference


def test_a_file_that_may_not_grow_is_one_line_and_the_run_goes_on_when_it_may(whole: Played, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    child = begin(tmp_path / "runs", *WORDS, "--steps", "100000", limit=limit)
    _, error = child.communicate(timeout=60)
    assert child.returncode == 2
    assert error.startswith("azr: ") and error.count("\n") == 1 and "--resume" in error
    play(tmp_path / "runs", resume=True, steps=STEPS)
    assert played(tmp_path / "runs" / "one").episodes[: len(whole.episodes)] == whole.episodes


BROKEN = {
    "import": "import azr_core as azr\nprint(undefined)",
    "hook": "import azr_core as azr\n@azr.hookimpl\ndef azr_environments():\n    raise KeyError('undefined')",
    "verifier": "import azr_core as azr\nclass V(azr.Verifier):\n    isolated = True\n    def admit(self, p): raise KeyError('undefined')\n"
    "    def grade(self, t, a): return 0.0\n@azr.hookimpl\ndef azr_verifier(environment): return V()",
    "step": "import azr_core as azr\n@azr.hookimpl\ndef azr_step(report): raise KeyError('undefined')",
}


@pytest.mark.parametrize("where", BROKEN)
def test_a_broken_plugin_stops_the_run_in_one_line_and_its_traceback_is_in_the_log(where: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN[where])
    words = ["--plugin", PLUGIN, "--plugin", "broken.py", "--set", "trainer.name=seeded", "--steps", "2"]
    child = begin(tmp_path / "runs", *words)
    _, error = child.communicate(timeout=60)
    assert child.returncode == 2
    assert error.startswith("azr: ") and error.count("\n") == 1 and "undefined" in error
    log = (tmp_path / "runs" / "one" / "run.log").read_text()
    assert "Traceback" in log and "broken.py" in log and "undefined" in log


@pytest.mark.parametrize(
    ("plugin", "settings", "words"),
    [
        ("pythn", {}, "did you mean 'python'?"),
        ("misspelt.py", {}, "there is no hook 'azr_enviroments'; did you mean 'azr_environments'?"),
        (PLUGIN, {"batch_sise": 3}, "unknown setting 'batch_sise'; did you mean 'batch_size'?"),
        (PLUGIN, {"evaluation": {"evry": 3}}, "unknown setting 'evaluation.evry'; did you mean 'every'?"),
        (PLUGIN, {"batch_size": "many"}, "setting 'batch_size' = 'many'"),
        (PLUGIN, {"reward": {"novelti": 1.0}}, "unknown setting 'novelti'; did you mean 'novelty'?"),
        (PLUGIN, {"trainer": {"name": "seded"}}, "no loaded plugin has a trainer named 'seded'"),
        (PLUGIN, {"environments": {"toys/cubing": 1.0}}, "toys/cubing"),
        (PLUGIN, {"plugin_options": {"pythn": {}}}, "did you mean 'python'?"),
    ],
)
def test_bad_input_is_one_line_that_names_the_mend_and_blocks_no_name(
    plugin: str, settings: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("misspelt.py").write_text("import azr_core as azr\n@azr.hookimpl\ndef azr_enviroments(): return []")
    asked = Request((plugin,), {"trainer": {"name": "seeded"}, "steps": 1} | settings, "one", tmp_path)
    with pytest.raises(azr.UsageError) as refusal:
        run.start(asked, azr.Listener())
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
    play(tmp_path, steps=1)


def test_a_run_name_that_exists_is_refused(tmp_path: Path) -> None:
    play(tmp_path, steps=1)
    with pytest.raises(azr.RunError, match=r"the run one exists.*--resume.*--name"):
        play(tmp_path, steps=1)


def test_a_run_that_is_being_played_is_not_taken_up(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    with directory.held(), pytest.raises(azr.RunError, match="being played"), directory.held():
        raise AssertionError("two processes play one run")
    with directory.held():
        pass


def test_a_start_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(azr.UsageError):
        run.start(Request(("pyton",), {}, "one", tmp_path), azr.Listener())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "thesis.txt").write_text("mine")
    with pytest.raises(azr.RunError, match=r"thesis\.txt"):
        run.start(Request(("pyton",), {}, "one", tmp_path), azr.Listener())
    assert (tmp_path / "one" / "thesis.txt").read_text() == "mine"


def test_a_start_beside_another_leaves_the_other_its_folder(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "one")
    directory.reserve()
    with directory.held(), pytest.raises(azr.RunError, match="being played"):
        run.start(Request(("python",), {}, "one", tmp_path), azr.Listener())
    assert directory.checkpoints.is_dir()


def test_a_part_that_is_no_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(azr.ConfigError, match="buffer"):
        run.start(Request(("python",), {"buffer": "uniform"}, "one", tmp_path), azr.Listener())
