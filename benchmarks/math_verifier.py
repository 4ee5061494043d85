"""How many verdicts a second, and how many wrong ones: ours, Math-Verify's, and those of SymPy's simplify on what the model wrote.

python benchmarks/math_verifier.py [--cases VERDICTS.JSONL] [--seconds 10] [--json]

Cases are questions with a gold, an answer and the right verdict: those of the folder that AZR_TEST_DATA names, and a few of our own. The
rivals are given gold and answer as text; each has a process of its own that is killed after some seconds a case, which counts as a hang,
and limited in memory, which counts as a crash. The simplify rival compares derivatives for an integral and sets for roots, and it runs
code from answers, as such scorers do; no case holds anything harmful. Math-Verify compares what it reads, so another form of an integral
is wrong to it. All three are warm before the clock starts; Math-Verify is skipped where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import azr_core as azr
from azr_plugins_math.deduction import DeductionTask, DeductionVerifier
from azr_plugins_math.options import Options
from azr_plugins_math.tasks import DeductionProposal

MEMORY_MB = 2048
OWN: tuple[tuple[str, str, str, str, bool], ...] = (
    ("evaluate", "17*23 - 4", "387", "387", True),
    ("evaluate", "(1/2)^60", "1/1152921504606846976", "1/1152921504606846977", False),
    ("evaluate", "2+2", "4", "4 + 10^-50", False),
    ("evaluate", "2+2", "4", "factorial(factorial(9))", False),
    ("evaluate", "sqrt(50) - sqrt(8)", "3*sqrt(2)", "sqrt(18)", True),
    ("evaluate", "sqrt(50) - sqrt(8)", "3*sqrt(2)", "4.242640687119285", False),
    ("evaluate", "sqrt(50) - sqrt(8)", "3*sqrt(2)", "3*sqrt(2) + exp(-500)", False),
    ("diff", "tan(x)", "1/cos(x)^2", "1 + tan(x)^2", True),
    ("diff", "x^2*sin(x)", "2*x*sin(x) + x^2*cos(x)", "diff(x^2*sin(x), x)", False),
    ("integrate", "1/(1+x^2)", "atan(x)", "atan(x) + 5", True),
    ("integrate", "1/(1+x^2)", "atan(x)", "Integral(1/(1+x^2), x)", False),
    ("integrate", "1/(1+x^2)", "atan(x)", "atan(x) + floor(x)", False),
    ("simplify", "sqrt(x^2)*(x+1) - x*sqrt(x^2)", "abs(x)", "x", False),
    ("simplify", "sin(tan(-4*x^2-3)^3) + sin(x)^2 + cos(x)^2 - 1", "sin(tan(-4*x^2-3)^3)", "sin(tan(-4*x^2-3)^3)", True),
    ("factor", "x^4 - 1", "(x-1)*(x+1)*(x^2+1)", "x^4 - 1", False),
    ("expand", "(x+1)^3", "x^3 + 3*x^2 + 3*x + 1", "(x+1)^3", False),
    ("solve", "x^2 - 5*x + 6", "2, 3", "2, 3", True),
    ("solve", "x^2 - 5*x + 6", "2, 3", "2, 3, 4", False),
)


@dataclass(frozen=True)
class Case:
    """An answer to a question, and whether it is right."""

    task: DeductionTask
    answer: str
    right: bool

    def text(self) -> str:
        """What a rival is given."""
        return json.dumps({"op": self.task.op, "gold": self.task.answer, "var": self.task.var, "answer": self.answer})


def recorded(path: Path) -> list[Case]:
    """The cases of a file of verdicts that are deductions."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        case = json.loads(line)
        if case["task_type"] == "deduction":
            spec = case["spec"]
            fields = {name: spec[name] for name in ("op", "expr", "var", "domain", "lower", "upper", "point") if name in spec}
            gold = spec["gold"] if "gold" in spec else ", ".join(spec["gold_set"]) or "none"
            found.append(Case(DeductionTask.of(DeductionProposal(**fields), gold), case["answer"], case["expected"] == "accept"))
    return found


def own() -> list[Case]:
    """The cases above."""
    asked = [
        (DeductionProposal(op=op, expr=expr, var="x" if op in ("diff", "integrate", "solve") else ""), rest) for op, expr, *rest in OWN
    ]
    return [Case(DeductionTask.of(proposal, gold), answer, right) for proposal, (gold, answer, right) in asked]


def ours(cases: Sequence[Case]) -> tuple[list[str], float, float]:
    """Verdicts of the plugin, one by one, the longest time of one, and the time of all."""
    verifier = DeductionVerifier(Options())
    verdicts, times = [], []
    try:
        verifier.grade_many([(case.task, case.answer) for case in cases])  # every worker is warm
        for case in cases:
            start = time.perf_counter()
            graded = verifier.grade_many([(case.task, case.answer)])[0]
            times.append(time.perf_counter() - start)
            verdicts.append("crash" if isinstance(graded, azr.VerifierUnavailable) else "accept" if graded == 1.0 else "reject")
    finally:
        verifier.close()
    return verdicts, max(times), sum(times)


