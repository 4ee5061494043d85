"""Encoded documents on disk, made by one low-priority process per core while training goes on.

A shard is an .npz: `tokens` uint16 flat, `ends` int64 and `prompts` int32 (lengths) per document, `kinds` uint16, `names` of the kinds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import azr_core as azr
from azr_plugins_python.training.recipe import Recipe

PATIENCE_S = 0.2


@dataclass(frozen=True)
class Example:
    """One encoded document. tokens: [T], prompt and reply. kind: environment/role."""

    tokens: np.ndarray
    prompt_length: int
    kind: str


@dataclass(frozen=True)
class Press:
    """Turns documents into shards. folder: where they go."""

    recipe: Recipe
    documents: azr.Documents
    tokenizer: Tokenizer
    folder: Path

    def encode(self, documents: Iterable[azr.Document]) -> list[Example]:
        """Examples of those that are not too long; the end token is added where the style has none."""
        found = list(documents)
        end = self.tokenizer.token_to_id(self.recipe.tokenizer.end)
        prompts = self.tokenizer.encode_batch([document.prompt for document in found], add_special_tokens=False)
        replies = self.tokenizer.encode_batch([document.reply for document in found], add_special_tokens=False)
        examples = []
        for document, prompt, reply in zip(found, prompts, replies, strict=True):
            ids = prompt.ids + reply.ids + ([] if reply.ids[-1:] == [end] else [end])
            if len(ids) <= self.recipe.longest:
                examples.append(Example(np.array(ids, np.uint16), len(prompt.ids), f"{document.environment}/{document.role}"))
        return examples

    def make(self, index: int) -> None:
        """Shard number `index`, unless it is there."""
        target = self.folder / f"{index}.npz"
        if target.exists():
            return
        examples = self.encode(islice(self.documents(self.recipe.seed + 1 + index), self.recipe.shard_documents))
        names = sorted({example.kind for example in examples})
        part = self.folder / f"{index}.part.npz"
        np.savez(
            part,
            tokens=np.concatenate([example.tokens for example in examples] or [np.zeros(0, np.uint16)]),
            ends=np.cumsum([len(example.tokens) for example in examples], dtype=np.int64),
            prompts=np.array([example.prompt_length for example in examples], np.int32),
            kinds=np.array([names.index(example.kind) for example in examples], np.uint16),
            names=np.array(names, np.str_),
        )
        os.replace(part, target)

    def read(self, index: int) -> list[Example]:
        """The examples of a shard."""
        with np.load(self.folder / f"{index}.npz") as shard:
            pieces = np.split(shard["tokens"], shard["ends"][:-1]) if len(shard["ends"]) else []
            names, kinds = shard["names"].tolist(), shard["kinds"].tolist()
            return [Example(piece, int(p), names[kind]) for piece, p, kind in zip(pieces, shard["prompts"], kinds, strict=True)]

    def ready(self) -> list[int]:
        """Numbers of the shards that are there, in order."""
        return sorted(int(path.stem) for path in self.folder.glob("*.npz") if path.stem.isdigit())


class Makers:
    """The processes that make all shards of a press. They are forked, since documents come from closures, and use no torch."""

    def __init__(self, press: Press) -> None:
        self.press = press
        context, cores = multiprocessing.get_context("fork"), os.cpu_count() or 1
        press.folder.mkdir(parents=True, exist_ok=True)
        self._said = press.folder / "error.txt"
        self._said.unlink(missing_ok=True)
        missing = sorted(set(range(press.recipe.shards)) - set(press.ready()))
        shares = [missing[first::cores] for first in range(cores)]
        self._processes = [context.Process(target=self._work, args=(share,), daemon=True) for share in shares if share]

    def __enter__(self) -> Makers:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def error(self) -> str:
        """Why a maker stopped, empty if none did."""
        return self._said.read_text("utf-8") if self._said.exists() else ""

    def wait(self, count: int) -> None:
        """Until there are so many shards, or no more will come. Raises PluginError if there is none at all."""
        while len(self.press.ready()) < count and any(process.is_alive() for process in self._processes):
            time.sleep(PATIENCE_S)
        if not self.press.ready():
            raise azr.PluginError(f"the demonstrations cannot be made into documents: {self.error() or 'the processes that do it died'}")

    def _work(self, share: Sequence[int]) -> None:
        parent = os.getppid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.nice(10)  # training comes first
        try:
            for index in share:
                if os.getppid() != parent:
                    break
                self.press.make(index)
        except Exception as error:
            self._said.write_text(f"{traceback.extract_tb(error.__traceback__)[-1]}: {type(error).__name__}: {error}", "utf-8")
            os._exit(1)
        os._exit(0)  # what the parent would do at its end (close plugins, stop displays) is not ours to do
