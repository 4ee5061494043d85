"""The plugins of one run: loaded by name on a fresh manager, asked through checked hooks."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pluggy

from azr_core import hookspecs
from azr_core.answers import check_environment, checked, claim, items
from azr_core.config import Options, Part, RunConfig, merge, parse
from azr_core.errors import ConfigError, PluginError, UsageError, nearest
from azr_core.interfaces import Buffer, Environment, Proposer, RewardShaper, Trainer, Verifier
from azr_core.loading import Loaded, distribution_version, first_line, import_plugin, installed, is_path, write_traceback
from azr_core.public import PublicBenchmark
from azr_core.rewards import RULES
from azr_core.terms import assemble
from azr_core.types import Benchmark, Check, StepReport

O = TypeVar("O", bound=Options)  # noqa: E741

CORE = "azr_core"
HOOKS = frozenset(name for name in vars(hookspecs) if name.startswith("azr_"))

__all__ = ["Plugins", "installed", "load", "plugin_options"]


class Plugins:
    """The loaded plugins and what they answer. `names` load the same plugins in another process."""

    def __init__(self, loaded: Sequence[Loaded], names: Sequence[str], log: Path | None) -> None:
        self.names = tuple(names)
        self.domains: tuple[str, ...] = ()  # of the environments handed out, in the order of loading
        self._loaded = tuple(loaded)
        self._log = log
        self._shipped: dict[tuple[str, int], tuple[str, Verifier[Any, Any]]] = {}
        self._manager = pluggy.PluginManager("azr")
        self._manager.add_hookspecs(hookspecs)
        for plugin in loaded:
            _register(self._manager, plugin)

    def defaults(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Every plugin's defaults for these settings, merged in the order of loading."""
        answers = self._ask("azr_defaults", settings=settings)
        return merge(*(checked("azr_defaults", name, answer, Mapping) for name, answer in answers))

    def environments(self, config: RunConfig) -> dict[str, Environment]:
        """All environments by name, sorted, with proposers and verifiers replaced where a plugin replaces them."""
        self._check_options(config)
        owners: dict[str, str] = {}
        found: dict[str, Environment] = {}
        for plugin, answer in self._ask("azr_environments", config=config):
            for environment in items("azr_environments", plugin, answer, Environment):
                check_environment(plugin, environment)
                claim(owners, "environment", environment.name, plugin)
                found[environment.name] = self._replaced(environment, config)
        self.domains = tuple(dict.fromkeys(environment.domain for environment in found.values()))
        return dict(sorted(found.items()))

    def benchmarks(self, config: RunConfig) -> list[Benchmark]:
        """All benchmarks, sorted by name."""
        owners: dict[str, str] = {}
        found: list[Benchmark] = []
        for plugin, answer in self._ask("azr_benchmarks", config=config):
            for benchmark in items("azr_benchmarks", plugin, answer, Benchmark):
                claim(owners, "benchmark", benchmark.name, plugin)
                for environment in benchmark.environments.values():
                    self._shipped.setdefault((environment.name, id(environment.verifier)), (benchmark.name, environment.verifier))
                found.append(benchmark)
        return sorted(found, key=lambda benchmark: benchmark.name)

    def buffer(self, config: RunConfig) -> Buffer:
        """The buffer the configuration names."""
        buffer: Buffer = self._part("azr_buffer", config.buffer, config, Buffer)
        return buffer

    def shaper(self, config: RunConfig) -> RewardShaper:
        """The reward shaper the configuration names, with its terms."""
        return assemble(config.reward, lambda part: self._part("azr_reward_shaper", part, config, RewardShaper, RULES))

    def trainer(self, config: RunConfig) -> Trainer:
        """The trainer the configuration names."""
        trainer: Trainer = self._part("azr_trainer", config.trainer, config, Trainer)
        return trainer

    def export(self, checkpoint: Path, folder: Path) -> Path | None:
        """The folder, with the whole model of a checkpoint in it; None where no plugin knows how."""
        written: Path | None = self._one("azr_export", checkpoint.name, Path, checkpoint=checkpoint, folder=folder)
        return written

    def checks(self, config: RunConfig) -> list[Check]:
        """What the plugins found on this machine, in the order of loading."""
        answers = self._ask("azr_checks", config=config)
        return [check for plugin, answer in answers for check in items("azr_checks", plugin, answer, Check)]

    def public_benchmarks(self, config: RunConfig) -> list[PublicBenchmark]:
        """All public benchmarks by name, none of them read yet."""
        owners: dict[str, str] = {}
        found: list[PublicBenchmark] = []
        for plugin, answer in self._ask("azr_public_benchmarks", config=config):
            for benchmark in items("azr_public_benchmarks", plugin, answer, PublicBenchmark):
                claim(owners, "public benchmark", benchmark.name, plugin)
                found.append(benchmark)
        return sorted(found, key=lambda benchmark: benchmark.name)

    def step(self, report: StepReport, config: RunConfig) -> None:
        """Tell every plugin of a stored step."""
        self._ask("azr_step", report=report, config=config)

    def listing(self) -> list[dict[str, str]]:
        """Name, version and hash of the sources of every plugin, for the run directory."""
        return [{"name": plugin.name, "version": plugin.version, "sha256": plugin.sha256} for plugin in self._loaded]

    def origin(self, environment: Environment) -> str | None:
        """Where another process finds this environment's verifier: a benchmark's name, "" for the run's own, None for a stranger."""
        found = self._shipped.get((environment.name, id(environment.verifier)))
        return found[0] if found else None

    def close(self) -> None:
        """Close the verifiers handed out and forget the modules imported from files."""
        for verifier in {id(verifier): verifier for _, verifier in self._shipped.values()}.values():
            verifier.close()
        self._shipped.clear()
        for plugin in self._loaded:
            if getattr(plugin.plugin, "__name__", "").startswith("_azr_plugin_"):
                sys.modules.pop(plugin.plugin.__name__, None)

    def _check_options(self, config: RunConfig) -> None:
        known = {plugin.name for plugin in self._loaded}
        for name in config.plugin_options.keys() - known:
            everything = known | {plugin.name for plugin in installed()}
            if name not in everything:
                raise ConfigError(f"[plugins.{name}]: no plugin of that name; {nearest(name, everything)}")

    def _replaced(self, environment: Environment, config: RunConfig) -> Environment:
        kinds: dict[str, type] = {"proposer": Proposer, "verifier": Verifier}
        answers = {
            field: self._one(f"azr_{field}", environment.name, kind, environment=environment, config=config)
            for field, kind in kinds.items()
        }
        replaced = dataclasses.replace(environment, **{field: part for field, part in answers.items() if part is not None})
        for verifier in (environment.verifier, replaced.verifier):
            self._shipped[environment.name, id(verifier)] = ("", verifier)
        return replaced

    def _part(self, hook: str, part: Part, config: RunConfig, kind: type, known: Iterable[str] = ()) -> Any:
        answer = self._one(hook, part.name, kind, part=part, config=config)
        if answer is None:
            what = hook.removeprefix("azr_").replace("_", " ")
            asked = ", ".join(plugin.name for plugin in self._loaded)
            mend = "mend the name or load the plugin that has it" + (f"; {nearest(part.name, known)}" if known else "")
            raise PluginError(f"no loaded plugin has a {what} named {part.name!r} (asked: {asked}); {mend}")
        return answer

    def _one(self, hook: str, name: str, kind: type, **arguments: Any) -> Any:
        answers = self._ask(hook, **arguments)
        if len(answers) > 1:
            claim({name: answers[0][0]}, hook, name, answers[1][0])
        return checked(hook, *answers[0], kind) if answers else None

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
                raise PluginError(
                    f"plugin {implementation.plugin_name!r} failed in {hook}: {type(error).__name__}: {first_line(error)}"
                ) from error
            if answer is not None:
                answers.append((implementation.plugin_name, answer))
        return answers


