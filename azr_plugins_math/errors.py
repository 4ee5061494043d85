"""What the language of mathematics refuses, from most to least general.

MathError (ValueError)      text that is no expression of the grammar, or one beyond a bound
  Undefined                 no value: division by zero, 0^0, log 0, a value that is no real number where one is needed
    Inexact                 a value, but none that a fraction can hold: pi, sqrt(2), sin(1)
"""

from __future__ import annotations


class MathError(ValueError):
    """A text or an expression that is not accepted. The message says why, for people."""


class Undefined(MathError):
    """An expression has no value where it was asked for one."""


class Inexact(Undefined):
    """An expression may have a value that no fraction can hold."""
