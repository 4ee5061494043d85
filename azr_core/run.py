"""The composition root: what the user asked for becomes plugins, a configuration, and work in a directory."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from azr_core.config import RunConfig, merge, parse, untrained
from azr_core.directory import RunDirectory, find, fresh_name, names
from azr_core.documents import documents
from azr_core.errors import ConfigError, RunError, UsageError
from azr_core.evaluate import chosen
from azr_core.interrupt import Interrupt
from azr_core.loading import first_line
from azr_core.logs import Logs
from azr_core.node import Node
from azr_core.plugins import Plugins, installed, load
from azr_core.progress import Audience, Listener
from azr_core.prompts import Prompts
from azr_core.ranks import place
from azr_core.runner import Runner
from azr_core.seeding import Growth, grow
from azr_core.settings import PARTS
from azr_core.types import Evaluation


@dataclass(frozen=True)
class Request:
    """What the user asked for. settings: nested, of preset, file and flags, later ones already merged over earlier."""

    plugins: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    runs_dir: Path = Path("runs")
    resume: bool = False


def resolve(request: Request, log: Path | None = None) -> tuple[RunConfig, Plugins]:
    """The whole configuration and the loaded plugins. Plugins' defaults lie under everything the user set."""
    named = tuple(_absolute(name) for name in request.plugins or request.settings.get("plugins", ()))
    if not named:
        raise ConfigError("no plugin named; say which domain to play, for example --plugin python")
    parts = {part: RunConfig.model_fields[part].default.model_dump() for part in PARTS}
    plugins = load([*named, *(name for name in _part_names(merge(parts, request.settings)) if name not in named)], log)
    settings = merge(parts, plugins.defaults(request.settings), request.settings, {"plugins": named})
    return parse(RunConfig, settings, "configuration"), plugins


def start(request: Request, listener: Listener) -> Path:
    """Play a run, or go on with one, and return its directory. Raises UsageError."""
    directory = _resumed(request) if request.resume else RunDirectory(request.runs_dir / (request.name or _fresh(request)))
    if not request.resume:
        directory.reserve()
    else:
        request = Request(request.plugins, merge(directory.config(), request.settings), request.name, request.runs_dir, True)
    with directory.held():
        try:
            stopped = _played(request, directory, listener)
        except UsageError:
            directory.release()
            raise
    listener.finished(directory.path, stopped)
    return directory.path


def follow(request: Request) -> None:
    """What `start` and `plan` are on ranks above 0: work for rank 0 until it ends. Shows nothing, and writes nothing of the run."""
    where = place()
    warnings.formatwarning = _prefixed(str(where), warnings.formatwarning)
    try:
        if request.resume:
            request = replace(request, settings=merge(_resumed(request).config(), request.settings))
        config, plugins = resolve(request)
        node = Node(config.model_dump_json(), plugins.names)
        try:
            with Interrupt(lambda: None):  # rank 0 decides when to stop
                plugins.trainer(config).follow(lambda job: node.answer(job) if job else node.report())
        finally:
            node.close()
            plugins.close()
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    except Exception as error:
        raise RuntimeError(f"{where}: {type(error).__name__}: {first_line(error)}") from error


def plan(request: Request) -> Mapping[str, str]:
    """What `start` would do, without playing or leaving anything behind."""
    config, plugins = resolve(request)
    with tempfile.TemporaryDirectory() as scratch, _running(config, plugins, RunDirectory(Path(scratch)), Listener()) as runner:
        runner.prepare()
        return runner.describe() | {"run": str(request.runs_dir / (request.name or _fresh(request)))}


def evaluate_model(request: Request, listener: Listener, benchmarks: Sequence[str] | None = None) -> list[Evaluation]:
    """Held-out accuracy of the request's model. Raises ConfigError for a benchmark that no plugin brings."""
    config, plugins = resolve(request)
    config = untrained(config)
    with tempfile.TemporaryDirectory() as scratch, _running(config, plugins, RunDirectory(Path(scratch)), listener) as runner:
        runner.evaluator.benchmarks = chosen(runner.benchmarks, benchmarks or config.evaluation.benchmarks)
        listener.plan(runner.trainer.describe())
        return runner.evaluator.full(runner.trainer.policy, 0)


def warmup(request: Request, out: Path, minutes: float, listener: Listener) -> None:
    """Teach a model the plugins' environments from their procedural demonstrations, and write it to `out`."""
    config, plugins = resolve(request)
    environments = list(plugins.environments(config).values())
    try:
        plugins.trainer(untrained(config)).warmup(lambda seed: documents(environments, Prompts(config.style), seed), out, minutes, listener)
    finally:
        plugins.close()


def grow_seeds(request: Request, out: Path, tasks: int | None, listener: Listener) -> Mapping[str, int]:
    """Let the request's model propose seeds, without learning, until `out` holds so many of each set; returns the sets' sizes.

    tasks: none is four batches (the paper's 4B).
    """
    config, plugins = resolve(request)
    config = untrained(config)
    with tempfile.TemporaryDirectory() as scratch, _running(config, plugins, RunDirectory(Path(scratch)), listener) as runner:
        listener.plan({**runner.trainer.describe(), **runner.safety, "seeds": str(out)})
        growth = Growth(out, tasks or 4 * config.batch_size, listener, lambda: runner.interrupt.asked)
        with runner.interrupt:
            return grow(runner.engine, runner.trainer.policy, growth)


@contextmanager
def _running(config: RunConfig, plugins: Plugins, directory: RunDirectory, listener: Listener) -> Iterator[Runner]:
    runner = None
    try:
        runner = Runner(config, plugins, directory, listener)
        runner.verification.share(runner.trainer, runner.engine.environments.values())
        yield runner
    finally:
        if runner:
            runner.trainer.close()
            runner.close()
        plugins.close()


def _played(request: Request, directory: RunDirectory, listener: Listener) -> bool:
    config, plugins = resolve(request, directory.log)
    if request.resume:
        directory.take_up(config)
    logs = Logs(config.log)
    with _running(config, plugins, directory, Audience(listener, logs)) as runner:
        if not request.resume:
            directory.record(config, plugins.listing())
        runner.prepare()
        listener.plan(runner.describe())
        with logs.kept(directory, runner.store):
            return runner.play_all()


def _prefixed(where: str, form: Callable[..., str]) -> Callable[..., str]:
    """Warnings that say which rank they come from."""
    return lambda *args, **kwargs: f"{where}: {form(*args, **kwargs)}"


def _part_names(settings: Mapping[str, Any]) -> list[str]:
    """Installed plugins that share a name with a part the settings choose: naming the part names the plugin."""
    parts = [part for kind in PARTS for part in (settings[kind] if isinstance(settings[kind], list) else [settings[kind]])]
    players = settings.get("players")
    parts += players.values() if isinstance(players, Mapping) else ()
    chosen = [part.get("name") for part in parts if isinstance(part, Mapping)]
    available = {plugin.name for plugin in installed()}
    return [name for name in chosen if name in available]


def _absolute(plugin: str) -> str:
    return str(Path(plugin).resolve()) if plugin.endswith(".py") else plugin


def _fresh(request: Request) -> str:
    return fresh_name(request.runs_dir, request.plugins or tuple(request.settings.get("plugins", ())))


def _resumed(request: Request) -> RunDirectory:
    made = names(request.runs_dir)
    if not request.name and not made:
        raise RunError(f"nothing to resume in {request.runs_dir}; start a run without --resume")
    return find(request.name or made[-1], request.runs_dir)
