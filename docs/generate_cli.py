"""Writes docs/cli.md from the commands themselves; tests/test_docs_cli.py holds that it is up to date."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from typer.main import get_command

from azr_core.cli import app

PAGE = Path(__file__).with_name("cli.md")


def page() -> str:
    """The whole page."""
    top: Any = get_command(app)
    parts = [
        "# The command line",
        "",
        "Written by `docs/generate_cli.py` from the commands (`make docs`); do not edit.",
        "",
        _plain(top.help),
    ]
    for words, command in _commands(top, ["azr"]):
        usage = " ".join([*words, *(f"{param.metavar or param.name.upper()}" for param in _arguments(command)), "[OPTIONS]"])
        parts += ["", f"## {' '.join(words)}", "", f"`{usage}`", "", _plain(command.help or "")]
        parts += _options([param for param in command.params if param.param_type_name == "option"])
    return "\n".join(parts) + "\n"


def _commands(group: Any, words: list[str]) -> list[tuple[list[str], Any]]:
    found: list[tuple[list[str], Any]] = []
    for name, command in group.commands.items():
        found += _commands(command, [*words, name]) if hasattr(command, "commands") else [([*words, name], command)]
    return found


def _arguments(command: Any) -> list[Any]:
    return [param for param in command.params if param.param_type_name == "argument"]


def _options(params: list[Any]) -> list[str]:
    rows = [(", ".join(f"`{name}`" for name in [*param.opts, *param.secondary_opts]), _plain(param.help or "")) for param in params]
    return ["", "| option | meaning |", "| --- | --- |", *(f"| {names} | {meaning} |" for names, meaning in rows)] if rows else []


def _plain(text: str) -> str:
    """Help without rich's markup; the examples become a block of commands."""
    text = re.sub(r"\[/?(?:bold|dim)\]", "", inspect.cleandoc(text))
    prose, examples, commands = text.partition("\b\n")
    if not examples:
        return prose.strip()
    lines = [line.strip() for line in commands.splitlines()[1:] if line.strip()]
    return "\n".join([prose.strip(), "", "```", *lines, "```"])


if __name__ == "__main__":
    PAGE.write_text(page())
