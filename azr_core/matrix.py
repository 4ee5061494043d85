"""The transfer matrix: what training on one domain does to every other, with intervals over seeds and items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from azr_core.curves import ALL
from azr_core.history import History
from azr_core.resampling import bootstrap, interval, mean, spread
from azr_core.shares import domain
from azr_core.statistics import Estimate, estimate, gains

GREEDY = "greedy"
POWER = 2.8
"""Standard errors of a gain that is found 80 times of 100 by a 95 % interval: 1.96 + 0.84."""
FLIPS = 0.12
"""Share of the items whose greedy answer a short training turns over, for the power told beforehand (measured: 0.10 to 0.13)."""
_UNTRAINED = "\0untrained"  # no cell can have this name


class Kind(StrEnum):
    """What a row is for."""

    DOMAIN = "domain"
    MIXTURE = "mixture"
    CONTROL = "control"


@dataclass(frozen=True)
class Column:
    """What was measured: the items of one domain in a benchmark, by pass@1, pass@k of as many samples, or greedy accuracy."""

    benchmark: str
    domain: str
    measure: str

    @property
    def title(self) -> str:
        """Its name among columns of one measure."""
        return self.benchmark if self.benchmark.startswith(f"{self.domain}/") else f"{self.benchmark}, {self.domain}"


@dataclass(frozen=True)
class Trained:
    """The runs of one row. domains: those with a share."""

    name: str
    kind: Kind
    domains: tuple[str, ...]
    runs: Sequence[History]


@dataclass(frozen=True)
class Entry:
    """A gain over the untrained model, as a fraction of the items. detectable: true gain that four of five such studies would find.

    versus: the gain less that of each control.
    """

    gain: Estimate
    detectable: float
    versus: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def forgotten(self) -> bool:
        """Whether the loss is told from none."""
        return self.gain.high is not None and self.gain.high < 0


@dataclass(frozen=True)
class Row:
    """One row of the matrix. steps, tokens (generated), minutes: means of its runs.

    indices: by (other domain, measure), the transferability index: mean relative gain there over the mean relative gain at home (Huan et
    al., arXiv 2507.00432), 1.0 meaning as much; only for a row of one domain whose gain at home is told from none.
    """

    name: str
    kind: Kind
    domains: tuple[str, ...]
    runs: int
    steps: float
    tokens: float
    minutes: float
    entries: Mapping[Column, Entry]
    indices: Mapping[tuple[str, str], Estimate]


@dataclass(frozen=True)
class Matrix:
    """levels: accuracy of the untrained model."""

    levels: Mapping[Column, Estimate]
    rows: Sequence[Row]

    @property
    def measures(self) -> list[str]:
        """The measures, in the columns' order."""
        return list(dict.fromkeys(column.measure for column in self.levels))


Draws = Mapping[Column, Mapping[str, Sequence[float]]]  # by column and row, a gain a round; the untrained model's level too


def measured(run: History) -> dict[Column, tuple[float, ...]]:
    """Scores of a run's last measurement, item by item."""
    samples = int(run.config.get("evaluation", {}).get("samples", 1))
    scores: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for curve in run.curves:
        if curve.kind != ALL:
            scores[curve.benchmark, domain(curve.kind), curve.decoding] += [score for part in curve.points[-1][1] for score in part]
    found: dict[Column, tuple[float, ...]] = {}
    for (benchmark, where, decoding), values in scores.items():
        if decoding == GREEDY:
            found[Column(benchmark, where, GREEDY)] = tuple(values)
            continue
        prefix = "" if decoding == "sampled" else f"{decoding.removeprefix('sampled_')} "
        found[Column(benchmark, where, f"{prefix}pass@1")] = tuple(values)
        if samples > 1:
            found[Column(benchmark, where, f"{prefix}pass@{samples}")] = tuple(float(value > 0) for value in values)
    order = {measure: place for place, measure in enumerate(dict.fromkeys(column.measure for column in found))}
    return dict(sorted(found.items(), key=lambda item: (order[item[0].measure], item[0].domain, item[0].benchmark)))


