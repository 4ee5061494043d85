"""`azr serve`: from what stands on the command line to a model that listens."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import ipaddress
import os
import shlex
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from azr_core import lineage, vllm_engine
from azr_core.config import RunConfig, merge, untrained
from azr_core.display import plan_table, terminal
from azr_core.errors import ConfigError, nearest
from azr_core.measuring import PLAIN
from azr_core.plugins import Plugins
from azr_core.run import Request, resolve

EMBEDDED = "azr"  # what the default model is called
GRACE_S = 3  # seconds that requests under way have at the end


class Engine(StrEnum):
    """Who samples. auto: vLLM where it is installed."""

    AUTO = "auto"
    BUILT_IN = "built-in"
    VLLM = "vllm"


def chosen(engine: str) -> Engine:
    """The engine of that name. Raises ConfigError."""
    if engine not in list(Engine):
        raise ConfigError(f"no engine {engine!r}; {nearest(engine, [one.value for one in Engine])}")
    return Engine(engine)


@dataclass(frozen=True)
class Place:
    """Where to listen, and what clients must show."""

    host: str
    port: int
    key: str | None = None

    @property
    def url(self) -> str:
        """Where a client on this machine finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def check(self) -> None:
        """Raises ConfigError."""
        if self.key is not None and not (self.key.isascii() and self.key.isprintable() and " " not in self.key and self.key):
            raise ConfigError("the API key must be visible ASCII characters without spaces; choose another --api-key or AZR_API_KEY")
        if self.key is None and not _loopback(self.host):
            raise ConfigError(
                f"--host {self.host} would let everybody who reaches this machine use the model; "
                "set a key in AZR_API_KEY (or --api-key), or leave --host at 127.0.0.1"
            )

    def bind(self) -> socket.socket:
        """A socket that holds the port and does not listen yet. Raises ConfigError."""
        with contextlib.ExitStack() as undo:
            try:
                family, _, _, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
                bound = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.bind(address)
            except OSError as error:
                raise ConfigError(f"cannot listen on {self.host}:{self.port}: {error.strerror}; choose another --port or --host") from None
            undo.pop_all()
        return bound


def serve(request: Request, place: Place, name: str | None, engine: Engine) -> None:
    """Serve the request's model until Ctrl-C. Raises UsageError."""
    place.check()
    if engine is Engine.VLLM and not vllm_engine.importable():
        raise ConfigError(f"vLLM is not installed; {_pip('vllm')}, or use --engine built-in")
    external = engine is Engine.VLLM or (engine is Engine.AUTO and vllm_engine.importable())
    if not external and not all(importlib.util.find_spec(package) for package in ("starlette", "uvicorn")):
        raise ConfigError(f"azr serve needs starlette and uvicorn; {_pip('serve')}")
    with place.bind() as bound:
        place = dataclasses.replace(place, port=bound.getsockname()[1])
        config, plugins = resolve(_settled(request))
        try:
            if external:
                _hand_over(config, plugins, place, name or _given(request))
            else:
                _listen(config, plugins, place, name or _given(request), bound)
        finally:
            plugins.close()


def _given(request: Request) -> str | None:
    """The name of the default model; any other is called after its folder."""
    return None if request.settings.get("trainer", {}).get("model") else EMBEDDED


def _settled(request: Request) -> Request:
    """Prompts are the clients' own. Without a plugin only the trainer's is loaded."""
    default = RunConfig.model_fields["trainer"].default.name
    plugins = request.plugins or tuple(request.settings.get("plugins", ())) or (default,)
    return dataclasses.replace(request, plugins=plugins, settings=merge(request.settings, PLAIN))


def model_name(model: str) -> str:
    """What a model's folder, a run's checkpoint or a name in the hub is called."""
    path = Path(model)
    if path.parent.name == "checkpoints":
        return f"{path.absolute().parents[1].name}-{path.name}"
    return path.resolve().name if path.is_dir() else model


def _listen(config: RunConfig, plugins: Plugins, place: Place, name: str | None, bound: socket.socket) -> None:
    import uvicorn

    from azr_core.service import Service
    from azr_core.serving import application

    trainer = plugins.trainer(untrained(config))
    about = trainer.describe()
    service = Service(trainer.policy, name or model_name(about.get("model", EMBEDDED)))
    app = application(service, place.key)
    settings = uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=GRACE_S)
    server = uvicorn.Server(settings)
    bound.listen()
    chat = "the model's chat template" if service.templated else "no template: messages are joined by blank lines and continued"
    context = f",max_length={service.tokens.context}" if service.tokens and service.tokens.context else ""
    _say({**about, "chat": chat}, place, service.name, f"{shlex.quote(about.get('model', ''))}{context}")
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it is done
        server.run(sockets=[bound])
    if service.turns.busy:  # nothing can stop the device in the middle of a batch, and nobody waits for it any more
        print("azr: left a batch unfinished", file=sys.stderr, flush=True)
        os._exit(0)


def _say(about: Mapping[str, str], place: Place, name: str, tokenizer: str) -> None:
    """What is served, and commands that use it, each on one line. tokenizer: as lm-eval is told, and what follows it."""
    console = terminal()
    key = "OPENAI_API_KEY=$AZR_API_KEY " if place.key else ""
    served = f"--model_args model={name},num_concurrent=8,base_url={place.url}/v1"
    console.print(plan_table({**about, "model id": name}), soft_wrap=True)
    for line in (
        "",
        f"{key}lm_eval --tasks TASK --model local-completions {served}/completions,tokenizer={tokenizer}",
        f"{key}lm_eval --tasks TASK --model local-chat-completions --apply_chat_template {served}/chat/completions",
        f"{key}evalplus.codegen {name} humaneval --backend openai --base_url {place.url}/v1 --greedy",
        "",
        f"serving {place.url}/v1 (Ctrl-C ends it)",
    ):
        console.print(line, soft_wrap=True, markup=False)
    sys.stdout.flush()  # for whoever waits for it at the other end of a pipe


def _hand_over(config: RunConfig, plugins: Plugins, place: Place, name: str | None) -> None:
    """Become vLLM's server."""
    model = config.trainer.options.get("model") or plugins.trainer(untrained(config)).describe()["model"]
    if Path(str(model)).is_dir() and not lineage.complete(Path(str(model))):
        raise ConfigError(
            f"{model} is no whole model for vLLM, such as an adapter; export it (azr export RUN --to DIR), or use --engine built-in"
        )
    called = name or model_name(str(model))
    words = vllm_engine.command(str(model), called, place.host, place.port)
    _say({"vLLM": shlex.join(words)}, place, called, shlex.quote(str(model)))
    os.execve(words[0], words, vllm_engine.environment(place.key))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pip(extra: str) -> str:
    return f"{shlex.quote(sys.executable)} -m pip install 'azr[{extra}]'"
