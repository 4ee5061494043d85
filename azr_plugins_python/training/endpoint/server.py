"""One model of an OpenAI-compatible server: what is sent, what comes back, and what it means when nothing does."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import openai

import azr_core as azr
from azr_plugins_python.training.endpoint.options import EndpointOptions

KEYS = ("AZR_ENDPOINT_KEY", "OPENAI_API_KEY")
RESUME = "a run goes on from its last checkpoint with --resume"
UNKNOWN = -1  # id of a token that only the server knows
REFUSED = (openai.BadRequestError, openai.UnprocessableEntityError)


class Server:
    """Finds out what is served, once; then a session for each batch of prompts."""

    def __init__(self, options: EndpointOptions) -> None:
        self.options, self.single = options, False  # single: the server gives one reply a request
        self.limit = "max_tokens"  # what it calls the longest reply
        self.context, self.served = options.context, self._cards()
        self.model = options.model or self._only()
        self.context = options.context or self.served.get(self.model)

    def estimate(self, text: str) -> int:
        """About how many tokens a text has."""
        return math.ceil(len(text) / self.options.characters)

    @asynccontextmanager
    async def session(self, sampling: azr.Sampling, end: str) -> AsyncIterator[Session]:
        async with openai.AsyncOpenAI(**self._connection()) as client:
            yield Session(self, client, sampling, end)

    def failure(self, error: Exception) -> azr.UsageError:
        """What an exception of the client means to the user."""
        tries, where = self.options.retries + 1, f"the endpoint {self.options.url}"
        said = " ".join(str(getattr(error, "message", error)).split())[:300]
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return azr.UsageError(f"{where} refuses the key; put the right one into the environment as {KEYS[0]} (or {KEYS[1]})")
        if isinstance(error, openai.NotFoundError):
            return azr.UsageError(f"{where} does not find what was asked for ({said}); {self._found()}")
        if isinstance(error, REFUSED):
            return azr.UsageError(
                f"{where} refuses a request ({said}); where it is too long, lower prompt_tokens, solve_tokens or the option `characters`; "
                "where a field is unknown to it, name it in the option `without`"
            )
        if isinstance(error, openai.APITimeoutError):
            mend = "lower the option `concurrency`, or raise `timeout`"
            return azr.UsageError(f"{where} gave no answer in {self.options.timeout:g} s, {tries} times; {mend}; {RESUME}")
        if isinstance(error, openai.APIConnectionError):
            why = " ".join(str(error.__cause__ or error).split())
            return azr.UsageError(f"{where} cannot be reached ({why}), tried {tries} times; start it or mend its URL; {RESUME}")
        if isinstance(error, openai.APIStatusError):
            return azr.UsageError(f"{where} failed {tries} times, last with {error.status_code} ({said}); look at its log; {RESUME}")
        return azr.UsageError(f"{where} does not speak OpenAI's protocol ({type(error).__name__}: {said}); mend its URL: most end in /v1")

    def _connection(self) -> dict[str, Any]:
        key = next((key for name in KEYS if (key := os.environ.get(name))), "none")
        return {
            "base_url": self.options.url,
            "api_key": key,
            "max_retries": self.options.retries,
            "timeout": openai.Timeout(self.options.timeout, connect=min(10.0, self.options.timeout)),
        }

    def _cards(self) -> dict[str, int | None]:
        """The models' names and contexts; none where the server does not list them."""
        try:
            with openai.OpenAI(**self._connection()) as client:
                cards = getattr(client.models.list(), "data", None)
        except (openai.NotFoundError, *REFUSED):
            return {}
        except (openai.OpenAIError, ValueError) as error:
            raise self.failure(error) from None
        return {card.id: getattr(card, "max_model_len", None) for card in cards or ()}

    def _only(self) -> str:
        if len(self.served) != 1:
            raise azr.ConfigError(f"name the model of the endpoint {self.options.url} with --model; {azr.nearest('', self.served)}")
        return next(iter(self.served))

    def _found(self) -> str:
        if self.model in self.served or not self.served:
            other = "chat" if self.options.api == "completions" else "completions"
            return f"it may have no {self.options.api}: try the option api = '{other}', or mend its URL: most end in /v1"
        return f"no model {self.model!r} is served there; {azr.nearest(self.model, self.served)}"


