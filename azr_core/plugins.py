"""The plugins of one run: loaded by name on a fresh manager, asked through checked hooks."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pluggy

from azr_core import hookspecs
from azr_core.config import Part, RunConfig, merge, parse
from azr_core.config import Options as OptionsBase
from azr_core.errors import ConfigError, PluginError, UsageError, nearest
from azr_core.interfaces import Buffer, Environment, Proposer, RewardShaper, Trainer, Verifier
from azr_core.loading import Loaded, first_line, import_plugin, installed, is_path, write_traceback
from azr_core.types import Benchmark, StepReport

O = TypeVar("O", bound=OptionsBase)  # noqa: E741

CORE = "azr_core"
HOOKS = frozenset(name for name in vars(hookspecs) if name.startswith("azr_"))
_NAME = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")

__all__ = ["Plugins", "installed", "load", "plugin_options"]


class Plugins:
    """The loaded plugins and what they answer. `names` load the same plugins in another process."""

    def __init__(self, loaded: Sequence[Loaded], names: Sequence[str], log: Path | None) -> None:
        self.names = tuple(names)
        self._loaded = tuple(loaded)
        self._log = log
        self._verifiers: dict[int, Verifier[Any, Any]] = {}
        self._manager = pluggy.PluginManager("azr")
        self._manager.add_hookspecs(hookspecs)
        for plugin in loaded:
            _register(self._manager, plugin)

    def defaults(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Every plugin's defaults for these settings, merged in the order of loading."""
        answers = self._ask("azr_defaults", settings=settings)
        return merge(*(_checked("azr_defaults", name, answer, Mapping) for name, answer in answers))

    def environments(self, config: RunConfig) -> dict[str, Environment]:
        """All environments by name, sorted, with proposers and verifiers replaced where a plugin replaces them."""
        self._check_options(config)
        owners: dict[str, str] = {}
        found: dict[str, Environment] = {}
        for plugin, answer in self._ask("azr_environments", config=config):
            for environment in _items("azr_environments", plugin, answer, Environment):
                _check_environment(plugin, environment)
                if environment.name in owners:
                    raise PluginError(
                        f"environment {environment.name!r} is brought by two plugins, {owners[environment.name]!r} and {plugin!r}; load one of them"
                    )
                owners[environment.name] = plugin
                found[environment.name] = self._replaced(environment, config)
        return dict(sorted(found.items()))

    def benchmarks(self, config: RunConfig) -> list[Benchmark]:
        """All benchmarks, sorted by name."""
        owners: dict[str, str] = {}
        found = []
        for plugin, answer in self._ask("azr_benchmarks", config=config):
            for benchmark in _items("azr_benchmarks", plugin, answer, Benchmark):
                other = owners.setdefault(benchmark.name, plugin)
                if benchmark.name in {known.name for known in found}:
                    raise PluginError(f"benchmark {benchmark.name!r} is brought twice, by {other!r} and {plugin!r}; load one of them")
                for environment in benchmark.environments.values():
                    self._keep(environment.verifier)
                found.append(benchmark)
        return sorted(found, key=lambda benchmark: benchmark.name)

    def buffer(self, config: RunConfig) -> Buffer:
        """The buffer the configuration names."""
        return self._part("azr_buffer", config.buffer, config, Buffer)

    def shaper(self, config: RunConfig) -> RewardShaper:
        """The reward shaper the configuration names."""
        return self._part("azr_reward_shaper", config.reward, config, RewardShaper)

    def trainer(self, config: RunConfig) -> Trainer:
        """The trainer the configuration names."""
        return self._part("azr_trainer", config.trainer, config, Trainer)

    def step(self, report: StepReport) -> None:
        """Tell every plugin of a stored step."""
        self._ask("azr_step", report=report)

    def listing(self) -> list[dict[str, str]]:
        """Name, version and hash of the sources of every plugin, for the run directory."""
        return [{"name": plugin.name, "version": plugin.version, "sha256": plugin.sha256} for plugin in self._loaded]

    def close(self) -> None:
        """Close the verifiers handed out and forget the modules imported from files."""
        for verifier in self._verifiers.values():
            verifier.close()
        self._verifiers.clear()
        for plugin in self._loaded:
            if getattr(plugin.plugin, "__name__", "").startswith("_azr_plugin_"):
                sys.modules.pop(plugin.plugin.__name__, None)

    def _keep(self, verifier: Verifier[Any, Any]) -> None:
        self._verifiers[id(verifier)] = verifier

    def _check_options(self, config: RunConfig) -> None:
        known = {plugin.name for plugin in self._loaded}
        for name in config.plugin_options.keys() - known:
            everything = known | {plugin.name for plugin in installed()}
            if name not in everything:
                raise ConfigError(f"[plugins.{name}]: no plugin of that name; {nearest(name, everything)}")

    def _replaced(self, environment: Environment, config: RunConfig) -> Environment:
        kinds: dict[str, type] = {"proposer": Proposer, "verifier": Verifier}
        parts = {}
        for field, kind in kinds.items():
            self._keep(environment.verifier)
            part = self._one(f"azr_{field}", environment.name, kind, environment=environment, config=config)
            parts |= {} if part is None else {field: part}
        replaced = dataclasses.replace(environment, **parts)
        self._keep(replaced.verifier)
        return replaced

    def _part(self, hook: str, part: Part, config: RunConfig, kind: type) -> Any:
        answer = self._one(hook, part.name, kind, part=part, config=config)
        if answer is None:
            what = hook.removeprefix("azr_").replace("_", " ")
            asked = ", ".join(plugin.name for plugin in self._loaded)
            raise PluginError(f"no loaded plugin has a {what} named {part.name!r} (asked: {asked}); mend the name or load the plugin that has it")
        return answer

    def _one(self, hook: str, name: str, kind: type, **arguments: Any) -> Any:
        answers = self._ask(hook, **arguments)
        if len(answers) > 1:
            raise PluginError(f"{hook} for {name!r} is answered by two plugins, {answers[0][0]!r} and {answers[1][0]!r}; load one of them")
        return _checked(hook, *answers[0], kind) if answers else None

    def _ask(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """(plugin, answer) of every plugin that does not answer None, in the order of loading."""
        answers = []
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            wanted = {name: arguments[name] for name in implementation.argnames}
            try:
                answer = implementation.function(**wanted)
            except UsageError:
                raise
            except Exception as error:
                write_traceback(error, self._log)
                raise PluginError(f"plugin {implementation.plugin_name!r} failed in {hook}: {type(error).__name__}: {first_line(error)}") from error
            if answer is not None:
                answers.append((implementation.plugin_name, answer))
        return answers


def load(names: Sequence[str], log: Path | None = None) -> Plugins:
    """Import the named plugins, and what they require before them, and nothing else. Raises PluginError."""
    loaded = [_core()]
    seen: set[str] = set()

    def bring(name: str) -> None:
        name = str(Path(name).resolve()) if is_path(name) else name
        if name in seen:
            return
        seen.add(name)
        plugin = import_plugin(name, log)
        for required in _requirements(plugin):
            bring(required)
        loaded.append(plugin)

    for name in names:
        bring(name)
    return Plugins(loaded, [str(Path(name).resolve()) if is_path(name) else name for name in names], log)


def plugin_options(config: RunConfig, name: str, model: type[O]) -> O:
    """A plugin's own options, from `[plugins.NAME]`. Raises ConfigError."""
    return parse(model, config.plugin_options.get(name, {}), f"[plugins.{name}]")
