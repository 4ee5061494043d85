"""Deduction with the reference's own text: `[1,2]` no longer passes for `[1, 2]`. Benchmarks keep the shipped rule.

azr run --plugin python --plugin plugins/exact_text.py
"""

from __future__ import annotations

import azr_core as azr


def exact(task: azr.Task, answer: str, verdict: azr.Verdict) -> azr.Verdict:
    """The verdict, unless it praises another text than the reference's. A line of it is enough: answers may stand in a block."""
    if verdict.outcome is azr.Outcome.SOLVED and task.answer not in map(str.strip, answer.splitlines()):
        return azr.Verdict(azr.Outcome.WRONG, reason="the value, but not the reference's text")
    return verdict


@azr.hookimpl
def azr_verifier(environment: azr.Environment) -> azr.WrappedVerifier | None:
    """For deduction only."""
    return azr.WrappedVerifier(environment.verifier, grade=exact) if environment.name == "python/deduction" else None
