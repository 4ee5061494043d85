"""Public benchmarks: questions that everybody measures on, scored as their own tools score them. Loaded only when asked for by name."""

from __future__ import annotations

import gzip
import json
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from azr_core.errors import ConfigError, VerifierUnavailable

Row = Mapping[str, Any]
DOWNLOAD_S = 60.0


class Form(StrEnum):
    """How a model is asked. completion: it continues a text. chat: it answers a user, in its own chat template."""

    COMPLETION = "completion"
    CHAT = "chat"


@dataclass(frozen=True)
class Source:
    """Where a benchmark's rows are.

    file: under the folder of --data. hub: name among Hugging Face's datasets, empty where its rows are others. url: the file itself.
    """

    file: str
    url: str
    hub: str = ""
    subset: str | None = None
    split: str = "test"


@dataclass(frozen=True)
class Item:
    """One question. prompt: the text to continue. message: what a user would ask. gold: a reply that is right. row: as it was published."""

    id: str
    prompt: str
    message: str
    gold: str
    row: Row


@dataclass(frozen=True)
class Score:
    """What one reply came to. extracted: an answer was found in it. also: further verdicts by name. reason: for people."""

    passed: bool
    extracted: bool = True
    reason: str = ""
    also: Mapping[str, bool] = field(default_factory=dict)


Scored = Score | VerifierUnavailable


@dataclass(frozen=True)
class Ceiling:
    """What golds must come to: how many of `total` pass. measure: a name of `Score.also`; empty: the verdict itself."""

    passed: tuple[int, ...]
    total: int
    measure: str = ""


class PublicBenchmark(ABC):
    """One public benchmark. Making it reads nothing; its rows come when it is measured.

    scorer: name and version of the rules that score. tokens: the longest reply, where the user says nothing else.
    ceilings: what its golds must come to in the self-test.
    """

    name: ClassVar[str]
    source: ClassVar[Source]
    scorer: ClassVar[str]
    tokens: ClassVar[int]
    ceilings: ClassVar[tuple[Ceiling, ...]]

    @abstractmethod
    def fetch(self) -> Sequence[Row]:
        """The rows as Hugging Face has them; may raise OSError or ValueError. Where `source.hub` is empty nobody calls it."""

    @abstractmethod
    def items(self, rows: Sequence[Row]) -> list[Item]:
        """The questions that are measured."""

    @abstractmethod
    def score(self, pairs: Sequence[tuple[Item, str]], form: Form) -> list[Scored]:
        """What each (question, reply) came to, in order; a reply is cut at its first stop string. A machine that broke is returned."""

    def golds(self, rows: Sequence[Row]) -> list[Item]:
        """The questions whose golds the self-test scores."""
        return self.items(rows)

    def stop(self, form: Form) -> tuple[str, ...]:
        """Strings that end a reply."""
        return ()

    def sample(self, item: Item, reply: str, form: Form) -> Mapping[str, Any]:
        """A line of the samples file, for other tools."""
        return {"task_id": item.id, "completion": reply}

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Release processes."""


def read_source(benchmark: PublicBenchmark, folder: Path | None) -> Sequence[Row]:
    """A benchmark's rows, from the folder or, without one, from the network. Raises ConfigError that says what to put where."""
    source = benchmark.source
    place = (folder or Path("DIR")) / source.file
    mend = f"download {source.url}, keep it as {place}, and pass --data {folder or 'DIR'}"
    if folder is not None:
        if not place.is_file():
            raise ConfigError(f"{benchmark.name}: there is no {place}; {mend}")
        return _lines(place.read_bytes(), str(place))
    try:
        return benchmark.fetch() if source.hub else _lines(_download(source.url), source.url)
    except (OSError, ValueError, ImportError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{benchmark.name}: {source.hub or source.url} cannot be had ({reason}); {mend}") from None


def _download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DOWNLOAD_S) as answer:
        content: bytes = answer.read()
    return content


def _lines(content: bytes, where: str) -> list[Row]:
    """The rows of a file, one JSON object a line, perhaps zipped. Raises ConfigError."""
    try:
        text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        # splitlines would also split at characters that JSON text may hold
        return [json.loads(line) for line in text.decode("utf-8").split("\n") if line.strip()]
    except (OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{where}: not JSON lines ({error}); download it again") from None
