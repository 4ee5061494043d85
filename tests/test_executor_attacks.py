"""The jail under attack: the known corpus, forged answers, and classes of harm, with the import guard on and off."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from azr_plugins_python.executor import (
    Executor,
    Isolation,
    Job,
    Limits,
    LiteralError,
    Profile,
    Result,
    Status,
    display,
    equal,
    parse_literal,
    unwrap_call,
)
from azr_plugins_python.executor.profiles import package_folders

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")

FORGE = """
def f():
    import os, sys
    frame = sys._getframe(1)
    while 'identity' not in frame.f_locals:
        frame = frame.f_back
    send, identity, pack = frame.f_locals['send'], frame.f_locals['identity'], frame.f_globals['_pack']
    {forgery}
    os._exit(0)
"""
AFTER = Job("def f(): return len([1, 2, 3]) + sum([1, 2])", ("",))


KINDS = ["lean guarded auto", "lean unguarded auto", "lean unguarded strict", "wide unguarded strict"]
# The whole corpus meets two of them in the fast tests: they differ in guard and in isolation.
SOME = [pytest.param(kind, marks=[] if kind in (KINDS[0], KINDS[2]) else [pytest.mark.slow]) for kind in KINDS]


@pytest.fixture(scope="module", params=KINDS)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Every attack meets both kinds of zygote and of isolation: numpy may load ctypes and more, and nothing may depend on their absence."""
    profile, guard, isolation = request.param.split()
    if profile == "wide" and not package_folders():
        pytest.skip("neither numpy nor sympy is installed")
    limits, guarded = Limits(cpu_s=0.5, wall_s=4.0), guard == "guarded"
    with Executor(limits, slots=2, import_guard=guarded, profile=Profile(profile), isolation=Isolation(isolation)) as built:
        yield built


def score(executor: Executor, attack: dict[str, Any], gold: Result) -> float:
    """What the answer of a deduct or abduct entry is worth."""
    try:
        if attack["task"] == "deduct":
            return float(equal(parse_literal(attack["answer"]), gold.calls[0].value))
        (result,) = executor.run([Job(attack["program"], (unwrap_call(attack["answer"]),))])
    except LiteralError:
        return 0.0
    return float(result.status is Status.ok and equal(result.calls[0].value, gold.calls[0].value))


def judge(executor: Executor, attack: dict[str, Any], result: Result) -> list[str]:
    """What is wrong with the outcome of one entry."""
    wrong = []
    accepted = [{"no_f": "no_entry"}.get(name, name) for name in [attack["expect"], *attack["accept"]]]
    if result.status not in accepted:
        wrong.append(f"{result.status}, not {accepted}")
    if attack.get("error_type", result.reason) != result.reason:
        wrong.append(f"reason {result.reason}")
    if result.status is Status.ok and attack["expected_output"] and attack["task"] != "induct":
        shown = display(result.calls[0].value)
        if not equal(parse_literal(shown), parse_literal(attack["expected_output"])):
            wrong.append(shown)
    if attack["task"] in ("deduct", "abduct") and score(executor, attack, result) != attack["reward"]:
        wrong.append("reward")
    if attack["task"] == "induct":
        hits = sum(
            call.status is Status.ok and equal(call.value, parse_literal(gold))
            for call, (_, gold) in zip(result.calls, attack["tests"], strict=True)
        )
        wrong += ["reward"] if hits / len(attack["tests"]) != attack["reward"] else []
    return wrong


