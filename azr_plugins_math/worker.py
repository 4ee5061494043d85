"""The process that does hostile work: a warm server that forks one child a job and never does one itself.

`python -m azr_plugins_math.worker grade|gold CPU_S WALL_S MEMORY_MB` reads a JSON object a line and writes one a line. The kernel's timers
end a child, and its own limits its memory; what it has written counts only if it ended well. Nothing that a child does reaches the next.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from azr_plugins_math.errors import MathError

Work = Callable[[Mapping[str, Any]], str]
MAX_REPLY = 60_000


def _grade() -> Work:
    """Grades: {"question", "answer", "share" of the CPU seconds} to the objection, empty for a right answer."""
    from azr_plugins_math.grading import graded

    def work(job: Mapping[str, Any]) -> str:
        return graded(job["question"], job["answer"])

    for _ in range(3):  # a child is faster after its parent has walked the same path
        work(_WARMING)
    return work


_WARMING = {
    "question": {"op": "integrate", "expr": "sin(x)*exp(x) + 1/x", "var": "x", "gold": "log(x)", "seed": "warm"},
    "answer": "exp(x)*(sin(x) - cos(x))/2 + log(x)",
}


def _gold() -> Work:
    """Golds: {"question", "checked"} to the text of the gold."""
    from azr_plugins_math.golds import gold

    for warming in ({"op": "integrate", "expr": "x*exp(x)", "var": "x"}, {"op": "simplify", "expr": "sin(x)^2 + cos(x)^2 + x"}):
        gold(warming)
    return lambda job: gold(job["question"], checked=job.get("checked", True))


_WORKS: dict[str, Callable[[], Work]] = {"grade": _grade, "gold": _gold}


def serve(kind: str, cpu_s: float, wall_s: float, memory_mb: int) -> None:
    """Answers jobs until its input ends."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no reply
    work = _WORKS[kind]()
    gc.collect()
    gc.freeze()
    print(json.dumps({"status": "ready"}), file=replies, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        reply, status = _forked(partial(work, job), cpu_s * job.get("share", 1.0), wall_s, memory_mb)
        print(json.dumps(_verdict(reply, status)), file=replies, flush=True)


def _forked(work: Callable[[], str], cpu_s: float, wall_s: float, memory_mb: int) -> tuple[str, int]:
    """What a child wrote, and its wait status."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _child(work, writer, cpu_s, wall_s, memory_mb)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as stream:
        reply = stream.read(MAX_REPLY)
    return reply, os.waitpid(child, 0)[1]


def _child(work: Callable[[], str], writer: int, cpu_s: float, wall_s: float, memory_mb: int) -> None:
    """Does one job and ends. SIGPROF and SIGALRM end it too, from outside of Python."""
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        signal.setitimer(signal.ITIMER_REAL, wall_s)
        os.write(writer, json.dumps(_done(work)).encode()[:MAX_REPLY])
        os._exit(0)
    finally:
        os._exit(1)


def _done(work: Callable[[], str]) -> dict[str, str]:
    try:
        return {"status": "ok", "text": work()}
    except MathError as refusal:
        return {"status": "refused", "text": str(refusal)}
    except MemoryError:
        return {"status": "memory", "text": "too much memory"}
    except Exception as error:  # SymPy raises whatever it likes; a bug of ours is one job's, and its type is named
        return {"status": "crash", "text": f"{type(error).__name__}: {error}"[:300]}


def _verdict(reply: str, status: int) -> dict[str, str]:
    if os.WIFSIGNALED(status):
        ended = os.WTERMSIG(status)
        kind = {signal.SIGPROF: "timeout", signal.SIGALRM: "stalled"}.get(signal.Signals(ended), "crash")
        return {"status": kind, "text": signal.Signals(ended).name}
    try:
        verdict: dict[str, str] = json.loads(reply)
    except ValueError:
        return {"status": "crash", "text": "no reply"}
    return verdict


if __name__ == "__main__":
    serve(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
