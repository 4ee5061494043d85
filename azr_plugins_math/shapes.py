"""Content and shape of tasks, without the order of sums and products, the names of symbols, and for the shape most numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from azr_plugins_math.conditions import Condition
from azr_plugins_math.nodes import Call, Name, Negation, Node, Number, Power, Sum, children, number, rebuild, walk
from azr_plugins_math.syntax import canonical, depth, size

COMMON = frozenset({"0", "1", "-1", "2", "x"})
"""Results that a guess would try first."""
_TURNED = {">": "<", ">=": "<=", "==": "="}
_BLIND = number(7)


def system(kinds: Mapping[str, str], conditions: Sequence[Condition]) -> Node:
    """Unknowns and conditions as one tree, so that its canonical text renames all symbols at once."""
    declared = [Call(f"is {kind}", (Name(name),)) for name, kind in kinds.items()]
    return Sum((*declared, *map(_related, conditions)))


def content(node: Node) -> str:
    """A digest that is equal for tasks which are the same but for names and order."""
    return hashlib.sha256(canonical(node).encode()).hexdigest()[:32]


def skeleton(node: Node) -> str:
    """Equal for tasks that differ in numbers too; exponents count."""
    return canonical(_blinded(node))


def describe(nodes: Sequence[Node]) -> dict[str, float]:
    """size: nodes. depth: of the deepest. operations: signs between two numbers, and functions."""
    return {
        "size": float(sum(map(size, nodes))),
        "depth": float(max(map(depth, nodes))),
        "operations": float(sum(_operations(part) for node in nodes for part in walk(node))),
    }


def common(answer: str) -> bool:
    """Whether an answer, or each value in it, is one that a guess would try first."""
    return all(part.rpartition("=")[2].strip() in COMMON for part in answer.split(","))


def _operations(node: Node) -> int:
    return 1 if isinstance(node, Call) else max(0, len(children(node)) - 1)


def _related(condition: Condition) -> Node:
    left, right = condition.left, condition.right
    if condition.sign in (">", ">="):
        left, right = right, left
    sign = _TURNED.get(condition.sign, condition.sign)
    return Call(sign, (Sum((left, right)),) if sign in ("=", "!=") else (left, right))


def _blinded(node: Node) -> Node:
    if isinstance(node, Number):
        return _BLIND
    if isinstance(node, Power) and isinstance(node.exponent, Number):
        return Power(_blinded(node.base), node.exponent)
    if isinstance(node, Negation) and isinstance(node.operand, Number):
        return _BLIND
    return rebuild(node, tuple(map(_blinded, children(node))))