@pytest.mark.parametrize("executor", SOME, indirect=True)
def test_every_known_attack_is_held(executor: Executor, test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZR_CANARY_ENV", "canary-in-the-environment")
    tmp_path.chmod(0o777)
    (tmp_path / "secret.txt").write_text("untouched")
    (tmp_path / "secret.txt").chmod(0o666)
    text = (test_data / "attacks" / "attacks.jsonl").read_text().replace("@CANARY@", str(tmp_path))
    attacks = [json.loads(line) for line in text.splitlines()]
    by_id = {attack["id"]: attack for attack in attacks}
    inputs = [tuple(pair[0] for pair in attack.get("tests") or [[attack["input"]]]) for attack in attacks]
    jobs = [Job(attack["program"], texts) for attack, texts in zip(attacks, inputs, strict=True)]
    checked = [index for index, attack in enumerate(attacks) if attack["task"] == "validate"]
    results = executor.run(jobs)
    for index, result in zip(checked, executor.validate([jobs[index] for index in checked]), strict=True):
        results[index] = result
    wrong = {attack["id"]: judge(executor, attack, result) for attack, result in zip(attacks, results, strict=True)}
    assert {name: faults for name, faults in wrong.items() if faults} == {}
    for attack in (attack for attack in attacks if attack.get("then")):
        then = [Job(by_id[name]["program"], (by_id[name]["input"],)) for name in attack["then"]]
        _, *after = executor.run([Job(attack["program"], (attack["input"],)), *then])
        golds = [parse_literal(by_id[name]["expected_output"]) for name in attack["then"]]
        assert [call.calls[0].value for call in after] == golds, attack["id"]
    assert "canary-in-the-environment" not in repr(results)
    assert [item.name for item in tmp_path.iterdir()] == ["secret.txt"] and (tmp_path / "secret.txt").read_text() == "untouched"


@pytest.mark.parametrize(
    "forgery",
    [
        "send(pack(identity, 0, 0, b'[' * 60000))",
        "send(pack(identity, 0, 0, b'{\"s\":[[1]]}'))",
        'send(pack(identity, 0, 0, b\'{"d":[[{"d":[]},1]]}\'))',
        "send(pack(identity, 0, 0, b'[1e999, NaN, 0.5]'))",
        "send(pack(identity, 0, 0, b'9' * 50000))",
        "send(pack(identity, 0, 0, bytes(range(256))))",
        "send(pack(identity, 0, 99, b'1'))",
        "send(pack(identity, 0, 0, b'__import__(\"os\").getpid()'))",
        "send(pack(identity, 0, 0, b'1' + b' ' * 100000))",
    ],
)
def test_a_forged_answer_is_a_bad_result_and_the_next_job_is_right(executor: Executor, forgery: str) -> None:
    forged, after = executor.run([Job(FORGE.replace("{forgery}", forgery), ("",)), AFTER])
    assert forged.status is Status.bad_result
    assert after.calls[0].value == 6


@pytest.mark.parametrize("forgery", ["send(pack(identity ^ 1, 0, 0, b'1'))", "send(pack(identity, 7, 0, b'1'))", "send(b'x')", "send(b'')"])
def test_an_answer_to_a_job_or_call_that_does_not_exist_is_dropped(executor: Executor, forgery: str) -> None:
    forged, after = executor.run([Job(FORGE.replace("{forgery}", forgery), ("",)), AFTER])
    assert forged.status is Status.crash
    assert after.calls[0].value == 6


def test_the_first_answer_wins(executor: Executor) -> None:
    twice = "send(pack(identity, 0, 0, b'1')); send(pack(identity, 0, 0, b'2'))"
    assert executor.run([Job(FORGE.replace("{forgery}", twice), ("",))])[0].calls[0].value == 1


def test_a_flood_of_answers_ends_the_slot_and_not_the_host(executor: Executor) -> None:
    flood = "\n    while True: send(pack(identity, 0, 1, b'x' * 500))"
    results = executor.run([Job(FORGE.replace("{forgery}", flood), ("",))] + [AFTER] * 6)
    assert (results[0].status, results[0].reason) == (Status.denied, "flood")
    assert [result.calls[0].value for result in results[1:]] == [6] * 6


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")
def test_system_calls_that_are_not_listed_kill() -> None:
    memfd_create, userfaultfd, io_uring, ptrace, bpf, unshare, keyctl, dup, shmget, personality = (
        319,
        323,
        425,
        101,
        321,
        272,
        250,
        32,
        29,
        135,
    )
    numbers = (memfd_create, userfaultfd, io_uring, ptrace, bpf, unshare, keyctl, dup, shmget, personality, 0x40000000 + 39)
    program = "import ctypes\ndef f(n): return ctypes.CDLL(None).syscall(n, 0, 0, 0, 0, 0)"
    with Executor(slots=1, import_guard=False) as built:
        results = built.run([Job(program, (str(number),)) for number in numbers])
    assert {result.status for result in results} == {Status.denied}
