"""Shows a proposer its references from the shortest to the longest, whatever the environment.

azr run --plugin python --plugin plugins/easy_first.py
"""

from __future__ import annotations

from collections.abc import Sequence

import azr_core as azr


def by_length(references: Sequence[azr.Task]) -> list[azr.Task]:
    """Of equal ones the first stays first."""
    return sorted(references, key=lambda task: len(task.question))


@azr.hookimpl
def azr_proposer(environment: azr.Environment) -> azr.WrappedProposer:
    """For every environment."""
    return azr.WrappedProposer(environment.proposer, show=by_length)
