"""A new plugin to begin with, one file or a package, from plugins/template/."""

from __future__ import annotations

import keyword
import re
import shlex
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from azr_core.errors import ConfigError, RunError
from azr_core.loading import installed

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
FILE = "my_plugin.py"
# By file of the template: its place in a package.
PACKAGE = {
    FILE: "azr_my_plugin.py",
    "tests/test_my_plugin.py": "tests/test_my_plugin.py",
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
}


class _Named(string.Template):
    """`my_plugin` is the only thing that is replaced, so the template's files are Python and TOML as they stand."""

    delimiter = "my_"
    idpattern = "plugin"
    flags = re.RegexFlag(0)


@dataclass(frozen=True)
class Draft:
    """What was written. plugin: what the command line is told. commands: what to do next."""

    files: tuple[Path, ...]
    plugin: str
    commands: tuple[str, ...]


def write_file(name: str, folder: Path) -> Draft:
    """One file, `NAME.py`. Raises ConfigError for a bad name, RunError where something stands already."""
    _check(name)
    path = folder / f"{name}.py"
    files = _write({path: _text(FILE, name)})
    plugin = _told(path)
    return Draft(files, plugin, (*_tried(plugin), f"azr warmup --plugin {plugin} --out models/{name} --minutes 10"))


def write_package(name: str, folder: Path) -> Draft:
    """A folder `NAME` with a package that pip installs. Raises like `write_file`."""
    _check(name)
    place = folder / name
    if place.exists():
        raise RunError(f"{place} exists already; choose another name, or another folder with --to")
    files = _write({place / _filled(target, name): _text(source, name) for source, target in PACKAGE.items()})
    return Draft(files, name, (f"python -m pip install -e {_told(place)}", *_tried(name)))


def _told(path: Path) -> str:
    """A path as a shell takes it, and azr and pip take it for a path."""
    return shlex.quote(str(path) if path.is_absolute() or path.parts[0] == ".." else f"./{path}")


def _tried(plugin: str) -> tuple[str, str]:
    return f"azr plugins check {plugin}", f"azr run --plugin {plugin} --steps 1"


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(f"{name!r} is no name of a plugin: small letters, digits and _, a letter first, at most 40, such as word_games")
    if name in sys.stdlib_module_names:
        raise ConfigError(f"{name!r} is a module of Python, which {name}.py would hide; choose another name")
    if name in {plugin.name for plugin in installed()}:
        raise ConfigError(f"a plugin {name!r} is installed already; choose another name")


def _text(source: str, name: str) -> str:
    return _filled((_template() / source).read_text("utf-8"), name)


def _filled(text: str, name: str) -> str:
    return _Named(text).substitute(plugin=name)


def _template() -> Path:
    """plugins/template/ in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return next(folder for folder in (package / "template", package.parent / "plugins/template") if folder.is_dir())


def _write(texts: Mapping[Path, str]) -> tuple[Path, ...]:
    """New files, and the folders they need. Raises RunError; a file that stands is left as it is."""
    for path, text in texts.items():
        if path.exists():
            raise RunError(f"{path} exists already; choose another name, or another folder with --to")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}; choose another folder with --to") from None
    return tuple(texts)
