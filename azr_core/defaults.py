"""The parts that are always there, written as a plugin like any other."""

from __future__ import annotations

from azr_core.buffer import BUFFERS, BufferOptions
from azr_core.config import Part, parse
from azr_core.hookspecs import hookimpl
from azr_core.interfaces import Buffer, RewardShaper
from azr_core.rewards import RULES


@hookimpl
def azr_buffer(part: Part) -> Buffer | None:
    """`uniform`, `step` and `newest_first`."""
    buffer = BUFFERS.get(part.name)
    return buffer(parse(BufferOptions, part.options, "[buffer]")) if buffer else None


@hookimpl
def azr_reward_shaper(part: Part) -> RewardShaper | None:
    """`learnability` and the other rules of `rewards.RULES`."""
    rule = RULES.get(part.name)
    return rule(parse(rule.settings, part.options, "[reward]")) if rule else None
