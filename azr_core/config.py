"""What a run can be told: TOML by hand, JSON by machine, pydantic in between."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from azr_core.settings import Options, assignment, merge, parse, read_toml
from azr_core.types import Role

# What reads a configuration finds here how it is read too.
__all__ = ["RESUMABLE", "VERIFY_LOCALLY", "Evaluation", "Options", "Part", "RunConfig", "Scheduling", "Style"]
__all__ += ["assignment", "merge", "parse", "read_toml", "untrained"]

VERIFY_LOCALLY = "local"
_CLUSTER = re.compile(r"local|auto|(?:ray://)?[^\s:/]+:\d{1,5}")


class Part(BaseModel):
    """A pluggable part: a name and the options that the plugin of that name understands."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(description="name of the part")

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class Style(StrEnum):
    """How a prompt looks to the model."""

    COMPACT = "compact"
    PAPER = "paper"
    CHAT = "chat"


class Evaluation(Options):
    """When and how held-out accuracy is measured."""

    every: int = Field(default=0, ge=0, description="steps between light evaluations; 0: only at the start and the end")
    benchmarks: tuple[str, ...] = Field(default=(), description="names of those that are measured; empty: all")
    light_tasks: int = Field(default=40, ge=0, description="tasks a type in a light evaluation; 0: all")
    start: bool = Field(default=True, description="evaluate fully before the first step, where the end is evaluated")
    final: bool = Field(default=True, description="evaluate fully at the start and the end")
    samples: int = Field(default=1, ge=1, description="sampled replies a task in a full evaluation")
    greedy: bool = Field(default=True, description="measure greedy decoding too")
    temperatures: tuple[float, ...] = Field(default=(1.0,), description="temperatures of sampled evaluation")


class Scheduling(Options):
    """Which environments a step plays, and how many prompts each of them gets (docs/mixtures.md)."""

    name: Literal["mixed", "alternating", "sequential", "adaptive"] = Field(
        default="mixed",
        description="every step plays all by their shares; one domain a step, in turns; one domain after the other; or all, by progress",
    )
    unit: Literal["tasks", "tokens"] = Field(default="tasks", description="what shares are shares of; tokens: generated, of both roles")


