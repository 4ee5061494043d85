"""A transfer study: one model trained on every domain alone, on mixtures and on controls, with equal budgets, measured on all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from azr_core import run, study
from azr_core.config import Options, RunConfig, merge, parse
from azr_core.differences import differences
from azr_core.directory import RunDirectory
from azr_core.errors import ConfigError, RunError
from azr_core.evaluate import chosen
from azr_core.history import History, read
from azr_core.matrix import GREEDY, Column, Kind, Trained, foreseen
from azr_core.mixture import FORM, Mixture, read_mixture
from azr_core.shares import domain
from azr_core.study import CellOptions, Study, StudyOptions
from azr_core.types import Benchmark

FILE = "transfer.json"
CONTROLS = {"format only": "format_only", "random reward": "random"}
ENDLESS = 1_000_000  # steps, where another budget ends the run


class Asked(Options):
    """What was asked for; it is kept in the folder, so that the same study is gone on with and no other."""

    plugins: tuple[str, ...] = Field(min_length=1, description="plugins of every cell")
    seeds: int = Field(default=3, ge=1, description="runs a cell")
    steps: int | None = Field(default=None, ge=1, description="budget of a cell: steps, each of as many prompts")
    tokens: int | None = Field(default=None, ge=1, description="budget of a cell: generated tokens")
    hours: float | None = Field(default=None, gt=0, description="wall time of the whole study, from which a token budget is made")
    jobs: int = Field(default=1, ge=1, description="cells at once that `hours` was meant for")
    mixtures: tuple[str, ...] = Field(default=("mixed",), description=f"mixtures to train on: {FORM}")
    controls: bool = Field(default=True, description="train with a format-only and with a random reward too, on all domains")
    settings: dict[str, Any] = Field(default_factory=dict, description="settings of every cell")


@dataclass(frozen=True)
class Layout:
    """The rows of a study. environments: how many there are. mixtures: what is trained on, by row."""

    asked: Asked
    config: RunConfig
    benchmarks: Sequence[Benchmark]
    environments: int
    domains: tuple[str, ...]
    mixtures: Mapping[str, Mixture]

    @property
    def rows(self) -> dict[str, Kind]:
        """Every row's kind, in order."""
        kinds = dict.fromkeys(self.domains, Kind.DOMAIN) | dict.fromkeys(self.asked.mixtures, Kind.MIXTURE)
        return {name: kinds.get(name, Kind.CONTROL) for name in self.mixtures}

    def items(self) -> dict[Column, int]:
        """How many items each column has."""
        asked = self.config.evaluation
        measures = ["pass@1", *([f"pass@{asked.samples}"] if asked.samples > 1 else []), *([GREEDY] if asked.greedy else [])]
        counts: Counter[Column] = Counter()
        for measure in measures:
            for benchmark in self.benchmarks:
                for name, tasks in benchmark.tasks.items():
                    counts[Column(benchmark.name, domain(name), measure)] += len(tasks)
        return dict(counts)

    def study(self, folder: Path, budget: Mapping[str, Any]) -> Study:
        """The cells with a budget."""
        unit = "tasks" if "tokens" not in budget else "tokens"
        cells = []
        for name, mixture in self.mixtures.items():
            order = [*mixture.shares, *(domain for domain in self.domains if domain not in mixture.shares)]  # a sequence heeds it
            settings: dict[str, Any] = {"environments": {domain: mixture.shares.get(domain, 0.0) for domain in order}}
            settings["schedule"] = {"name": mixture.schedule, "unit": unit}
            if name in CONTROLS:
                settings["reward"] = {"name": CONTROLS[name]}
            cells.append(CellOptions(name=name, settings=settings))
        options = StudyOptions(plugins=self.asked.plugins, seeds=self.asked.seeds, settings=self._shared(budget), cell=tuple(cells))
        return Study(options, folder)

    def _shared(self, budget: Mapping[str, Any]) -> dict[str, Any]:
        """As many prompts a step as one domain alone would have, whatever the number of domains."""
        batch = {} if "batch_size" in self.asked.settings else {"batch_size": max(1, round(self.config.batch_size / len(self.domains)))}
        evaluation = self.config.evaluation.model_dump(mode="json")
        fixed = {"evaluation": evaluation, "checkpoint_every": 20, "keep_checkpoints": 1, "minutes": None}
        return merge(fixed, batch, self.asked.settings, {"steps": ENDLESS}, budget)


