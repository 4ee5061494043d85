"""Which zygote a program needs: the lean one, or the wide one that has numpy and sympy. Routing is about speed, not security."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from importlib import metadata, util
from pathlib import Path

PACKAGES = ("numpy", "sympy")
_NEEDED = (*PACKAGES, "mpmath")
_IMPORTS = re.compile(rf"\b(?:import|from)\b[^\n]*\b(?:{'|'.join(PACKAGES)})\b")


class Profile(StrEnum):
    """A kind of zygote. The wide one takes seconds to start and a hundred MiB, so it starts when a program asks for it."""

    lean = "lean"
    wide = "wide"


def profile_of(program: str) -> Profile:
    """The zygote for a program by its text; where no such package is installed, always the lean one, in which the import fails."""
    if not any(name in program for name in PACKAGES):  # most programs; a fifth of the time of the pattern
        return Profile.lean
    return Profile.wide if _IMPORTS.search(program) and package_folders() else Profile.lean


@cache
def package_folders() -> tuple[str, ...]:
    """Folders that hold the wide packages, found without importing them; none where none is installed."""
    specs = [util.find_spec(name) for name in _NEEDED]
    found = {str(Path(spec.origin).parent.parent): None for spec in specs if spec is not None and spec.origin}
    return tuple(found)


@cache
def package_versions() -> str:
    """Names and versions of what is installed, for the fingerprint."""
    return " ".join(f"{name}-{_version(name)}" for name in _NEEDED)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