def matrix(rows: Sequence[Trained], untrained: History, seed: int = 0) -> Matrix:
    """The matrix of the rows that have runs. Intervals: percentiles of a bootstrap that draws items, and seeds, anew in each round."""
    rows = [row for row in rows if row.runs]
    start = measured(untrained)
    ends = {row.name: [measured(run) for run in row.runs] for row in rows}
    drawn: dict[Column, dict[str, list[float]]] = {}
    means: dict[Column, dict[str, float]] = {}
    for column, base in start.items():
        gained = {name: [gains(base, end[column]) for end in runs] for name, runs in ends.items()}
        drawn[column] = bootstrap(gained | {_UNTRAINED: [base]}, seed)
        means[column] = {name: mean([mean(run) for run in runs]) for name, runs in gained.items()}
    levels = {column: estimate(base) for column, base in start.items()}
    controls = [row.name for row in rows if row.kind is Kind.CONTROL]
    return Matrix(levels, [_row(row, means, drawn, levels, [] if row.name in controls else controls) for row in rows])


def foreseen(untrained: History | None, items: Mapping[Column, int], seeds: int) -> dict[Column, float]:
    """The smallest gain that four of five such studies would find, before anything is trained; seeds that learn differently make it larger.

    Sampling alone is counted: of the items' own chances once the untrained model was measured, before that of chances of one half.
    """
    known = measured(untrained) if untrained else {}
    samples = int(untrained.config.get("evaluation", {}).get("samples", 1)) if untrained else 1
    found = {}
    for column, count in items.items():
        if column.measure == GREEDY:
            variance = FLIPS
        else:
            k = samples if column.measure.endswith("pass@1") else 1
            chances = known.get(column, (0.5,))
            spare = k / (k - 1) if k > 1 else 1.0  # s (1 - s) of k samples is this much too small
            within = spare * mean([chance * (1 - chance) for chance in chances]) if k > 1 else mean(chances) * (1 - mean(chances))
            variance = within / k * (1 + 1 / seeds)
        found[column] = POWER * (variance / count) ** 0.5
    return found


def _row(
    row: Trained, means: Mapping[Column, Mapping[str, float]], drawn: Draws, levels: Mapping[Column, Estimate], controls: Sequence[str]
) -> Row:
    entries = {}
    for column, draws in drawn.items():
        mine = draws[row.name]
        versus = {
            name: Estimate(
                means[column][row.name] - means[column][name],
                *interval([own - other for own, other in zip(mine, draws[name], strict=True)]),
            )
            for name in controls
        }
        entries[column] = Entry(Estimate(means[column][row.name], *interval(mine)), POWER * spread(mine), versus)
    return Row(
        row.name, row.kind, row.domains, len(row.runs),
        mean([float(run.last_step) for run in row.runs]),
        mean([run.total("tokens/generated") for run in row.runs]),
        mean([run.wall_s / 60 for run in row.runs]),
        entries, _indices(row, means, drawn, levels),
    )  # fmt: skip


def _indices(
    row: Trained, means: Mapping[Column, Mapping[str, float]], drawn: Draws, levels: Mapping[Column, Estimate]
) -> dict[tuple[str, str], Estimate]:
    if row.kind is not Kind.DOMAIN:
        return {}
    [at_home] = row.domains
    found = {}
    for measure in dict.fromkeys(column.measure for column in levels):
        groups: defaultdict[str, list[Column]] = defaultdict(list)
        for column, level in levels.items():
            if column.measure == measure and level.mean > 0:
                groups[column.domain].append(column)
        relative = {
            where: (
                mean([means[column][row.name] / levels[column].mean for column in columns]),
                [mean(values) for values in zip(*(_relative(drawn[column], row.name) for column in columns), strict=True)],
            )
            for where, columns in groups.items()
        }
        home, draws = relative.get(at_home, (0.0, [0.0]))
        if interval(draws)[0] <= 0:
            continue
        for where, (gain, values) in relative.items():
            if where != at_home:
                ratios = [value / own for value, own in zip(values, draws, strict=True) if own > 0]
                found[where, measure] = Estimate(gain / home, *interval(ratios))
    return found


def _relative(draws: Mapping[str, Sequence[float]], name: str) -> list[float]:
    return [gain / level if level else 0.0 for gain, level in zip(draws[name], draws[_UNTRAINED], strict=True)]
