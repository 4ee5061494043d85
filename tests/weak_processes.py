"""Environments whose faults show only in processes of their own: what differs elsewhere, hangs, runs code, or dies."""

from __future__ import annotations

import datetime
import os
from dataclasses import replace
from typing import Any

from weak_environments import Adder, Weak, add, asked, environment, exact

import azr_core as azr


def patient(task: azr.Task, answer: str) -> float:
    while len(answer) > 1000:
        pass
    return exact(task, answer)


def dutiful(task: azr.Task, answer: str) -> float:
    try:
        return float(eval(answer) == int(task.answer))
    except Exception:
        raise azr.FormatError("not a value") from None


def mortal(task: azr.Task, answer: str) -> float:
    if "_exit" in answer:
        os._exit(3)
    return exact(task, answer)


def busy(proposal: Any) -> azr.Task:
    while 10**9 in proposal.numbers:
        pass
    return add(proposal)


class Jailer(Adder):
    isolated = True


def hashed(proposal: Any, total: int) -> str:
    return f"{add(proposal).question}, please {hash('please') % 1000} times"


def dated(proposal: Any, total: int) -> str:
    return f"{add(proposal).question} in {datetime.date.today().year}"


def placed(proposal: Any, total: int) -> str:
    return f"{add(proposal).question} in {os.environ.get('TZ', 'UTC')}"


WEAK = {
    "sound": Weak("", environment()),
    "hashed": Weak("semantic.verifier_portability", environment(asked(hashed))),
    "dated": Weak("semantic.verifier_portability", environment(asked(dated))),
    "placed": Weak("semantic.verifier_portability", environment(asked(placed))),
    "patient": Weak("runtime.resource_bounds", environment(score=patient)),
    "mortal": Weak("runtime.resource_bounds", environment(score=mortal)),
    "dutiful": Weak("runtime.host_containment", environment(score=dutiful)),
    "busy": Weak("slow-proposals", environment(busy)),
    "jailed": Weak("runtime.resource_bounds", replace(environment(), verifier=Jailer(score=patient))),
}


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return [replace(weak.environment, name=f"weak/{name}") for name, weak in WEAK.items()]
