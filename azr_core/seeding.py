"""Seeds: read from files or grown by a model, and put through the gate like any other proposal."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from azr_core.engine import SelfPlay
from azr_core.errors import ConfigError, InvalidTask, PluginError, UsageError
from azr_core.interfaces import Environment, Policy, SeedFormat
from azr_core.progress import Listener
from azr_core.types import Episode, Kind, Outcome, Proposal, Reply, Task, Verdict

PATIENCE = 8  # rounds without a new seed, after which a model is believed to make none
REASONS = 5  # kinds of refusal that are told apart

Line = Mapping[str, Any]


class PlainSeeds(SeedFormat[Proposal]):
    """azr's own form of a seed: {"environment": name, "proposal": fields}."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def write(self, proposal: Proposal, task: Task) -> Line:
        return {"environment": self._environment.name, "proposal": proposal.model_dump(mode="json")}

    def read(self, lines: Sequence[Line]) -> list[Proposal | InvalidTask | None]:
        return [self._proposal(line) if line.get("environment") == self._environment.name else None for line in lines]

    def _proposal(self, line: Line) -> Proposal | InvalidTask:
        if not self._environment.seeds:
            return InvalidTask(f"{self._environment.name} has no seed of its own that would tell what a proposal is")
        try:
            return type(self._environment.seeds[0]).model_validate(line.get("proposal"))
        except ValidationError as error:
            return InvalidTask(f"not a proposal: {error.errors()[0]['msg']}")


@dataclass(frozen=True)
class SeedSet:
    """Environments that share one format, and so one set of seeds."""

    format: SeedFormat[Any]
    environments: tuple[Environment, ...]

    def __str__(self) -> str:
        return ", ".join(environment.name for environment in self.environments)


@dataclass(frozen=True)
class Growth:
    """What is to be grown. tasks: seeds of each set. stopped: asked after every round."""

    file: Path
    tasks: int
    listener: Listener
    stopped: Callable[[], bool] = lambda: False


def seed(engine: SelfPlay, policy: Policy | None = None, files: Sequence[str] = ()) -> list[str]:
    """Admit the files' seeds, and those of each environment for which the files have none; the sentences say what came of them.

    policy: seeds that it could not be asked are refused. Raises UsageError where an environment that is played is left without tasks.
    """
    lines = [line for file in files for line in read_lines(Path(file))]
    notes, known = [], [False] * len(lines)
    for seeds in seed_sets(engine.environments):
        found = seeds.format.read(lines) if lines else []
        known = [before or one is not None for before, one in zip(known, found, strict=True)]
        given = [one for one in found if one is not None]
        for environment in seeds.environments:
            notes += _admitted(engine, environment.name, given or environment.seeds, policy, filed=bool(given))
    if lines and not all(known):
        notes.append(f"{known.count(False)} of {len(lines)} lines in {', '.join(files)} are no seeds of an environment played here")
    return notes


def grow(engine: SelfPlay, policy: Policy, growth: Growth) -> dict[str, int]:
    """Let the model propose seeds without learning, from each environment's first one on, until every set of the file is full.

    arXiv 2505.03335, section 3.3.1. A file begun before is gone on with. Returns the sets' sizes. Raises UsageError.
    """
    lines = _open(growth.file)
    return {str(seeds): _Bed(engine, policy, growth, seeds).grow(lines) for seeds in seed_sets(engine.environments)}


def seed_sets(environments: Mapping[str, Environment]) -> list[SeedSet]:
    """The sets in the order in which they can be grown: those that are shown others' tasks come after those that are not."""
    shared: defaultdict[SeedFormat[Any], list[Environment]] = defaultdict(list)
    for environment in environments.values():
        shared[environment.seed_format or PlainSeeds(environment)].append(environment)
    sets = [SeedSet(format, tuple(members)) for format, members in shared.items()]
    return sorted(sets, key=lambda one: any(environment.references for environment in one.environments))


def read_lines(file: Path) -> list[Line]:
    """The objects of a file. Raises ConfigError."""
    try:
        texts = file.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"seeds: {file} cannot be read ({error}); name a file of one JSON object a line") from None
    lines = []
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        line = _object(text)
        if line is None:
            raise ConfigError(f"seeds: {file}, line {number}: not a JSON object; mend or remove the line")
        lines.append(line)
    return lines


def _object(text: str) -> Line | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _append(file: Path, lines: Sequence[Line]) -> None:
    """Write whole lines at once, and wait until they are on the disk."""
    with file.open("a", encoding="utf-8") as out:
        out.write("".join(f"{json.dumps(line)}\n" for line in lines))
        out.flush()
        os.fsync(out.fileno())


