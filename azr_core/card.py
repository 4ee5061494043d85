"""The model card of an exported model, made from its run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azr_core.errors import RunError
from azr_core.history import History
from azr_core.lineage import Base
from azr_core.loading import distribution_version
from azr_core.report import accuracy, lasted, percent, sentence, summary, table
from azr_core.series import under
from azr_core.shares import domain

UNKNOWN = "unknown: set --license"
TAGS = ("azr", "absolute-zero", "self-play", "reinforcement-learning")
BITS = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class Weights:
    """How many numbers safetensors files hold, and of which types."""

    count: int
    types: tuple[str, ...]

    def __str__(self) -> str:
        size = f"{self.count / 1e9:.2f} billion" if self.count >= 1e9 else f"{self.count / 1e6:.2f} million"
        return f"{size}, {' and '.join(BITS.get(name, name) for name in self.types)}"


@dataclass(frozen=True)
class Subject:
    """What a card is about. history: until the exported step. played: the run's last step. plugins: as plugins.json lists them.

    licence: front matter fields; empty if nobody said. prompt: one that the model was given, whole, or empty. place: what loads it.
    """

    history: History
    step: int
    played: int
    base: Base
    licence: Mapping[str, Any]
    plugins: Sequence[Mapping[str, str]]
    weights: Weights
    prompt: str
    place: str


def weigh(folder: Path) -> Weights:
    """Read the heads of a folder's safetensors files. Raises RunError."""
    count, types = 0, set()
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        except ValueError:
            raise RunError(f"{path.name} of the checkpoint is no safetensors file; export another --step") from None
        tensors = [tensor for name, tensor in head.items() if name != "__metadata__"]
        count += sum(math.prod(tensor["shape"]) for tensor in tensors)
        types |= {tensor["dtype"] for tensor in tensors}
    return Weights(count, tuple(sorted(types)))


def card(about: Subject) -> str:
    """The whole README.md."""
    history, base = about.history, about.base
    link = f"[{base.title}](https://huggingface.co/{base.hub})" if base.hub == base.title else base.title
    lines = [
        *_front(about),
        f"# {history.name}, step {about.step}",
        "",
        f"{link}, after {len(history.steps)} steps of self-play with azr {distribution_version()}: one model proposes tasks, a verifier "
        "decides what is a task and what is an answer, the model solves them, and learns from both. This card was written by "
        "`azr export` from what the run recorded.",
        "",
        *table(("", ""), [("base model", link), ("parameters", str(about.weights)), ("prompt style", f"`{history.config['style']}`")]),
        "",
        *_use(about),
        *_training(about),
        *_measured(about),
        *_limits(about),
        "## Licence",
        "",
        _licence(about),
    ]
    return "\n".join(lines) + "\n"


