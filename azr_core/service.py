"""A model that answers requests: prompts are checked, wait for their turn, and become choices."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from azr_core.choices import Answer, Choice, Token
from azr_core.completions import Asked, ChatAsked, CompletionAsked, Refusal
from azr_core.errors import UsageError
from azr_core.interfaces import Policy
from azr_core.scoring import Scores, TokenPolicy
from azr_core.turns import Turns
from azr_core.types import Reply, Sampling

MOST_REPLIES = 1024  # of one request
CHAT_TOKENS = 1024  # longest reply of a chat that names no limit
FLOOR = -9999.0  # JSON has no minus infinity


@dataclass(frozen=True)
class _Prompt:
    """ids: where the policy shows its tokens."""

    text: str
    ids: tuple[int, ...] | None


class Service:
    """One policy under one name."""

    def __init__(self, policy: Policy, name: str) -> None:
        self.policy, self.name = policy, name
        self.tokens = policy if isinstance(policy, TokenPolicy) else None
        self.turns = Turns()
        self.since = int(time.time())
        self._seeds = random.Random()
        self._texts: dict[int, str] = {}

    @property
    def templated(self) -> bool:
        """Whether the model has a chat template."""
        return self.policy.chat("hello") is not None

    async def complete(self, asked: CompletionAsked) -> Answer:
        """Raises Refusal."""
        self._check(asked, len(asked.prompts))
        prompts = [self._prompt(prompt) for prompt in asked.prompts]
        return await self._answer(asked, prompts, asked.max_tokens, echo=asked.echo)

    async def chat(self, asked: ChatAsked) -> Answer:
        """Raises Refusal. Without a chat template the messages, joined by blank lines, are what is continued."""
        self._check(asked, 1)
        prompt = self._prompt(self._rendered(asked.turns))
        context = self.tokens.context if self.tokens else None
        room = CHAT_TOKENS if context is None else max(1, context - len(prompt.ids or ()))
        wanted = asked.max_completion_tokens or asked.max_tokens or min(CHAT_TOKENS, room)
        return await self._answer(asked, [prompt], wanted, echo=False)

    def _check(self, asked: CompletionAsked | ChatAsked, prompts: int) -> None:
        if asked.model not in (None, self.name):
            raise Refusal(f"no model {asked.model!r} here, only {self.name!r}", 404, "model", "model_not_found")
        if prompts * asked.n > MOST_REPLIES:
            raise Refusal(f"n: {prompts} prompts with {asked.n} replies each; a request may ask for {MOST_REPLIES} replies", param="n")
        if asked.top is not None and self.tokens is None:
            message = "this model's policy offers no log-probabilities (it is no azr.TokenPolicy); leave out logprobs"
            raise Refusal(message, param="logprobs", code="unsupported_value")

    def _rendered(self, turns: Sequence[dict[str, str]]) -> str:
        plain = "\n\n".join(turn["content"] for turn in turns)
        try:
            prompt = self.tokens.converse(turns) if self.tokens else self.policy.chat(plain)
        except UsageError as error:
            raise Refusal(str(error), param="messages") from None
        return plain if prompt is None else prompt

    def _prompt(self, given: str | Sequence[int]) -> _Prompt:
        if isinstance(given, str):
            return _Prompt(given, tuple(self.tokens.tokens(given)) if self.tokens else None)
        if self.tokens is None:
            raise Refusal("this model's tokens cannot be given; send the prompt as text", param="prompt", code="unsupported_value")
        if max(given) >= self.tokens.vocabulary:
            raise Refusal(f"token id {max(given)} is beyond the vocabulary of {self.tokens.vocabulary}", param="prompt")
        return _Prompt(self.tokens.text(given), tuple(given))

    def _fit(self, prompt: _Prompt, sampling: Sampling) -> None:
        """Raises Refusal where a prompt and a whole reply do not fit the model."""
        if prompt.ids is not None and not prompt.ids:
            raise Refusal("a prompt is empty; the model needs at least one token to continue", param="prompt")
        if self.tokens is None:
            if not self.policy.fits(prompt.text, sampling):
                raise Refusal("the prompt and its reply do not fit the model; shorten one of them", code="context_length_exceeded")
            return
        length, context = len(prompt.ids or ()), self.tokens.context
        if context is not None and length + sampling.max_tokens > context:
            needed = f"a prompt of {length} tokens and a reply of {sampling.max_tokens}"
            raise Refusal(f"{needed} do not fit the model's context of {context}; shorten one of them", code="context_length_exceeded")

    async def _answer(self, asked: CompletionAsked | ChatAsked, prompts: Sequence[_Prompt], limit: int, *, echo: bool) -> Answer:
        """limit: tokens of a reply."""
        for prompt in prompts:
            self._fit(prompt, asked.sampling(limit, seed=0))
        groups = await self._sample(asked, prompts, limit)
        replies = [(prompt, reply) for prompt, group in zip(prompts, groups, strict=True) for reply in group]
        tokens = await self._scored(replies, asked.top, echo=echo)
        choices = []
        for (prompt, reply), its_tokens in zip(replies, tokens, strict=True):
            text, finish = _shown(reply, asked.stop)
            choices.append(Choice(prompt.text + text if echo else text, finish, its_tokens))
        return Answer(choices, sum(len(group[0].prompt_ids) for group in groups), sum(len(reply.token_ids) for _, reply in replies))

    async def _sample(self, asked: Asked, prompts: Sequence[_Prompt], limit: int) -> Sequence[Sequence[Reply]]:
        """Requests share a call where it cannot matter to them: greedy ones, and those that leave the seed to us."""
        if limit == 0:
            return [[Reply("", prompt.ids or (), truncated=True)] * asked.n for prompt in prompts]
        sampling = asked.sampling(limit, self._seeds.getrandbits(62))
        shared = asked.seed is None or sampling.temperature == 0
        kind = ("sample", asked.n, dataclasses.replace(sampling, seed=0), None if shared else object())
        return await self.turns.take(kind, partial(self._replies, sampling, asked.n), prompts)

    def _replies(self, sampling: Sampling, n: int, prompts: Sequence[_Prompt]) -> Sequence[Sequence[Reply]]:
        if self.tokens is None:
            return self.policy.sample([prompt.text for prompt in prompts], sampling, n)
        return self.tokens.extend([prompt.ids or () for prompt in prompts], sampling, n)

    async def _scored(self, replies: Sequence[tuple[_Prompt, Reply]], top: int | None, *, echo: bool) -> Sequence[tuple[Token, ...] | None]:
        """Tokens with their log-probabilities: of each reply, of its prompt too where that is echoed; none where nobody asked."""
        if top is None or self.tokens is None:
            return [None] * len(replies)
        rows = [[*reply.prompt_ids, *reply.token_ids] for _, reply in replies]
        found = await self.turns.take(("score", top), partial(self.tokens.score, top=top), rows)
        starts = [0 if echo else len(reply.prompt_ids) for _, reply in replies]
        return [tuple(self._row(row, scores)[start:]) for row, scores, start in zip(rows, found, starts, strict=True)]

    def _row(self, ids: Sequence[int], scores: Scores) -> list[Token]:
        row = [Token(self._text(ids[0]))]
        for index, logprob, likeliest in zip(ids[1:], scores.logprobs, scores.likeliest, strict=True):
            pairs = tuple((self._text(other), max(FLOOR, its)) for other, its in likeliest)
            row.append(Token(self._text(index), max(FLOOR, logprob), pairs))
        return row

    def _text(self, index: int) -> str:
        if index not in self._texts:
            self._texts[index] = self.tokens.text([index]) if self.tokens else ""
        return self._texts[index]


def _shown(reply: Reply, stop: Sequence[str]) -> tuple[str, str]:
    """The text up to the first stop string, and why it ends."""
    ends = [place for place in map(reply.text.find, stop) if place >= 0]
    return (reply.text[: min(ends)], "stop") if ends else (reply.text, "length" if reply.truncated else "stop")
