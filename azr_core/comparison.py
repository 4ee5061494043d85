"""What a study found: gains of its cells over the untrained model, with intervals over seeds and tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from azr_core.curves import ALL
from azr_core.history import History
from azr_core.resampling import bootstrap, interval, mean
from azr_core.statistics import Estimate, gains

TAIL = 0.25
"""Share of a run's steps, the last, over which shares of the proposals are averaged."""
BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"


@dataclass(frozen=True)
class Measure:
    """What was measured: a benchmark with a way of decoding."""

    benchmark: str
    decoding: str

    def __str__(self) -> str:
        return f"{self.benchmark}, {self.decoding}"


@dataclass(frozen=True)
class Finding:
    """One cell by one measure. gain: over the untrained model, fraction. efficiency: gain per generated token as a multiple of the
    reference cell's. verdict: whether it is told from 1."""

    gain: Estimate
    efficiency: Estimate | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Row:
    """One cell. tokens: generated, mean of its runs. shares: by name, mean of its runs; of proposals over the last quarter of the steps."""

    name: str
    runs: int
    steps: float
    tokens: float
    shares: Mapping[str, float]
    findings: Mapping[Measure, Finding] = field(default_factory=dict)


def compare(cells: Mapping[str, Sequence[History]], untrained: History, reference: str, seed: int = 0) -> list[Row]:
    """A row for each cell with runs, in order. Intervals are percentiles of a bootstrap that draws seeds and tasks anew in each round,
    the same tasks for every cell."""
    start = _scores(untrained)
    ends = {name: [_scores(run) for run in runs] for name, runs in cells.items() if runs}
    tokens = {name: mean([run.total("tokens/generated") for run in cells[name]]) for name in ends}
    findings: dict[str, dict[Measure, Finding]] = {name: {} for name in ends}
    for measure in start:
        gained = {name: [gains(start[measure], end[measure]) for end in runs] for name, runs in ends.items()}
        means = {name: mean([mean(run) for run in runs]) for name, runs in gained.items()}
        drawn = bootstrap(gained, seed)
        for name in gained:
            findings[name][measure] = _finding(name, reference, means, drawn, tokens)
    return [
        Row(name, len(cells[name]), mean([float(run.last_step) for run in cells[name]]), tokens[name], _shares(cells[name]), found)
        for name, found in findings.items()
    ]


def _scores(run: History) -> dict[Measure, tuple[float, ...]]:
    """Score of every task at the last measurement."""
    return {Measure(c.benchmark, c.decoding): tuple(s for part in c.points[-1][1] for s in part) for c in run.curves if c.kind == ALL}


def _finding(
    name: str, reference: str, means: Mapping[str, float], drawn: Mapping[str, Sequence[float]], tokens: Mapping[str, float]
) -> Finding:
    gain = Estimate(means[name], *interval(drawn[name]))
    if name == reference or reference not in means:
        return Finding(gain)
    price = tokens[reference] / tokens[name]
    differences = interval([mine * price - other for mine, other in zip(drawn[name], drawn[reference], strict=True)])
    verdict = BETTER if differences[0] > 0 else WORSE if differences[1] < 0 else UNDECIDED
    ratios = [_ratio(mine * price, other) for mine, other in zip(drawn[name], drawn[reference], strict=True)]
    return Finding(gain, Estimate(_ratio(means[name] * price, means[reference]), *interval(ratios)), verdict)


def _ratio(gain: float, other: float) -> float:
    """A multiple of a gain; without bound where there was none to multiply."""
    return gain / other if other > 0 else float("inf") if gain > 0 else float("-inf")


def _shares(runs: Sequence[History]) -> dict[str, float]:
    """Valid proposals, unique skeletons, tokens that were trained on: fractions; absent where a run has none."""
    wanted = {"valid": "valid/", "unique": "skeletons/unique", "trained": "tokens/trained_share"}
    found = {name: [_tail_mean(run, prefix) for run in runs] for name, prefix in wanted.items()}
    return {name: mean([value for value in values if value is not None]) for name, values in found.items() if None not in values}


def _tail_mean(run: History, prefix: str) -> float | None:
    steps = run.metrics[-max(1, round(TAIL * len(run.metrics))) :]
    values = [value for metrics in steps for key, value in metrics.items() if key.startswith(prefix)]
    return mean(values) if values else None
