"""From jobs to tickets and back: checks and encodes arguments on the host, and puts the outcome of every call in its place."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from azr_plugins_python.executor import codec, wire
from azr_plugins_python.executor.limits import Call, Job, Limits, Result, Status, summarize
from azr_plugins_python.executor.literals import LiteralError, parse_arguments
from azr_plugins_python.executor.profiles import Profile, profile_of
from azr_plugins_python.executor.tickets import Lane, Ticket


@dataclass
class Sheet:
    """A job prepared: its ticket, if anything is to be run, and the calls that were refused on the host."""

    ticket: Ticket | None
    count: int
    """Calls expected in the result: those of the job, times its repeats."""
    refused: dict[int, Call] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """How a job is to be run."""

    cpu_s: float
    guarded: bool
    repeats: int = 1
    slot: int | None = None
    profile: Profile | None = None
    """None: the one that the program needs."""
    lane: Lane = Lane.fork


def fill(job: Job, limits: Limits, terms: Terms) -> Sheet:
    """Prepares a job.

    What is no literal becomes `bad_input`, and what does not fit the wire `program_too_large`, without being sent.
    """
    program, repeats = job.program.encode("utf-8", "surrogatepass"), terms.repeats
    encoded: list[str] = []
    refused: dict[int, Call] = {}
    for index, text in enumerate(job.arguments):
        try:
            encoded.append(_encode_arguments(text))
        except (LiteralError, codec.TooLarge) as error:
            refused.update({index + turn * len(job.arguments): Call(Status.bad_input, None, str(error)) for turn in range(repeats)})
    count = len(job.arguments) * repeats
    if refused and len(refused) == count:
        return Sheet(None, count, refused)
    calls = f"[{json.dumps(job.entry)},[{','.join(encoded)}]]"
    order = wire.Order(0, terms.cpu_s, terms.guarded, repeats, program, calls)
    if len(program) > limits.program_bytes or not order.fits():
        return Sheet(None, count, {index: Call(Status.program_too_large) for index in range(max(1, count))})
    profile = terms.profile or profile_of(job.program)
    lane = terms.lane if profile is Profile.lean else Lane.fork
    return Sheet(Ticket(order, len(encoded) * repeats, terms.slot, terms.slot is not None, profile, lane), count, refused)


def expression_job(program: str, text: str, entry: str = "f") -> Job:
    """A job that makes the call with argument text that is code, such as `range(3)` or a lambda, evaluated in the jail.

    For benchmarks and released seeds, whose inputs are not all literals; what a model proposes must be literal.
    """
    return Job(f"{program}\n\ndef azr_call():\n    return {entry}(\n{text}\n    )\n", ("",), "azr_call")


def literal_job(program: str, text: str) -> Job:
    """A job whose value is (positional, keywords) of such a text, to be shown as the literals that it stands for."""
    collect = "def azr_arguments(*positional, **keywords):\n    return positional, keywords\n"
    return expression_job(f"{program}\n\n{collect}", text, "azr_arguments")


def _encode_arguments(text: str) -> str:
    positional, keywords = parse_arguments(text)
    return f"[{codec.encode(positional)},{codec.encode(keywords)}]"


def settle(sheet: Sheet) -> Result:
    """The job's result, with refused calls where they stood."""
    if sheet.ticket is None:
        return summarize(tuple(sheet.refused.values()))
    answered = sheet.ticket.settle()
    if not sheet.count:  # a job of no calls still says whether its program compiles
        return Result(answered[0].status, (), answered[0].reason) if answered else Result(Status.ok, (), "", sheet.ticket.cpu_s)
    remaining = iter(answered)
    calls = tuple(sheet.refused.get(index) or next(remaining) for index in range(sheet.count))
    return summarize(calls, sheet.ticket.cpu_s, sheet.ticket.latency_s)
