"""Numbers that describe a program, stored with its task; rewards and alarms take them by name. All are computed on every task.

The first five follow the released code's rewards (`rewards/code_reward.py`), with the differences named below.

complexity    cognitive complexity of all functions (complexipy), divided by 15
edit_distance mean over the references of the edit distance of the syntax, 0..1; 1 without a reference
halstead      0.5 min(effort / 10,000, 1) + 0.3 min(cyclomatic / 10, 1) + 0.2 min(volume / 500, 1) (radon)
cyclomatic    of the most branched function or class (radon), at least 1
diversity     how surprising the answer is, 0..1; see `surprise`
lines, nodes, depth  of the unparsed program and of its syntax tree

Comments and docstrings do not count, so none of them can raise or silence a measure (`# complexipy: ignore` does nothing here).
"""

from __future__ import annotations

import ast
from collections.abc import Hashable, Sequence
from functools import lru_cache

from complexipy import code_complexity
from radon.metrics import h_visit_ast
from radon.visitors import ComplexityVisitor

from azr_plugins_python.shape import bound_names, depth, parse, unparsed, without_docstrings

COMPLEXITY_SCALE = 15
EFFORT_SCALE, CYCLOMATIC_SCALE, VOLUME_SCALE = 10_000, 10, 500
MAX_LABELS = 1_000
"""Syntax nodes of a program that the edit distance looks at; an ordinary program has 90."""


def describe(program: str) -> dict[str, float]:
    """The measures of a program that has passed the screen, but for those that compare it with others."""
    return dict(_described(program))


def edit_distance(program: str, references: Sequence[str]) -> float:
    """Mean distance of the program's syntax to that of the references.

    A distance is the least number of node insertions, deletions and changes that turn one preorder sequence of the syntax tree into the
    other, divided by the longer's length. It is a lower bound of the tree edit distance, which costs a thousand times as much. A node is
    its type, and the name of an attribute or of what the program does not bind itself: constants and chosen names do not count.
    The released code compares the JSON text of the trees by difflib instead, names and constants included.
    """
    own = _labels(program)
    others = [_labels(reference) for reference in references]
    distances = [edits(own, other) / max(len(own), len(other), 1) for other in others]
    return sum(distances) / len(distances) if distances else 1.0


def surprise(answer: str, others: Sequence[str]) -> float:
    """The share of other answers that differ from this one; 1 where there is none.

    The released code keeps a counter of all answers in the buffer for this, which it loses on resume. References are drawn uniformly
    from that buffer, so the share among them is an unbiased estimate of the same number, and nothing has to be kept.
    """
    return 1.0 - others.count(answer) / len(others) if others else 1.0


def variety(answers: Sequence[str]) -> float:
    """The mean surprise of each answer among the others: the share of pairs that differ, 0..1."""
    if len(answers) < 2:
        return 0.0
    return sum(surprise(answer, [*answers[:at], *answers[at + 1 :]]) for at, answer in enumerate(answers)) / len(answers)


def edits(one: Sequence[Hashable], two: Sequence[Hashable]) -> int:
    """Levenshtein's distance, one column of the table in one integer (Myers 1999, in the form of Hyyrö 2003)."""
    if not one:
        return len(two)
    where: dict[Hashable, int] = {}
    for at, label in enumerate(one):
        where[label] = where.get(label, 0) | 1 << at
    every, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down, distance = every, 0, len(one)  # rows where the column grows, where it shrinks, and its last value
    for label in two:
        same = where.get(label, 0)
        level = (((same & up) + up) ^ up) | same
        grows, shrinks = down | ~(level | up), up & level
        distance += bool(grows & last) - bool(shrinks & last)
        grows = (grows << 1) | 1
        same |= down
        up, down = ((shrinks << 1) | ~(same | grows)) & every, grows & same & every
    return distance


@lru_cache(maxsize=8192)
def _described(program: str) -> tuple[tuple[str, float], ...]:
    tree = without_docstrings(parse(program))
    text = unparsed(tree)
    cyclomatic = _cyclomatic(tree)
    found = {
        "lines": len(text.splitlines()),
        "nodes": sum(1 for _ in ast.walk(tree)),
        "depth": depth(tree),
        "complexity": _cognitive(text) / COMPLEXITY_SCALE,
        "cyclomatic": cyclomatic,
        "halstead": _halstead(tree, cyclomatic),
    }
    return tuple((name, float(number)) for name, number in found.items())


def _cognitive(text: str) -> int:
    try:
        return code_complexity(text, no_ignore=True, with_plans=False).complexity
    except ValueError:  # complexipy has a parser of its own, which does not take all that Python's does
        return 0


def _cyclomatic(tree: ast.Module) -> int:
    return max((block.complexity for block in ComplexityVisitor.from_ast(tree).blocks), default=1)


def _halstead(tree: ast.Module, cyclomatic: int) -> float:
    total = h_visit_ast(tree).total
    parts = ((0.5, total.effort / EFFORT_SCALE), (0.3, cyclomatic / CYCLOMATIC_SCALE), (0.2, total.volume / VOLUME_SCALE))
    return sum(weight * min(part, 1.0) for weight, part in parts)


@lru_cache(maxsize=8192)
def _labels(program: str) -> tuple[str, ...]:
    """The nodes of the syntax tree, depth first, whole but for MAX_LABELS."""
    tree = without_docstrings(parse(program))
    own = bound_names(tree)
    found: list[str] = []
    pending: list[ast.AST] = [tree]
    while pending and len(found) < MAX_LABELS:
        node = pending.pop()
        if isinstance(node, ast.expr_context):
            continue
        found.append(_label(node, own))
        pending.extend(reversed(list(ast.iter_child_nodes(node))))
    return tuple(found)


def _label(node: ast.AST, own: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"Attribute {node.attr}"
    if isinstance(node, ast.Name) and node.id not in own:
        return f"Name {node.id}"
    return type(node).__name__
