"""How much memory training takes, from a model's config.json and the run's sizes, before anything is loaded.

What follows from the parameters is certain, the working memory (`working`) an estimate; docs/scaling.md has the formulas. Bytes
throughout, of one device. Not counted: Python and its libraries (0.5 to 1 GiB on a CPU; on a GPU what they take is not free when it
is asked), fragments of the allocator, and a run's texts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from azr_plugins_python.training import working
from azr_plugins_python.training.shape import Shape
from azr_plugins_python.training.sizes import WIDTHS, Sizes

GIB = 2**30
SAMPLING, LEARNING = ("cache", "drawing"), ("gradients", "casts", "activations", "head")  # parts of either phase
NF4 = 0.5 + (1 + 4 / 256) / 64  # bytes of a weight: 4 bits, a byte of scale for 64 of them, four bytes for 256 scales


@dataclass(frozen=True)
class Memory:
    """Bytes. With P parameters, all of them trained: weights 4P (float32, the only master copy), optimiser 8P (AdamW's two moments,
    float32), sampler 2P or 4P (the copy that samples).

    Only while sampling: cache (keys and values of a batch) and drawing (its scores, or the activations of its prompts).
    Only while learning: gradients 4P, casts (bfloat16 copies of the matrices), activations and head of one micro-batch.
    host: what lies in the machine's memory instead.
    """

    weights: int
    sampler: int
    cache: int
    drawing: int
    optimiser: int = 0
    gradients: int = 0
    casts: int = 0
    activations: int = 0
    head: int = 0
    host: int = 0

    @property
    def loaded(self) -> int:
        """What any use of the model takes."""
        return self.weights + self.sampler

    @property
    def certain(self) -> int:
        """What follows from the parameters alone, whatever the lengths."""
        return self.loaded + self.optimiser + self.gradients

    @property
    def sampling(self) -> int:
        """What comes only while sampling."""
        return self.cache + self.drawing

    @property
    def learning(self) -> int:
        """What comes only while learning, and goes before the next step is played."""
        return self.gradients + self.casts + self.activations + self.head

    @property
    def total(self) -> int:
        """The most at one time."""
        return self.loaded + self.optimiser + max(self.sampling, self.learning)

    def peak(self) -> dict[str, int]:
        """The parts that are there at the time of the most."""
        absent = (*(LEARNING if self.sampling > self.learning else SAMPLING), "host")
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in absent and getattr(self, field.name)}


def estimate(shape: Shape, sizes: Sizes) -> Memory:
    """What a run takes at most of each device; docs/scaling.md explains each formula."""
    cache, drawing = working.sampling(shape, sizes) if sizes.engine is None else (sizes.engine if sizes.sleeps else 0, 0)
    if not sizes.learns:
        return Memory(WIDTHS[sizes.sampling] * shape.parameters, sizes.engine or 0, cache, drawing)
    return Memory(
        cache=cache,
        drawing=drawing,
        sampler=_sampler(shape, sizes),
        activations=working.activations(shape, sizes),
        head=working.head(shape, sizes),
        **{"all": _all, "lora": _lora, "offloaded": _offloaded}[sizes.form](shape, sizes),
    )


def _sampler(shape: Shape, sizes: Sizes) -> int:
    if sizes.engine is not None:
        return 0 if sizes.sleeps else sizes.engine
    return WIDTHS[sizes.sampling] * shape.parameters if sizes.form == "all" else 0


def _all(shape: Shape, sizes: Sizes) -> dict[str, int]:
    """One copy, or that of one rank. ddp keeps gradients twice, as they are and as they are sent. fsdp2 widens two layers at a time and
    the embeddings; ZeRO keeps a bfloat16 model beside its part of the float32 one, and sends gradients in buckets of 500 MB."""
    count, ranks = shape.parameters, sizes.ranks
    outer = count - shape.projections
    wide = 2 * (2 * shape.projections // shape.layers + outer)
    casts = 2 * shape.projections if sizes.update == "bfloat16" else 0  # autocast keeps them for the backward pass
    forms = {
        "one": (4 * count, 8 * count, 4 * count, casts),
        "ddp": (4 * count, 8 * count, 8 * count, casts),
        "fsdp2": (4 * count // ranks, 8 * count // ranks, 4 * count // ranks + 2 * outer, wide),
        "zero2": (2 * count, 12 * count // ranks, 2 * count // ranks + 10**9, 0),
        "zero3": (2 * count // ranks, 12 * count // ranks, 2 * count // ranks + 10**9, wide),
    }
    return dict(zip(("weights", "optimiser", "gradients", "casts"), forms[sizes.strategy], strict=True))


def _lora(shape: Shape, sizes: Sizes) -> dict[str, int]:
    """A frozen base in the update's precision, which samples too, or its matrices in 4 bits, of which one is widened at a time."""
    width, trained = WIDTHS[sizes.update], shape.adapters(sizes.lora, sizes.targets)
    base, casts = width * shape.parameters, 2 * trained if width == 2 else 0
    if sizes.quantise == "nf4":
        base = width * (shape.parameters - shape.projections) + int(NF4 * shape.projections)
        casts += width * shape.width * shape.inner
    sent = 8 if sizes.ranks > 1 else 4
    return {"weights": base + 4 * trained, "optimiser": 8 * trained, "gradients": sent * trained, "casts": casts}


def _offloaded(shape: Shape, sizes: Sizes) -> dict[str, int]:
    """One copy that learns and samples; a gradient leaves when it is whole. On the CPU masters, moments and gradients, float32."""
    width, largest = WIDTHS[sizes.update], max(shape.embedding, shape.width * shape.inner)
    return {"weights": width * shape.parameters, "gradients": width * largest, "host": 16 * shape.parameters}
