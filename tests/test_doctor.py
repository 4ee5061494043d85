"""`azr doctor`: what it finds, what it says to do, and that a broken part is a line and not a crash."""

from __future__ import annotations

import importlib.metadata
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import azr_core as azr
from azr_core import checkpoint, doctor, tables
from azr_core.cli import main
from azr_plugins_python.executor import host as executor_host
from azr_plugins_python.executor.selftest import PROBES
from azr_plugins_python.training import machine
from azr_plugins_python.training.options import TrainerOptions

PLAYED = str(Path(__file__).with_name("played_plugin.py"))
KINDS = ["python/abduction", "python/deduction", "python/induction"]
Told = Callable[..., tuple[int, str]]


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Told:
    """The command in an empty folder: (exit code, stdout). What the trainer finds is not asked for: it takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "survey", lambda options: [azr.Check("device cpu", True, "2 threads")])

    def call(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["doctor", *arguments])
        assert isinstance(left.value.code, int)
        return left.value.code, capfd.readouterr().out

    return call


def rows(text: str, section: str) -> list[dict[str, Any]]:
    return [row for row in json.loads(text)["checks"] if row["section"] == section]


def test_the_self_test_is_told_probe_by_probe_and_once_for_verifiers_that_share_it(told: Told, tmp_path: Path) -> None:
    code, out = told("--plugin", "python", "--json")
    assert code == 0 and json.loads(out)["sound"] is True
    protection = rows(out, "protection")
    assert [row["name"] for row in protection] == ["level", *(probe.name for probe in PROBES)]
    assert all(row["about"] == KINDS and row["held"] and row["observed"] for row in protection)
    assert list(tmp_path.iterdir()) == []


def test_the_default_is_every_installed_plugin_and_the_trainer_is_asked_for_devices(told: Told) -> None:
    code, out = told("--json")
    assert code == 0
    assert {row["name"] for row in rows(out, "plugins")} == {plugin.name for plugin in azr.installed()}
    assert [row["name"] for row in rows(out, "plugin trl")] == ["device cpu"]
    assert {"azr", "Python", "system", "processor", "memory", "disk"} == {row["name"] for row in rows(out, "machine")}


def test_a_plugin_that_cannot_be_imported_is_one_line_with_a_mend(told: Told, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("print('loud')\n1 / 0\n")
    code, out = told("--plugin", "bad.py", "--plugin", PLAYED, "--json")
    bad, good, trainer = rows(out, "plugins")
    assert code == 1 and json.loads(out)["sound"] is False
    assert not bad["held"] and "ZeroDivisionError" in bad["observed"] and bad["mend"]
    assert good["held"] and trainer["name"] == "trl"


def test_what_a_plugin_needs_and_lacks_is_told_with_its_mend(told: Told, tmp_path: Path) -> None:
    hook = "@azr.hookimpl\ndef azr_checks() -> list[azr.Check]:\n    return [azr.Check('solver', False, 'absent', 'install the solver')]\n"
    (tmp_path / "needy.py").write_text(f"import azr_core as azr\n\n\n{hook}")
    code, out = told("--plugin", "needy.py")
    assert code == 1 and "broken  solver" in out and "solver: install the solver" in out


def test_a_verifier_that_fails_to_say_is_a_finding(told: Told, tmp_path: Path) -> None:
    source = Path(PLAYED).read_text().replace("class Verifier(", "class Silent(", 1)
    assert "isolated = True" in source
    source = source.replace("    isolated = True\n", "    isolated = True\n\n    def checks(self):\n        return 1 / 0\n", 1)
    (tmp_path / "silent.py").write_text(source.replace("Verifier()", "Silent()"))
    code, out = told("--plugin", "silent.py", "--json")
    (row,) = rows(out, "protection")
    assert code == 1 and not row["held"] and "ZeroDivisionError" in row["observed"]


def test_where_nothing_holds_both_ways_on_are_told_and_the_code_is_1(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_host.platform, "system", lambda: "Darwin")
    code, out = told("--plugin", "python")
    assert code == 1 and "sandbox L0" in out and "none for Darwin" in out
    assert "shipped Dockerfile" in out and out.count("--i-accept-unsandboxed-execution") == 1


def test_packages_that_are_missing_or_do_not_fit_come_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = ["pluggy>=999", "absent-one<2", "pydantic", 'absent-two>=1; extra == "vllm"', 'other; sys_platform == "none"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: asked)
    packages = next(section for section in doctor.examine([PLAYED], tmp_path) if section.title == "packages")
    found = {check.name: check for check in packages.checks}
    assert set(found) >= {"pluggy", "absent-one", "pydantic", "extra vllm"} and "other" not in found
    assert not found["pluggy"].held and found["pluggy"].mend.endswith("-m pip install 'pluggy>=999'")
    assert not found["absent-one"].held and found["absent-one"].observed == "missing, needed: <2"
    assert found["pydantic"].held and found["pydantic"].mend == ""
    assert found["extra vllm"].held and found["extra vllm"].mend.endswith("-m pip install 'azr[vllm]'")


def test_runs_are_told_with_the_model_of_their_last_checkpoint(told: Told, tmp_path: Path) -> None:
    for step in (3, 12):
        checkpoint.write(tmp_path / "runs/one/checkpoints", step, lambda folder: None, keep=5)
    (tmp_path / "runs/one/config.json").write_text("{}")
    (row,) = rows(told("--plugin", PLAYED, "--json")[1], "runs")
    assert (row["name"], row["observed"]) == ("one", "model in runs/one/checkpoints/step-000012")


def test_a_torch_that_cannot_be_imported_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.99: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = machine.survey(TrainerOptions())[0]
    assert found.name == "torch" and not found.held and "libcudart.so.99" in found.observed and "install torch" in found.mend


def test_devices_and_whole_models_of_the_cache_are_found_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, files in {"whole": ["config.json", "model.safetensors"], "cut": ["config.json"]}.items():
        folder = tmp_path / f"models--org--{name}" / "snapshots" / "1"
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).touch()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    found = machine.survey(TrainerOptions())
    assert {"torch", "device cpu", "default model"} <= {check.name for check in found if check.held}
    assert [check.observed for check in found if check.name == "cached model"] == ["org/whole"]


def test_a_model_that_is_not_there_is_broken() -> None:
    assert not next(check for check in machine.survey(TrainerOptions(model="gone")) if check.name == "default model").held


def test_the_report_fits_eighty_columns_and_loses_nothing() -> None:
    long = " ".join(f"word{number}" for number in range(40))
    checks = [azr.Check("sandbox", False, long, f"mend {long}"), azr.Check("extra", True, "absent", "pip install more")]
    shown = io.StringIO()
    Console(file=shown, width=80).print(tables.checks([("protection", ["a/b", "c/d"], checks)]))
    text = shown.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert text.split().count("word39") == 2 and "1 broken" in text and "pip install more" in text


def test_accepting_is_a_flag_of_a_run_and_kept_with_it(told: Told, tmp_path: Path) -> None:
    words = ["run", "--plugin", PLAYED, "--set", "trainer.name=scripted", "--set", "batch_size=4", "--steps", "0", "--name", "one"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--i-accept-unsandboxed-execution"])
    assert left.value.code == 0
    assert json.loads((tmp_path / "runs/one/config.json").read_text())["accept_unsandboxed"] is True
