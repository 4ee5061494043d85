"""Answers in the OpenAI protocol: choices, counts, log-probabilities; whole, or as the chunks of a stream."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from azr_core.completions import Asked, ChatAsked


@dataclass(frozen=True)
class Token:
    """One token of an answer. logprob: nats; None for the first of all. likeliest: text and log-probability, likeliest first."""

    text: str
    logprob: float | None = None
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Choice:
    """One reply of an answer. tokens: where log-probabilities were asked for."""

    text: str
    finish: str
    tokens: tuple[Token, ...] | None = None


@dataclass(frozen=True)
class Answer:
    """All replies to one request, and how many tokens were read and written."""

    choices: Sequence[Choice]
    read: int
    written: int

    def usage(self) -> dict[str, int]:
        """As OpenAI counts."""
        return {"prompt_tokens": self.read, "completion_tokens": self.written, "total_tokens": self.read + self.written}


def whole(asked: Asked, model: str, answer: Answer) -> dict[str, Any]:
    """The answer as one object."""
    choices = [_choice(asked, index, choice, "message") for index, choice in enumerate(answer.choices)]
    return {**_head(asked, model, ""), "choices": choices, "usage": answer.usage()}


def chunks(asked: Asked, model: str, answer: Answer) -> Iterator[dict[str, Any]]:
    """The answer as the objects of a stream: one for each choice, then the counts if asked for."""
    head = _head(asked, model, ".chunk")
    for index, choice in enumerate(answer.choices):
        yield {**head, "choices": [_choice(asked, index, choice, "delta")]}
    if asked.stream_options.include_usage:
        yield {**head, "choices": [], "usage": answer.usage()}


def _head(asked: Asked, model: str, part: str) -> dict[str, Any]:
    name, short = (f"chat.completion{part}", "chatcmpl") if isinstance(asked, ChatAsked) else ("text_completion", "cmpl")
    return {"id": f"{short}-{uuid.uuid4().hex}", "object": name, "created": int(time.time()), "model": model}


def _choice(asked: Asked, index: int, choice: Choice, place: str) -> dict[str, Any]:
    """place: where a chat's message stands."""
    form = {"index": index, "finish_reason": choice.finish, "logprobs": None}
    if isinstance(asked, ChatAsked):
        form[place] = {"role": "assistant", "content": choice.text}
        return form if choice.tokens is None else form | {"logprobs": {"content": [_row(token) for token in choice.tokens]}}
    form["text"] = choice.text
    return form if choice.tokens is None else form | {"logprobs": _columns(choice.tokens)}


def _columns(tokens: Sequence[Token]) -> dict[str, Any]:
    """Log-probabilities as /v1/completions has them. A text that stands for several tokens has the likeliest one's number."""
    lengths = itertools.accumulate((len(token.text) for token in tokens), initial=0)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [None if t.logprob is None else dict([(t.text, t.logprob), *reversed(t.likeliest)]) for t in tokens],
        "text_offset": list(lengths)[:-1],
    }


def _row(token: Token) -> dict[str, Any]:
    """One token as /v1/chat/completions has it."""
    pairs = [(token.text, token.logprob), *token.likeliest]
    rows = [{"token": text, "logprob": logprob, "bytes": list(text.encode())} for text, logprob in pairs]
    return {**rows[0], "top_logprobs": rows[1:]}
