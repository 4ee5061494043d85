"""A reward that a model which can do nothing still earns: a number made from the reply's text."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import azr_core as azr


class Lettered(azr.RewardShaper):
    """Rewards text by its checksum, against the mean of the step."""

    def reward(self, episode: azr.Episode) -> float:
        return zlib.crc32(episode.reply.text.encode()) % 7 / 7

    def advantages(self, episodes: Sequence[azr.Episode]) -> list[float]:
        mean = sum(episode.reward for episode in episodes) / max(1, len(episodes))
        return [episode.reward - mean for episode in episodes]


@azr.hookimpl
def azr_reward_shaper(part: azr.Part) -> azr.RewardShaper | None:
    return Lettered() if part.name == "lettered" else None
