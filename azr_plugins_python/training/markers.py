"""Tokens that mean more than their letters: what pads, what begins and ends, what would break out of a prompt, what was never trained."""

from __future__ import annotations

import json
import re
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

import azr_core as azr
from azr_plugins_python.training.styles import EXCHANGE, SAID, TEMPLATE_FAILS

_PADS = re.compile(r"pad", re.IGNORECASE)
_RESERVED = re.compile(r"reserved|unused|dummy|extra_?(?:id)?_?\d|placeholder", re.IGNORECASE)
_REFERENCES = 8  # rows that nobody trained, below which nothing can be said of them
_SAMPLE = 4096  # ordinary rows that are looked at
_SLACK = 0.1  # by which distances to the untrained may differ, relative
_ORDINARY = 0.01  # share of ordinary rows that may look untrained too, before the look says nothing
_FAINT = 0.1  # of the median norm: a row that weight decay has eaten


def prepare(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, style: azr.Style) -> str:
    """Give the tokenizer what training needs and take from it what was never trained; says what was changed. Raises ConfigError."""
    changes = []
    if tokenizer.pad_token_id is None:
        changes.append(_pad(tokenizer, model.get_input_embeddings().weight.shape[0]))
    marker = azr.ENVELOPES[style].marker
    kept = {*tokenizer.all_special_ids}
    marks = {token.content: index for index, token in tokenizer.added_tokens_decoder.items() if marker.fullmatch(token.content)}
    spelled = untrained(model, tokenizer, [index for index in marks.values() if index not in kept])
    if spelled:
        respell(tokenizer, spelled)
        names = ", ".join(text for text, index in marks.items() if index in spelled)
        changes.append(f"{names} spelled in ordinary tokens (their own were never trained)")
    return "; ".join(changes)


def _pad(tokenizer: PreTrainedTokenizerBase, rows: int) -> str:
    """Choose a pad token: one meant for it, a reserved one, a new one in a row that the model has to spare, the unknown token.

    Where a model has nothing of these its end token pads, which is said: masks are made from lengths here, so it still learns to end.
    """
    added = {index: token.content for index, token in tokenizer.added_tokens_decoder.items() if index < rows}
    free = {index: text for index, text in added.items() if text not in (tokenizer.eos_token, tokenizer.bos_token)}
    chosen = next((text for kind in (_PADS, _RESERVED) for text in free.values() if kind.search(text)), None)
    if chosen is not None:
        tokenizer.pad_token = chosen
        return f"{chosen} pads"
    if len(tokenizer) < rows:
        tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
        return "a new token <|pad|> pads"
    chosen = tokenizer.unk_token if tokenizer.unk_token_id not in (None, tokenizer.eos_token_id) else tokenizer.eos_token
    tokenizer.pad_token = chosen
    return f"{chosen} pads" + (" (the end token; the model has no token to spare)" if chosen == tokenizer.eos_token else "")


