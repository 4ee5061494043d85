"""Which settings would make a run fit its device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from azr_plugins_python.training.memory import Memory, estimate
from azr_plugins_python.training.shape import Shape
from azr_plugins_python.training.sizes import Sizes

SMALLEST_PIECE, SHORTEST = 128, 256  # tokens below which settings are not proposed
RANK = 32  # of the adapters that are proposed
SETTINGS = {  # by what they decide; what changes more of what is learned first, so that it is the first to be taken back
    "quantise": "trainer.quantise",
    "lora": "trainer.lora_rank",
    "solve": "solve_tokens",
    "propose": "propose_tokens",
    "prompt": "prompt_tokens",
    "offloaded": "trainer.offload_optimizer",
    "again": "trainer.gradient_checkpointing",
    "cached": "trainer.sampling_cache_tokens",
    "piece": "trainer.micro_batch_tokens",
    "sampling": "trainer.sampling_dtype",
    "update": "trainer.update_dtype",
}
Value = int | str | bool


def fitting(
    shape: Shape, sizes: Sizes, room: int, taken: Callable[[Memory], int] = lambda need: need.total, ram: int | None = None
) -> dict[str, Value] | None:
    """Settings that would fit, as few as the search finds; None where there are none. taken: what of the memory must fit. ram: of the
    machine, for what an optimiser on the CPU takes.

    Greedy, turn by turn: of the changes that leave alone what is learned the one that saves most, then the optimiser on the CPU, then
    adapters, then a base in 4 bits, then the lengths, until it fits.
    """

    def size(of: Sizes) -> int:
        need = estimate(shape, of)
        return taken(need) if ram is None or need.host <= ram else 2**62

    now = sizes
    while size(now) > room:
        tried = (min(turn(now), key=size, default=now) for turn in (_gentle, _offloaded, _adapted, _quantised, _shorter))
        better = next((best for best in tried if size(best) < size(now)), None)
        if better is None:
            return None
        now = better
    for name in SETTINGS:
        kept = replace(now, **{name: getattr(sizes, name)})
        now = kept if _sound(kept) and size(kept) <= room else now
    return {label: getattr(now, name) for name, label in SETTINGS.items() if getattr(now, name) != getattr(sizes, name)}


def flags(settings: dict[str, Value]) -> str:
    """As they are typed."""
    words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in settings.items()}
    return " ".join(f"--set {name}={value}" for name, value in words.items())


def _sound(sizes: Sizes) -> bool:
    """Whether the trainer takes such settings together."""
    alike = sizes.form == "all" or sizes.sampling == sizes.update
    return alike and not (sizes.lora and sizes.offloaded) and (bool(sizes.lora) or sizes.quantise == "none")


def _gentle(sizes: Sizes) -> Iterator[Sizes]:
    row = sizes.prompt + max(sizes.propose, sizes.solve)
    if sizes.learns:
        if sizes.piece > SMALLEST_PIECE:
            yield replace(sizes, piece=max(SMALLEST_PIECE, sizes.piece // 2))
        yield replace(sizes, again=True)
        if sizes.form == "all" and (sizes.cpu or sizes.update == "float32"):  # a GPU is far slower in float32
            yield replace(sizes, update="float32" if sizes.update == "bfloat16" else "bfloat16")
    if sizes.cached > sizes.samples * row:
        yield replace(sizes, cached=max(sizes.samples * row, sizes.cached // 2))
    if sizes.form == "all":
        yield replace(sizes, sampling="bfloat16")


def _offloaded(sizes: Sizes) -> Iterator[Sizes]:
    if sizes.learns and sizes.form == "all" and sizes.strategy == "one" and not sizes.cpu:
        yield replace(sizes, offloaded=True, sampling="bfloat16", update="bfloat16")


def _adapted(sizes: Sizes) -> Iterator[Sizes]:
    if sizes.learns and not sizes.lora and sizes.strategy in ("one", "ddp"):
        yield replace(sizes, lora=RANK, offloaded=False, sampling="bfloat16", update="bfloat16")


def _quantised(sizes: Sizes) -> Iterator[Sizes]:
    if sizes.lora and not sizes.cpu:
        yield replace(sizes, quantise="nf4")


def _shorter(sizes: Sizes) -> Iterator[Sizes]:
    """One of the lengths, or all of them, where neither alone would help."""
    halves = {name: max(SHORTEST, getattr(sizes, name) // 2) for name in ("solve", "propose", "prompt")}
    shorter = {name: length for name, length in halves.items() if length < getattr(sizes, name)}
    for changes in (*({name: length} for name, length in shorter.items()), shorter):
        yield replace(sizes, **changes)
        if sizes.piece > SMALLEST_PIECE:
            yield replace(sizes, **changes, piece=max(SMALLEST_PIECE, sizes.piece // 2))
