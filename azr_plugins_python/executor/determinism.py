"""Whether a program comes to the same every time: what is compared, and under how many hash seeds."""

from __future__ import annotations

import re

from azr_plugins_python.executor.limits import Call, Result, Status, summarize
from azr_plugins_python.executor.values import display

SEEDS = 6
"""Hash seeds that a program is tried under when its text hints at sets, hashes or addresses; two elements keep their order in 1 of 32."""
_ORDER_HINT = re.compile(
    r"\b(?:set|frozenset|hash|id|intersection|difference|union|symmetric_difference)\b"
    r"|(?:keys|items)\(\)\s*[-&|^]|[-&|^]\s*[\w.]+\.(?:keys|items)\(\)|\{[^:{}]+\}"
)


def hints_at_order(program: str) -> bool:
    """Whether a program's text speaks of what depends on a hash seed or an address."""
    return _ORDER_HINT.search(program) is not None


def compare_passes(result: Result, count: int) -> Result:
    """Folds the two passes of one process into one result."""
    if result.status is not Status.ok:
        return summarize(result.calls[:count] if _first_bad(result.calls) < count else result.calls[count:], result.cpu_s)
    pairs = zip(result.calls[:count], result.calls[count:], strict=True)
    return summarize(tuple(_same(one, two) for one, two in pairs), result.cpu_s)


def _first_bad(calls: tuple[Call, ...]) -> int:
    return next((index for index, call in enumerate(calls) if call.status is not Status.ok), 0)


def compare_runs(result: Result, other: Result) -> Result:
    """Folds a run under another hash seed into the result of the first."""
    if other.status is Status.infra or result.status is not Status.ok:
        return other if result.status is Status.ok else result
    return summarize(tuple(_same(one, two) for one, two in zip(result.calls, other.calls, strict=True)), result.cpu_s)


def _same(one: Call, two: Call) -> Call:
    """The call itself if it came to the same twice, to the letter that people and models will be shown."""
    if one.status is two.status is Status.ok and display(one.value) != display(two.value):
        return Call(Status.nondeterministic, None, "value")
    if two.status is not Status.ok:
        return Call(Status.nondeterministic, None, two.reason or two.status.value) if two.status is Status.error else two
    return one
