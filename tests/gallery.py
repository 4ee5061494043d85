"""What the tests of the gallery share: a plugin's environments, judged as a run judges, and a short run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core.cli import main
from azr_core.desk import judge
from azr_core.directory import RunDirectory
from azr_core.subject import Subject
from azr_core.trials import TRIALS, examine
from azr_core.verification import Verification

ROOT = Path(__file__).parents[1]
LONG = {"huge-reply", "nested-reply", "oversize-proposals", "semantic.verifier_portability", "statistical.adversarial_floor"}
PLAYER = str(ROOT / "tests/demonstrating_plugin.py")


def file(name: str) -> str:
    return str(ROOT / "plugins" / f"{name}.py")


@cache
def environments(name: str) -> Mapping[str, azr.Environment]:
    """A plugin's environments, from its file."""
    return azr.load([file(name)]).environments(azr.RunConfig(plugins=(file(name),)))


def admitted(environment: azr.Environment, **proposal: Any) -> azr.Task:
    """The task that a proposal makes. Raises InvalidTask or FormatError."""
    read = environment.proposer.parse(json.dumps(proposal), ())
    task: azr.Task = environment.verifier.admit(read)
    return task


def scores(environment: azr.Environment, task: azr.Task, answers: Sequence[str]) -> list[float | str]:
    """What each answer earns; `unread` for what is no answer."""
    judged = judge(environment, "grade", [(task, answer) for answer in answers])
    return ["unread" if isinstance(grade, azr.FormatError) else float(grade) for grade in judged]


def assert_attacks_find_nothing(name: str, scratch: Path) -> None:
    """What `azr plugins check` tries, but for what takes long; all of it is tried on every plugin in test_checking.py."""
    chosen = [trial for trial in TRIALS if trial.id not in LONG]
    with closing(Verification()) as verification:
        for environment in environments(name).values():
            subject = Subject(environment, verification, scratch / "canary")
            found = [str(finding) for _, findings in examine(subject, chosen) for finding in findings]
            assert (environment.name, found) == (environment.name, [])


def assert_plays(name: str, runs: Path) -> None:
    """Two steps of self-play, in which every environment admits a task and sees it solved."""
    few = ["--set", "batch_size=4", "--set", "probe_samples=2", "--set", "evaluation.final=false", "--steps", "2", "--set", "workers=1"]
    player = ["--plugin", PLAYER, "--set", "trainer.name=demonstrating", "--set", f"trainer.file={file(name)}"]
    with pytest.raises(SystemExit) as left:
        main(["run", "--plugin", file(name), *player, *few, "--runs-dir", str(runs), "--name", "one"])
    assert left.value.code == 0
    store = RunDirectory(runs / "one").open_store()
    try:
        rows = store._db.select("SELECT DISTINCT environment, outcome FROM episodes", ())
        seen = {(str(environment), str(outcome)) for environment, outcome in rows}
    finally:
        store.close()
    for environment in environments(name):
        assert {(environment, "admitted"), (environment, "solved")} <= seen
