"""A plugin without hooks that moves the clock ahead where it is loaded: who judges by the time of day is found out by it."""

from __future__ import annotations

import datetime
import time

AHEAD_S = 123_456_789  # seconds, nearly four years and no whole number of days

_now, _now_ns = time.time, time.time_ns


class _Alike(type):
    """Instances of the real class pass for those of the moved one."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])


class LaterDatetime(datetime.datetime, metaclass=_Alike):
    """A datetime whose now is later."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> LaterDatetime:
        return cls.fromtimestamp(time.time(), tz)


class LaterDate(datetime.date, metaclass=_Alike):
    """A date whose today is later."""

    @classmethod
    def today(cls) -> LaterDate:
        return cls.fromtimestamp(time.time())


def move() -> None:
    """Move the clock of this process, for whoever imports or reads it from now on."""
    time.time = lambda: _now() + AHEAD_S
    time.time_ns = lambda: _now_ns() + AHEAD_S * 10**9
    datetime.datetime = LaterDatetime  # type: ignore[misc]
    datetime.date = LaterDate  # type: ignore[misc]


if __name__.startswith("_azr_plugin_"):  # loaded as a plugin's file, not imported
    move()
