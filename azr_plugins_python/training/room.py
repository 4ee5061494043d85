"""The device's room: whether a run fits it, which settings would, and what to do when memory ends all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import azr_core as azr
from azr_plugins_python.training.memory import GIB, Memory, Shape, Sizes, estimate

SMALLEST_PIECE, SHORTEST = 128, 256  # tokens below which settings are not proposed
SAID = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")  # by torch and its libraries
LESS = 0.75  # of the working memory of a phase that ran out
SETTINGS = {  # by what they decide
    "piece": "trainer.micro_batch_tokens",
    "sampling": "trainer.sampling_dtype",
    "update": "trainer.update_dtype",
    "solve": "solve_tokens",
    "propose": "propose_tokens",
    "prompt": "prompt_tokens",
}


def room_of(device: torch.device) -> int | None:
    """Free bytes of a device: a GPU's memory, or the RAM that a CPU's processes may still have. None where nobody tells."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    known = [room for room in (_available(Path("/proc/meminfo")), _granted(Path("/sys/fs/cgroup"))) if room is not None]
    return min(known, default=None)


def _available(path: Path) -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _granted(group: Path) -> int | None:
    """What a container's limit leaves."""
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no limit is the word max
        return None


@dataclass(frozen=True)
class Budget:
    """What a run needs on a device and what that has. shape, need: none for a model whose sizes are not understood. room: bytes."""

    model: str
    device: str
    shape: Shape | None
    sizes: Sizes
    room: int | None

    @property
    def need(self) -> Memory | None:
        return estimate(self.shape, self.sizes) if self.shape else None

    def check(self) -> None:
        """Raises UsageError where what is certain does not fit. Nothing but the model's config.json was read before."""
        if not self.need or self.room is None or self.need.certain <= self.room:
            return
        what = "weights, optimiser and gradients" if self.sizes.learns else "weights"
        raise azr.UsageError(
            f"trainer.model = {self.model!r} does not fit: its {what} alone take {_gib(self.need.certain)}, {self.device} has "
            f"{_gib(self.room)} free; choose a smaller --model or a larger device (--set trainer.check_memory=false goes on anyway)"
        )

    def line(self) -> str:
        """For the plan."""
        if not self.need:
            return "not estimated: sizes of this kind of model are not known"
        room = f" of {_gib(self.room)}" if self.room is not None else ""
        if not self.sizes.learns:
            return f"about {_gib(self.need.loaded)}{room} for weights, up to {_gib(self.need.sampling)} for a batch of the longest replies"
        line = f"about {_gib(self.need.total)}{room} ({_parts(self.need)})"
        if self.room is None or self.need.total <= self.room or self.shape is None:
            return line
        settings = fitting(self.shape, self.sizes, self.room)
        return f"{line}; more than there is, by this estimate; " + (f"{_flags(settings)} would fit" if settings else "no setting would fit")

    @contextmanager
    def spent(self, doing: str) -> Iterator[None]:
        """Turns the end of memory into a UsageError that says what would take less. doing: sampling, learning, loading."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
            if not exhausted(error):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise azr.UsageError(f"{self.device} ran out of memory while {doing}; {self._mend(doing)} ({reason})") from error

    def _mend(self, doing: str) -> str:
        def working(need: Memory) -> int:
            return need.activations + need.head if doing == "learning" else need.sampling

        settings = None
        if self.shape and self.need and doing != "loading":
            settings = fitting(self.shape, self.sizes, int(LESS * working(self.need)), working)
        if not settings:
            return "free some and go on with --resume, or choose a smaller --model or a larger device"
        return (
            "free some and go on with --resume, or start a new run, from its last checkpoint with --model FOLDER if there is one, "
            f"with {_flags(settings)}"
        )


def exhausted(error: BaseException) -> bool:
    """Whether an error says that memory is used up, of a GPU or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in SAID)


def _gib(size: float) -> str:
    return f"{size / GIB:.{0 if size >= 100 * GIB else 1 if size >= GIB else 2}f} GiB"


def _parts(need: Memory) -> str:
    return ", ".join(f"{name} {size / GIB:.{1 if need.total >= GIB else 2}f}" for name, size in need.peak().items())


def _flags(settings: dict[str, int | str]) -> str:
    return " ".join(f"--set {name}={value}" for name, value in settings.items())


def fitting(shape: Shape, sizes: Sizes, room: int, taken: Callable[[Memory], int] = lambda need: need.total) -> dict[str, int | str] | None:
    """Settings that would fit, as few as the search finds; None where there are none. taken: what of the memory must fit.

    Greedy: of the changes that leave alone what is learned the one that saves most, then of the lengths, until it fits.
    """

    def size(of: Sizes) -> int:
        return taken(estimate(shape, of))

    now, turns = sizes, [_gentle, _shorter]
    while turns and size(now) > room:
        best = min(turns[0](now), key=size, default=now)
        now, turns = (best, turns) if size(best) < size(now) else (now, turns[1:])
    if size(now) > room:
        return None
    for name in SETTINGS:
        kept = replace(now, **{name: getattr(sizes, name)})
        now = kept if size(kept) <= room else now
    return {label: getattr(now, name) for name, label in SETTINGS.items() if getattr(now, name) != getattr(sizes, name)}


def _gentle(sizes: Sizes) -> Iterator[Sizes]:
    if sizes.piece > SMALLEST_PIECE:
        yield replace(sizes, piece=max(SMALLEST_PIECE, sizes.piece // 2))
    yield replace(sizes, sampling="bfloat16")
    yield replace(sizes, update="float32" if sizes.update == "bfloat16" else "bfloat16")


def _shorter(sizes: Sizes) -> Iterator[Sizes]:
    """One of the lengths, or all of them, where neither alone would help."""
    halves = {name: max(SHORTEST, getattr(sizes, name) // 2) for name in ("solve", "propose", "prompt")}
    shorter = {name: length for name, length in halves.items() if length < getattr(sizes, name)}
    for changes in (*({name: length} for name, length in shorter.items()), shorter):
        yield replace(sizes, **changes)
        if sizes.piece > SMALLEST_PIECE:
            yield replace(sizes, **changes, piece=max(SMALLEST_PIECE, sizes.piece // 2))