class Session:
    """Requests of one batch: the same sampling, one client."""

    def __init__(self, server: Server, client: openai.AsyncOpenAI, sampling: azr.Sampling, end: str) -> None:
        self.server, self.client, self.sampling, self.end = server, client, sampling, end
        self.room = asyncio.Semaphore(server.options.concurrency)

    async def replies(self, index: int, prompt: str, n: int) -> list[azr.Reply]:
        """n replies to the prompt with that index, in one request if the server gives as many. Raises UsageError."""
        found: list[azr.Reply] = []
        if n > 1 and not self.server.single:
            try:
                found = await self._ask(prompt, n, self._seed(index, 0))
            except REFUSED:
                self.server.single = True
        missing = range(len(found), n)
        try:
            for group in await asyncio.gather(*(self._ask(prompt, 1, self._seed(index, reply)) for reply in missing)):
                found += group
        except REFUSED as error:
            raise self.server.failure(error) from None
        return found[:n]

    def _seed(self, index: int, reply: int) -> int:
        return azr.chance(self.sampling.seed, index, "endpoint", reply).getrandbits(31)

    async def _ask(self, prompt: str, n: int, seed: int) -> list[azr.Reply]:
        """At least one reply. Raises UsageError, and as they are refusals of the request."""
        try:
            async with self.room:
                answer = await self._answer(prompt, self._fields(n, seed))
        except REFUSED:
            raise
        except (openai.OpenAIError, ValueError) as error:
            raise self.server.failure(error) from None
        choices = getattr(answer, "choices", None)
        if not choices:
            raise self.server.failure(ValueError("an answer without choices"))
        return self._read(choices, getattr(answer.usage, "completion_tokens", None))

    async def _answer(self, prompt: str, fields: dict[str, Any]) -> Any:
        chat = self.server.options.api == "chat"
        if not chat:
            return await self.client.completions.create(prompt=prompt, **fields)
        messages: Any = [{"role": "user", "content": prompt}]
        try:
            return await self.client.chat.completions.create(messages=messages, **fields)
        except openai.BadRequestError as error:
            if "max_tokens" not in fields or "max_completion_tokens" not in str(error):
                raise
            self.server.limit = "max_completion_tokens"  # newer servers know no other word
            fields[self.server.limit] = fields.pop("max_tokens")
            return await self.client.chat.completions.create(messages=messages, **fields)

    def _fields(self, n: int, seed: int) -> dict[str, Any]:
        options, sampling = self.server.options, self.sampling
        fields: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p, self.server.limit: sampling.max_tokens}
        fields |= {"seed": seed, **({"n": n} if n > 1 else {}), **({"stop": list(sampling.stop)} if sampling.stop else {})}
        if options.logprobs and sampling.temperature == sampling.top_p == 1:  # else they are not those of the sampling
            fields["logprobs"] = True if options.api == "chat" else 1
        kept = {name: value for name, value in fields.items() if name not in options.without}
        return {"model": self.server.model, **kept, "extra_body": options.extra}

    def _read(self, choices: Sequence[Any], written: int | None) -> list[azr.Reply]:
        """written: tokens of all choices, of which only the sum is known; each is given its share."""
        texts = [self._text(choice) for choice in choices]
        total = sum(map(self.server.estimate, texts)) if written is None else written
        replies = []
        for place, (choice, text) in enumerate(zip(choices, texts, strict=True)):
            logprobs = _logprobs(choice)
            count = len(logprobs) or total // len(texts) + (place < total % len(texts))
            replies.append(azr.Reply(text, (), (UNKNOWN,) * count, logprobs, truncated=choice.finish_reason == "length"))
        return replies

    def _text(self, choice: Any) -> str:
        """The reply, up to and with its stop string, which servers cut away."""
        text = _message(choice.message) if hasattr(choice, "message") else choice.text
        ends = [place + len(stop) for stop in self.sampling.stop if (place := text.find(stop)) >= 0]
        if ends or choice.finish_reason != "stop":
            return text[: min(ends, default=len(text))]
        return text.removesuffix(self.end) + self._ended(choice)

    def _ended(self, choice: Any) -> str:
        """What ended a reply. vLLM tells (`stop_reason`); a silent server is believed to have met the stop string, if there is one."""
        told = getattr(choice, "stop_reason", "")
        stop = self.sampling.stop
        if told in stop:
            return str(told)
        return stop[0] if told == "" and len(stop) == 1 else self.end


def _message(message: Any) -> str:
    """What a model said, behind its thoughts where the server takes those out of it."""
    content = message.content or ""
    thoughts = getattr(message, "reasoning", None) or getattr(message, "reasoning_content", None)
    if not thoughts:
        return str(content)
    return f"<think>{thoughts}</think>{content}" if content else f"<think>{thoughts}"


def _logprobs(choice: Any) -> tuple[float, ...]:
    told = getattr(choice, "logprobs", None)
    rows = getattr(told, "content", None)
    found = [row.logprob for row in rows] if rows else getattr(told, "token_logprobs", None) or []
    return tuple(found) if None not in found else ()
