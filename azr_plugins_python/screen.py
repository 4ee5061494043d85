"""The screen: which programs may be tasks or answers at all. It is policy, not security; the executor holds without it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import StrEnum

import azr_core as azr
from azr_plugins_python.shape import ENTRY, depth, parse, unparsed, without_docstrings

MAX_BYTES = 8_192
MAX_DEPTH = 100
MIN_LEAK = 12
"""Characters of a program's line from which on a hint that holds it gives the program away."""

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
BANNED_MODULES = frozenset({
    "asyncio", "atexit", "bcrypt", "builtins", "calendar", "code", "codeop", "concurrent", "ctypes", "datetime", "faulthandler",
    "fcntl", "gc", "glob", "hashlib", "hmac", "http", "importlib", "inspect", "io", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "pebble", "pickle", "pkgutil", "platform", "posix", "pty", "random", "resource", "runpy", "secrets", "select",
    "selectors", "shelve", "shutil", "signal", "site", "socket", "socketserver", "ssl", "subprocess", "sys", "sysconfig", "tempfile",
    "threading", "time", "timeit", "tracemalloc", "urllib", "uuid", "weakref", "zipimport",
})  # fmt: skip
RELEASED_WORDS = frozenset({
    "bcrypt", "calendar", "datetime", "hashlib", "hmac", "logging", "multiprocessing", "os.environ", "os.path", "os.sys", "pebble",
    "random", "subprocess", "sys.exit", "threading", "time",
})  # fmt: skip
"""The released code's `banned_words`. It compares each with the single words of dotted names, so those with a dot catch nothing:
neither os, sys nor shutil is banned there."""
# Builtins whose value is another one in the next process; two runs may agree by chance.
BANNED_CALLS = frozenset({"__import__", "hash", "id"})


class Screen(StrEnum):
    """Which programs are refused before they run. paper: ours, which holds all that the paper bans, what else reaches outside a program,
    and builtins whose value differs between processes. reference: what the released code catches of its own list, and no more."""

    PAPER = "paper"
    REFERENCE = "reference"

    def check(self, program: str) -> None:
        """Raises InvalidTask with the reason."""
        tree = _parsed(program)
        if not _binds_entry(tree):
            raise azr.InvalidTask(f"no function {ENTRY} at the top level")
        if self is Screen.REFERENCE:
            _refuse_imports(name for name in _imported_names(tree) if not RELEASED_WORDS.isdisjoint(name.split(".")))
            return
        _refuse_imports(module for module in _imported(tree) if module.partition(".")[0] in BANNED_MODULES)
        called = called_builtins(tree) & BANNED_CALLS
        if called:
            raise azr.InvalidTask(f"calls {min(called)}(), which is banned")


def _refuse_imports(banned: Iterator[str]) -> None:
    for module in banned:
        raise azr.InvalidTask(f"imports {module[:40]}, which is banned")


def leaks(message: str, program: str) -> bool:
    """Whether a hint contains the program: a line of its body, however it is laid out or quoted, or any `def`."""
    if re.search(r"\bdef\b", message):
        return True
    squeezed = _squeezed(message)
    return any(_squeezed(line) in squeezed for line in _body_lines(program) if len(" ".join(line.split())) >= MIN_LEAK)


def _body_lines(program: str) -> Iterator[str]:
    """Lines of code as written and as unparsed; comments and docstrings are not code."""
    tree = without_docstrings(parse(program))
    yield from unparsed(tree).splitlines()
    written = program.splitlines()
    numbers = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt) and hasattr(node, "lineno")}
    yield from (written[number - 1] for number in sorted(numbers) if number <= len(written))


def _squeezed(text: str) -> str:
    return "".join(text.split()).replace('"', "'")


def _parsed(program: str) -> ast.Module:
    size = len(program.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise azr.InvalidTask(f"the program is too large: {size} bytes, at most {MAX_BYTES}")
    try:
        tree = parse(program)
    except SyntaxError as error:
        raise azr.InvalidTask(f"not Python: {error.msg} (line {error.lineno})") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise azr.InvalidTask(f"not Python: {error}") from None
    if depth(tree) > MAX_DEPTH:
        raise azr.InvalidTask("the program is nested too deeply")
    return tree


def _binds_entry(tree: ast.Module) -> bool:
    pending: list[ast.AST] = [*tree.body]
    while pending:
        node = pending.pop()
        if isinstance(node, _DEFINITIONS):
            if node.name == ENTRY:
                return True
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == ENTRY:
            return True
        if isinstance(node, ast.alias) and (node.asname or node.name) == ENTRY:
            return True
        pending.extend(ast.iter_child_nodes(node))
    return False


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _imported_names(tree: ast.AST) -> Iterator[str]:
    """Modules, and what is imported from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.name for alias in node.names)


def called_builtins(tree: ast.AST) -> frozenset[str]:
    """Names that are called and never bound by the program itself."""
    called, bound = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called.add(node.func.id)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, _DEFINITIONS):
            bound.add(node.name)
    return frozenset(called - bound)
