"""The sizes of a decoder of the Llama kind, as its config.json tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Shape:
    """biased: its query, key and value projections have biases, also_out: the last one too."""

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
    def matrices(self) -> dict[str, tuple[int, int]]:
        """Widths into and out of a layer's matrices."""
        return {
            "q_proj": (self.width, self.across),
            "k_proj": (self.width, self.keys),
            "v_proj": (self.width, self.keys),
            "o_proj": (self.across, self.width),
            "gate_proj": (self.width, self.inner),
            "up_proj": (self.width, self.inner),
            "down_proj": (self.inner, self.width),
        }

    @property
    def projections(self) -> int:
        """Parameters of all layers' matrices."""
        return self.layers * sum(before * after for before, after in self.matrices.values())

    def adapters(self, rank: int, targets: tuple[str, ...] = ()) -> int:
        """Parameters of adapters of a rank. targets: names of matrices; none: all."""
        adapted = [sizes for name, sizes in self.matrices.items() if not targets or name in targets]
        return self.layers * rank * sum(before + after for before, after in adapted)

    @property
    def parameters(self) -> int:
        small = 2 * self.width + 2 * self.head_width * self.normed + self.width * self.also_out
        small += (self.across + 2 * self.keys) * self.biased + (2 * self.inner + self.width) * self.inner_biased
        return self.embedding * (1 if self.tied else 2) + self.projections + self.layers * small + self.width
