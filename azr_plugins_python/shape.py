"""The shape of a program: its identity without layout, and its skeleton without details.

Every program that comes here has passed the screen, so it parses and is not deeply nested.
"""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache

from azr_plugins_python.executor import display, parse_arguments

ENTRY = "f"
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def parse(program: str) -> ast.Module:
    """The syntax tree. Raises SyntaxError, ValueError, RecursionError or MemoryError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(program)


def depth(tree: ast.AST) -> int:
    """Levels of the syntax tree, found without recursion."""
    levels, level = 0, [tree]
    while level:
        levels += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return levels


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The same tree, its docstrings removed in place (comments never were in it)."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *_DEFINITIONS)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return tree


def unparsed(tree: ast.AST) -> str:
    """The tree as text, one statement a line; a dump of it for the few f-strings that the standard library cannot write."""
    try:
        return ast.unparse(tree)
    except ValueError:
        return ast.dump(tree, indent=1)


@lru_cache(maxsize=8192)
def program_key(program: str) -> str:
    """Text that is equal for programs that differ in layout, comments, quotes or docstrings only."""
    return ast.dump(without_docstrings(parse(program)))


@lru_cache(maxsize=8192)
def arguments_key(arguments: str) -> str:
    """Text that is equal for argument texts that stand for the same values. `1` and `True` are different arguments."""
    positional, keywords = parse_arguments(arguments)
    return ", ".join([*map(display, positional), *(f"{name}={display(value)}" for name, value in sorted(keywords.items()))])


@lru_cache(maxsize=8192)
def skeleton(program: str) -> str:
    """The program with every number and string replaced by '#' and the names it binds by v0, v1, ... in order."""
    tree = without_docstrings(parse(program))
    return unparsed(_Eraser(bound_names(tree)).visit(tree))


def bound_names(tree: ast.AST) -> dict[str, str]:
    """New names for the parameters, variables, functions and classes of a program, in order of appearance."""
    new: dict[str, str] = {}
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, _DEFINITIONS):
            name = node.name
        if name and name != ENTRY:
            new.setdefault(name, f"v{len(new)}")
    return new


class _Eraser(ast.NodeTransformer):
    """Replaces constants and bound names."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        keep = node.value is None or isinstance(node.value, bool)
        return node if keep else ast.Constant("#")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(operand, ast.Constant):
            return operand
        return ast.UnaryOp(node.op, operand)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self._names.get(node.arg, node.arg))

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        return ast.keyword(self._names.get(node.arg or "", node.arg), self.visit(node.value))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.name = self._names.get(node.name, node.name)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.name = self._names.get(node.name, node.name)
        return node
