"""Prompt styles: what stands around the plain text of a domain, and how the answer is found in a reply."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from azr_core.config import Style
from azr_core.errors import FormatError
from azr_core.types import Reply, Role


class Envelope(ABC):
    """One prompt style."""

    stop: ClassVar[tuple[str, ...]] = ()
    marker: ClassVar[re.Pattern[str]]

    @abstractmethod
    def wrap(self, role: Role, text: str) -> str:
        """The whole prompt around a text."""

    @abstractmethod
    def open(self, reply: Reply) -> str:
        """The answer in a reply. Raises FormatError."""

    @abstractmethod
    def find(self, reply: Reply) -> str:
        """The last answer in a reply, whatever stands around it. Raises FormatError where there is none."""

    @abstractmethod
    def reply(self, thought: str, answer: str) -> str:
        """The reply text that holds a thought and an answer; `open` gives the answer back."""

    def forged(self, text: str) -> bool:
        """Whether a task's text holds a marker of this style, which would break out of its prompt."""
        return self.marker.search(text) is not None


class CompactEnvelope(Envelope):
    """A few special tokens, for the embedded model: `<|solve|>TEXT<|go|>`, `<|think|>THOUGHT<|answer|>ANSWER<|end|>`."""

    marker = re.compile(r"<\|\w+\|>")
    _form = re.compile(r"(?:<\|think\|>(?P<thought>.*?))?<\|answer\|>(?P<answer>.*)<\|end\|>", re.DOTALL)

    def wrap(self, role: Role, text: str) -> str:
        return f"<|{role}|>{text}<|go|>"

    def open(self, reply: Reply) -> str:
        if reply.truncated:
            raise FormatError("the reply was cut at its token limit")
        match = self._form.fullmatch(reply.text)
        if not match:
            raise FormatError("not of the form <|think|>...<|answer|>...<|end|>")
        if self.forged(match["answer"]) or self.forged(match["thought"] or ""):
            raise FormatError("a marker stands inside the thought or the answer")
        return match["answer"]

    def find(self, reply: Reply) -> str:
        return _last(reply.text, "<|answer|>", "<|end|>")

    def reply(self, thought: str, answer: str) -> str:
        return f"<|think|>{thought}<|answer|>{answer}<|end|>" if thought else f"<|answer|>{answer}<|end|>"


class PaperEnvelope(Envelope):
    """The paper's conversation for base models: the prompt ends in `<think>`, the answer stands between its tags."""

    stop = ("</answer>",)
    marker = re.compile(r"</?(?:think|answer)>")
    _form = re.compile(r"(?:<think>)?(?P<thought>.*?)</think>\s*<answer>(?P<answer>.*?)</answer>\s*", re.DOTALL)
    _preamble = (
        "A conversation between User and Assistant. The user asks a question, and the assistant solves it. The assistant first reasons "
        "in its mind and then gives the answer. The reasoning stands between <think> and </think>, the answer between <answer> and "
        "</answer>: <think> reasoning </think> <answer> answer </answer>.\n"
    )

    def wrap(self, role: Role, text: str) -> str:
        return f"{self._preamble}User: {text}\nAssistant: <think>"

    def open(self, reply: Reply) -> str:
        match = self._form.fullmatch(reply.text)
        if not match:
            raise FormatError("not of the form ...</think> <answer>...</answer>")
        if self.forged(match["answer"]) or self.forged(match["thought"]):
            raise FormatError("a tag stands inside the thought or the answer")
        return match["answer"].strip()

    def find(self, reply: Reply) -> str:
        return _last(reply.text, "<answer>", "</answer>").strip()

    def reply(self, thought: str, answer: str) -> str:
        return f"{thought}</think> <answer>{answer}</answer>"


def _last(text: str, opening: str, closing: str) -> str:
    """What stands after the last opening marker, up to the closing one or the end (the released code's extract_answer)."""
    _, found, rest = text.rpartition(opening)
    if not found:
        raise FormatError(f"{opening} is missing")
    return rest.partition(closing)[0]


ENVELOPES: dict[Style, type[Envelope]] = {Style.COMPACT: CompactEnvelope, Style.PAPER: PaperEnvelope}
