"""The device's room: whether a run fits it, which settings would, and what to do when memory ends all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

import azr_core as azr
from azr_plugins_python.training.memory import GIB, Memory, estimate
from azr_plugins_python.training.proposals import fitting, flags
from azr_plugins_python.training.shape import Shape
from azr_plugins_python.training.sizes import Sizes

SAID = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")  # by torch and its libraries
LESS = 0.75  # of the working memory of a phase that ran out


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
    """What a run needs on a device and what that has. shape, need: none for a model whose sizes are not understood. room: bytes of
    each device; ram: of the machine that a GPU is in."""

    model: str
    device: str
    shape: Shape | None
    sizes: Sizes
    room: int | None
    ram: int | None = None

    @property
    def need(self) -> Memory | None:
        return estimate(self.shape, self.sizes) if self.shape else None

    def check(self) -> None:
        """Raises UsageError where what is certain does not fit. Nothing but the model's config.json was read before."""
        if not self.need:
            return
        if self.ram is not None and self.need.host > self.ram:
            raise azr.UsageError(
                f"trainer.offload_optimizer needs {_gib(self.need.host)} of the machine's memory for {self.model!r}, {_gib(self.ram)} are "
                "free; set trainer.lora_rank instead, such as 32, or choose a smaller --model"
            )
        if self.room is None or self.need.certain <= self.room:
            return
        what = "weights, optimiser and gradients" if self.sizes.learns else "weights"
        raise azr.UsageError(
            f"trainer.model = {self.model!r} does not fit: its {what} alone take {_gib(self.need.certain)}, {self.device} has "
            f"{_gib(self.room)} free; {self._would_fit()}choose a smaller --model or a larger device "
            "(--set trainer.check_memory=false goes on anyway)"
        )

    def line(self) -> str:
        """For the plan."""
        if not self.need:
            return "not estimated: sizes of this kind of model are not known"
        room = f" of {_gib(self.room)}" if self.room is not None else ""
        room += f" on each of {self.sizes.ranks} devices" if self.sizes.ranks > 1 else ""
        if not self.sizes.learns:
            return f"about {_gib(self.need.loaded)}{room} for weights, up to {_gib(self.need.sampling)} for a batch of the longest replies"
        line = f"about {_gib(self.need.total)}{room} ({_parts(self.need)})"
        line += f" and {_gib(self.need.host)} of the machine's memory" if self.need.host else ""
        if self.room is None or self.need.total <= self.room:
            return line
        return f"{line}; more than there is, by this estimate; {self._would_fit() or 'no setting would fit; '}".removesuffix("; ")

    def _would_fit(self) -> str:
        if self.shape is None or self.room is None:
            return ""
        settings = fitting(self.shape, self.sizes, self.room, ram=self.ram)
        return f"{flags(settings)} would fit; " if settings else ""

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

        def phase(need: Memory) -> int:
            return need.loaded + need.optimiser + (need.learning if doing == "learning" else need.sampling)

        settings = None
        if self.shape and self.need and doing != "loading":
            less = phase(self.need) - int((1 - LESS) * working(self.need))
            settings = fitting(self.shape, self.sizes, less, phase, self.ram)
        if not settings:
            return "free some and go on with --resume, or choose a smaller --model or a larger device"
        return (
            "free some and go on with --resume, or start a new run, from its last checkpoint with --model FOLDER if there is one, "
            f"with {flags(settings)}"
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
