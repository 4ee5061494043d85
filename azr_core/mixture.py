"""A mixture of domains as people write it: `sequential`, `python=3,math=1`, `alternating python=3,math=1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from azr_core.config import Scheduling
from azr_core.errors import ConfigError, nearest

FORM = "[SCHEDULE] [DOMAIN=SHARE,...]"
SCHEDULES: tuple[str, ...] = get_args(Scheduling.model_fields["name"].annotation)


@dataclass(frozen=True)
class Mixture:
    """shares: by domain, positive ones only."""

    shares: Mapping[str, float]
    schedule: str = SCHEDULES[0]


def read_mixture(text: str, domains: Sequence[str]) -> Mixture:
    """The mixture that a text means; without shares, equal ones of all domains. Raises ConfigError."""
    words = text.split()
    named = [word for word in words if "=" not in word]
    for name in named[1:] if named and named[0] in SCHEDULES else named:
        raise ConfigError(f"--mixture {text!r}: write {FORM}; no schedule {name!r}; {nearest(name, SCHEDULES)}")
    pairs = [pair.partition("=") for word in words if "=" in word for pair in word.split(",") if pair]
    for domain, _, _ in pairs:
        if domain not in domains:
            raise ConfigError(f"--mixture {text!r}: these plugins have no domain {domain!r}; {nearest(domain, domains)}")
    try:
        shares = {domain: float(share) for domain, _, share in pairs} or dict.fromkeys(domains, 1.0)
    except ValueError:
        raise ConfigError(f"--mixture {text!r}: a share is a number, as in {domains[0]}=2") from None
    if not any(shares.values()) or min(shares.values()) < 0:
        raise ConfigError(f"--mixture {text!r}: all shares are zero, or one is negative; give at least one domain a positive share")
    return Mixture({domain: share for domain, share in shares.items() if share}, named[0] if named else SCHEDULES[0])
