"""The pytest plugin: `pytest --azr-plugin ./mine.py` makes a test of every environment and trial of `azr plugins check`.

It imports azr only when it is asked for, so that it costs other test runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azr_core.proctor import Pair, Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that asks for it."""
    parser.getgroup("azr").addoption(
        "--azr-plugin", action="append", default=[], metavar="NAME|FILE.py", help="check an azr plugin: a test for each trial"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the trials to the tests that were found."""
    for plugin in config.getoption("--azr-plugin"):
        items += _items(session, plugin)


class Wrong(Exception):
    """What a trial found."""


class Examination:
    """One plugin; tried when its first test runs, and only for those tests that were not deselected."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.report: Report | None = None

    def pairs(self) -> list[Pair]:
        """All (environment, trial) pairs. Raises Wrong where the plugin cannot be loaded."""
        from azr_core.trials import TRIALS

        listed = self._check([])
        if listed.error:
            raise Wrong(listed.error)
        return [(name, trial.id) for name in listed.environments for trial in TRIALS]

    def told(self, session: pytest.Session, pair: Pair | None) -> list[str]:
        """What is wrong with an environment by a trial, or with the plugin as a whole."""
        if self.report is None:
            wanted = [item.pair for item in session.items if isinstance(item, TrialItem) and item.examination is self]
            self.report = self._check([pair for pair in wanted if pair])
        if self.report.error:
            return [self.report.error]
        own = [finding for finding in self.report.findings if finding.grave]
        if pair is None:
            asked = {item.pair for item in session.items if isinstance(item, TrialItem)}
            return [str(finding) for finding in own if (finding.environment, finding.trial) not in asked]
        return [str(finding) for finding in own if (finding.environment, finding.trial) == pair]

    def _check(self, only: list[Pair]) -> Report:
        from azr_core.proctor import Proctor

        return Proctor(self.plugin, [self.plugin], {}).check(only)


class TrialItem(pytest.Item):
    """One trial of one environment; without a pair, what was found beside the trials."""

    def __init__(self, *, examination: Examination, pair: Pair | None, error: str = "", **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.examination, self.pair, self.error = examination, pair, error

    def runtest(self) -> None:
        """Fail with what was found."""
        found = [self.error] if self.error else self.examination.told(self.session, self.pair)
        if found:
            raise Wrong("\n".join(found))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """The findings, without a traceback."""
        return str(excinfo.value)

    def reportinfo(self) -> tuple[str, None, str]:
        """Where it comes from."""
        return self.examination.plugin, None, self.name


def _items(session: pytest.Session, plugin: str) -> Iterator[TrialItem]:
    examination = Examination(plugin)
    try:
        pairs: list[Pair] = examination.pairs()
    except Wrong as error:
        yield TrialItem.from_parent(session, name=f"azr[{plugin}]", examination=examination, pair=None, error=str(error))
        return
    for pair in (*pairs, None):
        name = f"azr[{'-'.join(pair)}]" if pair else f"azr[{plugin}]"
        yield TrialItem.from_parent(session, name=name, examination=examination, pair=pair)
