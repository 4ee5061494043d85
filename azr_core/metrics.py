"""Numbers of one step, by the names that the display, the report and the logs use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from azr_core.interfaces import Buffer
from azr_core.types import Episode, Outcome, Role

VALID = (Outcome.ADMITTED, Outcome.DUPLICATE)


def step_metrics(episodes: Sequence[Episode], quotas: Mapping[str, int], buffer: Buffer, skeletons: Sequence[str]) -> dict[str, float]:
    """Counts, shares and means of a step by environment. skeletons: of this step's tasks."""
    metrics: dict[str, float] = {
        "failed": float(sum(episode.outcome is Outcome.FAILED for episode in episodes)),
        "tokens/generated": float(sum(len(episode.reply.token_ids) for episode in episodes)),
    }
    if skeletons:
        metrics["skeletons/unique"] = len(set(skeletons)) / len(skeletons)
    for name in (name for name, quota in quotas.items() if quota):
        mine = [episode for episode in episodes if episode.environment == name and episode.outcome is not Outcome.FAILED]
        proposals = [episode for episode in mine if episode.role is Role.PROPOSE]
        solutions = [episode for episode in mine if episode.role is Role.SOLVE]
        metrics[f"buffer/{name}"] = float(buffer.count(name))
        metrics |= {f"{key}/{name}": value for key, value in (_proposing(proposals) | _solving(solutions)).items()}
    return metrics


def _proposing(proposals: Sequence[Episode]) -> dict[str, float]:
    if not proposals:
        return {}
    return {
        "proposed": float(len(proposals)),
        "admitted": float(sum(episode.outcome is Outcome.ADMITTED for episode in proposals)),
        "duplicates": float(sum(episode.outcome is Outcome.DUPLICATE for episode in proposals)),
        "valid": _mean([float(episode.outcome in VALID) for episode in proposals]),
        "reward/propose": _mean([episode.reward for episode in proposals]),
        "reply_tokens/propose": _mean([len(episode.reply.token_ids) for episode in proposals]),
    }


def _solving(solutions: Sequence[Episode]) -> dict[str, float]:
    if not solutions:
        return {}
    return {
        "solved": float(sum(episode.outcome is Outcome.SOLVED for episode in solutions)),
        "attempts": float(len(solutions)),
        "solve_rate": _mean([float(episode.outcome is Outcome.SOLVED) for episode in solutions]),
        "malformed": _mean([float(episode.outcome is Outcome.MALFORMED) for episode in solutions]),
        "reward/solve": _mean([episode.reward for episode in solutions]),
        "reply_tokens/solve": _mean([len(episode.reply.token_ids) for episode in solutions]),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
