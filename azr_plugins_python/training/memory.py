"""How much memory training takes, from a model's config.json and the run's sizes, before anything is loaded.

Read off what is allocated: `trainer`, `policy`, `decoding`, `packing`, `attention`, TRL's chunked head and transformers' layers, for
prompts and replies that reach their limits. What follows from the parameters is certain, the rest an estimate; docs/scaling.md has the
formulas. Bytes throughout. Not counted: Python and its libraries (0.5 to 1 GiB on a CPU; on a GPU what they take is not free when it is
asked), fragments of the allocator, and a run's texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import azr_core as azr
from azr_plugins_python.training.options import TrainerOptions

GIB = 2**30
WIDTHS = {"float32": 4, "bfloat16": 2}
ROWS, PREFILL_CELLS = 512, 1 << 26  # as in `decoding`, which imports torch; a test compares them
SAMPLING, LEARNING = ("cache", "drawing"), ("gradients", "casts", "activations", "head")  # parts of either phase
PACKED = 512  # cells of a packed row, as in `packing`
HEAD_TOKENS, HEAD_ENTRIES = 4096, 32_768  # TRL's tile of the head: tokens times vocabulary entries


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder of the Llama kind. biased: its query, key and value projections have biases, also_out: the last one too."""

    width: int
    inner: int
    layers: int
    heads: int
    groups: int
    head_width: int
    vocabulary: int
    tied: bool
    context: int
    biased: bool = False
    also_out: bool = False
    inner_biased: bool = False
    normed: bool = False

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self | None:
        """The shape in a config.json; None for a model that is not of this kind (experts, other names of sizes)."""
        wanted = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
        if any(not isinstance(config.get(name), int) for name in wanted) or any("expert" in name for name in config):
            return None
        width, inner, layers, heads, vocabulary = (config[name] for name in wanted)
        kind, biased = config.get("model_type"), bool(config.get("attention_bias"))
        return cls(
            width, inner, layers, heads,
            groups=config.get("num_key_value_heads") or heads,
            head_width=config.get("head_dim") or width // heads,
            vocabulary=vocabulary,
            tied=bool(config.get("tie_word_embeddings", False)),
            context=config.get("max_position_embeddings") or 2**31,
            biased=biased or kind == "qwen2",
            also_out=biased and kind != "qwen2",
            inner_biased=bool(config.get("mlp_bias")),
            normed=kind == "qwen3",
        )  # fmt: skip

    @property
    def embedding(self) -> int:
        return self.vocabulary * self.width

    @property
    def across(self) -> int:
        """Width of all query heads."""
        return self.heads * self.head_width

    @property
    def keys(self) -> int:
        """Width of all key heads."""
        return self.groups * self.head_width

    @property
    def projections(self) -> int:
        """Parameters of all layers' matrices."""
        return self.layers * self.width * (2 * self.across + 2 * self.keys + 3 * self.inner)

    @property
    def parameters(self) -> int:
        small = 2 * self.width + 2 * self.head_width * self.normed + self.width * self.also_out
        small += (self.across + 2 * self.keys) * self.biased + (2 * self.inner + self.width) * self.inner_biased
        return self.embedding * (1 if self.tied else 2) + self.projections + self.layers * small + self.width


