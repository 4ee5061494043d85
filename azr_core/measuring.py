"""`azr eval` on public benchmarks: who brings them, what a model makes of them, what their scorers make of golds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azr_core import checkpoint, session, tables
from azr_core.config import RunConfig, Style, merge, parse, untrained
from azr_core.directory import RunDirectory
from azr_core.display import choose, plan_table, terminal
from azr_core.errors import ConfigError, PluginError, RunError, nearest
from azr_core.evaluate import Decoding, decoding_name
from azr_core.examination import Asked, Examination, Found, examine, self_test
from azr_core.loading import distribution_version
from azr_core.options import Chosen
from azr_core.plugins import Plugins, installed, load
from azr_core.public import PublicBenchmark, read_source
from azr_core.run import Request, resolve

RESULTS = Path("results")
# The prompts are the benchmarks' own, so neither the style of a run nor its limit on prompts holds for them.
PLAIN = {"style": Style.PAPER, "prompt_tokens": 1_000_000}


@dataclass(frozen=True)
class Wanted:
    """What stands on the command line. folder: of the files, none: the network. file: of the result, none: one under results/."""

    names: tuple[str, ...] = ()
    folder: Path | None = None
    temperature: float = 0.0
    samples: int = 1
    ks: str = "1"
    tokens: int | None = None
    limit: int | None = None
    file: Path | None = None
    as_json: bool = False

    def asked(self, seed: int) -> Asked:
        """How to measure. Raises ConfigError."""
        try:
            ks = tuple(sorted({int(k) for k in self.ks.split(",")}))
        except ValueError:
            raise ConfigError(f"--k {self.ks!r} is no list of numbers, such as 1,10") from None
        if ks[0] < 1 or ks[-1] > self.samples:
            raise ConfigError(f"--k {self.ks}: pass@k needs at least k samples, here 1 to {self.samples}; set --samples")
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError(f"{self.samples} greedy samples are all alike; set a --temperature, such as 0.8")
        if self.file is not None and len(self.names) > 1:
            raise ConfigError("--out names one file, for one benchmark; leave it out to write each into results/")
        decoding = Decoding(decoding_name(self.temperature), self.temperature, self.samples)
        return Asked(decoding, ks, self.tokens, self.limit, seed)


def request_of(target: str | None, plugins: Sequence[str], chosen: Chosen, runs_dir: Path) -> Request:
    """The request behind the options. Raises UsageError."""
    settings = chosen.settings()
    named = settings.get("trainer", {}).get("model")
    if target and named:
        raise ConfigError(f"the model is named twice, {target!r} and {named!r}; leave one out")
    if target and settings.get("trainer", {}).get("name") == "endpoint":
        raise ConfigError(f"an endpoint's model is named as --model {target}")
    below = model_of(target, runs_dir) if target else {}
    return Request(tuple(plugins), merge(below, settings), runs_dir=runs_dir)


def evaluate(request: Request, wanted: Wanted) -> bool:
    """Measure a model on held-out or public benchmarks and say what came of it. Raises UsageError."""
    if _public(request, wanted.names):
        _measure(request, wanted)
    else:
        session.measure(request, wanted.names, as_json=wanted.as_json)
    return True


def model_of(name: str, runs_dir: Path) -> dict[str, Any]:
    """Settings for a model's folder or name, or for a run and its newest checkpoint. Raises RunError for a run that has none."""
    for path in (runs_dir / name, Path(name)):
        if (path / "run.db").is_file():
            steps = checkpoint.sealed(path / "checkpoints")
            if not steps:
                raise RunError(f"the run {path} has no checkpoint yet; go on with it, or measure the model it starts from")
            model = {"model": str(path / "checkpoints" / f"step-{steps[-1]:06d}")}
            return merge(RunDirectory(path).config(), {"trainer": model})
    return {"trainer": {"model": name}}


def public_names(request: Request) -> dict[str, str]:
    """Name of every public benchmark, and the plugin that brings it: of the plugins named, and of all installed ones.

    An installed plugin that nobody named and that does not load brings none.
    """
    named = list(request.plugins)
    found: dict[str, str] = {}
    for plugin in [*named, *(one.name for one in installed() if one.name not in named)]:
        try:
            plugins = load([plugin])
        except PluginError:
            if plugin in named:
                raise
            continue
        config = parse(RunConfig, {"plugins": (plugin,)}, "configuration")
        found |= {benchmark.name: plugin for benchmark in plugins.public_benchmarks(config) if benchmark.name not in found}
        plugins.close()
    return found


