"""The HTTP of `azr serve`: OpenAI's paths around a service. Needs the extra `serve`."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from azr_core.choices import Answer, chunks, whole
from azr_core.completions import Asked, ChatAsked, CompletionAsked, Refusal, read
from azr_core.errors import UsageError
from azr_core.service import Service

BODY_BYTES = 16_000_000  # of one request

Endpoint = Callable[[Request], Awaitable[Response]]


def application(service: Service, key: str | None = None) -> Starlette:
    """The ASGI application. key: what clients must send as a bearer token; /health needs none."""

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_card(service)]})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        if name != service.name:
            raise Refusal(f"no model {name!r} here, only {service.name!r}", 404, "model", "model_not_found")
        return JSONResponse(_card(service))

    async def complete(request: Request) -> Response:
        asked = read(CompletionAsked, await _body(request))
        return _answered(asked, service.name, await service.complete(asked))

    async def chat(request: Request) -> Response:
        asked = read(ChatAsked, await _body(request))
        return _answered(asked, service.name, await service.chat(asked))

    routes = [
        Route("/health", health),
        Route("/v1/models", _guarded(models, key)),
        Route("/v1/models/{name:path}", _guarded(model, key)),
        Route("/v1/completions", _guarded(complete, key), methods=["POST"]),
        Route("/v1/chat/completions", _guarded(chat, key), methods=["POST"]),
    ]
    handlers: dict[Any, Any] = {Refusal: _refused, UsageError: _refused, HTTPException: _missed, Exception: _broken}
    return Starlette(routes=routes, exception_handlers=handlers)


def _card(service: Service) -> dict[str, Any]:
    context = service.tokens.context if service.tokens else None
    return {"id": service.name, "object": "model", "created": service.since, "owned_by": "azr", "max_model_len": context}


def _guarded(endpoint: Endpoint, key: str | None) -> Endpoint:
    async def guarded(request: Request) -> Response:
        sent = request.headers.get("authorization", "")
        if key and not secrets.compare_digest(sent.encode(), f"Bearer {key}".encode()):
            raise Refusal("the API key is missing or wrong; send it as `Authorization: Bearer KEY`", 401, code="invalid_api_key")
        try:
            return await endpoint(request)
        except asyncio.CancelledError:  # by uvicorn, when the time that requests have at the end is over
            raise Refusal("the server is stopping", 503) from None

    return guarded


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES:
            raise Refusal(f"the body is longer than {BODY_BYTES} bytes; send less at once", 413)
        parts.append(part)
    return b"".join(parts)


def _answered(asked: Asked, name: str, answer: Answer) -> Response:
    if not asked.stream:
        return JSONResponse(whole(asked, name, answer))
    return StreamingResponse(_events(asked, name, answer), media_type="text/event-stream", headers={"cache-control": "no-cache"})


def _events(asked: Asked, name: str, answer: Answer) -> Iterator[str]:
    for chunk in chunks(asked, name, answer):
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"


async def _refused(request: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, Refusal) else Refusal(str(error))
    return JSONResponse(refusal.form(), refusal.status)


async def _missed(request: Request, error: HTTPException) -> Response:
    paths = "GET /v1/models and /health, POST /v1/completions and /v1/chat/completions"
    refusal = Refusal(f"{error.detail}: {request.method} {request.url.path}; served are {paths}", error.status_code)
    return JSONResponse(refusal.form(), refusal.status, error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    """A bug, or a device without memory. The server logs the traceback and goes on."""
    return JSONResponse(Refusal(f"the server failed: {type(error).__name__}", 500).form(), 500)