@dataclass(frozen=True)
class Sizes:
    """What of a run's settings decides its memory. piece: tokens of a micro-batch. cpu: on a CPU. learns: not an evaluation."""

    piece: int
    prompt: int
    propose: int
    solve: int
    samples: int
    sampling: str
    update: str
    cpu: bool
    packed: bool
    entropy: bool
    learns: bool = True

    @classmethod
    def of(cls, options: TrainerOptions, config: azr.RunConfig, precisions: tuple[str, str], *, cpu: bool) -> Self:
        """precisions: of sampling and of the update, as they were chosen."""
        return cls(
            options.micro_batch_tokens, config.prompt_tokens, config.propose_tokens, config.solve_tokens,
            samples=max(config.probe_samples, config.evaluation.samples),
            sampling=precisions[0],
            update=precisions[1],
            cpu=cpu,
            packed=options.pack,
            entropy=options.entropy_coefficient > 0,
            learns=config.steps > 0,
        )  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """Bytes. With P parameters: weights 4P (float32, the only master copy), optimiser 8P (AdamW's two moments, float32),
    sampler 2P or 4P (the copy that samples).

    Only while sampling: cache (keys and values of a batch) and drawing (its scores, or the activations of its prompts).
    Only while learning: gradients 4P, casts (bfloat16 copies of the matrices), activations and head of one micro-batch.
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
        absent = LEARNING if self.sampling > self.learning else SAMPLING
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in absent and getattr(self, field.name)}


def estimate(shape: Shape, sizes: Sizes) -> Memory:
    """What a run takes at most; docs/scaling.md explains each formula."""
    cache, drawing = _sampling(shape, sizes)
    if not sizes.learns:
        return Memory(4 * shape.parameters, WIDTHS[sizes.sampling] * shape.parameters, cache, drawing)
    return Memory(
        weights=4 * shape.parameters,
        sampler=WIDTHS[sizes.sampling] * shape.parameters,
        cache=cache,
        drawing=drawing,
        optimiser=8 * shape.parameters,
        gradients=4 * shape.parameters,
        casts=2 * shape.projections if sizes.update == "bfloat16" else 0,  # autocast keeps them for the backward pass
        activations=_activations(shape, sizes),
        head=_head(shape, sizes),
    )


def _sampling(shape: Shape, sizes: Sizes) -> tuple[int, int]:
    """Cache and working space of the largest batch that `decoding.batches` can make.

    k prompts of L tokens, n replies each: k * n <= ROWS and k * L * L <= PREFILL_CELLS. Filling: keys and values of k * L tokens, three
    inner and two outer vectors of each, the mask as it is and as scores. Then keys and values of k * n rows, each with room for the whole
    reply, and the scores of one token: as they come, in float32 (log-probabilities and probabilities too), and in float64 twice.
    """
    width = WIDTHS[sizes.sampling]
    token = 2 * shape.layers * shape.keys * width
    entry = width + (24 if width == 4 else 28)
    found = [(0, 0)]
    for n, reply in ((1, sizes.propose), (sizes.samples, sizes.solve)):
        reply = min(reply, shape.context - 1)
        longest = min(sizes.prompt, shape.context - reply)
        for prompts in range(1, max(1, ROWS // n) + 1):
            length = longest if prompts == 1 else min(longest, math.isqrt(PREFILL_CELLS // prompts))
            filled, rows = prompts * length, prompts * n
            working = filled * (3 * shape.inner + 2 * shape.width) * width + filled * length * (1 + width)
            found += [(filled * token, working), (rows * (length + reply) * token, rows * shape.vocabulary * entry)]
    return max(found, key=sum)


def _piece(shape: Shape, sizes: Sizes) -> tuple[int, int]:
    """Cells of the largest micro-batch and of its longest row: a row is never cut, so it may be longer than a micro-batch."""
    longest = min(shape.context, sizes.prompt + max(sizes.propose, sizes.solve))
    cells = max(sizes.piece, longest)
    return cells, max(longest, min(PACKED, cells)) if sizes.packed else longest


def _activations(shape: Shape, sizes: Sizes) -> int:
    """What a micro-batch of T cells, in rows of up to W, keeps for the backward pass (nothing is computed again).

    float32, by cell and layer: 6 outer vectors (each norm keeps what it got, that normalised, and what it gave), queries, keys and values
    repeated for their queries, and what attention gave, and 4 inner vectors. bfloat16: norms stay float32, each projection casts what it
    gets. Attention keeps its mask as scores, T * W; in bfloat16 on a CPU it keeps its weights instead, T * W for each head.
    """
    cells, row = _piece(shape, sizes)
    width = WIDTHS[sizes.update]
    products = sizes.cpu and width == 2
    outer = 24 if width == 4 else 26
    attended = 2 * (shape.across + shape.keys) if products else 4 * shape.across
    queried = 2 * (shape.across + shape.keys) if shape.normed else 0
    layer = cells * (outer * shape.width + width * (attended + 4 * shape.inner) + 4 * queried)
    seen = cells * row * width * (shape.heads if products else 1)
    return shape.layers * (layer + seen) + cells * (row + 12 * shape.width)


def _head(shape: Shape, sizes: Sizes) -> int:
    """What TRL's chunked head adds at the begin of the backward pass: [T, V] is never whole, only a tile of it.

    The tile, on a CPU seven float32 copies of it (eight with an entropy bonus) and a mask; the gradients of all states and of the
    head's weights, float32, which are there beside the gradients summed so far.
    """
    cells, _ = _piece(shape, sizes)
    width = WIDTHS[sizes.update]
    entries = min(shape.vocabulary, HEAD_ENTRIES)
    tile = min(cells, HEAD_TOKENS) * entries
    copies = 4 * (7 + sizes.entropy) + 1 if sizes.cpu else 0
    cast = entries * shape.width * 2 if width == 2 else 0
    return tile * (width + copies) + cast + 8 * cells * shape.width + 4 * shape.embedding