def layout(asked: Asked) -> Layout:
    """Load the plugins and see what there is to train on and to measure. Raises ConfigError."""
    if sum(budget is not None for budget in (asked.steps, asked.tokens, asked.hours)) != 1:
        raise ConfigError("give one budget: --steps N (as many prompts a cell), --tokens N (as many generated tokens), or --hours H in all")
    settings = merge({"evaluation": {"every": 0, "samples": 4, "greedy": True}}, asked.settings)
    config, plugins = run.resolve(run.Request(asked.plugins, settings))
    try:
        environments, domains = plugins.environments(config), plugins.domains
        benchmarks = chosen(plugins.benchmarks(config), config.evaluation.benchmarks)
    finally:
        plugins.close()
    if not benchmarks:
        raise ConfigError(f"no plugin of {', '.join(asked.plugins)} brings a benchmark; there would be nothing to measure transfer on")
    if config.environments:
        raise ConfigError("azr transfer sets [environments] itself, a row for each domain; leave it out, and use --mixture")
    rows = {domain: Mixture({domain: 1.0}) for domain in domains}
    if len(domains) > 1:
        rows |= {text: read_mixture(text, domains) for text in asked.mixtures}
    if asked.controls:
        rows |= dict.fromkeys(CONTROLS, Mixture(dict.fromkeys(domains, 1.0)))
    return Layout(asked, config, benchmarks, len(environments), domains, rows)


def prepare(asked: Asked, folder: Path) -> Asked:
    """Write down what was asked, or see that the folder was begun with the same. Raises RunError that lists what differs."""
    before = recall(folder)
    if before is None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(asked.model_dump_json(indent=1))
        return asked
    free = {"seeds": asked.seeds, "jobs": asked.jobs}  # more seeds are more runs, and the jobs are this machine's own affair
    kept = before.model_copy(update=free)
    changed = [
        f"{name} was {old!r}, is {new!r}" for name, old, new in differences(kept.model_dump(mode="json"), asked.model_dump(mode="json"))
    ]
    if changed:
        raise RunError(f"{folder} was begun as another study ({'; '.join(changed)}); choose another --out, or delete it")
    (folder / FILE).write_text(asked.model_dump_json(indent=1))
    return asked


def recall(folder: Path) -> Asked | None:
    """What was asked when the folder was begun; None where there is nothing. Raises ConfigError."""
    try:
        return parse(Asked, json.loads((folder / FILE).read_text()), str(folder / FILE))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError(f"{folder / FILE}: not JSON: {error}") from None


def untrained(plan: Study) -> History | None:
    """The measured untrained model, None before."""
    directory = plan.directory(next(plan.cells()))
    return read(directory.path) if study.finished(directory) else None


def trained(plan: Layout, found: Mapping[str, Sequence[RunDirectory]]) -> list[Trained]:
    """The rows with their finished runs."""
    kinds = plan.rows
    return [
        Trained(name, kinds[name], tuple(mixture.shares), [read(directory.path) for directory in found[name]])
        for name, mixture in plan.mixtures.items()
    ]


def power(plan: Layout, start: History | None) -> dict[Column, float]:
    """The gains that the study would find, told before anything is trained. start: the untrained model, once it was measured."""
    return foreseen(start, plan.items(), plan.asked.seeds)


def budget_text(plan: Layout, made: Study) -> str:
    """A cell's budget in words."""
    settings = made.options.settings
    if "tokens" in settings:
        return f"{settings['tokens']:,} generated tokens a run"
    prompts = settings.get("batch_size", plan.config.batch_size) * plan.environments
    return f"{settings['steps']} steps of {prompts} prompts a run"
