"""A second domain beside played_plugin.py: its reply holds `Double` too, so that the same scripted model plays both."""

from __future__ import annotations

from collections.abc import Sequence

import azr_core as azr


class Tripling(azr.Proposal):
    number: int


class TriplingTask(azr.Task):
    number: int


class Proposer(azr.Proposer[Tripling]):
    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "PROPOSE a number to triple."

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Tripling:
        if not answer.isdecimal():
            raise azr.FormatError("not a number")
        return Tripling(number=int(answer))


class Verifier(azr.Verifier[Tripling, TriplingTask]):
    isolated = True

    def admit(self, proposal: Tripling) -> TriplingTask:
        return TriplingTask(question=f"Double {proposal.number}", answer=str(2 * proposal.number), number=proposal.number)

    def grade(self, task: TriplingTask, answer: str) -> float:
        return float(answer == task.answer)

    def skeleton(self, task: TriplingTask) -> str:
        return "one form for all"


def environment() -> azr.Environment:
    return azr.Environment("others/tripling", Proposer(), Verifier(), [Tripling(number=1), Tripling(number=2)], TriplingTask)


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return [environment()]


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    shipped = environment()
    tasks = [shipped.verifier.admit(Tripling(number=10**9 + number)) for number in range(30)]
    return [azr.Benchmark("others/heldout", {shipped.name: tasks}, {shipped.name: shipped})]
