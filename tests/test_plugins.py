"""Loading plugins and asking their hooks."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr

TOY = str(Path(__file__).with_name("toy_plugin.py"))
Writer = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a plugin file and returns its path."""

    def _write(body: str, name: str = "sample") -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(f"import azr_core as azr\n{body}")
        return str(path)

    return _write


def config(**settings: Any) -> azr.RunConfig:
    return azr.RunConfig(plugins=("sample",), **settings)


def test_a_plugin_file_brings_its_environments() -> None:
    plugins = azr.load([TOY])
    assert list(plugins.environments(config())) == ["toy/sorting"]
    assert plugins.names == (TOY,)


def test_two_runs_do_not_share_plugins(write: Writer) -> None:
    first, second = azr.load([TOY]), azr.load([write("")])
    assert first.environments(config()) and not second.environments(config())


def test_a_file_is_named_by_its_stem_and_hashed(write: Writer) -> None:
    core, plugin = azr.load([write("")]).listing()
    assert (core["name"], plugin["name"]) == ("azr_core", "sample")
    assert re.fullmatch("[0-9a-f]{64}", plugin["sha256"])
    assert azr.load([write("x = 1")]).listing()[1]["sha256"] != plugin["sha256"]


def test_a_relative_path_reaches_other_processes_absolute(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(write(""))
    monkeypatch.chdir(path.parent)
    assert azr.load([path.name]).names == (str(path),)


def test_what_a_plugin_requires_is_loaded_first(write: Writer) -> None:
    write("", "base")
    names = [row["name"] for row in azr.load([write('azr_requires = ("base.py",)')]).listing()]
    assert names == ["azr_core", "base", "sample"]


def test_closing_forgets_the_file_modules(write: Writer) -> None:
    before = set(sys.modules)
    plugins = azr.load([write("")])
    assert set(sys.modules) - before
    plugins.close()
    assert set(sys.modules) == before


def test_closing_closes_the_verifiers_that_were_handed_out(write: Writer) -> None:
    plugins = azr.load([TOY])
    closed: list[str] = []
    verifier = plugins.environments(config())["toy/sorting"].verifier
    verifier.close = lambda: closed.append("closed")  # type: ignore[method-assign]
    plugins.close()
    plugins.close()
    assert closed == ["closed"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "@azr.hookimpl\ndef azr_enviroments(config): return []",
            r"'sample': there is no hook 'azr_enviroments'; did you mean 'azr_environments'",
        ),
        ("@azr.hookimpl\ndef on_step(report): pass", "'sample': there is no hook 'on_step'"),
        ("def azr_step(report): pass", "'sample': the function azr_step is not a hook yet; mark it with @azr.hookimpl"),
        ("@azr.hookimpl\ndef azr_step(reprot): pass", "(?s)'sample' breaks the contract.*reprot"),
        ("@azr.hookimpl(wrapper=True)\ndef azr_step(report): yield", "azr_step is a wrapper"),
        ('azr_requires = "base"', "azr_requires = 'base' must be a tuple"),
        ("1/0", "failed to import: ZeroDivisionError: division by zero"),
        ("import no_such_module_here", "failed to import: ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("raise SystemExit(3)", "failed to import: SystemExit: 3"),
        ("def f(:", "failed to import: SyntaxError"),
    ],
)
def test_a_broken_plugin_is_one_line_that_names_it(write: Writer, body: str, message: str) -> None:
    with pytest.raises(azr.PluginError, match=message) as caught:
        azr.load([write(body)])
    assert "sample" in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_plugin_is_an_error() -> None:
    with pytest.raises(azr.PluginError, match="plugin 'no_such_plugin' is not installed"):
        azr.load(["no_such_plugin"])
    with pytest.raises(azr.PluginError, match="does not exist"):
        azr.load(["/no/such/file.py"])


