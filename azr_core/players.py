"""Who plays a role in the learner's place: the model of another trainer, which does not learn."""

from __future__ import annotations

from collections.abc import Mapping

from azr_core.config import RunConfig, untrained
from azr_core.interfaces import Trainer
from azr_core.plugins import Plugins
from azr_core.types import Role


def hire(config: RunConfig, plugins: Plugins) -> dict[Role, Trainer]:
    """The trainer behind each player of the configuration; none of them has room for learning."""
    players = {}
    for role, part in config.players.items():
        players[role] = plugins.trainer(untrained(config).model_copy(update={"trainer": part}))
        players[role].policy.learns = False
    return players


def told(players: Mapping[Role, Trainer]) -> dict[str, str]:
    """For the plan."""
    found = {role: player.describe() for role, player in players.items()}
    return {
        f"to {role}": ", ".join(["frozen", *(about[name] for name in ("model", "endpoint") if name in about)])
        for role, about in found.items()
    }
