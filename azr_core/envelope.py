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
    chats: ClassVar[bool] = False  # what `wrap` gives is a user's message, which becomes a prompt in the model's chat template
    marker: ClassVar[re.Pattern[str]]

    @abstractmethod
    def wrap(self, role: Role, text: str) -> str:
        """The whole prompt around a text, or the message."""

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


# How models mark their thoughts: opening and closing mark.
_TAGS = "think|thinking|thought|reasoning|seed:think"
_OPENING = rf"<(?:{_TAGS})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>|<\|channel>"
_CLOSING = rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|channel\|>final<\|message\|>|<channel\|>"


class ChatEnvelope(Envelope):
    """A user's message to an instruct or reasoning model: the reply is free, and its last thing is `<answer>ANSWER</answer>`.

    A reasoning model drafts tags in its thoughts: no stop string ends them, and all up to the last closing mark is skipped.
    """

    chats = True
    marker = re.compile(rf"</?answer>|{_CLOSING}|{_OPENING}")
    _closing = re.compile(_CLOSING)
    _request = (
        "Reason first, as long as you need. Then give the final answer: it stands between <answer> and </answer>, in the form that is "
        "asked for above, and it is the last thing in your reply. Use these two tags once, for nothing else."
    )

    def wrap(self, role: Role, text: str) -> str:
        return f"{text}\n\n{self._request}"

    def open(self, reply: Reply) -> str:
        if reply.truncated:
            raise FormatError("the reply was cut at its token limit")
        words, opening, rest = self._said(reply).rpartition("<answer>")
        answer, closing, more = rest.partition("</answer>")
        if not opening or not closing or more.strip():
            raise FormatError("the reply does not end with <answer>...</answer>")
        if self.forged(words) or self.forged(answer):
            raise FormatError("a thought without an end, or a tag beside the answer's own")
        return answer.strip()

    def find(self, reply: Reply) -> str:
        return _last(self._said(reply), "<answer>", "</answer>").strip()

    def reply(self, thought: str, answer: str) -> str:
        return f"{thought}\n<answer>{answer}</answer>"

    def _said(self, reply: Reply) -> str:
        """What follows the thoughts."""
        return self._closing.split(reply.text)[-1]


def _last(text: str, opening: str, closing: str) -> str:
    """What stands after the last opening marker, up to the closing one or the end (the released code's extract_answer)."""
    _, found, rest = text.rpartition(opening)
    if not found:
        raise FormatError(f"{opening} is missing")
    return rest.partition(closing)[0]


ENVELOPES: dict[Style, type[Envelope]] = {Style.COMPACT: CompactEnvelope, Style.PAPER: PaperEnvelope, Style.CHAT: ChatEnvelope}
