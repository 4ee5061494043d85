"""The hooks a plugin may implement. Implementations take only the arguments they need and return values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from azr_core.interfaces import Buffer, Environment, Proposer, RewardShaper, Trainer, Verifier
from azr_core.public import PublicBenchmark
from azr_core.types import Benchmark, Check, StepReport

if TYPE_CHECKING:
    from azr_core.config import Part, RunConfig

hookspec = pluggy.HookspecMarker("azr")
hookimpl = pluggy.HookimplMarker("azr")


@hookspec
def azr_defaults(settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Settings that suit what the user chose, below everything the user sets.

    Called once per run, after loading and before the configuration is parsed, with the user's settings as nested
    mappings. The trainer `trl` answers with the `azr.toml` beside the chosen model, or with the prompt style that suits it.
    """


@hookspec
def azr_environments(config: RunConfig) -> Sequence[Environment]:
    """The environments a plugin brings. All plugins' answers are joined and sorted by name; a duplicate is an error.

    Called once per run and once in every verification worker.
    """
    raise AssertionError("a hook specification is never called")


@hookspec
def azr_proposer(environment: Environment, config: RunConfig) -> Proposer[Any] | None:
    """Replace the proposer of somebody's environment; None leaves it. Called once for each environment."""


@hookspec
def azr_verifier(environment: Environment, config: RunConfig) -> Verifier[Any, Any] | None:
    """Replace the verifier of somebody's environment; None leaves it. Benchmarks keep the one they were shipped with."""


@hookspec
def azr_buffer(part: Part, config: RunConfig) -> Buffer | None:
    """The buffer of that name (`part.name`, options in `part.options`); None means "not my name". Called once per run."""


@hookspec
def azr_reward_shaper(part: Part, config: RunConfig) -> RewardShaper | None:
    """The reward shaper of that name; None means "not my name". Called once per run."""


@hookspec
def azr_trainer(part: Part, config: RunConfig) -> Trainer | None:
    """The trainer of that name; None means "not my name". Called once per run, after verification workers started."""


@hookspec
def azr_export(checkpoint: Path, folder: Path) -> Path | None:
    """Write the model that a checkpoint stands for, where its files are none by themselves, as an adapter's are not.

    Called by `azr export`, with an empty folder, for the plugin that brings the run's trainer. Returns the folder, then a model as
    Hugging Face has them; None means "not mine".
    """


@hookspec
def azr_benchmarks(config: RunConfig) -> Sequence[Benchmark]:
    """Held-out benchmarks. All plugins' answers are joined and sorted by name."""
    raise AssertionError("a hook specification is never called")


@hookspec
def azr_public_benchmarks(config: RunConfig) -> Sequence[PublicBenchmark]:
    """Benchmarks that everybody measures on, by name. Measured only when the user names one; no run ever looks at them.

    `azr eval --benchmark NAME` asks the installed plugins and those the user names, so an answer reads no rows and starts no process:
    a benchmark does so when it is measured.
    """
    raise AssertionError("a hook specification is never called")


@hookspec
def azr_checks(config: RunConfig) -> Sequence[Check]:
    """What a plugin needs of this machine and whether it is there, for `azr doctor`: devices, models, programs. Loads no model."""
    raise AssertionError("a hook specification is never called")


@hookspec
def azr_step(report: StepReport, config: RunConfig) -> None:
    """Told after every step, when it is safely stored. May read, must not change. Every plugin's is called."""