def test_two_files_of_one_name_are_an_error(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/sample.py").write_text("")
    with pytest.raises(azr.PluginError, match="two plugins are named 'sample'"):
        azr.load([write(""), str(tmp_path / "other/sample.py")])


def test_the_traceback_of_a_failed_import_is_in_the_log(write: Writer, tmp_path: Path) -> None:
    with pytest.raises(azr.PluginError):
        azr.load([write("1/0")], tmp_path / "run.log")
    assert "1/0" in (tmp_path / "run.log").read_text()


def test_a_plugin_that_does_not_import_fails_only_who_asks_for_it(write: Writer) -> None:
    write("1/0", "broken")
    azr.load([TOY])


def test_an_error_inside_a_hook_names_plugin_and_hook(write: Writer, tmp_path: Path) -> None:
    plugins = azr.load([write("@azr.hookimpl\ndef azr_environments(config): return [1][5]")], tmp_path / "run.log")
    with pytest.raises(azr.PluginError, match="'sample' failed in azr_environments: IndexError") as caught:
        plugins.environments(config())
    assert isinstance(caught.value.__cause__, IndexError)
    assert "[1][5]" in (tmp_path / "run.log").read_text()


def test_a_usage_error_inside_a_hook_is_passed_on(write: Writer) -> None:
    plugins = azr.load([write("@azr.hookimpl\ndef azr_trainer(part): raise azr.ConfigError('mend it')")])
    with pytest.raises(azr.ConfigError, match=r"^mend it$"):
        plugins.trainer(config())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("azr_environments(config): return 5", "'sample': azr_environments returned int, not a list of Environment"),
        ("azr_environments(config): return ['x']", "azr_environments returned str, not Environment"),
        ("azr_environments(config): return [azr.Environment('Toy', None, None, ())]", "'Toy' is not of the form domain/kind"),
        ("azr_environments(config): return [azr.Environment('toy/x', None, None, ())]", "returned NoneType, not Proposer"),
    ],
)
def test_a_wrong_answer_names_plugin_and_hook(write: Writer, body: str, message: str) -> None:
    with pytest.raises(azr.PluginError, match=re.escape(message)):
        azr.load([write(f"@azr.hookimpl\ndef {body}")]).environments(config())


