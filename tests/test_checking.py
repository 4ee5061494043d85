"""`azr plugins check` from outside: what a plugin does to its process is named, contained, and nobody else's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from weak_processes import WEAK

from azr_core.checking import check_plugins
from azr_core.footprint import Footprint
from azr_core.proctor import Pair, Proctor, Report
from azr_core.run import Request
from azr_core.trials import TRIALS

HERE = Path(__file__).parent
TOY, PROCESSES = str(HERE / "toy_plugin.py"), str(HERE / "weak_processes.py")
SOUND = (HERE / "toy_plugin.py").read_text()
IMPATIENT = {"verify_timeout": 0.5}
DEPENDENT = {
    "runtime.resource_bounds": "huge-reply",  # where it shows
    "slow-proposals": "trivial-proposals",
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        file = tmp_path / "mine.py"
        file.write_text(text)
        return str(file)

    return write


@pytest.fixture(autouse=True)
def tests_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def checked(plugin: str, *only: Pair) -> Report:
    return Proctor(plugin, [plugin], IMPATIENT).check(only)


def planted(name: str) -> Pair:
    """Where the fault of a weak environment shows."""
    where = "semantic.canary_floor" if name == "mortal" else "".join(DEPENDENT.get(id, id) for id in WEAK[name].ids)
    return f"weak/{name}", where or "semantic.verifier_portability"


@pytest.mark.parametrize(
    "names",
    [
        ("sound", "hashed", "dated", "placed"),
        ("dutiful", "mortal"),
        *(pytest.param((name,), marks=pytest.mark.slow) for name in ("patient", "busy")),
    ],
    ids="-".join,
)
def test_a_fault_that_needs_a_process_is_found_in_one(names: tuple[str, ...]) -> None:
    report = checked(PROCESSES, *map(planted, names))
    assert not report.error
    for name in names:
        assert {finding.trial for finding in report.of(f"weak/{name}")} == WEAK[name].ids, report.findings
    assert {*report.tried} == {*map(planted, names)}


def test_trials_go_on_after_one_that_was_lost_with_its_process() -> None:
    report = checked(PROCESSES, ("weak/jailed", "huge-reply"), ("weak/sound", "semantic.floor_gap"))
    assert report.tried == [("weak/jailed", "huge-reply"), ("weak/sound", "semantic.floor_gap")]
    [finding] = report.findings
    assert finding.environment == "weak/jailed" and "trial huge-reply" in finding.input and "no sign of life" in finding.seen


def test_a_plugin_that_loses_process_after_process_is_given_up_and_that_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        SOUND.replace("    if not all(map(", "    import os\n    os._exit(5)\n    if not all(map(").replace(
            "Sorting]):", "Sorting]):\n    isolated = True"
        )
    )
    report = Proctor("mine", [str(file)], {}).check()
    lost = [finding for finding in report.findings if finding.environment == "toy/sorting"]
    assert len(lost) == len(report.tried) == 4 and all("its process ended (exit code 5)" in finding.seen for finding in lost)
    assert [finding.seen for finding in report.of("mine")] == ["lost 4 processes, so the other trials were not begun"]


def hook(answer: str) -> str:
    """Environments of another sort."""
    return f"made = [azr_environments]\n\n@azr.hookimpl\ndef azr_environments():\n    return {answer}\n"


GALLERY = sorted(str(file) for file in (HERE.parent / "plugins").glob("*.py"))
QUICK = ("semantic.floor_gap", "semantic.canary_floor", "always-equal", "runtime.host_containment")


def test_the_smallest_plugin_holds_everything() -> None:
    report = Proctor("sorting", [str(HERE.parent / "plugins/sorting.py")], {}).check()
    assert (report.error, report.findings) == ("", [])
    assert len(report.tried) == len(TRIALS) and report.figures["order/sorting"]["guess_share"] <= 0.05


@pytest.mark.parametrize("plugin", ["python", "math"])
def test_the_shipped_domains_hold_the_attacks_on_the_grade(plugin: str) -> None:
    kinds = ("deduction", "abduction", "induction")
    report = Proctor(plugin, [plugin], {}).check([(f"{plugin}/{kind}", trial) for kind in kinds for trial in QUICK])
    assert (report.error, report.findings, len(report.tried)) == ("", [], 12)


@pytest.mark.slow
@pytest.mark.parametrize("plugin", ["python", "math", *GALLERY], ids=lambda plugin: Path(plugin).stem)
def test_every_shipped_plugin_holds_everything(plugin: str) -> None:
    changes_python = plugin in GALLERY and "--plugin python" in Path(plugin).read_text()
    report = Proctor(plugin, ["python", plugin] if changes_python else [plugin], {}).check()
    if "pip install" in report.error:
        pytest.skip(report.error)
    assert not report.error and [finding for finding in report.findings if finding.grave] == []


BROKEN = {
    "raises": ("1 / 0\n", "failed to import: ZeroDivisionError"),
    "exits": ("import os\nos._exit(7)\n", "its process ended (exit code 7)"),
    "leaves": ("raise SystemExit(0)\n", "failed to import: SystemExit"),
    "hangs": ("while True:\n    pass\n", "no sign of life"),
    "wrong type": (SOUND + hook("{}"), "azr_environments returned dict, not a list of Environment"),
    "no environment": (SOUND + hook("[7]"), "azr_environments returned int, not Environment"),
    "a name twice": (SOUND + hook("2 * made[0]()"), "toy/sorting"),
    "a hook that hangs": (SOUND + hook("[one for one in iter(int, 1)]"), "no sign of life"),
}


@pytest.mark.parametrize("what", [pytest.param(what, marks=pytest.mark.slow if what == "a hook that hangs" else ()) for what in BROKEN])
def test_a_plugin_that_cannot_be_loaded_is_broken_and_named(what: str, write: Callable[[str], str]) -> None:
    text, words = BROKEN[what]
    file = write(text)
    report = checked(file)
    assert report.code == 2 and words in report.error and "mine" in report.error, report.error
    assert "\n" not in report.error


LITTER = """
import builtins, json, os, random, signal, sys
random.seed(1)
os.environ["MINE"] = "1"
os.chdir("/")
sys.path.insert(0, "/nowhere")
dumps = json.dumps
json.dumps = lambda *a, **k: dumps(*a, **k)
builtins.print = lambda *what, **how: None
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.stdout = None
"""


def test_what_a_plugin_changes_is_named_put_back_and_does_no_harm(write: Callable[[str], str]) -> None:
    before = Footprint.take()
    report = checked(write(SOUND + LITTER), ("toy/sorting", "semantic.oracle_max"))
    names = {"the random state", "os.environ", "the working directory", "sys.path", "json.dumps", "builtins.print", "the handler of SIGINT"}
    assert not report.error
    assert {finding.seen.removesuffix(" is not what it was") for finding in report.findings} == names | {"sys.stdout"}
    assert {finding.trial for finding in report.findings} == {"runtime.episode_isolation"} and report.code == 1
    assert before.changes() == []


def test_a_plugin_that_floods_the_output_is_named_and_nothing_of_it_is_shown(write: Callable[[str], str], capfd: Any) -> None:
    file = write(SOUND + "\nfor line in range(100_000):\n    print('line', line)\n")
    report = Proctor(file, [file], {}).check([("toy/sorting", "semantic.floor_gap")])
    assert not report.error
    [finding] = report.findings
    assert finding.trial == "runtime.startup" and finding.seen == "wrote 100,000 lines"
    assert capfd.readouterr() == ("", "")


def test_a_broken_plugin_leaves_the_others_alone(write: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    requests = [Request((name,), IMPATIENT) for name in (write("1 / 0"), str(HERE.parent / "plugins/step_log.py"))]
    assert check_plugins(requests, (), as_json=True) == 2
    broken, fine = json.loads(capsys.readouterr().out)
    assert "ZeroDivisionError" in broken["error"] and (fine["code"], fine["error"]) == (0, None)


def test_warnings_alone_do_not_fail() -> None:
    report = Report("mine")
    assert report.code == 0
    report.error = "broken"
    assert report.code == 2


def test_the_pytest_plugin_makes_a_test_of_each_trial(tmp_path: Path) -> None:
    weak = tmp_path / "weak.py"
    weak.write_text(SOUND.replace("return float(read(answer)", "return float(not answer or read(answer)"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "azr_pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "-c",
        "/dev/null",
        "--rootdir",
        str(tmp_path),
    ]
    run = subprocess.run(
        [*command, "--azr-plugin", str(weak), "-k", "floor_gap or oracle_max"],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, env={"PYTHONPATH": str(HERE.parent), "PATH": ""},
    )  # fmt: skip
    assert "1 failed, 1 passed" in run.stdout, run.stdout + run.stderr
    assert "azr[toy/sorting-semantic.floor_gap]" in run.stdout and "scores 1 for the task" in run.stdout


def test_the_pytest_plugin_costs_nothing_where_it_is_not_asked_for() -> None:
    code = "import sys, azr_pytest; print(sorted(name for name in sys.modules if name.startswith(('azr_core', 'pydantic'))))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE.parent)
    assert found.stdout.strip() == "[]"
