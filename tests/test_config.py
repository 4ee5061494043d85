"""Settings: typos, wrong values, layers, assignments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azr_core as azr
from azr_core.config import assignment, read_toml
from azr_core.differences import differences


def parse(**settings: Any) -> azr.RunConfig:
    return azr.parse(azr.RunConfig, {"plugins": ["sample"]} | settings, "configuration")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stpes": 3}, "configuration: unknown setting 'stpes'; did you mean 'steps'?"),
        ({"evaluation": {"evry": 3}}, "configuration: unknown setting 'evaluation.evry'; did you mean 'every'?"),
        ({"steps": "many"}, "configuration: setting 'steps' = 'many': Input should be a valid integer"),
        ({"steps": -1}, "configuration: setting 'steps' = -1: Input should be greater than or equal to 0"),
        ({"style": "papers"}, "configuration: setting 'style' = 'papers': Input should be"),
        ({"buffer": {}}, "configuration: setting 'buffer.name' is missing"),
        ({"environments": {"toy": -1}}, "a share in [environments] is negative; use 0 to hold an environment out"),
        ({"environments": {"toy": 0}}, "all shares in [environments] are zero"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(azr.ConfigError) as caught:
        parse(**settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(azr.ConfigError, match="setting 'plugins' is missing"):
        azr.parse(azr.RunConfig, {}, "configuration")


def test_a_configuration_survives_json() -> None:
    config = parse(trainer={"name": "x", "learning_rate": 1e-4}, environments={"toy": 0.5}, minutes=3)
    assert azr.RunConfig.model_validate_json(config.model_dump_json()) == config
    assert config.trainer.options == {"learning_rate": 1e-4}


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse().steps = 3


def test_every_setting_says_what_it_means() -> None:
    assert not [name for name, field in azr.RunConfig.model_fields.items() if not field.description]


def test_later_layers_win_and_nested_ones_are_merged() -> None:
    merged = azr.merge({"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"y": 3}, "c": [1]}, {"b": 2})
    assert merged == {"a": {"x": 1, "y": 3}, "b": 2, "c": [1]}


def test_a_part_that_changes_its_name_starts_afresh() -> None:
    assert azr.merge({"buffer": {"name": "a", "size": 3}}, {"buffer": {"name": "b"}}) == {"buffer": {"name": "b"}}
    assert azr.merge({"buffer": {"name": "a", "size": 3}}, {"buffer": {"size": 4}}) == {"buffer": {"name": "a", "size": 4}}


nested = st.recursive(st.integers(), lambda values: st.dictionaries(st.sampled_from("abc"), values, max_size=3), max_leaves=8)
layers = st.dictionaries(st.sampled_from("abc"), nested, max_size=3)


@given(layers, layers, layers)
def test_merging_changes_no_layer_and_can_be_done_in_parts(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    before = repr((one, two, three))
    assert azr.merge(azr.merge(one, two), three) == azr.merge(one, two, three)
    assert azr.merge(one, one) == one and repr((one, two, three)) == before


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("steps=3", {"steps": 3}),
        ("trainer.learning_rate=5e-7", {"trainer": {"learning_rate": 5e-7}}),
        ("trainer.model = some/model", {"trainer": {"model": " some/model"}}),
        ("trainer.name=trl", {"trainer": {"name": "trl"}}),
        ("evaluation.temperatures=[0.3, 1.0]", {"evaluation": {"temperatures": [0.3, 1.0]}}),
        ("plugins.sample.depth=2", {"plugin_options": {"sample": {"depth": 2}}}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_an_assignment_becomes_nested_settings(text: str, settings: dict[str, Any]) -> None:
    assert assignment(text) == settings


@pytest.mark.parametrize("text", ["steps", "=3", ""])
def test_an_assignment_without_a_name_or_value_is_an_error(text: str) -> None:
    with pytest.raises(azr.ConfigError, match="write it as NAME=VALUE"):
        assignment(text)


def test_toml_is_read_and_plugin_tables_become_plugin_options(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("steps = 3\n[plugins.sample]\ndepth = 2\n")
    assert read_toml(path) == {"steps": 3, "plugin_options": {"sample": {"depth": 2}}}
    path.write_text("steps = = 3")
    with pytest.raises(azr.ConfigError, match=r"a.toml: not TOML: .*line 1"):
        read_toml(path)
    with pytest.raises(azr.ConfigError, match="give --config an existing TOML file"):
        read_toml(tmp_path / "b.toml")


def test_differences_are_listed_by_dotted_name() -> None:
    assert list(differences({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}})) == [("a.c", 2, 4), ("d", 3, None)]