def load(names: Sequence[str], log: Path | None = None) -> Plugins:
    """Import the named plugins, and what they require before them, and nothing else. Raises PluginError."""
    names = [str(Path(name).resolve()) if is_path(name) else name for name in names]
    loaded = [_core()]
    seen: set[str] = set()

    def bring(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        plugin = import_plugin(name, log)
        for required in _requirements(plugin):
            bring(str((Path(name).parent / required).resolve()) if is_path(required) else required)
        loaded.append(plugin)

    for name in names:
        bring(name)
    return Plugins(loaded, names, log)


def plugin_options(config: RunConfig, name: str, model: type[O]) -> O:
    """A plugin's own options, from `[plugins.NAME]`. Raises ConfigError."""
    return parse(model, config.plugin_options.get(name, {}), f"[plugins.{name}]")


def _core() -> Loaded:
    from azr_core import defaults  # here, because the defaults are a plugin like any other: loaded, not built in

    return Loaded(CORE, defaults, distribution_version(), tuple(sorted(Path(__file__).parent.glob("*.py"))))


def _requirements(plugin: Loaded) -> tuple[str, ...]:
    required = getattr(plugin.plugin, "azr_requires", ())
    if not isinstance(required, tuple) or not all(isinstance(name, str) for name in required):
        raise PluginError(f"plugin {plugin.name!r}: azr_requires = {required!r} must be a tuple of plugin names")
    return required


def _register(manager: pluggy.PluginManager, plugin: Loaded) -> None:
    """Register a plugin after checking that every hook it means to implement exists. Raises PluginError."""
    for attribute in dir(plugin.plugin):
        marks = manager.parse_hookimpl_opts(plugin.plugin, attribute)
        if marks is None:
            if attribute.startswith("azr_") and inspect.isroutine(getattr(plugin.plugin, attribute)):
                raise PluginError(f"plugin {plugin.name!r}: the function {attribute} is not a hook yet; mark it with @azr.hookimpl")
            continue
        hook = marks["specname"] or attribute
        if hook not in HOOKS:
            raise PluginError(f"plugin {plugin.name!r}: there is no hook {hook!r}; {nearest(hook, HOOKS)}")
        if marks["wrapper"] or marks["hookwrapper"]:
            raise PluginError(f"plugin {plugin.name!r}: {hook} is a wrapper; azr asks each plugin by itself, return a value instead")
    try:
        manager.register(plugin.plugin, name=plugin.name)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"plugin {plugin.name!r} breaks the contract of a hook: {' '.join(str(error).split())}") from error
    except ValueError:
        raise PluginError(f"two plugins are named {plugin.name!r}; rename one of the files") from None
