"""Ray, imported only when asked for: connected to a cluster, or started on this machine."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import warnings
from typing import Any

from azr_core.config import VERIFY_LOCALLY
from azr_core.errors import UsageError

KNOCK_S = 10.0
STORE_BYTES = 80_000_000  # of Ray's object store where we start it; a batch is some hundred kB
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "."}  # neither reports to its makers nor lines between ours


def connect(address: str) -> tuple[Any, bool]:
    """Ray, connected to a cluster or started on this machine, and whether that is ours to end. Raises UsageError."""
    os.environ |= QUIET | os.environ  # Ray reads these when it is imported
    if address == VERIFY_LOCALLY and "ray" not in sys.modules:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # listen on the loopback interface only
        if "RAY_AUTH_MODE" not in os.environ:  # and to nobody who cannot read our memory
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
    except ImportError:
        raise UsageError("--verify-on needs Ray, which is not installed: pip install 'azr[ray]'") from None
    if ray.is_initialized():
        return ray, False
    started = {"address": "local", "num_cpus": 1, "include_dashboard": False, "object_store_memory": STORE_BYTES}
    where = started if address == VERIFY_LOCALLY else {"address": address}
    try:
        _knock(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on Ray's own settings, between our lines
            ray.init(**where, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        mend = "start one with ray start --head, set RAY_AUTH_MODE and RAY_AUTH_TOKEN as there, or use --verify-on local"
        raise UsageError(f"no Ray cluster answers at {address} ({one_line(error)}); {mend}") from error
    return ray, True


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself asks for a minute and writes to the terminal."""
    host, colon, port = address.removeprefix("ray://").partition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


def one_line(error: Exception) -> str:
    """An error of Ray's, whose messages are pages, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
