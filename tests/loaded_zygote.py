"""A zygote with everything loaded that could do harm. Started as a script in place of the shipped one; `argv[1:]` is the zygote's.

The jail must hold a program that has sockets, processes and raw memory at hand, not only one that cannot import them.
"""

import importlib
import runpy
from pathlib import Path

# fmt: off
for name in (
    "_socket", "socket", "select", "selectors", "subprocess", "_posixsubprocess", "ctypes", "ctypes.util", "mmap", "fcntl", "signal",
    "resource", "threading", "queue", "multiprocessing", "multiprocessing.shared_memory", "multiprocessing.pool",
    "concurrent.futures.thread", "multiprocessing.popen_fork", "multiprocessing.synchronize", "multiprocessing.connection", "asyncio",
    "socketserver", "ssl", "pickle", "marshal", "shutil", "tempfile", "pathlib", "glob", "pty", "termios", "tty", "grp", "pwd",
    "syslog", "faulthandler", "traceback", "linecache", "tokenize", "inspect", "importlib.util", "importlib.machinery", "zipimport",
    "runpy", "code", "uuid", "secrets", "datetime", "time", "atexit", "weakref", "gc", "sqlite3", "urllib.request", "http.client",
    "logging", "cProfile", "pdb", "dbm.dumb", "tracemalloc", "symtable", "platform", "getpass", "locale", "curses", "readline", "crypt",
    "shelve", "contextvars",
):
    try:
        importlib.import_module(name)
    except ImportError:  # not every interpreter is built with all of them
        continue
# fmt: on
runpy.run_path(str(Path(__file__).parents[1] / "azr_plugins_python" / "executor" / "zygote.py"), run_name="__main__")
