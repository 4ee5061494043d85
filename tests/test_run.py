"""A whole run: killed, stopped, out of space, damaged, and taken up again."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core import checkpoint, run
from azr_core.directory import RunDirectory
from azr_core.run import Request

PLUGIN = str(Path(__file__).with_name("resumed_plugin.py"))
ROOT = Path(__file__).parents[1]
STEPS = 12
SETTINGS: Mapping[str, Any] = {
    "steps": STEPS, "batch_size": 4, "references": 2, "probe_samples": 4, "checkpoint_every": 3, "trainer": {"name": "seeded"},
    "evaluation": {"every": 4, "light_tasks": 5},
}  # fmt: skip
COMMAND = (sys.executable, "-c", "from azr_core.cli import main; main()", "run", "--name", "one")
EPISODE = "step, environment, kind, prompt_group, prompt, reply, outcome, reward, advantage, solve_rate, task, parents, trained"


@dataclass(frozen=True)
class Played:
    """What a run left behind; times are left out."""

    tasks: list[tuple[Any, ...]]
    episodes: list[tuple[Any, ...]]
    evaluations: list[azr.Evaluation]
    steps: list[int]


def played(folder: Path, up_to: int | None = None) -> Played:
    store = RunDirectory(folder).open_store()
    try:
        bound = (1 << 62) if up_to is None else up_to
        tasks = "SELECT number, id, environment, step, task, parents, skeleton FROM tasks WHERE step <= ? ORDER BY number"
        return Played(
            [tuple(row) for row in store._db.select(tasks, (bound,))],
            [tuple(row) for row in store._db.select(f"SELECT {EPISODE} FROM episodes WHERE step <= ? ORDER BY number", (bound,))],
            [evaluation for evaluation in store.evaluations() if evaluation.step <= bound],
            [step for step, _ in store.steps() if step <= bound],
        )
    finally:
        store.close()


def play(runs: Path, *, resume: bool = False, name: str = "one", listener: azr.Listener | None = None, **settings: Any) -> Path:
    """Play in this process; settings replace the usual ones of a new run, or are all that is said on resume."""
    asked = settings if resume else {**SETTINGS, **settings}
    request = Request(() if resume else (PLUGIN,), asked, name, runs, resume)
    return run.start(request, listener or azr.Listener())


def begin(runs: Path, *words: str, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """Start the command in another process; its plain lines come through the pipe."""
    runs.parent.mkdir(exist_ok=True, parents=True)
    return subprocess.Popen(
        [*COMMAND, "--runs-dir", str(runs), *words],
        cwd=runs.parent, env=os.environ | {"PYTHONPATH": str(ROOT)}, preexec_fn=limit,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual settings as a TOML file."""
    path = tmp_path_factory.mktemp("settings") / "run.toml"
    inner = "\n".join(f"[{name}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in table.items()) for name, table in tables().items())
    path.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in SETTINGS.items() if not isinstance(v, dict)) + "\n" + inner)
    return path


