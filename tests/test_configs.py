"""Every file in configs/ is read, understood by the parts it names, and found by name where it is a preset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core.config import read_toml
from azr_core.options import Chosen, preset_file
from azr_core.rewards import Learnability
from azr_core.run import Request, resolve
from azr_plugins_python.training.options import TrainerOptions

CONFIGS = Path(__file__).parents[1] / "configs"
FILES = sorted(CONFIGS.rglob("*.toml"))
PRESETS = sorted((CONFIGS / "presets").glob("*.toml"))


def settled(settings: Mapping[str, Any]) -> azr.RunConfig:
    """The configuration, after the parts have read their options too."""
    config, plugins = resolve(Request(() if "plugins" in settings else ("python",), settings))
    try:
        plugins.buffer(config)
        plugins.shaper(config)
        azr.parse(TrainerOptions, config.trainer.options, "[trainer]")
        assert len(plugins.environments(config)) == 3
    finally:
        plugins.close()
    return config


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_is_a_run(file: Path) -> None:
    settled(read_toml(file))


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
    assert config.trainer.options["entropy_coefficient"] == 0.001
    options = azr.parse(type(Learnability().options), config.reward.options, "[reward]")
    assert options == Learnability().options  # whose defaults are the paper's


def test_a_flag_wins_over_a_file_and_a_file_over_a_preset() -> None:
    chosen = Chosen("paper", [CONFIGS / "laptop.toml"], (("steps", 3),), ("reward.novelty=0.25",))
    config = settled(chosen.settings())
    reward = config.reward.options
    assert (config.probes, config.steps, reward["novelty"], reward["proposer_weight"]) == ("measure", 3, 0.25, 0.3)