class RunConfig(Options):
    """One run of self-play. Numbers in brackets name the symbol of arXiv 2505.03335, Table 3."""

    plugins: tuple[str, ...] = Field(description="names of installed plugins, or paths ending in .py")
    seed: int = Field(default=0, ge=0, description="seed of every random stream")
    steps: int = Field(default=200, ge=0, description="self-play steps; 0: nothing is learned")
    minutes: float | None = Field(default=None, gt=0, description="stop after this many minutes of wall time")
    tokens: int | None = Field(default=None, gt=0, description="stop after this many generated tokens")
    tasks: int | None = Field(default=None, gt=0, description="stop after this many proposals asked for and tasks solved in batches")
    checkpoint_every: int = Field(default=20, ge=1, description="steps between checkpoints")
    checkpoint_minutes: float | None = Field(
        default=60.0,
        gt=0,
        description="and one after the first step that ends so many minutes after the last one; none: only by steps",
    )
    keep_checkpoints: int = Field(default=2, ge=1, description="how many checkpoints to keep")
    keep_every_hours: float | None = Field(
        default=None, gt=0, description="of the older ones keep the first, and then one each so many hours, for good; none: no older one"
    )

    batch_size: int = Field(default=64, ge=1, description="prompts a role and environment [B]")
    references: int = Field(default=6, ge=0, description="references a proposer is shown [K]")
    probe_samples: int = Field(default=8, ge=2, description="solves that estimate a task's solve rate [n]")
    probe_temperature: float = Field(
        default=1.0, ge=0, description="temperature of the probes (paper: 1; released code, branch master: 0, where no proposal can earn)"
    )
    probe_format: Literal["required", "ignored"] = Field(
        default="required", description="whether a probe must have the reply's form (paper), or any answer in it counts (released code)"
    )
    probes: Literal["train", "measure"] = Field(default="train", description="train on the probes instead of a separate solver batch")
    solve_mix: Literal["max_new", "half_new", "uniform_total"] = Field(
        default="max_new",
        description="solver's batch: new tasks first, the rest from the buffer (paper); at most half new; all from the buffer "
        "(pred_data_mix_strategy in the released code)",
    )
    solve_lag: int = Field(default=0, ge=0, description="steps from a task's proposal to its first solve (paper: 0; released code: 1)")
    solve_window: int = Field(default=1, ge=1, description="steps whose tasks count as new (paper: 1; released code: 10)")
    admit_rates: Literal["all", "below_one", "between"] = Field(
        default="all",
        description="valid tasks that are remembered, by solve rate s: all (paper), those with s < 1, or with 0 < s < 1; the proposer is "
        "rewarded for the others too",
    )
    common_cap: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="largest share of tasks with an answer that a guess tries first, more are invalid; 1: no limit",
    )
    skeleton_cap: int = Field(default=0, ge=0, description="most tasks of one skeleton, any more are duplicates; 0: no limit")
    late_solves: bool = Field(
        default=False,
        description="judge the solver's batch while the update runs, and learn from it in the next one: one step off-policy (paper: no)",
    )
    temperature: float = Field(default=1.0, gt=0, description="temperature of proposing and solving")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling, 1 is off")
    propose_tokens: int = Field(default=8096, ge=1, description="longest proposal, tokens")
    solve_tokens: int = Field(default=8096, ge=1, description="longest solution, tokens")
    prompt_tokens: int = Field(default=6144, ge=1, description="longest prompt, tokens")
    tasks_from: Literal["proposer", "demonstrations"] = Field(
        default="proposer", description="who makes the tasks; demonstrations: the environments' generators (solver-only control)"
    )

    seeds: tuple[str, ...] = Field(
        default=(), description="files of seeds, as azr seed writes them; environments without one in them start from their own"
    )
    style: Style = Field(default=Style.PAPER, description="prompt style; where it is not set, the model's (docs/models.md)")
    environments: dict[str, float] = Field(default_factory=dict, description="shares by domain or domain/kind; 0 is held out")
    schedule: Scheduling = Field(default=Scheduling(), description="how the shares are played")
    buffer: Part = Field(default=Part(name="uniform"), description="task buffer")
    reward: Part = Field(
        default=Part.model_validate({"name": "learnability", "novelty": 1.0, "proposer_weight": 0.3, "baseline": "group"}),
        description="reward shaper; a list is its first part with the others as terms, and takes the place of all defaults",
    )
    trainer: Part = Field(default=Part(name="trl"), description="trainer")
    players: dict[Role, Part] = Field(
        default_factory=dict, description="trainers whose model plays a role (propose or solve) in the learner's place, frozen"
    )
    log: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = Field(
        default=(), description="where metrics go too, in the run's folder logs/ (docs/metrics.md); none leaves the machine unless told to"
    )
    evaluation: Evaluation = Field(default=Evaluation(), description="held-out evaluation")
    health: dict[str, float | bool] = Field(
        default_factory=dict, description="thresholds of alarms by rule (docs/metrics.md); false switches a rule off"
    )
    plugin_options: dict[str, dict[str, Any]] = Field(default_factory=dict, description="options by plugin name ([plugins.NAME] in TOML)")
    workers: int = Field(default=2, ge=1, description="processes that run verifiers which do not isolate themselves")
    verify_timeout: float = Field(default=30.0, gt=0, description="seconds for one verdict in a worker, before it is killed")
    verify_on: str = Field(
        default="", description="Ray cluster that verifies: local, auto, ray://HOST:PORT or HOST:PORT; empty: this machine, without Ray"
    )
    accept_unsandboxed: bool = Field(default=False, description="run model-written programs without protection (dangerous)")

    @field_validator("log", mode="before")
    @classmethod
    def _is_a_list(cls, log: Any) -> Any:
        return tuple(dict.fromkeys([log] if isinstance(log, str) else log)) if isinstance(log, str | list | tuple) else log

    @field_validator("seeds", mode="before")
    @classmethod
    def _names_files(cls, files: Any) -> Any:
        if isinstance(files, str):
            files = [files]
        named = isinstance(files, list | tuple) and all(isinstance(file, str) for file in files)
        return tuple(str(Path(file).expanduser().resolve()) for file in files) if named else files

    @field_validator("reward", mode="before")
    @classmethod
    def _is_one_part(cls, reward: Any) -> Any:
        """A list of parts is short for its first one with the others as its `terms`."""
        parts = [dict(part) if isinstance(part, Part) else part for part in (reward if isinstance(reward, list | tuple) else [reward])]
        if not parts or not all(isinstance(part, Mapping) and "name" in part for part in parts):
            raise ValueError("write one table with a name, or a list of them; a setting cannot be put into a list, only the whole list")
        first, *others = parts
        return {**first, "terms": [*first.get("terms", ()), *others]} if others else first

    @field_validator("verify_on")
    @classmethod
    def _names_a_cluster(cls, address: str) -> str:
        if address and not _CLUSTER.fullmatch(address):
            raise ValueError("write local, auto, ray://HOST:PORT or HOST:PORT")
        return address

    @model_validator(mode="after")
    def _trained_probes_are_solves(self) -> Self:
        if self.probes == "train" and self.probe_format == "ignored":
            raise ValueError("probes that are trained on must keep the reply's form; set probe_format = 'required' or probes = 'measure'")
        if self.probes == "train" and not self.probe_temperature:
            raise ValueError("greedy probes are all the same and teach nothing; set probe_temperature = 1.0 or probes = 'measure'")
        return self

    @model_validator(mode="after")
    def _somebody_learns(self) -> Self:
        if set(self.players) == set(Role):
            raise ValueError("players take both roles, so nothing is left to learn; make one of them the trainer instead")
        return self

    @model_validator(mode="after")
    def _shares_make_sense(self) -> Self:
        if any(share < 0 for share in self.environments.values()):
            raise ValueError("a share in [environments] is negative; use 0 to hold an environment out")
        if self.environments and not any(self.environments.values()):
            raise ValueError("all shares in [environments] are zero; give at least one a positive share")
        return self

    @model_validator(mode="after")
    def _a_sequence_has_an_end(self) -> Self:
        """Steps that nobody set are no budget where minutes end the run."""
        counted = self.tokens if self.schedule.unit == "tokens" else self.tasks
        if self.schedule.name == "sequential" and self.minutes and not counted and "steps" not in self.model_fields_set:
            raise ValueError(
                "a sequential schedule divides a budget, and minutes are none; set steps, or tokens with schedule.unit = 'tokens'"
            )
        return self


def untrained(config: RunConfig) -> RunConfig:
    """The same without learning, for a trainer that only samples or warms up: it need not have room for more."""
    return config.model_copy(update={"steps": 0})


# Settings that may differ when a run resumes: they decide how long, how closely and at whose risk, not what is learned.
RESUMABLE = frozenset(
    {
        "accept_unsandboxed",
        "steps",
        "minutes",
        "tokens",
        "tasks",
        "evaluation",
        "health",
        "log",
        "checkpoint_every",
        "checkpoint_minutes",
        "keep_checkpoints",
        "keep_every_hours",
        "verify_on",
    }
)
