"""Options of the trainer `endpoint`."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

import azr_core as azr

OWN = ("model", "prompt", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "n", "stream")


class EndpointOptions(azr.Options):
    """Where the model is, and how it is asked. Keys come from the environment only: AZR_ENDPOINT_KEY, else OPENAI_API_KEY."""

    url: str = Field(description="base URL of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1")
    model: str = Field(default="", description="name of the model there; empty: the only one that it serves")
    api: Literal["completions", "chat"] = Field(
        default="completions", description="completions: the prompt as it is; chat: as a user's turn, in the server's template"
    )
    concurrency: int = Field(default=32, ge=1, description="requests under way at once")
    retries: int = Field(
        default=8, ge=0, description="further tries where the server is busy, broken or away; the pause doubles from half a second to 8 s"
    )
    timeout: float = Field(default=600.0, gt=0, description="seconds without an answer, after which a request is tried again")
    context: int | None = Field(
        default=None, ge=1, description="tokens of a prompt and its reply; none: what the server tells (max_model_len), else any number"
    )
    characters: float = Field(
        default=3.0, gt=0, description="characters a token, by which prompts are measured against prompt_tokens and the context"
    )
    logprobs: bool = Field(
        default=False, description="ask for log-probabilities (the metric entropy), where they are those of the sampling"
    )
    extra: dict[str, Any] = Field(default_factory=dict, description="further fields of every request, such as {top_k = -1}")
    without: tuple[str, ...] = Field(default=(), description="fields that are not sent because the server refuses them, such as ['seed']")

    @field_validator("url")
    @classmethod
    def _holds_no_secret(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write it as http://HOST:PORT/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("settings are stored, so a URL must hold no key; put it into the environment as AZR_ENDPOINT_KEY")
        return url.rstrip("/")

    @field_validator("extra")
    @classmethod
    def _leaves_sampling_alone(cls, extra: dict[str, Any]) -> dict[str, Any]:
        for name in extra.keys() & set(OWN):
            raise ValueError(f"{name} is azr's to say; change the run's own setting")
        return extra
