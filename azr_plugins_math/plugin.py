"""The plugin `math`: exact mathematics as tasks."""

from __future__ import annotations

from collections.abc import Sequence

import azr_core as azr
from azr_plugins_math.benchmarks import load_benchmarks
from azr_plugins_math.environments import make_environments
from azr_plugins_math.options import Options
from azr_plugins_math.public import azr_public_benchmarks

__all__ = ["azr_benchmarks", "azr_environments", "azr_public_benchmarks"]


@azr.hookimpl
def azr_environments(config: azr.RunConfig) -> Sequence[azr.Environment]:
    """Deduction, abduction and induction."""
    return make_environments(azr.plugin_options(config, "math", Options), config.seed)


@azr.hookimpl
def azr_benchmarks(config: azr.RunConfig) -> Sequence[azr.Benchmark]:
    """Held-out tasks, graded by the shipped rules."""
    return load_benchmarks(make_environments(azr.plugin_options(config, "math", Options), config.seed))
