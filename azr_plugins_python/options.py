"""Settings of the plugin, `[plugins.python]`."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

import azr_core as azr
from azr_plugins_python.composite import Composite
from azr_plugins_python.executor import Isolation
from azr_plugins_python.screen import Screen


class Match(StrEnum):
    """When two values are the same. equal: Python's `==` with NaN equal to NaN. strict: types are compared too."""

    EQUAL = "equal"
    STRICT = "strict"


class InductionPairs(StrEnum):
    """Which pairs decide on an induction's answer. all: the paper. hidden: the released code, those the question does not show."""

    ALL = "all"
    HIDDEN = "hidden"


class Handling(StrEnum):
    """Statements about errors that a program of an error task may be refused for."""

    ASSERT = "assert"
    EXCEPT = "except"
    RAISE = "raise"
    TRY = "try"


class Options(azr.Options):
    """What can be set. Defaults are the paper's where it says something."""

    match: Match = Field(default=Match.EQUAL, description="how values are compared")
    pairs: int = Field(default=10, ge=2, le=10, description="inputs of an induction [N], of which the question shows the first half")
    induction_pairs: InductionPairs = Field(default=InductionPairs.ALL, description="which pairs an induction's answer must match")
    screen: Screen = Field(default=Screen.PAPER, description="which programs are refused before they run")
    error_task: bool = Field(default=False, description="the fourth environment, python/error: name the error that a program raises")
    error_banned: tuple[Handling, ...] = Field(
        default=(), description="statements that programs of error tasks must not hold; the released configuration names none"
    )
    composite: Composite = Field(default=Composite(), description="when proposals must build on programs of the buffer")
    max_question_chars: int = Field(default=4_000, ge=100, description="longest question, characters; a longer one is no task")
    max_value_chars: int = Field(default=2_000, ge=10, description="longest output that is shown or asked for, characters")
    cpu_s: float = Field(default=1.0, gt=0, description="CPU seconds of a program with all its calls; a proposal has half")
    wall_s: float = Field(default=5.0, gt=0, description="wall seconds of a program with all its calls")
    memory_mb: int = Field(default=512, ge=64, description="address space of a program, MiB")
    isolation: Isolation = Field(
        default=Isolation.auto, description="auto: programs that a gate admits share a jailed process, one after another; strict: none does"
    )
    slots: int | None = Field(
        default=None, ge=1, description="programs that run at once; none: one per core, divided over the ranks on a machine, and one more"
    )
