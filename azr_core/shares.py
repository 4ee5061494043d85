"""How many prompts each environment gets in a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from azr_core.errors import ConfigError, nearest

LEAST = 4  # a positive share gives at least this many samples, or its baseline would be noise


def quotas(shares: Mapping[str, float], environments: Sequence[str], batch_size: int) -> dict[str, int]:
    """Prompts by environment: batch_size each where nothing is said, else batch_size * environments split by shares.

    A domain's share is split evenly over its environments; an environment's own share wins; 0 holds it out.
    Raises ConfigError for a share of something that is not there.
    """
    by_name = _spread(shares, environments)
    total = sum(by_name.values())
    prompts = batch_size * len(environments)
    return {name: max(LEAST, round(prompts * share / total)) if share else 0 for name, share in by_name.items()}


def _spread(shares: Mapping[str, float], environments: Sequence[str]) -> dict[str, float]:
    domains = {name.partition("/")[0] for name in environments}
    for key in shares:
        if key not in environments and key not in domains:
            raise ConfigError(f"[environments] {key!r} is no environment of this run; {nearest(key, [*environments, *domains])}")
    if not shares:
        return dict.fromkeys(environments, 1.0)
    spread = {}
    for name in environments:
        domain = name.partition("/")[0]
        siblings = [other for other in environments if other.startswith(f"{domain}/") and other not in shares]
        spread[name] = shares[name] if name in shares else shares.get(domain, 0.0) / len(siblings)
    if not any(spread.values()):
        raise ConfigError("[environments] leaves every environment of this run at zero; give at least one a positive share")
    return spread
