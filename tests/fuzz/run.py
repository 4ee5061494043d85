"""Coverage-guided fuzzing of everything that reads hostile text: `python tests/fuzz/run.py [TARGET ..] [--runs N] [--seed N]`.

Needs the extra `fuzz`. Each target runs in a process of its own; a crash, a hang of 5 seconds or 2 GB of memory ends it with an error
and leaves the input in a file that its last lines name.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLES: dict[str, tuple[str, ...]] = {
    "value": ('[1,{"t":[null,{"f":"0.5"}]}]', '{"d":[["a",{"s":[1,true]}],[{"z":[]},{"c":["nan","-inf"]}]]}', '{"b":"00ff"}'),
    "answer": ("00000000\0\0\0[1]", "00000000\0\0\x05SyntaxError", "00000000\x01\0\x01KeyError"),
    "literals": (
        "3, 'a', k=[1]",
        "f({1: (2,)}, x=-1-2j)  # so",
        "{float('nan'), frozenset([1]), b'x'}",
        "dict(a=1), set(), '''b'''",
        "+-~1 \\\n",
    ),
    "program": (
        "def f(x):\n    return [c for c in x if c > 1]",
        "import math\nclass A:\n    def g(self): ...\nf = lambda x: f'{x!r:>{3}}'",
        "async def f(): await x",
    ),
}


def fuzz(name: str, runs: int, seed: int) -> int:
    """One target in this process; libFuzzer ends it."""
    import atheris

    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fuzz")]
    with atheris.instrument_imports(include=["azr_plugins_python"]):
        from targets import TARGETS
    with tempfile.TemporaryDirectory() as corpus:
        for number, sample in enumerate(SAMPLES[name]):
            (Path(corpus) / str(number)).write_text(sample)
        bounds = [
            f"-runs={runs}",
            f"-seed={seed}",
            "-timeout=5",
            "-rss_limit_mb=2048",
            "-max_len=10000",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *bounds, corpus], TARGETS[name])
        atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(SAMPLES)}; all if none is named")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        return fuzz(asked.targets[0], asked.runs, asked.seed)
    failed = []
    for name in asked.targets or SAMPLES:
        print(f"== {name}: {asked.runs} runs, seed {asked.seed}", flush=True)
        command = [sys.executable, __file__, name, "--here", "--runs", str(asked.runs), "--seed", str(asked.seed)]
        failed += [name] if subprocess.run(command, check=False).returncode else []
    print(f"broken: {', '.join(failed)}" if failed else "all held")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
