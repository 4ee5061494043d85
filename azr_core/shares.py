"""Who gets how many of a step's prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from azr_core.errors import ConfigError, nearest

LEAST = 4  # a positive share gives at least this many samples, or its baseline would be noise


def split(weights: Mapping[str, float], prompts: int) -> dict[str, int]:
    """So many prompts by weight, which is 0 or gives LEAST of them; so their sum may be a few off."""
    total = sum(weights.values())
    return {name: max(LEAST, round(prompts * weight / total)) if weight else 0 for name, weight in weights.items()}


def spread(shares: Mapping[str, float], environments: Sequence[str]) -> dict[str, float]:
    """Shares by environment: a domain's is split evenly over its environments, an environment's own wins, 0 holds it out.

    Raises ConfigError for a share of something that is not there.
    """
    domains = {domain(name) for name in environments}
    for key in shares:
        if key not in environments and key not in domains:
            raise ConfigError(f"[environments] {key!r} is no environment of this run; {nearest(key, [*environments, *domains])}")
    if not shares:
        return dict.fromkeys(environments, 1.0)
    found = {}
    for name in environments:
        siblings = [other for other in environments if domain(other) == domain(name) and other not in shares]
        found[name] = shares[name] if name in shares else shares.get(domain(name), 0.0) / len(siblings)
    if not any(found.values()):
        raise ConfigError("[environments] leaves every environment of this run at zero; give at least one a positive share")
    return found


def domain(name: str) -> str:
    """The part of an environment's name before the slash."""
    return name.partition("/")[0]
