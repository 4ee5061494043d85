"""Counts the lines of the smallest environment here and in two other libraries: `python benchmarks/smallest/count.py`.

A line of code holds at least a part of a statement; blank lines, comments and docstrings do not count.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

HERE = Path(__file__).parent
FILES = {
    "azr": HERE.parents[1] / "plugins/sorting.py",
    "verifiers 0.4.0": HERE / "verifiers_sorting.py",
    "tinker-cookbook 0.6.1": HERE / "tinker_sorting.py",
}
ONLY_FORM = {tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Lines of code."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for token in tokens if token.type not in ONLY_FORM for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - _docstrings(ast.parse(source)))


def table() -> str:
    """The lines of each file, as a table."""
    rows = [(name, path.read_text("utf-8")) for name, path in FILES.items()]
    lines = [f"| {name} | {code_lines(source)} | {len(source.splitlines())} |" for name, source in rows]
    return "\n".join(["| library | lines of code | all lines |", "|---|---|---|", *lines])


def _docstrings(tree: ast.Module) -> set[int]:
    holders = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    texts = [node.body[0] for node in holders if ast.get_docstring(node) is not None]
    return {line for text in texts for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)}


if __name__ == "__main__":
    print(table())