def _front(about: Subject) -> list[str]:
    """YAML that the hub reads. JSON is YAML, so no value can break out of its place."""
    domains = sorted({domain(name) for name in _environments(about.history)})
    fields: dict[str, Any] = dict(about.licence) or {"license": "unknown"}
    fields |= {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if about.base.hub:
        fields |= {"base_model": about.base.hub, "base_model_relation": "finetune"}
    fields["tags"] = [*TAGS, *domains]
    return ["---", *(f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in fields.items()), "---", ""]


def _use(about: Subject) -> list[str]:
    prompt = repr(about.prompt) if about.prompt else '"..."'
    plugins = " ".join(f"--plugin {_short(name)}" for name in about.history.config["plugins"] if name != "trl")
    return [
        "## Use",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f"place = {about.place!r}  # this folder",
        "tokenizer, model = AutoTokenizer.from_pretrained(place), AutoModelForCausalLM.from_pretrained(place)",
        f"prompt = {prompt}" + ("  # one that it solved in training" if about.prompt else ""),
        'inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False, return_token_type_ids=False)',
        "reply = model.generate(**inputs, max_new_tokens=512, do_sample=False)",
        'print(tokenizer.decode(reply[0, inputs["input_ids"].shape[1]:]))',
        "```",
        "",
        "```",
        f"azr eval DIR {plugins}",
        f"azr run {plugins} --model DIR",
        "azr serve DIR",
        "```",
        "",
    ]


def _training(about: Subject) -> list[str]:
    history, config = about.history, about.history.config
    figures = summary(history)
    made = "that the plugins' generators made" if config["tasks_from"] == "demonstrations" else "that it proposed and a verifier admitted"
    numbers = [f"{name} {value}" for name, value in config["trainer"].items() if isinstance(value, int | float)]
    plugins = [f"{_short(plugin['name'])} {plugin['version']} ({plugin['sha256'][:12]})" for plugin in about.plugins]
    later = f"; the run went on to step {about.played}" if about.played > about.step else ""
    rows = [
        ("plugins (version, hash of sources)", ", ".join(plugins)),
        ("steps", f"{len(history.steps)}{later}"),
        ("tokens", f"{figures['tokens_generated']:,} generated, {figures['tokens_trained']:,} trained on"),
        ("seed", str(figures["seed"])),
        ("batch", f"batch_size {config['batch_size']}, probe_samples {config['probe_samples']}, schedule {config['schedule']['name']}"),
        ("reward", ", ".join(part["name"] for part in (config["reward"], *config["reward"].get("terms", ())))),
        ("trainer", ", ".join([config["trainer"]["name"], *numbers])),
    ]
    head = ("environment", "share of prompts", "proposed", "admitted", "solve rate")
    played = [_played(history, name) for name in _environments(history)]
    about_data = f"Nothing was learned from but its own replies to tasks {made}, beginning with the seeds of the plugins or of the user."
    return ["## Training", "", about_data, "", *table(("", ""), rows), "", *(table(head, played) if played else []), ""]


def _environments(history: History) -> list[str]:
    """Those that were asked for or played, held-out ones too."""
    return sorted({*summary(history)["environments"], *(name for metrics in history.metrics for name in under(metrics, "quota"))})


def _played(history: History, name: str) -> tuple[str, ...]:
    asked = sum(sum(under(metrics, "quota").values()) for metrics in history.metrics)
    share = percent(history.total(f"quota/{name}") / asked) if asked else "-"
    attempts = history.total(f"attempts/{name}")
    rate = percent(history.total(f"solved/{name}") / attempts) if attempts else "-"
    return (name, share, *(f"{history.total(f'{what}/{name}'):.0f}" for what in ("proposed", "admitted")), rate)


def _measured(about: Subject) -> list[str]:
    curves = about.history.shown
    if not curves:
        return ["## Held-out accuracy", "", "It was not measured.", ""]
    last = max(curve.points[-1][0] for curve in curves)
    when = "" if last == about.step else f" The last measurement before this checkpoint was made after step {last}."
    return [
        "## Held-out accuracy",
        "",
        f"On tasks that no training has seen. Gains are percentage points with 95 % intervals, paired task by task, of this one run.{when}",
        "Accuracy sampled at temperature 1 also rises when a model only becomes more certain of what it knew; greedy accuracy does not.",
        "",
        *accuracy(about.history),
        "",
        *(f"- {sentence(curve)}" for curve in curves),
        "",
    ]


def _limits(about: Subject) -> list[str]:
    alarms = [f"- Alarm in steps {lasted(alarm)}: {alarm.finding}; {alarm.rule.meaning}" for alarm in about.history.alarms]
    return [
        "## Limits",
        "",
        "- What it writes is untrusted, like any model's. Where that is a program, run it in a sandbox only; azr does.",
        "- It learned to please verifiers, on tasks of the environments above and in their prompt style. Nothing was done to make it safe, "
        "truthful or helpful, and nothing above says what it lost elsewhere. The limits of its base model hold too.",
        "- The accuracies are of one seed; another seed gives others.",
        *alarms,
        "",
    ]


def _licence(about: Subject) -> str:
    if not about.licence:
        return f"**{UNKNOWN}** when exporting. The base model's licence was not found, and it may restrict what can be done with this one."
    terms = f", with {', '.join(path.name for path in about.base.terms)}" if about.base.terms else ""
    return " ".join(str(value) for value in about.licence.values()) + terms + "."


def _short(plugin: str) -> str:
    """A plugin's name; of a file's path its last part only."""
    return Path(plugin).name if plugin.endswith(".py") else plugin