def tables() -> dict[str, dict[str, Any]]:
    return {name: value for name, value in SETTINGS.items() if isinstance(value, dict)}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The run that nothing interrupted."""
    return played(play(tmp_path_factory.mktemp("whole")))


class Stop(azr.Listener):
    """Interrupts its own process, as a person would, when a step is done."""

    def __init__(self, step: int) -> None:
        self.at = step
        self.steps: list[int] = []
        self.notes: list[str] = []
        self.ended: bool | None = None

    def step(self, report: azr.StepReport, total_steps: int, remaining_s: float | None) -> None:
        self.steps.append(report.step)
        if report.step == self.at:
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finished(self, run: Path, stopped: bool) -> None:
        self.ended = stopped


def test_the_same_seed_gives_the_same_tasks_rewards_and_measurements(whole: Played, tmp_path: Path) -> None:
    again = played(play(tmp_path))
    assert again == whole and whole.steps == list(range(1, STEPS + 1))
    other = played(play(tmp_path, name="two", seed=1))
    assert other.tasks != whole.tasks and other.episodes != whole.episodes


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_killed_at_random_moments_loses_nothing_and_doubles_nothing(seed: int, whole: Played, file: Path, tmp_path: Path) -> None:
    rng = random.Random(seed)
    folder = tmp_path / "runs" / "one"
    words = ["--plugin", PLUGIN, "--config", str(file)]
    for _ in range(3):
        kill(tmp_path / "runs", words, rng.randint(0, STEPS), rng.uniform(0.0, 0.03))
        if not (folder / "config.json").is_file():
            continue
        sealed = checkpoint.sealed(folder / "checkpoints")
        if sealed:
            assert played(folder, sealed[-1]) == before(whole, sealed[-1])
        words = ["--resume"]
    last = begin(tmp_path / "runs", *words)
    _, error = last.communicate(timeout=60)
    assert last.returncode == 0, error
    assert played(folder) == whole


def kill(runs: Path, words: list[str], step: int, delay: float) -> None:
    """Start the command and kill it some time after the line of a step, if it gets that far."""
    child = begin(runs, *words)
    assert child.stdout
    for line in child.stdout:
        if line.startswith(f"step {max(1, step)}/") or (step == 0 and "toys/heldout" in line):
            time.sleep(delay)
            break
    child.kill()
    child.communicate(timeout=60)


def before(whole: Played, step: int) -> Played:
    """What must lie in the store up to a step."""
    return Played(
        [row for row in whole.tasks if row[3] <= step],
        [row for row in whole.episodes if row[0] <= step],
        [evaluation for evaluation in whole.evaluations if evaluation.step < step],
        [number for number in whole.steps if number <= step],
    )


def test_an_interrupted_run_stops_after_its_step_and_goes_on(whole: Played, tmp_path: Path) -> None:
    ear = Stop(4)
    folder = play(tmp_path, listener=ear)
    assert ear.steps == [1, 2, 3, 4] and ear.ended and "stopping after this step; press Ctrl-C again to stop at once" in ear.notes
    assert checkpoint.sealed(folder / "checkpoints")[-1] == 4
    assert played(folder) == before(whole, 4)
    again = Stop(0)
    play(tmp_path, resume=True, listener=again)
    assert again.steps == list(range(5, STEPS + 1)) and again.ended is False
    assert played(folder) == whole


def test_ctrl_c_from_outside_seals_a_checkpoint_that_the_same_command_goes_on_from(file: Path, tmp_path: Path) -> None:
    child = begin(tmp_path / "runs", "--plugin", PLUGIN, "--config", str(file), "--steps", "100000")
    assert child.stdout
    for line in child.stdout:
        if line.startswith("step 2/"):
            child.send_signal(signal.SIGINT)
            break
    out, error = child.communicate(timeout=60)
    assert child.returncode == 0, error
    assert "azr run --resume --name one" in out
    folder = tmp_path / "runs" / "one"
    last = played(folder).steps[-1]
    assert 2 <= last < 100000 and checkpoint.sealed(folder / "checkpoints")[-1] == last
    play(tmp_path / "runs", resume=True, steps=last + 2)
    reference = played(play(tmp_path / "reference", steps=last + 2))
    assert played(folder).episodes == reference.episodes and played(folder).tasks == reference.tasks


def test_a_run_stops_when_its_minutes_are_over_and_goes_on_with_more(tmp_path: Path) -> None:
    ear = Stop(0)
    begun = time.monotonic()
    folder = play(tmp_path, steps=100000, minutes=0.01, listener=ear)
    assert ear.ended and time.monotonic() - begun < 10
    last = ear.steps[-1]
    assert checkpoint.sealed(folder / "checkpoints")[-1] == last
    play(tmp_path, resume=True, minutes=60, steps=last + 3)
    assert played(folder).steps == list(range(1, last + 4))


def test_a_changed_setting_is_refused_by_name_and_a_watching_one_is_not(whole: Played, tmp_path: Path) -> None:
    folder = play(tmp_path, steps=3)
    settled = (folder / "config.json").read_text()
    with pytest.raises(azr.RunError) as refusal:
        play(tmp_path, resume=True, batch_size=5, seed=1, reward={"novelty": 0.5}, steps=9)
    message = str(refusal.value)
    assert "\n" not in message and "steps" not in message
    for words in ("batch_size was 4, is 5", "seed was 0, is 1", "reward.novelty was 1.0, is 0.5"):
        assert words in message
    assert (folder / "config.json").read_text() == settled and played(folder).steps == [1, 2, 3]
    watching = {"minutes": 60, "checkpoint_every": 2, "keep_checkpoints": 1, "evaluation": {"every": 1, "greedy": False}}
    play(tmp_path, resume=True, steps=STEPS, **watching)
    assert played(folder).episodes == whole.episodes
    assert checkpoint.sealed(folder / "checkpoints") == [STEPS]
    assert json.loads((folder / "config.json").read_text())["evaluation"]["every"] == 1


def test_a_run_that_was_killed_before_its_last_measurement_makes_it_up(whole: Played, tmp_path: Path) -> None:
    folder = play(tmp_path)
    store = RunDirectory(folder).open_store()
    with store._db.transaction() as write:
        write.execute("DELETE FROM evaluations WHERE step IN (4, 12)")
    store.close()
    play(tmp_path, resume=True)
    assert {evaluation.step for evaluation in played(folder).evaluations} == {0, 8, 12}
    assert [row for row in played(folder).evaluations if row.step == STEPS] == [row for row in whole.evaluations if row.step == STEPS]


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


def test_a_file_that_may_not_grow_is_one_line_and_the_run_goes_on_when_it_may(whole: Played, file: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    child = begin(tmp_path / "runs", "--plugin", PLUGIN, "--config", str(file), "--steps", "100000", limit=limit)
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
