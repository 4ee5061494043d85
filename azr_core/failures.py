"""How a failure is told: one line on stderr; the traceback goes to the run's log."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from azr_core.errors import UsageError
from azr_core.loading import first_line, write_traceback

TRACEBACK = "AZR_TRACEBACK"  # set it to see tracebacks in the terminal


class Crash(Exception):
    """A bug that stopped a run. log: where its traceback was written."""

    def __init__(self, error: Exception, log: Path) -> None:
        super().__init__(f"{type(error).__name__}: {first_line(error)}; the traceback is in {log}")


@contextmanager
def crashes_logged(log: Path) -> Iterator[None]:
    """Write the traceback of anything unexpected to the log of the run, if its folder was made."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        if not log.parent.is_dir():
            raise
        write_traceback(error, log)
        raise Crash(error, log) from error


@contextmanager
def failures_told() -> Iterator[None]:
    """Turn whatever is raised into one line and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe left; nothing to tell
        sys.exit(1)
    except UsageError as error:
        _leave(str(error), 2)
    except typer.TyperException as error:
        _leave(f"{error.format_message()} (azr --help shows what there is)", error.exit_code)
    except Crash as error:
        _leave(str(error), 1)
    except Exception as error:
        _leave(f"{type(error).__name__}: {first_line(error)}; set {TRACEBACK}=1 to see where", 1)


def _leave(message: str, code: int) -> None:
    if os.environ.get(TRACEBACK):
        traceback.print_exc()
    print(f"azr: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
