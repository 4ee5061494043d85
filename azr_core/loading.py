"""Finds plugins by name or path and imports them; nothing else of a plugin happens here."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

from azr_core.errors import PluginError, UsageError, nearest

GROUP = "azr"


@dataclass(frozen=True)
class Installed:
    """An installed plugin, known from metadata only."""

    name: str
    module: str
    distribution: str
    version: str


@dataclass(frozen=True)
class Loaded:
    """An imported plugin. files: its Python sources, hashed into the run directory."""

    name: str
    plugin: Any
    version: str
    files: tuple[Path, ...]

    @property
    def sha256(self) -> str:
        """Hash of the sources and their names, the same wherever they are installed."""
        digest = hashlib.sha256()
        for path in self.files:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()


def installed() -> list[Installed]:
    """The installed plugins, by name. Imports none of them."""
    found = []
    for point in _entry_points().values():
        distribution = point.dist.name if point.dist else "unknown"
        found.append(Installed(point.name, point.value, distribution, point.dist.version if point.dist else "unknown"))
    return sorted(found, key=lambda plugin: plugin.name)


def distribution_version() -> str:
    """The version of azr itself."""
    try:
        return importlib.metadata.version("azr")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def is_path(name: str) -> bool:
    """Whether a plugin's name is the path of a file."""
    return name.endswith(".py")


def import_plugin(name: str, log: Path | None) -> Loaded:
    """The plugin of that name or path. Raises PluginError; the traceback of a failed import goes to the log."""
    try:
        return _from_file(Path(name).resolve()) if is_path(name) else _from_entry_point(name)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        write_traceback(error, log)
        raise PluginError(f"plugin {name} failed to import: {type(error).__name__}: {first_line(error)}") from error


def write_traceback(error: BaseException, log: Path | None) -> None:
    """Append an error's traceback to the log, where there is one."""
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as stream:
            traceback.print_exception(error, file=stream)


def first_line(error: BaseException) -> str:
    """The first line of an error's message; messages to users are one line."""
    return (str(error).splitlines() or [""])[0]


def _from_entry_point(name: str) -> Loaded:
    points = _entry_points()
    if name not in points:
        raise PluginError(f"plugin {name!r} is not installed; {nearest(name, points)} (or give a path ending in .py)")
    point = points[name]
    plugin = point.load()
    return Loaded(name, plugin, point.dist.version if point.dist else "unknown", _package_files(point.module))


def _from_file(path: Path) -> Loaded:
    """Import a file under a private name made from its place, so that workers find the same classes by name."""
    if not path.is_file():
        raise PluginError(f"plugin file {path} does not exist; give the path of an existing .py file")
    module_name = f"_azr_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin file {path} cannot be read as a Python module")
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return Loaded(path.stem, module, str(getattr(module, "__version__", "file")), (path,))


def _package_files(module: str) -> tuple[Path, ...]:
    """Sources of the top-level package of a module, or the one file it is."""
    origin = getattr(sys.modules[module.partition(".")[0]], "__file__", None)
    if origin is None:
        return ()
    file = Path(origin)
    return tuple(sorted(file.parent.rglob("*.py"))) if file.name == "__init__.py" else (file,)


def _entry_points() -> Mapping[str, EntryPoint]:
    points: dict[str, EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        other = points.setdefault(point.name, point)
        if other.value != point.value:
            owners = " and ".join(p.dist.name if p.dist else p.value for p in (other, point))
            raise PluginError(f"plugin {point.name!r} is installed twice, by {owners}; uninstall one")
    return points
