"""What verdicts depend on besides the job, so that two machines can tell whether theirs would be the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel

from azr_core.interfaces import Environment


class Identity(BaseModel, frozen=True):
    """sources: version and hash of azr and of each plugin, by name. fingerprints: by environment. protection: lines of the plan."""

    sources: dict[str, str]
    fingerprints: dict[str, str]
    protection: frozenset[str]

    def difference(self, other: Identity) -> str:
        """What speaks against sharing verdicts with another machine, with both sides; empty if nothing does."""
        for name, source in self.sources.items():
            if other.sources.get(name) != source:
                return f"{name} is {other.sources.get(name, 'absent')} there and {source} here; install the same sources"
        for name, fingerprint in self.fingerprints.items():
            theirs = other.fingerprints.get(name, fingerprint)
            if theirs != fingerprint:
                return f"the fingerprint of {name} is {theirs!r} there and {fingerprint!r} here; make the machines alike"
        return ""


def identify(listing: Sequence[Mapping[str, str]], environments: Iterable[Environment]) -> Identity:
    """What is loaded in this process. Starts what contains hostile work; raises UsageError where nothing does and something must."""
    verifiers = {environment.name: environment.verifier for environment in environments}
    return Identity(
        sources={plugin["name"]: f"{plugin['version']} ({plugin['sha256'][:12]})" for plugin in listing},
        fingerprints={name: verifier.fingerprint() for name, verifier in verifiers.items()},
        protection=frozenset(verifier.protection() for verifier in verifiers.values()),
    )
