"""The wire between the ranks of a run: messages of JSON between rank 0 and each of the others, and sums over all of them.

It is a group of its own, gloo's, beside the one that trains: it works with any device, and nothing is pickled. Long lists of numbers
travel as the bytes of arrays, since their text would take longer than all else that rank 0 does. Rank 0 is the hub; one thread at a
time holds the others, for an exchange of messages or for a whole update.
"""

from __future__ import annotations

import array
import base64
import hashlib
import json
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState

import azr_core as azr

Message = dict[str, Any]
Handler = Callable[[Message], Message]
BROKEN = ("gloo", "NCCL", "onnection", "ocket", "peer")  # what torch says when a rank is gone
WELL: Message = {}


class Ended(Exception):
    """Rank 0 needs this rank no longer."""


class Ranks:
    """This process's view of all of them; alone, where no launcher started several. timeout_s: the longest wait for another rank."""

    def __init__(self, *, cpu: bool, timeout_s: float) -> None:
        self.place, self.timeout_s = azr.place(), timeout_s
        self.names = [str(self.place)]
        self.held = threading.Lock()
        self.group: Any = None
        if self.count == 1:
            return
        wait = timedelta(seconds=timeout_s)
        with self.unbroken():
            PartialState(cpu=cpu, timeout=wait)
            self.group = dist.new_group(backend="gloo", timeout=wait)
        self.names = self.exchanged(str(self.place))

    @property
    def rank(self) -> int:
        return self.place.rank

    @property
    def count(self) -> int:
        return self.place.count

    @property
    def others(self) -> range:
        """Ranks above 0."""
        return range(1, self.count)

    def send(self, rank: int, message: Message) -> None:
        """Raises RunError if the rank is gone."""
        body = torch.frombuffer(bytearray(written(message)), dtype=torch.uint8)
        with self.unbroken(rank):
            dist.send(torch.tensor([len(body)]), rank, group=self.group)
            dist.send(body, rank, group=self.group)

    def receive(self, rank: int) -> Message:
        """Raises RunError if the rank is gone."""
        size = torch.zeros(1, dtype=torch.long)
        with self.unbroken(rank):
            dist.recv(size, rank, group=self.group)
            body = torch.empty(int(size), dtype=torch.uint8)
            dist.recv(body, rank, group=self.group)
        return read(body.numpy().tobytes())

    def exchanged(self, text: str) -> list[str]:
        """The text of every rank, to all of them."""
        if self.rank:
            self.send(0, {"text": text})
            return list(self.receive(0)["texts"])
        texts = [text, *(self.receive(rank)["text"] for rank in self.others)]
        for rank in self.others:
            self.send(rank, {"texts": texts})
        return texts

    def agree(self, settings: str) -> None:
        """Raises UsageError where a rank was started with other settings than rank 0."""
        if self.count == 1:
            return
        said = self.exchanged(hashlib.sha256(settings.encode()).hexdigest())
        strange = [name for name, other in zip(self.names, said, strict=True) if other != said[0]]
        if strange:
            raise azr.UsageError(f"{', '.join(strange)}: started with other settings than rank 0; start all ranks with one command")

    @contextmanager
    def asked(self, messages: Mapping[int, Message], *, patient: bool = True) -> Iterator[Callable[[], list[Message]] | None]:
        """Send messages to ranks; the function waits for their answers, in order, and raises the first error among them.

        They are heard even if nobody asks. None: a thread holds the ranks; `patient` waits for it instead.
        """
        if not self.held.acquire(blocking=patient):
            yield None
            return
        heard: list[Message] = []
        for rank, message in messages.items():
            self.send(rank, message)
        try:
            yield lambda: self._heard(messages, heard)
        except (Exception, GeneratorExit):
            with suppress(Exception):  # the first error counts
                self._heard(messages, heard)
            raise
        else:
            self._heard(messages, heard)
        finally:
            if len(heard) == len(messages):  # else a rank is gone, or still has its answer to say and cannot hear
                self.held.release()

    def _heard(self, messages: Mapping[int, Message], heard: list[Message]) -> list[Message]:
        if not heard:
            heard += [self.receive(rank) for rank in messages]
            for rank, answer in zip(messages, heard, strict=True):
                if "raised" in answer:
                    raise _error(self.names[rank], answer)
        return heard

    def until(self, *words: str, handlers: Mapping[str, Handler]) -> Message:
        """On ranks above 0: answer rank 0 until it says one of these words. Raises Ended when it needs this rank no longer."""
        while True:
            message = self.receive(0)
            word = message["do"]
            if word in words:
                return message
            if word == "stop":
                raise Ended
            self.send(0, _tried(handlers[word], message))

    def tell(self, message: Message) -> None:
        """Say something to all others that needs no answer."""
        with self.held:
            for rank in self.others:
                self.send(rank, message)

    def stop(self) -> None:
        """Let the other ranks go, unless they cannot hear: in an update, or after one of them was lost. They notice when this one ends."""
        if self.count == 1 or not self.held.acquire(blocking=False):
            return
        for rank in self.others:
            with suppress(azr.RunError):
                self.send(rank, {"do": "stop"})
        self.leave()

    def leave(self) -> None:
        """Take the groups down, on a good end."""
        with suppress(RuntimeError, ValueError):
            dist.destroy_process_group()

    def most(self, value: float) -> float:
        """The largest of all ranks' values; every rank must ask."""
        return self._reduced([value], dist.ReduceOp.MAX)[0]

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all ranks; every rank must ask."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def _reduced(self, values: Sequence[float], operation: Any) -> list[float]:
        if self.count == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        with self.unbroken():
            dist.all_reduce(tensor, operation, group=self.group)
        reduced: list[float] = tensor.tolist()
        return reduced

    @contextmanager
    def unbroken(self, rank: int | None = None) -> Iterator[None]:
        """Says in one line that a rank is gone."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not any(word in str(error) for word in BROKEN):
                raise
            who = "another rank" if rank is None or rank >= len(self.names) else self.names[rank]
            raise azr.RunError(
                f"{who} ended, or was silent for {self.timeout_s:g} s (trainer.ddp_timeout); its own last line says why, "
                f"and --resume goes on from the last checkpoint"
            ) from error


def whole_numbers(values: Sequence[int]) -> array.array[int]:
    """For a message: numbers of 32 bits."""
    return array.array("i", values)


def numbers(values: Sequence[float]) -> array.array[float]:
    """For a message: numbers of 64 bits."""
    return array.array("d", values)


def written(message: Message) -> bytes:
    """A message as it travels."""
    return json.dumps(message, default=_in_bytes).encode()


def read(body: bytes) -> Message:
    """What `written` wrote."""
    message: Message = json.loads(body, object_hook=_as_numbers)
    return message


def _in_bytes(values: Any) -> Message:
    if not isinstance(values, array.array):
        raise TypeError(f"{type(values).__name__} does not travel between ranks")
    return {"array": values.typecode, "bytes": base64.b64encode(values).decode()}


def _as_numbers(found: Message) -> Any:
    return array.array(found["array"], base64.b64decode(found["bytes"])).tolist() if "array" in found else found


def _tried(handler: Handler, message: Message) -> Message:
    """What a handler answers, or what it raised."""
    try:
        return handler(message)
    except Exception as error:
        kind = "usage" if isinstance(error, azr.UsageError) else "bug"
        text = str(error) if kind == "usage" else f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        return {"raised": kind, "text": text, "trace": "".join(traceback.format_exception(error))}


def _error(name: str, answer: Message) -> Exception:
    """What another rank raised, as this one raises it."""
    text = f"{name}: {answer['text']}"
    error = azr.UsageError(text) if answer["raised"] == "usage" else RuntimeError(text)
    error.add_note(f"On {name}:\n{answer['trace']}")
    return error