def test_one_environment_of_two_plugins_is_an_error_that_names_both(tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text(Path(TOY).read_text())
    with pytest.raises(azr.PluginError, match=r"environment 'toy/sorting' comes from two plugins, 'toy_plugin' and 'copy'"):
        azr.load([TOY, str(copy)]).environments(config())


REPLACE = """
class Kind(azr.Verifier):
    def admit(self, proposal): raise azr.InvalidTask("never")
    def grade(self, task, answer): return 0.0

@azr.hookimpl
def azr_verifier(environment):
    return Kind() if environment.name == "toy/sorting" else None
"""


def test_azr_verifier_replaces_one_verifier(write: Writer) -> None:
    environment = azr.load([TOY, write(REPLACE)]).environments(config())["toy/sorting"]
    assert type(environment.verifier).__name__ == "Kind"
    assert type(environment.proposer).__name__ == "ToyProposer"


def test_azr_proposer_replaces_one_proposer(write: Writer) -> None:
    body = """
class Terse(azr.Proposer):
    def prompt(self, references): return "Numbers?"
    def parse(self, answer, references): raise azr.FormatError("no")

@azr.hookimpl
def azr_proposer(environment): return Terse()
"""
    environment = azr.load([TOY, write(body)]).environments(config())["toy/sorting"]
    assert environment.proposer.prompt(()) == "Numbers?"


def test_two_replacements_of_one_part_are_an_error_that_names_both(write: Writer) -> None:
    plugins = azr.load([TOY, write(REPLACE, "one"), write(REPLACE, "two")])
    with pytest.raises(azr.PluginError, match=r"azr_verifier 'toy/sorting' comes from two plugins, 'one' and 'two'"):
        plugins.environments(config())


def test_a_part_nobody_has_is_an_error_that_lists_who_was_asked() -> None:
    with pytest.raises(azr.PluginError, match=r"no loaded plugin has a reward shaper named 'lernability' \(asked: azr_core, toy_plugin\)"):
        azr.load([TOY]).shaper(config(reward=azr.Part(name="lernability")))


def test_the_default_parts_are_a_plugin_like_any_other() -> None:
    plugins = azr.load([])
    assert isinstance(plugins.buffer(config()), azr.Buffer)
    assert isinstance(plugins.shaper(config()), azr.RewardShaper)


PARTS = """
class Nothing(azr.Buffer):
    def add(self, environment, task): return False
    def sample(self, environments, k, rng): return []
    def count(self, environment): return 0

class Flat(azr.RewardShaper):
    def reward(self, episode): return 0.0
    def advantages(self, episodes): return [0.0 for _ in episodes]

@azr.hookimpl
def azr_buffer(part): return Nothing() if part.name == "nothing" else None

@azr.hookimpl
def azr_reward_shaper(part, config): return Flat() if part.name == "flat" and part.options["depth"] == config.steps else None
"""


def test_a_plugin_brings_a_buffer_and_a_reward_shaper_by_name(write: Writer) -> None:
    plugins = azr.load([write(PARTS)])
    settings = config(buffer=azr.Part(name="nothing"), reward=azr.Part.model_validate({"name": "flat", "depth": 5}), steps=5)
    assert plugins.buffer(settings).count("toy/sorting") == 0
    assert plugins.shaper(settings).advantages([]) == []
    assert type(plugins.buffer(config())).__name__ != "Nothing"


def test_two_plugins_with_one_buffer_are_an_error_that_names_both(write: Writer) -> None:
    plugins = azr.load([write(PARTS, "one"), write(PARTS, "two")])
    with pytest.raises(azr.PluginError, match="azr_buffer 'nothing' comes from two plugins, 'one' and 'two'; load one of them"):
        plugins.buffer(config(buffer=azr.Part(name="nothing")))


def test_defaults_of_several_plugins_are_merged_in_the_order_of_loading(write: Writer) -> None:
    first = write("@azr.hookimpl\ndef azr_defaults(settings): return {'steps': 1, 'evaluation': {'every': 2}}", "one")
    second = write("@azr.hookimpl\ndef azr_defaults(settings): return {'steps': settings['seed'], 'evaluation': {'samples': 3}}", "two")
    assert azr.load([first, second]).defaults({"seed": 9}) == {"steps": 9, "evaluation": {"every": 2, "samples": 3}}


def test_azr_step_tells_every_plugin(write: Writer, tmp_path: Path) -> None:
    body = f"@azr.hookimpl\ndef azr_step(report):\n    with open({str(tmp_path / 'seen')!r}, 'a') as file: file.write(str(report.step))"
    azr.load([write(body, "one"), write(body, "two")]).step(azr.StepReport(7, (), {}), config())
    assert (tmp_path / "seen").read_text() == "77"


BENCHMARKS = """
@azr.hookimpl
def azr_benchmarks(config): return [azr.Benchmark({names}, {{}}, {{}}) for name in ("b", "a")]
"""


def test_benchmarks_come_sorted_and_never_twice(write: Writer) -> None:
    assert [b.name for b in azr.load([write(BENCHMARKS.format(names="name"))]).benchmarks(config())] == ["a", "b"]
    with pytest.raises(azr.PluginError, match="benchmark 'same' comes from two plugins"):
        azr.load([write(BENCHMARKS.format(names="'same'"))]).benchmarks(config())


class Toast(azr.Options):
    """Options of a test."""

    crust: int = 3


def test_plugin_options_are_parsed_by_the_plugins_own_model() -> None:
    assert azr.plugin_options(config(), "sample", Toast).crust == 3
    assert azr.plugin_options(config(plugin_options={"sample": {"crust": 5}}), "sample", Toast).crust == 5
    with pytest.raises(azr.ConfigError, match=r"\[plugins.sample\]: unknown setting 'crsut'; did you mean 'crust'"):
        azr.plugin_options(config(plugin_options={"sample": {"crsut": 5}}), "sample", Toast)


def test_options_for_a_plugin_that_does_not_exist_are_an_error() -> None:
    with pytest.raises(azr.ConfigError, match=r"\[plugins.toy_plugni\]: no plugin of that name; did you mean 'toy_plugin'"):
        azr.load([TOY]).environments(config(plugin_options={"toy_plugni": {}}))


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution `azr-trees` 1.5 with the plugin `trees`."""
    (tmp_path / "site/azr_trees").mkdir(parents=True)
    (tmp_path / "site/azr_trees/__init__.py").write_text('"""A plugin."""')
    (tmp_path / "site/azr_trees/plugin.py").write_text('azr_requires = ("leaves",)')
    (tmp_path / "site/azr_leaves.py").write_text("")
    info = tmp_path / "site/azr_trees-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: azr-trees\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[azr]\ntrees = azr_trees.plugin\nleaves = azr_leaves\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield tmp_path / "site"
    for name in ("azr_trees", "azr_trees.plugin", "azr_leaves"):
        sys.modules.pop(name, None)


def test_an_installed_plugin_is_loaded_by_its_name_and_hashed_as_a_whole(distribution: Path) -> None:
    before = azr.load(["trees"]).listing()
    assert [(row["name"], row["version"]) for row in before[1:]] == [("leaves", "1.5"), ("trees", "1.5")]
    (distribution / "azr_trees/other.py").write_text("x = 1")
    after = azr.load(["trees"]).listing()
    assert before[1] == after[1] and before[2]["sha256"] != after[2]["sha256"]


def test_a_misspelt_plugin_gets_the_nearest_name(distribution: Path) -> None:
    with pytest.raises(azr.PluginError, match=r"plugin 'treees' is not installed; did you mean 'trees'\?"):
        azr.load(["treees"])


def test_an_installed_plugin_is_listed_and_not_imported(distribution: Path) -> None:
    found = {plugin.name: plugin for plugin in azr.installed()}["trees"]
    assert (found.module, found.distribution, found.version) == ("azr_trees.plugin", "azr-trees", "1.5")
    assert "azr_trees" not in sys.modules


def test_a_plugin_name_installed_twice_is_an_error(distribution: Path) -> None:
    info = distribution / "oaks-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: oaks\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[azr]\ntrees = oaks\n")
    with pytest.raises(
        azr.PluginError, match=r"plugin 'trees' is installed twice, by (azr-trees and oaks|oaks and azr-trees); uninstall one"
    ):
        azr.load(["trees"])


def test_listing_installed_plugins_imports_none_of_them() -> None:
    code = "import sys, azr_core as azr; azr.installed(); print([m for m in sys.modules if m.startswith('azr_plugins')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(TOY).parents[1])
    assert found.stdout.strip() == "[]"


PUBLIC = """
class Sums(azr.PublicBenchmark):
    name, scorer, tokens, ceilings = "sums", "sums 1", 10, ()
    source = azr.Source("sums.jsonl", "https://example.org/sums.jsonl")
    def fetch(self): raise AssertionError
    def items(self, rows): return []
    def score(self, pairs, form): return []

@azr.hookimpl
def azr_public_benchmarks(config): return [Sums()]
"""


def test_public_benchmarks_are_no_held_out_ones_and_never_come_twice(write: Writer) -> None:
    plugins = azr.load([write(PUBLIC, "one")])
    assert [benchmark.name for benchmark in plugins.public_benchmarks(config())] == ["sums"]
    assert plugins.benchmarks(config()) == []
    with pytest.raises(azr.PluginError, match="public benchmark 'sums' comes from two plugins, 'one' and 'two'"):
        azr.load([write(PUBLIC, "one"), write(PUBLIC, "two")]).public_benchmarks(config())
