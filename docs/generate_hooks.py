"""Writes docs/hooks.md from the hook specifications: `python docs/generate_hooks.py`."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
SPECIFICATIONS = HERE.parent / "azr_core" / "hookspecs.py"
INTRODUCTION = """\
# Hooks

Generated from `azr_core/hookspecs.py` by `python docs/generate_hooks.py`.

A plugin is a module with functions marked `@azr.hookimpl`, where `azr` is `import azr_core as azr`. A function takes only the arguments
it needs, by name, and returns a value. Name the plugin when you start a run: `--plugin NAME` for an installed one (an entry point of
the group `azr`), `--plugin path/to/file.py` for a file. Nothing that is not named is imported.

- A misspelt hook, a function `azr_...` without the mark, and an unknown argument are errors when the plugin is loaded.
- Two plugins that answer for one name are an error that names both.
- What a hook raises stops the run with the plugin and the hook in one line; the traceback is in the run's log. `azr.UsageError` and its
  children are shown to the user as they are.
- `azr_requires = ("other",)` in a module loads other plugins first.
- `azr.plugin_options(config, "NAME", Options)` gives a plugin its own settings, from `[plugins.NAME]`; `Options` is a child of
  `azr.Options`.

| hook | in one line |
|---|---|
"""


def render() -> str:
    """The whole page."""
    functions = [node for node in ast.parse(SPECIFICATIONS.read_text()).body if isinstance(node, ast.FunctionDef)]
    documented = [(node, ast.get_docstring(node) or "") for node in functions]
    rows = [f"| [`{node.name}`](#{node.name}) | {text.splitlines()[0]} |" for node, text in documented]
    sections = [f"\n## {node.name}\n\n```python\n{_signature(node)}\n```\n\n{text}" for node, text in documented]
    return INTRODUCTION + "\n".join([*rows, *sections]) + "\n"


def _signature(node: ast.FunctionDef) -> str:
    returns = ast.unparse(node.returns) if node.returns else "None"
    return f"@azr.hookimpl\ndef {node.name}({ast.unparse(node.args)}) -> {returns}: ..."


if __name__ == "__main__":
    (HERE / "hooks.md").write_text(render())