def _open(file: Path) -> list[Line]:
    """The lines of a file that is to be gone on with; one that a killed process left unfinished is removed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        text = file.read_text("utf-8")
        whole, newline, tail = text.rpartition("\n")
        if tail:
            file.write_text(f"{text}\n" if _object(tail) is not None else whole + newline, "utf-8")
        return read_lines(file)
    return []


def _consider(engine: SelfPlay, name: str, proposals: Sequence[Proposal | InvalidTask], policy: Policy | None) -> list[Episode]:
    """Put proposals that stand in no reply through the gate: one judged episode each, in order."""
    admissions = iter(engine.verification.admit(engine.environments[name], [one for one in proposals if isinstance(one, Proposal)]))
    episodes = []
    for one in proposals:
        judged = next(admissions) if isinstance(one, Proposal) else Verdict(Outcome.INVALID, reason=str(one))
        episode = Episode(name, Kind.PROPOSE, "seed", "", Reply(""), proposal=one if isinstance(one, Proposal) else None)
        episode.verdict = Verdict(Outcome.ADMITTED, 1.0) if isinstance(judged, Task) else judged
        episode.task = judged if isinstance(judged, Task) else None
        episodes.append(episode)
    engine.refuse(policy, episodes, seeds=True)
    return episodes


def _reasons(verdicts: Iterable[Verdict | None]) -> str:
    """How often which kind of refusal, most frequent first; a kind is what stands before the colon."""
    refused = [verdict for verdict in verdicts if verdict and verdict.outcome is not Outcome.ADMITTED]
    counted = Counter(verdict.reason.partition(":")[0] or str(verdict.outcome) for verdict in refused)
    told = counted.most_common(REASONS)
    others = len(refused) - sum(count for _, count in told)
    return ", ".join([*(f"{count} × {reason}" for reason, count in told), *([f"{others} × other reasons"] if others else [])])


def _admitted(engine: SelfPlay, name: str, proposals: Sequence[Proposal | InvalidTask], policy: Policy | None, *, filed: bool) -> list[str]:
    """Remember an environment's seeds; what there is to say: how many of a file's were admitted, and why others were not."""
    episodes = _consider(engine, name, proposals, policy)
    engine.remember(episodes)
    admitted = sum(episode.outcome is Outcome.ADMITTED for episode in episodes)
    why = _reasons(episode.verdict for episode in episodes)
    said = f"{name}: {admitted} of {len(episodes)} seeds admitted" + (f"; refused: {why}" if why else "")
    if engine.schedule.shares[name] and not admitted:
        raise PluginError(f"{said}; an environment that is played needs a task to begin with: mend its seeds")
    return [said] if filed or why else []


class _Bed:
    """Where one set is grown."""

    def __init__(self, engine: SelfPlay, policy: Policy, growth: Growth, seeds: SeedSet) -> None:
        self.engine = engine
        self.policy = policy
        self.growth = growth
        self.seeds = seeds

    def grow(self, lines: Sequence[Line]) -> int:
        """Fill the set up, from what the lines hold of it; returns its size."""
        written = [one for one in self.seeds.format.read(lines) if isinstance(one, Proposal)]
        kept = len(self._keep(written)[0]) or self._add(self.seeds.environments[0].seeds[:1])[0]
        stale = 0
        self._tell(kept)
        while kept < self.growth.tasks and not self.growth.stopped():
            episodes = self._propose(-(kept * PATIENCE + stale))
            grown = [episode.proposal for episode in episodes if episode.outcome is Outcome.ADMITTED and episode.proposal]
            new, refused = self._add([self.seeds.format.strip(one) for one in grown], self.growth.tasks - kept)
            kept, stale = kept + new, 0 if new else stale + 1
            self._tell(kept)
            if stale == PATIENCE:
                why = _reasons(episode.verdict for episode in episodes) or refused
                raise UsageError(
                    f"{self.seeds}: {PATIENCE} rounds of proposals gave no new seed after the first {kept} ({why}); choose a stronger "
                    "--model, teach this one with azr warmup, or ask for fewer --tasks"
                )
        return kept

    def _propose(self, number: int) -> list[Episode]:
        """A round of proposals. Its number is before any step, and told by the file alone, so that a file is gone on with as begun."""
        self.engine.number = number
        asked = {environment.name: self.engine.config.batch_size for environment in self.seeds.environments}
        episodes = self.engine.propose(self.policy, asked)
        self.engine.number = 0
        return episodes

    def _add(self, proposals: Sequence[Proposal], most: int | None = None) -> tuple[int, str]:
        """Keep and write down at most so many new seeds: how many they were, and why others were refused."""
        new, why = self._keep(proposals, most)
        _append(self.growth.file, [self.seeds.format.write(proposal, task) for proposal, task in new])
        return len(new), why

    def _keep(self, proposals: Sequence[Proposal], most: int | None = None) -> tuple[list[tuple[Proposal, Task]], str]:
        """Proposals that every environment of the set admits, each with its task in the first of them; they are remembered."""
        judged = [_consider(self.engine, environment.name, proposals, self.policy) for environment in self.seeds.environments]
        rows = (row for row in zip(*judged, strict=True) if all(episode.outcome is Outcome.ADMITTED for episode in row))
        new = list(islice(rows, most))
        for row in new:
            self.engine.remember(row)
        pairs = [(row[0].proposal, row[0].task) for row in new]
        why = _reasons(episode.verdict for episodes in judged for episode in episodes)
        return [(proposal, task) for proposal, task in pairs if proposal and task], why

    def _tell(self, kept: int) -> None:
        self.growth.listener.phase(f"growing seeds of {self.seeds}", kept, self.growth.tasks)