class Rival:
    """A process that judges a line at a time, and is killed when it takes too long."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds = name, seconds
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, "--serve", self.name]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        process.stdout.readline()  # it is warm
        return process

    def judge(self, case: Case) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(case.text(), file=self.process.stdin, flush=True)
        ready, _, _ = select.select([self.process.stdout], [], [], self.seconds)
        line = self.process.stdout.readline().strip() if ready else "hang"
        if line in ("accept", "reject", "crash"):
            return line
        self.stop()
        self.process = self.start()
        return line or "crash"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def rival(name: str, cases: Sequence[Case], seconds: float) -> tuple[list[str], float, float]:
    """Verdicts, the longest time of one, and the time of all. Restarts are not counted."""
    process = Rival(name, seconds)
    verdicts, times = [], []
    try:
        for case in cases:
            start = time.perf_counter()
            verdicts.append(process.judge(case))
            times.append(min(time.perf_counter() - start, seconds))
    finally:
        process.stop()
    return verdicts, max(times), sum(times)


def math_verify() -> Callable[[dict[str, str]], bool]:
    """Math-Verify as it comes, with its own limits off: the process around it has one."""
    from math_verify import parse, verify

    def judge(case: dict[str, str]) -> bool:
        gold, answer = (parse(case[side], parsing_timeout=None) for side in ("gold", "answer"))
        return bool(verify(gold, answer, timeout_seconds=None))

    return judge


def simplify() -> Callable[[dict[str, str]], bool]:
    """The usual scorer: simplify(parse_expr(a) - parse_expr(b)) == 0."""
    import sympy
    from sympy.parsing.sympy_parser import convert_xor, implicit_multiplication, parse_expr, standard_transformations

    def read(text: str) -> Any:
        return parse_expr(text, transformations=(*standard_transformations, convert_xor, implicit_multiplication))

    def judge(case: dict[str, str]) -> bool:
        if case["op"] == "solve":
            gold, answer = ({read(part) for part in case[side].split(",")} for side in ("gold", "answer"))
            return bool(gold == answer)
        one, two = read(case["gold"]), read(case["answer"])
        if case["op"] == "integrate":
            one, two = (sympy.diff(side, case["var"]) for side in (one, two))
        return bool(sympy.simplify(one - two) == 0)

    return judge


RIVALS = {"math-verify": math_verify, "simplify": simplify}


def serve(name: str) -> None:
    """The rival's process: a case a line, a verdict a line."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MB << 20, MEMORY_MB << 20))
    judge = RIVALS[name]()
    judge({"op": "diff", "var": "x", "gold": "x + 1", "answer": "1 + x"})
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            verdict = "accept" if judge(json.loads(line)) else "reject"
        except Exception:  # a scorer that fails gives no point
            verdict = "reject"
        except BaseException:
            verdict = "crash"
        print(verdict, flush=True)


def figures(cases: Sequence[Case], verdicts: Sequence[str], longest: float, seconds: float) -> dict[str, float]:
    """What is shown of one verifier."""
    count = Counter((case.right, verdict) for case, verdict in zip(cases, verdicts, strict=True))
    return {
        "verdicts_per_s": round(len(cases) / seconds, 1),
        "false_accepts": count[False, "accept"],
        "false_rejects": count[True, "reject"],
        "hangs": count[True, "hang"] + count[False, "hang"],
        "crashes": count[True, "crash"] + count[False, "crash"],
        "longest_s": round(longest, 3),
    }


def measure(cases: Sequence[Case], seconds: float) -> dict[str, dict[str, float]]:
    """Figures of all three by name."""
    found = {"ours": figures(cases, *ours(cases))}
    for name in RIVALS:
        if name == "simplify" or importlib.util.find_spec("math_verify"):
            found[name] = figures(cases, *rival(name, cases, seconds))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    folder = os.environ.get("AZR_TEST_DATA")
    parser.add_argument("--cases", type=Path, default=Path(folder) / "math/verdicts.jsonl" if folder else None, help="file of verdicts")
    parser.add_argument("--seconds", type=float, default=10.0, help="that a rival has for a case")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--serve", choices=RIVALS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    cases = own() + (recorded(options.cases) if options.cases else [])
    found = measure(cases, options.seconds)
    if options.json:
        print(json.dumps({"cases": len(cases), **found}))
        return
    table = Table("verifier", *next(iter(found.values())), title=f"{len(cases)} verdicts")
    for name, row in found.items():
        table.add_row(name, *map(str, row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
