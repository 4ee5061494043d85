"""Trains the byte-level tokenizer of a warm-up and writes its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from azr_plugins_python.training.recipe import Recipe, TokenizerRecipe


def train_tokenizer(recipe: Recipe, texts: Iterable[str]) -> Tokenizer:
    """Special tokens first, then 256 bytes, merges, and the fences."""
    asked = recipe.tokenizer
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(asked.split), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.shape.vocabulary - len(asked.fences),
        special_tokens=list(asked.special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_pieces(asked, texts), trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in asked.fences])
    return tokenizer


def _pieces(asked: TokenizerRecipe, texts: Iterable[str]) -> Iterator[str]:
    """Text between the added tokens, without what the recipe blanks."""
    marks = "|".join(re.escape(text) for text in sorted((*asked.special, *asked.fences), key=len, reverse=True))
    for text in texts:
        for piece in re.split(marks, text):
            yield re.sub(asked.blank, "", piece) if asked.blank else piece


def write_tokenizer(tokenizer: Tokenizer, recipe: Recipe, folder: Path) -> None:
    """The files `AutoTokenizer` reads. Version 5 drops a map of special tokens that version 4 and others look for, so it is added."""
    named = {"eos_token": recipe.tokenizer.end, "pad_token": recipe.tokenizer.pad}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,
        model_max_length=recipe.shape.context,
        padding_side="left",
        **named,
    )
    fast.save_pretrained(folder)
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(named, indent=2) + "\n")
