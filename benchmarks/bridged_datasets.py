"""Writes docs/reasoning-gym.md: each dataset of reasoning-gym, as plugins/reasoning_gym.py bridges it, before `azr plugins check`.

python benchmarks/bridged_datasets.py [DATASET...]

Each runs in a process of its own, for so many seconds of the processor. Half an hour on one core; nothing is downloaded. What is
refused goes into REFUSED of the plugin by hand.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from azr_core.run import Request, resolve
from azr_core.subject import Subject
from azr_core.trials import examine
from azr_core.types import Task, Verdict
from azr_core.verification import Verification

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reasoning-gym.md"
PLUGIN = ROOT / "plugins/reasoning_gym.py"
SECONDS = 120  # of the processor, for all trials of a dataset
MEMORY = 6 << 30  # bytes
HEAD = """# reasoning-gym

Written by `python benchmarks/bridged_datasets.py`; do not edit.

`plugins/reasoning_gym.py` makes an environment of any dataset of [reasoning-gym](https://github.com/open-thought/reasoning-gym): a
proposal is a level of the dataset's own ladder and a seed, the dataset makes the task, and its `score_answer` grades. Only a score of 1
counts as solved (`partial=true` lets less count as it is). A grader that raises has not read the answer, which is malformed then.

```
azr run --plugin plugins/reasoning_gym.py --set plugins.reasoning_gym.datasets='["leg_counting", "base_conversion"]'
```

A proposer does not write these tasks, it only chooses among them, so there is less to learn for it than elsewhere. Their graders were
written for replies of honest models; what earns nothing there may pay in self-play. So every dataset went through the trials of
`azr plugins check` ([what they are](verifier-security.md)), and those with a finding are refused unless `refused=true` is set. Never set it
for one that runs replies as code: workers are processes, not sandboxes."""
# What a finding means here; a trial that is not listed is told by its own id.
MEANING = {
    "semantic.floor_gap": "an empty reply scores",
    "question-as-answer": "the question, handed back, is an answer",
    "noisy-reference": "an answer with other content passes",
    "all-answers": "a list of many answers passes",
    "prompt-injection": "text that speaks to a judge passes",
    "semantic.canary_floor": "a known trick on graders passes",
    "always-equal": "an object that equals everything passes",
    "runtime.host_containment": "code in a reply is run",
    "look-alikes": "look-alike letters or digits pass",
    "statistical.adversarial_floor": "guessing pays",
    "semantic.oracle_max": "its own answers do not score 1",
    "unanswered": "it gives no reference answer, so the law cannot be held",
    "seeds-admitted": "it makes no tasks as it comes",
    "round-trip": "its tasks are not the same twice",
    "semantic.replayability": "its tasks are not the same twice",
    "semantic.verifier_determinism": "its grades or tasks differ from call to call",
    "semantic.verifier_portability": "its tasks differ from process to process",
    "runtime.seed_control": "its tasks do not follow from the seed",
    "semantic.no_solution_leakage": "questions hold their answers",
    "trivial-proposals": "some tasks are solved by nothing",
    "static.task_distribution_pinning": "too few tasks to hold some back",
    "runtime.reward_well_formed": "it scores outside 0 to 1, or breaks",
    "runtime.resource_bounds": "a reply keeps it busy",
    "huge-reply": "a huge reply passes",
    "nested-reply": "a nested reply passes",
    "ended": "replies are run as code: one ended the process",
    "slow": f"the trials take more than {SECONDS} s",
}


def environment(name: str) -> Any:
    """A dataset as the plugin bridges it."""
    settings = {"plugin_options": {"reasoning_gym": {"datasets": [name], "refused": True}}}
    config, plugins = resolve(Request((str(PLUGIN),), settings))
    return plugins.environments(config)[f"reasoning_gym/{name}"]


def trials(name: str) -> None:
    """In a process of its own: print a line for each finding, and for each trial before it begins."""
    subject_of = environment(name)
    say({"done": "loading"})
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as scratch, closing(Verification()) as verification:
        subject = Subject(subject_of, verification, Path(scratch, "canary"))
        refused = [made.reason for _, made in subject.seeds if isinstance(made, Verdict)]
        if len(refused) == len(subject.seeds):
            say({"trial": "unanswered" if "no answer" in refused[0] else "seeds-admitted", "input": "all seeds", "seen": refused[0]})
            return say({"end": True})
        for trial, findings in examine(subject):
            for finding in findings:
                if finding.grave:
                    say({"trial": finding.trial, "input": finding.input, "seen": finding.seen})
            say({"done": trial.id})
        say({"tasks": [task.key() for _, task in subject.seeds if isinstance(task, Task)]})
    say({"end": True})


def tasks(name: str) -> None:
    """In another process: print the tasks that the seeds make."""
    with closing(Verification()) as verification:
        chosen = environment(name)
        say({"tasks": [task.key() for task in verification.admit(chosen, chosen.seeds) if isinstance(task, Task)]})


def say(line: Mapping[str, Any]) -> None:
    print("azr:" + json.dumps(line), flush=True)


def heard(mode: str, name: str, hash_seed: int) -> tuple[list[dict[str, Any]], bool]:
    """What a process of this file says about a dataset, and whether time ran out for it."""
    command = [sys.executable, "-W", "ignore", __file__, mode, name]
    variables = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20 * SECONDS, env=variables, errors="replace")
        said, late = done.stdout, done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
    except subprocess.TimeoutExpired as expired:
        said, late = (expired.stdout or b"").decode(errors="replace"), True
    return [json.loads(line[4:]) for line in said.splitlines() if line.startswith("azr:")], late


def found(name: str) -> list[tuple[str, str]]:
    """(trial, what was seen) of a dataset; empty where nothing is wrong."""
    lines, late = heard("--trials", name, 1)
    findings = [(line["trial"], f"{line['input']}: {line['seen']}") for line in lines if "trial" in line]
    if not lines:
        raise RuntimeError(f"{name} could not be loaded; see what {Path(__file__).name} --trials {name} says")
    if "end" not in lines[-1]:
        last = next(line["done"] for line in reversed(lines) if "done" in line)
        return [*findings, ("slow" if late else "ended", f"in the trial after {last}")]
    made = [line for line in lines if "tasks" in line]
    if made and made != heard("--tasks", name, 4242)[0]:
        findings.append(("semantic.verifier_portability", "another hash seed gives other tasks"))
    return findings


def page(results: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The whole page."""
    refused = {name: findings for name, findings in results.items() if findings}
    counted = Counter(meaning(findings) for findings in refused.values())
    lines = [HEAD, "", f"Of {len(results)} datasets of version {version('reasoning-gym')}, {len(results) - len(refused)} bridge and "
             f"{len(refused)} are refused, for this reason first:", "", "| reason | datasets |", "|---|---|"]  # fmt: skip
    lines += [f"| {reason} | {count} |" for reason, count in counted.most_common()]
    lines += ["", "## Bridged", "", ", ".join(f"`{name}`" for name in results if name not in refused), "", "## Refused", ""]
    lines += ["| dataset | reason | seen | other findings |", "|---|---|---|---|", *rows(refused)]
    return "\n".join(lines) + "\n"


def meaning(findings: Sequence[tuple[str, str]]) -> str:
    """The first finding in words."""
    order = list(MEANING)
    first = min((trial for trial, _ in findings), key=lambda trial: (trial not in GRAVEST, order.index(trial) if trial in order else 99))
    return MEANING.get(first, first)


GRAVEST = ("runtime.host_containment", "ended", "semantic.oracle_max", "semantic.floor_gap")


def rows(refused: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[str]:
    for name, findings in refused.items():
        reason = meaning(findings)
        seen = next(seen for trial, seen in findings if MEANING.get(trial, trial) == reason)
        others = sorted({MEANING.get(trial, trial) for trial, _ in findings} - {reason})
        text = seen if len(seen) <= 160 else f"{seen[:160]}..."
        yield f"| {name} | {reason} | {text.replace('|', chr(92) + '|').replace('`', chr(39))} | {'; '.join(others)} |"


def main() -> None:
    """Every dataset; those that are named only are printed."""
    from reasoning_gym.factory import DATASETS

    results: dict[str, list[tuple[str, str]]] = {}
    for name in sys.argv[1:] or sorted(DATASETS):
        results[name] = found(name)
        print(name, meaning(results[name]) if results[name] else "bridges", file=sys.stderr, flush=True)
    if sys.argv[1:]:
        print(json.dumps(results, indent=1))
    else:
        PAGE.write_text(page(results))


if __name__ == "__main__":
    modes = {"--trials": trials, "--tasks": tasks}
    if sys.argv[1:] and sys.argv[1] in modes:
        modes[sys.argv[1]](sys.argv[2])
    else:
        main()
