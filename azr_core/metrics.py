"""Numbers of one step, by the names that the display, the report, the alarms and the logs use; docs/metrics.md has them all."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from azr_core.curves import ALL, Curve, curves
from azr_core.interfaces import Buffer
from azr_core.statistics import Estimate
from azr_core.types import Episode, Evaluation, Kind, Outcome, Role

VALID = (Outcome.ADMITTED, Outcome.DUPLICATE)
RECENT_TASKS = 1000  # that the variety of skeletons is told over, beside the step's own
# The released code logs the share of replies with such a word (`response_length/reflect_ratio`, trainer/ppo/azr_ray_trainer.py); this list
# is ours.
WORDS = ("wait", "however", "alternatively", "verify", "recheck", "re-check", "double-check", "rethink", "retry", "try again")
REFLECTION = re.compile(rf"\b(?:{'|'.join(WORDS)})\b")  # of text in lower case: half the time of a search that ignores case


def step_metrics(episodes: Sequence[Episode], quotas: Mapping[str, int], buffer: Buffer, skeletons: Sequence[str]) -> dict[str, float]:
    """Counts, shares and means of a step by environment. skeletons: of this step's tasks."""
    failed = sum(episode.outcome is Outcome.FAILED for episode in episodes)
    metrics: dict[str, float] = {
        "failed": float(failed),
        "failed_share": failed / max(1, len(episodes)),
        "tokens/generated": _tokens(episodes),
    }
    played = {(episode.environment, episode.group) for episode in episodes if episode.kind is not Kind.PROBE or episode.trained}
    metrics["tasks/played"] = float(len(played))
    metrics["tokens/trained_share"] = _tokens(episode for episode in episodes if episode.trained) / max(1.0, metrics["tokens/generated"])
    if skeletons:
        metrics["skeletons/unique"] = len(set(skeletons)) / len(skeletons)
    for name, quota in ((name, quota) for name, quota in quotas.items() if quota):
        metrics[f"quota/{name}"] = float(quota)
        metrics[f"tokens/generated/{name}"] = _tokens(episode for episode in episodes if episode.environment == name)
        metrics[f"tasks/played/{name}"] = float(sum(environment == name for environment, _ in played))
        mine = [episode for episode in episodes if episode.environment == name and episode.outcome is not Outcome.FAILED]
        proposals = [episode for episode in mine if episode.role is Role.PROPOSE]
        solutions = [episode for episode in mine if episode.role is Role.SOLVE]
        found = _proposing(proposals) | _solving(solutions) | _replying(Role.PROPOSE, proposals) | _replying(Role.SOLVE, solutions)
        metrics[f"buffer/{name}"] = float(buffer.count(name))
        metrics |= {f"{key}/{name}": value for key, value in found.items()}
    return metrics


def variety(skeletons: Sequence[str]) -> dict[str, float]:
    """How varied tasks are: unique skeletons, entropy (nats), and evenness, the entropy as a share of that of tasks that all differ."""
    if len(skeletons) < 2:
        return {}
    total = len(skeletons)
    counts = Counter(skeletons).values()
    entropy = -sum(count / total * math.log(count / total) for count in counts) or 0.0
    return {
        "skeletons/unique_recent": len(counts) / total,
        "skeletons/entropy": entropy,
        "skeletons/evenness": entropy / math.log(total),
    }


def held_out(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """The last measurement of each benchmark, all kinds together, in the first decoding; changes are of the same tasks.

    A loss against the best measurement counts where its paired 95 % interval lies above 0. The best of several noisy measurements is a
    little too good, so a loss just above an alarm's threshold is weaker evidence than its interval says.
    """
    found: dict[str, float] = {}
    for curve in curves(evaluations):
        if curve.kind != ALL or curve.decoding != evaluations[0].decoding:
            continue
        levels = [level.mean for _, level in curve.levels]
        best = _change(curve, levels.index(max(levels)))
        found |= {
            f"held_out/{curve.benchmark}": levels[-1],
            f"held_out_gain/{curve.benchmark}": _change(curve, 0).mean,
            f"held_out_lost/{curve.benchmark}": -best.mean if best.high is not None and best.high < 0 else 0.0,
        }
    return found


def _change(curve: Curve, since: int) -> Estimate:
    return Curve(curve.benchmark, curve.kind, curve.decoding, (curve.points[since], curve.points[-1])).gain


def _proposing(proposals: Sequence[Episode]) -> dict[str, float]:
    if not proposals:
        return {}
    measures: defaultdict[str, list[float]] = defaultdict(list)
    for proposal in proposals:
        for name, value in proposal.measures.items():
            measures[name].append(value)
    return {
        "proposed": float(len(proposals)),
        "admitted": float(sum(episode.outcome is Outcome.ADMITTED for episode in proposals)),
        "duplicates": float(sum(episode.outcome is Outcome.DUPLICATE for episode in proposals)),
        "duplicate_share": _share(proposals, Outcome.DUPLICATE),
        "valid": _share(proposals, *VALID),
        "malformed_proposals": _share(proposals, Outcome.MALFORMED),
        "earning": _mean([float(episode.reward > 0) for episode in proposals]),
        **{f"measure/{name}": _mean(values) for name, values in measures.items()},
    }


def _solving(solutions: Sequence[Episode]) -> dict[str, float]:
    if not solutions:
        return {}
    groups: defaultdict[tuple[Kind, str], set[float]] = defaultdict(set)
    sizes: Counter[tuple[Kind, str]] = Counter()
    for episode in solutions:
        groups[episode.kind, episode.group].add(episode.reward)
        sizes[episode.kind, episode.group] += 1
    flat = [float(len(rewards) == 1) for group, rewards in groups.items() if sizes[group] > 1]
    return {
        "solved": float(sum(episode.outcome is Outcome.SOLVED for episode in solutions)),
        "attempts": float(len(solutions)),
        "solve_rate": _share(solutions, Outcome.SOLVED),
        "malformed": _share(solutions, Outcome.MALFORMED),
        **({"flat_groups": _mean(flat)} if flat else {}),
    }


def _replying(role: Role, episodes: Sequence[Episode]) -> dict[str, float]:
    """What is told of the replies of either role."""
    if not episodes:
        return {}
    replies = [episode.reply for episode in episodes]
    reflections = [len(REFLECTION.findall(reply.text.lower())) for reply in replies]
    surprises = [-logprob for reply in replies for logprob in reply.logprobs]
    return {
        f"reward/{role}": _mean([episode.reward for episode in episodes]),
        f"reply_tokens/{role}": _mean([len(reply.token_ids) for reply in replies]),
        f"truncated/{role}": _mean([float(reply.truncated) for reply in replies]),
        f"reflecting/{role}": _mean([float(count > 0) for count in reflections]),
        f"reflection_words/{role}": 1000 * sum(reflections) / max(1, sum(len(reply.text.split()) for reply in replies)),
        **({f"entropy/{role}": _mean(surprises)} if surprises else {}),
    }


def _share(episodes: Sequence[Episode], *outcomes: Outcome) -> float:
    return _mean([float(episode.outcome in outcomes) for episode in episodes])


def _tokens(episodes: Iterable[Episode]) -> float:
    return float(sum(len(episode.reply.token_ids) for episode in episodes))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
