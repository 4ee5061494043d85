"""The working memory of sampling and of learning, by formula: what batches and micro-batches of the longest rows keep. Bytes.

Read off what is allocated: `decoding`, `packing`, `attention`, TRL's chunked head and transformers' layers; docs/scaling.md explains it.
"""

from __future__ import annotations

import math

from azr_plugins_python.training.shape import Shape
from azr_plugins_python.training.sizes import WIDTHS, Sizes

ROWS, PREFILL_CELLS = 512, 1 << 26  # as in `decoding`, which imports torch; a test compares them
PACKED = 512  # cells of a packed row, as in `packing`
HEAD_TOKENS, HEAD_ENTRIES = 4096, 32_768  # TRL's tile of the head: tokens times vocabulary entries


def sampling(shape: Shape, sizes: Sizes) -> tuple[int, int]:
    """Cache and working space of the largest batch that `decoding.batches` can make.

    k prompts of L tokens, n replies each: k * n <= ROWS, k * L * L <= PREFILL_CELLS, and all rows' tokens are at most sizes.cached.
    Filling: keys and values of k * L tokens, three inner and two outer vectors of each, the mask as it is and as scores. Then keys and
    values of k * n rows, each with room for the whole reply, and the scores of one token: as they come, in float32 (log-probabilities
    and probabilities too), and in float64 twice.
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
            row = length + reply
            rows = prompts * n
            if rows * row > sizes.cached and prompts > 1:  # shorter prompts, if there is room for any
                length = min(length, sizes.cached // rows - reply)
                row = length + reply
            if length < 1:
                break
            rows = min(rows, max(1, sizes.cached // row)) if prompts == 1 else rows
            filled = prompts * length
            working = filled * (3 * shape.inner + 2 * shape.width) * width + filled * length * (1 + width)
            found += [(filled * token, working), (rows * row * token, rows * shape.vocabulary * entry)]
    return max(found, key=sum)


def piece(shape: Shape, sizes: Sizes) -> tuple[int, int]:
    """Cells of the largest micro-batch and of its longest row: a row is never cut, so it may be longer than a micro-batch."""
    longest = min(shape.context, sizes.prompt + max(sizes.propose, sizes.solve))
    cells = max(sizes.piece, longest)
    return cells, max(longest, min(PACKED, cells)) if sizes.packed else longest


def layer(shape: Shape, sizes: Sizes) -> int:
    """What one layer keeps of a micro-batch of T cells, in rows of up to W, for its backward pass.

    By cell, h, A, I the widths, b bytes of the arithmetic. Norms keep what they got and that normalised, in float32; attention keeps
    queries, keys and values repeated for their queries, and what it gave; the inner part 4 vectors. Under autocast each projection casts
    what it gets anew; frozen weights keep nothing, but each adapter its own copy of what it gets. Attention keeps its mask as scores,
    T * W; in bfloat16 on a CPU it keeps its weights instead, T * W for each head.
    """
    cells, row = piece(shape, sizes)
    width = WIDTHS[sizes.update]
    products = sizes.cpu and width == 2
    outer = {"all": 24 if width == 4 else 26, "lora": 16 if width == 4 else 18, "offloaded": 8 + 4 * width}[sizes.form]
    attended = width * (2 * (shape.across + shape.keys) if products else 4 * shape.across)
    queried = 4 * 2 * (shape.across + shape.keys) if shape.normed else 0
    adapted = width * (7 * sizes.lora + (shape.across if width == 2 else 0)) if sizes.form == "lora" else 0
    seen = row * width * (shape.heads if products else 1)
    return cells * (outer * shape.width + attended + width * 4 * shape.inner + queried + adapted + seen)


def activations(shape: Shape, sizes: Sizes) -> int:
    """What all layers keep: everything, or, where it is computed again, what each of them got and one layer's everything."""
    cells, row = piece(shape, sizes)
    ends = cells * (row + 12 * shape.width)
    if not sizes.again:
        return shape.layers * layer(shape, sizes) + ends
    got = WIDTHS[sizes.update] if sizes.form != "all" else 4
    return shape.layers * cells * got * shape.width + ends


def head(shape: Shape, sizes: Sizes) -> int:
    """What comes on top at the height of the backward pass.

    TRL's chunked head at its begin: [T, V] is never whole, only a tile of it, on a CPU seven float32 copies of the tile (eight with an
    entropy bonus) and a mask; the gradients of all states, and of the head's weights where they are trained, float32, beside the
    gradients summed so far. Where layers are computed again, one of them and its gradients come later: the larger counts. A tied head's
    gradient waits for the embedding's.
    """
    cells, _ = piece(shape, sizes)
    width = WIDTHS[sizes.update]
    entries = min(shape.vocabulary, HEAD_ENTRIES)
    copies = 4 * (7 + sizes.entropy) + 1 if sizes.cpu else 0
    cast = entries * shape.width * 2 if width == 2 else 0
    trained = 0 if sizes.form == "lora" else 4 * shape.embedding
    begin = min(cells, HEAD_TOKENS) * entries * (width + copies) + cast + 8 * cells * shape.width + trained
    if not sizes.again:
        return begin
    again = layer(shape, sizes) + cells * width * (2 * shape.inner + 2 * shape.width)
    return max(begin, again + (trained if shape.tied else 0))
