"""What works on this machine and what does not, found by looking and trying. Needs no run and writes nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from azr_core import checkpoint, tables
from azr_core.config import RunConfig, merge, parse
from azr_core.directory import RunDirectory, names
from azr_core.display import terminal
from azr_core.errors import UsageError
from azr_core.interfaces import Environment
from azr_core.loading import distribution_version, first_line, installed
from azr_core.plugins import Plugins, load
from azr_core.settings import PARTS
from azr_core.types import Check

ROOM = 500e6  # bytes on disk that a run of the default model may need
SHOWN = 5  # newest runs
_PIP = f"{shlex.quote(sys.executable)} -m pip install"


@dataclass(frozen=True)
class Section:
    """Checks that belong together. about: names of the environments that they hold for, where they are of environments."""

    title: str
    checks: tuple[Check, ...]
    about: tuple[str, ...] = ()


def tell(plugins: Sequence[str], runs_dir: Path, *, as_json: bool) -> bool:
    """Print the report; whether all is sound."""
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints when it is imported is no part of the report
        sections = examine(plugins, runs_dir)
    sound = all(check.held for section in sections for check in section.checks)
    if as_json:
        rows = [
            {"section": section.title, "about": list(section.about), **dataclasses.asdict(check)}
            for section in sections
            for check in section.checks
        ]
        print(json.dumps({"sound": sound, "checks": rows}, indent=1))
    else:
        terminal().print(tables.checks((section.title, section.about, section.checks) for section in sections))
    return sound


def examine(plugins: Sequence[str], runs_dir: Path) -> list[Section]:
    """Everything that can be seen of the machine, the packages, the runs, and the plugins: these and the default trainer's, or all."""
    known = [plugin.name for plugin in installed()]
    trainer = RunConfig.model_fields["trainer"].default.name
    asked = [*plugins, *(name for name in [trainer] if name in known and name not in plugins)] if plugins else known
    return [
        Section("machine", tuple(_machine(runs_dir))),
        Section("packages", tuple(_packages())),
        Section("runs", tuple(_runs(runs_dir))),
        *_plugins(asked),
    ]


def _machine(runs_dir: Path) -> Iterator[Check]:
    yield Check("azr", True, distribution_version())
    yield Check("Python", True, f"{platform.python_version()}, {sys.executable}")
    yield Check("system", True, f"{platform.system()} {platform.release()}, {platform.machine()}")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("processor", True, f"{os.cpu_count()} cores, {usable} of them for this process")
    yield Check("memory", True, f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB{_memory_limit()}")
    place = next(folder for folder in (runs_dir.absolute(), *runs_dir.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    mend = "" if free >= ROOM else f"free some space, or choose another --runs-dir: a run may need {ROOM / 1e6:.0f} MB"
    yield Check("disk", not mend, f"{free / 2**30:.1f} GiB free in {place}", mend)


def _memory_limit() -> str:
    """What a container leaves of the memory, where it says so."""
    with contextlib.suppress(OSError, ValueError):
        return f", a container's limit is {int(Path('/sys/fs/cgroup/memory.max').read_text()) / 2**30:.1f} GiB"
    return ""


def _packages() -> Iterator[Check]:
    """The packages that azr asks for, and for each extra what is missing of it."""
    try:
        asked = [Requirement(text) for text in importlib.metadata.requires("azr") or ()]
        extras = importlib.metadata.metadata("azr").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        yield Check("azr", False, "is not installed, only found", f"in the project's folder: {_PIP} -e .")
        return
    for needed in (one for one in asked if _wanted(one, "")):
        version = _version(needed.name)
        fits = version is not None and needed.specifier.contains(version, prereleases=True)
        observed = f"{version or 'missing'}{'' if fits else f', needed: {needed.specifier}'}"
        yield Check(needed.name, fits, observed, "" if fits else f"{_PIP} {shlex.quote(f'{needed.name}{needed.specifier}')}")
    for extra in extras:
        members = [one.name for one in asked if _wanted(one, extra) and not _wanted(one, "")]
        missing = [name for name in members if _version(name) is None]
        mend = f"{_PIP} {shlex.quote(f'azr[{extra}]')}" if missing else ""
        yield Check(f"extra {extra}", True, f"not installed: {', '.join(missing)}" if missing else "installed", mend)


def _wanted(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _runs(runs_dir: Path) -> Iterator[Check]:
    """The newest runs, each with its last checkpoint, which is also a model."""
    made = names(runs_dir)
    if not made:
        yield Check("runs", True, f"none in {runs_dir}")
    for name in made[: -SHOWN - 1 : -1]:
        folder = RunDirectory(runs_dir / name).checkpoints
        steps = checkpoint.sealed(folder)
        yield Check(name, True, f"model in {folder / f'step-{steps[-1]:06d}'}" if steps else "no checkpoint")


def _plugins(asked: Sequence[str]) -> Iterator[Section]:
    """Whether each plugin loads, what it found itself, and what contains the hostile work of its environments."""
    loads: list[Check] = []
    found: list[Section] = []
    contained: dict[tuple[Check, ...], list[str]] = {}
    seen: set[Check] = set()
    for name in asked:
        try:
            environments, checks = _examined(name, contained)
            loads.append(Check(name, True, ", ".join(environments) or "no environments"))
            fresh = [check for check in checks if check not in seen]
            seen.update(fresh)
            found += [Section(f"plugin {name}", tuple(fresh))] if fresh else []
        except UsageError as error:
            loads.append(Check(name, False, first_line(error), _reinstall(name)))
    yield Section("plugins", tuple(loads) or (Check("plugins", False, "none installed", f"in the project's folder: {_PIP} -e ."),))
    yield from found
    for tried, about in contained.items():
        yield Section("protection", tried, tuple(dict.fromkeys(about)))


def _examined(name: str, contained: dict[tuple[Check, ...], list[str]]) -> tuple[list[str], list[Check]]:
    """Names of a plugin's environments, and what it found. Verifiers that share what contains them say the same, and are told once."""
    plugins: Plugins = load([name])
    try:
        parts = {part: RunConfig.model_fields[part].default.model_dump() for part in PARTS}
        config = parse(RunConfig, merge(parts, plugins.defaults({}), {"plugins": (name,)}), f"defaults of plugin {name}")
        environments = plugins.environments(config)
        for environment in environments.values():
            contained.setdefault(_tried(environment), []).append(environment.name)
        return list(environments), plugins.checks(config)
    finally:
        plugins.close()


def _tried(environment: Environment) -> tuple[Check, ...]:
    """What contains an environment's hostile work; a verifier that fails to say is a finding."""
    try:
        checks = tuple(environment.verifier.checks())
    except Exception as error:
        return (Check("checks", False, f"{type(error).__name__}: {first_line(error)}", "tell the author of the plugin"),)
    return checks or (Check("protection", True, environment.verifier.protection() or "none needed"),)


def _reinstall(name: str) -> str:
    """What to do about a plugin that does not load."""
    plugin = next((plugin for plugin in installed() if plugin.name == name), None)
    if plugin is None:
        return "mend what it says, or leave the plugin out"
    return f"python -c 'import {plugin.module.partition(':')[0]}' shows where; mend it, or pip uninstall {plugin.distribution}"
