"""The recipe of a warm-up: a model's shape, its tokenizer and how it learns, read from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

import azr_core as azr


class Shape(azr.Options):
    """A Llama with one key and value head."""

    vocabulary: int = Field(ge=258, le=65_536, description="tokens")
    width: int = Field(ge=1, description="of the residual stream")
    layers: int = Field(ge=1, description="blocks")
    heads: int = Field(ge=1, description="query heads; one key and value head serves them all")
    head_width: int = Field(ge=2, multiple_of=2, description="of one head")
    inner: int = Field(ge=1, description="width of the gated layer")
    context: int = Field(ge=1, description="longest text, tokens")
    theta: float = Field(gt=0, description="base of the rotary positions")
    epsilon: float = Field(gt=0, description="of the norms")


class TokenizerRecipe(azr.Options):
    """A byte-level tokenizer that splits where the recipe says."""

    documents: int = Field(ge=1, description="documents that merges are learned from")
    special: tuple[str, ...] = Field(description="special tokens, ids from 0 on")
    fences: tuple[str, ...] = Field(default=(), description="texts that are one plain token each")
    end: str = Field(description="special token that ends a reply")
    pad: str = Field(description="special token that fills up batches")
    split: str = Field(description="regular expression of the pieces no merge crosses")
    blank: str = Field(default="", description="regular expression of what is left out when merges are learned; empty: nothing")

    @model_validator(mode="after")
    def _end_and_pad_are_special(self) -> Self:
        if not {self.end, self.pad} <= set(self.special) or self.end == self.pad:
            raise ValueError("end and pad must be two of the special tokens")
        return self


class Recipe(azr.Options):
    """Everything that decides what a warm-up makes, but for the documents and the time."""

    seed: int = Field(ge=0, description="of the weights and of the documents")
    shards: int = Field(ge=1, description="shards of documents; then they are read again")
    shard_documents: int = Field(ge=1, description="documents of a shard")
    held_out_documents: int = Field(ge=1, description="documents whose loss is told")
    longest: int = Field(ge=2, description="tokens of a document; longer ones are left out")
    checkpoint_minutes: float = Field(gt=0, description="minutes between checkpoints")
    batch_tokens: int = Field(ge=1, description="tokens of a batch, padding included")
    peak_rate: float = Field(gt=0, description="highest learning rate")
    rise_steps: int = Field(ge=1, description="updates in which the rate rises")
    decay_from: float = Field(ge=0, lt=1, description="share of the time after which the rate falls linearly")
    prompt_weight: float = Field(ge=0, description="loss weight of a prompt's tokens")
    reply_weight: float = Field(gt=0, description="loss weight of a reply's tokens")
    reply_weights: dict[str, float] = Field(default_factory=dict, description="the same by environment/role")
    shape: Shape
    tokenizer: TokenizerRecipe

    @model_validator(mode="after")
    def _everything_fits(self) -> Self:
        if self.shape.vocabulary < 256 + len(self.tokenizer.special) + len(self.tokenizer.fences):
            raise ValueError("shape.vocabulary is too small for 256 bytes, the special tokens and the fences")
        if self.longest > self.shape.context:
            raise ValueError("longest is more than shape.context")
        return self

    def weight(self, kind: str) -> float:
        """Loss weight of a reply's tokens. kind: environment/role."""
        return self.reply_weights.get(kind, self.reply_weight)


def read_recipe(path: Path) -> Recipe:
    """The recipe of a file. Raises ConfigError."""
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise azr.ConfigError(f"trainer.recipe = {str(path)!r}: {error.strerror}; name an existing TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise azr.ConfigError(f"trainer.recipe = {str(path)!r}: not TOML: {error}") from None
    return azr.parse(Recipe, settings, str(path))