def untrained(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> set[int]:
    """Those of the ids whose input embeddings were never trained.

    A row that is nearly zero was never, and one that is as far from the mean of rows that no text can reach (ids without a token, reserved
    tokens) as these are themselves: training moves a row away from where initialisation and decay leave all of them (Land and Bartolo
    2024, arXiv 2405.05417, find such tokens by the same comparison). Where ordinary rows look like that too, the look says nothing.
    """
    rows = model.get_input_embeddings().weight.detach()
    added = tokenizer.added_tokens_decoder
    used = set(tokenizer.get_vocab().values())
    ordinary = sorted(used - added.keys())[:: max(1, len(used) // _SAMPLE)]
    norms = _distances(rows, ordinary, torch.zeros_like(rows[0]))
    faint = _FAINT * float(norms.median()) if ordinary else 0.0
    found = {index for index in ids if float(rows[index].float().norm()) <= faint}
    reserved = [index for index, token in added.items() if _RESERVED.search(token.content)]
    references = [*(index for index in range(len(rows)) if index not in used), *reserved]
    references = [index for index in references if index not in ids and index < len(rows)][-_SAMPLE:]
    if len(references) < _REFERENCES:
        return found
    centre = rows[references].float().mean(0)
    own = _distances(rows, references, centre)
    low, high = (1 - _SLACK) * float(own.min()), (1 + _SLACK) * float(own.max()) + faint * _SLACK
    near = _distances(rows, ordinary, centre)
    if float(((near >= low) & (near <= high)).float().mean()) > _ORDINARY:
        return found
    return found | {index for index in ids if low <= float((rows[index].float() - centre).norm()) <= high}


def _distances(rows: torch.Tensor, ids: list[int], centre: torch.Tensor) -> torch.Tensor:
    return (rows[ids].float() - centre.float()).norm(dim=-1)


def respell(tokenizer: PreTrainedTokenizerBase, ids: set[int]) -> None:
    """Take the texts of added tokens away from them, so that they are spelled in pieces like any text; all ids stay."""
    state: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    for token in [token for token in state["added_tokens"] if token["id"] in ids]:
        text, name = token["content"], f"[spelled {token['id']}]"
        if isinstance(vocabulary, list):
            vocabulary[:] = [[name, *rest] if piece == text else [piece, *rest] for piece, *rest in vocabulary]
        elif text in vocabulary:
            vocabulary[name] = vocabulary.pop(text)
        token |= {"content": name, "special": False}
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(state))


def beginning(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The token that the model's texts begin with, where its tokenizer puts one there."""
    first = tokenizer("x")["input_ids"][:1]
    return tuple(first) if first == [tokenizer.bos_token_id] and len(tokenizer("")["input_ids"]) else ()


def controls(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Texts that a task must not hold: special tokens, other added ones that the chat template writes (not spaces), and all that
    follows a message there."""
    template = tokenizer.chat_template or ""
    added = tokenizer.added_tokens_decoder.values()
    texts = [token.content for token in added if token.special or (token.content.strip() and token.content in str(template))]
    return tuple(text for text in [*texts, _frame(tokenizer)] if text.strip())


def turn_ends(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The token with which the chat template ends the model's turn."""
    after = tokenizer.apply_chat_template(list(EXCHANGE), tokenize=False).rpartition(SAID)[2].strip()
    ids = tokenizer(after, add_special_tokens=False)["input_ids"][:1] if after else []
    return frozenset(index for index in ids if index in tokenizer.added_tokens_decoder)


def _frame(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the chat template writes between a user's message and the model's reply."""
    if not tokenizer.chat_template:
        return ""
    try:
        text: str = tokenizer.apply_chat_template([{"role": "user", "content": SAID}], tokenize=False, add_generation_prompt=True)
    except TEMPLATE_FAILS:  # whoever chats is told so
        return ""
    return text.rpartition(SAID)[2].strip()


def thinking_of(tokenizer: PreTrainedTokenizerBase, choice: str) -> dict[str, bool]:
    """What a chat template is told for `trainer.thinking`. Raises ConfigError where it does not ask for it."""
    if choice == "auto":
        return {}
    asked = [name for name in ("enable_thinking", "thinking") if name in str(tokenizer.chat_template)]
    if not asked:
        raise azr.ConfigError(f"trainer.thinking = {choice!r}, but the model's chat template knows no such switch; leave it at auto")
    return dict.fromkeys(asked, choice == "on")


def context_of(config: PreTrainedConfig) -> int | None:
    """Tokens that a model's positions reach. YaRN stretches the original ones, which some files still name as the limit.

    A tokenizer's model_max_length says how a model was fed, not what it holds, and is not looked at.
    """
    limit: int | None = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or {}
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    if limit is None or rope.get("rope_type") != "yarn" or not original or not factor:
        return limit
    return max(limit, int(original * factor))
