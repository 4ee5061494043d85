"""Every file in configs/ is read, understood by the parts it names, and found by name where it is a preset."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core import run
from azr_core.config import read_toml
from azr_core.differences import differences
from azr_core.options import Chosen, preset_file
from azr_core.rewards import Learnability
from azr_core.run import Request, resolve
from azr_core.schedule import SCHEDULES, make_schedule
from azr_core.study import UNTRAINED, read_study
from azr_plugins_python.options import Options
from azr_plugins_python.training.options import EMBEDDED, TrainerOptions

CONFIGS = Path(__file__).parents[1] / "configs"
STUDIES = sorted((CONFIGS / "studies").glob("*.toml"))
MIXTURES = sorted((CONFIGS / "mixtures").glob("*.toml"))
APART = ("studies", "mixtures")  # a study is many runs, a mixture has more plugins
FILES = sorted(file for file in CONFIGS.rglob("*.toml") if file.parent.name not in APART)
PRESETS = sorted((CONFIGS / "presets").glob("*.toml"))
MODELS = sorted((CONFIGS / "models").glob("*.toml"))
INSTRUCT = [CONFIGS / "models" / f"{name}.toml" for name in ("deepseek-r1-distill-qwen-7b", "qwen2.5-7b-instruct", "qwen3-8b")]


def settled(settings: Mapping[str, Any]) -> azr.RunConfig:
    """The configuration, after the parts have read their options too."""
    config, plugins = resolve(Request(() if "plugins" in settings else ("python",), settings))
    try:
        plugins.buffer(config)
        plugins.shaper(config)
        azr.parse(TrainerOptions, config.trainer.options, "[trainer]")
        azr.plugin_options(config, "python", Options)
        assert len(plugins.environments(config)) == 3
    finally:
        plugins.close()
    return config


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_is_a_run(file: Path) -> None:
    settled(read_toml(file))


def test_every_schedule_has_a_file_that_sets_it_and_its_plan_is_told() -> None:
    told = {}
    for file in MIXTURES:
        config, plugins = resolve(Request((), read_toml(file)))
        try:
            environments = plugins.environments(config)
            schedule = make_schedule(config, list(environments), plugins.domains)
        finally:
            plugins.close()
        assert len(environments) == 6 and schedule.domains == ("python", "math") and config.schedule.name == file.stem
        told[file.stem] = schedule.describe()
    assert told.keys() == SCHEDULES.keys()
    assert "one domain a step" in told["alternating"] and "python 50%, math 50% of 200 steps" in told["sequential"]


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_a_preset_is_found_by_name_and_holds_the_algorithm_only(file: Path) -> None:
    assert preset_file(file.stem).samefile(file)
    settings = Chosen(preset=file.stem).settings()
    assert settings == read_toml(file)
    sizes = {"steps", "minutes", "batch_size", "propose_tokens", "solve_tokens", "prompt_tokens", "style", "plugins", "environments"}
    assert not sizes & settings.keys() and "learning_rate" not in settings.get("trainer", {})


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(azr.ConfigError, match="no preset 'papr'; did you mean 'paper'"):
        preset_file("papr")
    with pytest.raises(azr.ConfigError, match="no preset 'laptop'"):
        preset_file("laptop")


def test_the_preset_azr_is_what_a_run_without_one_has() -> None:
    plain, preset = settled({}), settled(Chosen(preset="azr").settings())
    assert plain.probes == preset.probes and plain.probe_samples == preset.probe_samples
    options = [Learnability(azr.parse(type(Learnability().options), run.reward.options, "[reward]")).options for run in (plain, preset)]
    assert options[0] == options[1]


def test_the_preset_paper_is_the_papers_table() -> None:
    config = settled(Chosen(preset="paper").settings())
    assert (config.references, config.probe_samples, config.probes, config.buffer.options["cap"]) == (6, 8, "measure", 16384)
    options = azr.parse(type(Learnability().options), config.reward.options, "[reward]")
    assert options == Learnability().options  # whose defaults are the paper's
    assert azr.plugin_options(config, "python", Options) == Options()  # and so are these
    told = dict(read_toml(CONFIGS / "presets/paper.toml")["trainer"])
    assert told.pop("importance") == "none"  # the one default that is not the paper's (docs/decisions/0014-overlap.md)
    assert azr.parse(TrainerOptions, told, "[trainer]") == TrainerOptions()


def test_paper_and_reference_differ_in_the_register_alone() -> None:
    paper, reference = (settled(Chosen(preset=name).settings()).model_dump(mode="json") for name in ("paper", "reference"))
    assert {name: (before, after) for name, before, after in differences(paper, reference)} == {
        "solve_lag": (0, 1),
        "solve_window": (1, 10),
        "probe_format": ("required", "ignored"),
        "reward.zero_reward": (0.0, -0.5),
        "reward.whitening": ("sequence", "token"),
        "plugin_options.python.induction_pairs": ("all", "hidden"),
        "plugin_options.python.screen": ("paper", "reference"),
    }


def test_paper_and_reference_set_the_same_settings() -> None:
    """So that no default of ours ever stands in for the paper's or the released code's word."""
    names = [flat(read_toml(file)).keys() for file in PRESETS if file.stem != "azr"]
    assert names[0] == names[1] and len(names[0]) >= 35


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


@pytest.mark.parametrize("preset", ["paper", "reference"])
def test_the_optimiser_of_a_preset_reaches_the_trainer(preset: str) -> None:
    chosen = Chosen(preset, assignments=("trainer.entropy_coefficient=0.25", "trainer.weight_decay=0.125"))
    config, plugins = resolve(Request(("python",), chosen.settings()))
    try:
        trainer: Any = plugins.trainer(config)
    finally:
        plugins.close()
    arguments, (group, *_) = trainer._arguments("nowhere", 1), trainer.optimizer.param_groups
    assert (arguments.entropy_coef, arguments.epsilon, arguments.max_grad_norm, arguments.beta) == (0.25, 0.2, 1.0, 0.0)
    assert (group["weight_decay"], tuple(group["betas"])) == (0.125, (0.9, 0.999))


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_a_models_file_holds_the_papers_sizes_and_takes_any_preset(file: Path) -> None:
    config = settled(Chosen("paper", [file], assignments=(f"trainer.model={EMBEDDED}",)).settings())
    style = "chat" if file in INSTRUCT else "paper"
    assert (config.batch_size, config.prompt_tokens, config.propose_tokens, config.solve_tokens) == (64, 6144, 8096, 8096)
    assert (config.steps, config.style, config.trainer.options["learning_rate"], config.probe_samples) == (500, style, 1e-6, 8)
    algorithm = read_toml(CONFIGS / "presets" / "paper.toml").keys() - {"trainer"}
    assert not algorithm & read_toml(file).keys()


def test_a_shipped_file_is_found_from_anywhere_and_the_users_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = Path("models/qwen2.5-7b.toml")
    assert Chosen(files=[name]).settings() == read_toml(CONFIGS / name)
    (tmp_path / "models").mkdir()
    (tmp_path / name).write_text("steps = 3")
    assert Chosen(files=[name]).settings() == {"steps": 3}
    with pytest.raises(azr.ConfigError, match=r"nowhere\.toml"):
        Chosen(files=[Path("nowhere.toml")]).settings()


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_a_preset_plays_any_plugin(file: Path) -> None:
    config, plugins = resolve(Request((str(Path(__file__).with_name("toy_plugin.py")),), read_toml(file)))
    assert list(plugins.environments(config)) == ["toy/sorting"] and config.probe_samples == 8
    plugins.close()


def test_the_papers_models_are_those_it_was_run_on() -> None:
    assert {read_toml(file)["trainer"]["model"] for file in MODELS if file not in INSTRUCT} == {
        "Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-14B", "Qwen/Qwen2.5-Coder-3B", "Qwen/Qwen2.5-Coder-7B", "Qwen/Qwen2.5-Coder-14B",
        "meta-llama/Llama-3.1-8B", "Qwen/Qwen3-4B-Base",
    }  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")
@pytest.mark.parametrize(
    "chosen", [Chosen("reference"), Chosen("paper", [CONFIGS / "models" / "qwen2.5-3b-coder.toml"])], ids=["reference", "paper"]
)
def test_a_preset_is_played_in_a_plan_before_it_is_played(chosen: Chosen) -> None:
    """With the embedded model and lengths that fit it, whatever the model's file says."""
    short = ("style=compact", "prompt_tokens=640", "propose_tokens=160", "solve_tokens=160", "batch_size=4", "trainer.threads=1")
    shares = ("environments.python/deduction=1",)
    settings = Chosen(chosen.preset, chosen.files, assignments=(f"trainer.model={EMBEDDED}", *short, *shares)).settings()
    plan = run.plan(Request(("python",), settings))
    assert "python/deduction 12" in plan["prompts a step"] and plan["solves a task"] == "8, for the solve rate only"
    assert "of 32 each" in plan["valid proposals"]


def test_a_flag_wins_over_a_file_and_a_file_over_a_preset() -> None:
    chosen = Chosen("paper", [CONFIGS / "laptop.toml"], (("steps", 3),), ("reward.novelty=0.25",))
    config = settled(chosen.settings())
    reward = config.reward.options
    assert (config.probes, config.steps, reward["novelty"], reward["proposer_weight"]) == ("measure", 3, 0.25, 0.3)


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_shipped_study_has_cells_that_parse(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONFIGS.parent)
    study = read_study(file)
    for cell in study.cells():
        config, plugins = resolve(Request(tuple(cell.settings["plugins"]), cell.settings))
        plugins.close()
        assert config.seed == cell.seed or cell.name == UNTRAINED