def _public(request: Request, names: Sequence[str]) -> bool:
    """Whether these are public benchmarks. Raises ConfigError for a mixture, and for what is nobody's where no plugin is named."""
    known = public_names(request) if names else {}
    strangers = [name for name in names if name not in known]
    if not strangers:
        return bool(names)
    plugins = request.plugins or request.settings.get("plugins")
    if len(strangers) < len(names) and plugins:
        raise ConfigError(f"{strangers[0]!r} is no public benchmark; measure held-out and public ones by a command each")
    if not plugins or nearest(strangers[0], known).startswith("did you mean"):
        raise ConfigError(f"no benchmark {strangers[0]!r}; {nearest(strangers[0], known)}")
    return False


def _measure(request: Request, wanted: Wanted) -> None:
    console = terminal(stderr=wanted.as_json)
    results: list[dict[str, Any]] = []
    written: list[Path] = []
    with choose(console) as display, _opened(request, wanted.names) as (config, plugins, benchmarks):
        asked = wanted.asked(config.seed)
        rows = [read_source(benchmark, wanted.folder) for benchmark in benchmarks]
        trainer = plugins.trainer(untrained(config))
        about = trainer.describe()
        display.plan(about)
        for benchmark, its_rows in zip(benchmarks, rows, strict=True):
            found = examine(trainer.policy, benchmark, its_rows, asked, display)
            results.append({"azr": distribution_version(), "model": about.get("model", ""), **found.result})
            written += _write(results[-1], found, wanted.file)
    if wanted.as_json:
        print(json.dumps(results, indent=1))
    else:
        console.print(tables.public(results))
        console.print(plan_table({"written": ", ".join(map(str, written))}), soft_wrap=True)


def check(request: Request, wanted: Wanted) -> bool:
    """Score golds by the scorers and compare with what must come of them; whether all did. Raises UsageError.

    Without names all benchmarks whose file is in the folder.
    """
    console = terminal(stderr=wanted.as_json)
    with _opened(request, wanted.names or sorted(public_names(request))) as (_, _, benchmarks):
        folder = wanted.folder
        there = [one for one in benchmarks if wanted.names or folder is None or (folder / one.source.file).is_file()]
        if not there:
            files = ", ".join(sorted({one.source.file for one in benchmarks}))
            raise ConfigError(f"none of the benchmarks' files is in {folder}; it should hold {files}")
        found: list[Found] = []
        with choose(console) as display:
            for done, benchmark in enumerate(there):
                display.phase(f"scoring the golds of {benchmark.name}", done, len(there))
                found += self_test(benchmark, read_source(benchmark, folder))
    absent = [one.name for one in benchmarks if one not in there]
    if wanted.as_json:
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=1))
    else:
        console.print(tables.self_test(found))
        if absent:
            console.print(f"no file for {', '.join(absent)}", style="dim")
    return all(one.held for one in found)


@contextmanager
def _opened(request: Request, names: Sequence[str]) -> Iterator[tuple[RunConfig, Plugins, list[PublicBenchmark]]]:
    """The benchmarks of these names, in their order, with their plugins and the model's loaded."""
    known = public_names(request)
    for name in names:
        if name not in known:
            raise ConfigError(f"no public benchmark {name!r}; {nearest(name, known)}")
    asked = request.plugins or tuple(request.settings.get("plugins", ()))
    owners = dict.fromkeys([*asked, *(known[name] for name in names)])
    config, plugins = resolve(dataclasses.replace(request, plugins=tuple(owners), settings=merge(request.settings, PLAIN)))
    found = {benchmark.name: benchmark for benchmark in plugins.public_benchmarks(config)}
    try:
        yield config, plugins, [found[name] for name in names]
    finally:
        for benchmark in found.values():
            benchmark.close()
        plugins.close()


def _write(result: dict[str, Any], found: Examination, file: Path | None) -> list[Path]:
    """The result, and beside it one line a reply for other tools. Raises ConfigError."""
    model = Path(result["model"])
    stem = "-".join(model.parts[-3::2] if model.parent.name == "checkpoints" else model.parts[-1:])
    path = file or RESULTS / f"{stem}-{result['benchmark']}-{result['decoding']['name']}.json"
    samples = path.with_suffix(".samples.jsonl")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        samples.write_text("".join(json.dumps(line) + "\n" for line in found.samples), "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose another --out") from None
    return [path, samples]
