"""Requests in the OpenAI protocol: what they may ask for, and how a bad one is refused. No HTTP here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from azr_core.errors import AzrError
from azr_core.types import Sampling

GREEDY_BELOW = 1e-4  # temperatures that float32 cannot divide by
# Fields that would change the answer and that no sampler here knows, with the values that ask for nothing.
UNSUPPORTED: Mapping[str, tuple[Any, ...]] = {
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "best_of": (1,),
    "suffix": ("",),
    "tools": ([],),
    "functions": ([],),
    "response_format": ({"type": "text"},),
}
# What pydantic says of a union is a page; this is what is said instead.
EXPECTED = {
    "prompt": "a string, a list of strings, a list of token ids, or a list of such lists; none empty",
    "stop": "a string, or a list of at most 64 strings; none empty",
    "messages": "a list of {role, content}, content being text",
}


class Refusal(AzrError):
    """A request that is not served, as OpenAI says it. status: of HTTP. param: the field it is about. code: for programs."""

    def __init__(self, message: str, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    def form(self) -> dict[str, Any]:
        """The error object."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


def _joined(content: Any) -> Any:
    """Text that is given in parts, as one."""
    if not isinstance(content, list):
        return content
    found = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
    texts = [text for text in found if isinstance(text, str)]
    return "".join(texts) if len(texts) == len(content) else content


Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1)]
Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
Stop = Annotated[list[Text], Field(max_length=64), BeforeValidator(_listed)]


class Options(BaseModel):
    """Of a stream. include_usage: a last chunk with the counts."""

    include_usage: bool = False


class Asked(BaseModel):
    """What both kinds of request may say. What else they say is ignored, but for `UNSUPPORTED`."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    model: str | None = None
    n: int = Field(default=1, ge=1, le=128)
    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    stop: Stop = Field(default=[])
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stream: bool = False
    stream_options: Options = Options()

    def sampling(self, max_tokens: int, seed: int) -> Sampling:
        """How to sample. seed: where the request names none."""
        temperature = 0.0 if self.temperature < GREEDY_BELOW else self.temperature
        return Sampling(temperature, max_tokens, self.top_p, tuple(self.stop), seed if self.seed is None else self.seed)


class CompletionAsked(Asked):
    """`/v1/completions`: texts or token ids to continue. logprobs: how many of the likeliest tokens are told beside each."""

    prompt: Text | Texts | Ids | Annotated[list[Ids], Field(min_length=1)]
    max_tokens: int = Field(default=16, ge=0)
    echo: bool = False
    logprobs: int | None = Field(default=None, ge=0, le=20)

    @property
    def prompts(self) -> list[Any]:
        """Texts or lists of ids."""
        one = isinstance(self.prompt, str) or isinstance(self.prompt[0], int)
        return [self.prompt] if one else list(self.prompt)

    @property
    def top(self) -> int | None:
        """How many of the likeliest tokens are told; None: no log-probabilities."""
        return self.logprobs


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    role: Text
    content: Annotated[str, BeforeValidator(_joined)]


class ChatAsked(Asked):
    """`/v1/chat/completions`: a conversation to answer."""

    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=20)

    @property
    def turns(self) -> list[dict[str, str]]:
        """As chat templates take them."""
        return [{"role": message.role, "content": message.content} for message in self.messages]

    @property
    def top(self) -> int | None:
        """How many of the likeliest tokens are told; None: no log-probabilities."""
        return self.top_logprobs if self.logprobs else None


Kind = TypeVar("Kind", bound=Asked)


def read(kind: type[Kind], body: bytes) -> Kind:
    """A request from its JSON. Raises Refusal."""
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Refusal("the body is not a JSON object")
    given = {name: value for name, value in fields.items() if value is not None}  # null is as if left out
    for name, neutral in UNSUPPORTED.items():
        if name in given and given[name] not in neutral:
            raise Refusal(f"{name} is not supported here; leave it out", param=name, code="unsupported_parameter")
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        said = f"expected {EXPECTED[name]}" if name in EXPECTED and name in given else first["msg"]
        raise Refusal(f"{name}: {said}", param=name or None) from None
