"""Prompt styles: what is wrapped can be opened, what is forged cannot."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import azr_core as azr

STYLES = [envelope() for envelope in azr.ENVELOPES.values()]
EVERY = pytest.mark.parametrize("envelope", STYLES, ids=lambda envelope: type(envelope).__name__)
PIECES = st.sampled_from(
    ["<|answer|>", "<|end|>", "<|think|>", "<|go|>", "<think>", "</think>", "<answer>", "</answer>", "<", "|", ">", "\n", "x"]
)
TEXT = st.text(max_size=20) | st.lists(PIECES, max_size=8).map("".join)


@EVERY
@given(thought=TEXT, answer=TEXT)
def test_a_reply_gives_its_answer_back(envelope: azr.Envelope, thought: str, answer: str) -> None:
    assume(not envelope.forged(thought) and not envelope.forged(answer))
    opened = envelope.open(azr.Reply(envelope.reply(thought, answer)))
    assert opened == answer or opened == answer.strip()


@EVERY
@given(thought=TEXT, answer=TEXT)
def test_a_marker_inside_a_reply_is_never_an_answer(envelope: azr.Envelope, thought: str, answer: str) -> None:
    assume(envelope.forged(thought) or envelope.forged(answer))
    try:
        opened = envelope.open(azr.Reply(envelope.reply(thought, answer)))
    except azr.FormatError:
        return
    assert not envelope.forged(opened)


@EVERY
@given(text=TEXT)
def test_any_text_is_opened_or_refused(envelope: azr.Envelope, text: str) -> None:
    with suppress(azr.FormatError):
        assert not envelope.forged(envelope.open(azr.Reply(text)))


@EVERY
@pytest.mark.parametrize("role", list(azr.Role))
def test_a_prompt_holds_its_text_and_its_wrapping_cannot_be_opened(envelope: azr.Envelope, role: azr.Role) -> None:
    prompt = envelope.wrap(role, "TEXT")
    assert "TEXT" in prompt
    with pytest.raises(azr.FormatError):
        envelope.open(azr.Reply(prompt))


@EVERY
@pytest.mark.parametrize("text", ["", "42", "<answer>42", "42</answer>", "<|answer|>42", "<|think|>x<|end|>"])
def test_a_reply_without_the_form_is_refused(envelope: azr.Envelope, text: str) -> None:
    with pytest.raises(azr.FormatError):
        envelope.open(azr.Reply(text))


def test_a_compact_reply_that_was_cut_is_refused() -> None:
    envelope = azr.ENVELOPES[azr.Style.COMPACT]()
    with pytest.raises(azr.FormatError, match="token limit"):
        envelope.open(azr.Reply("<|answer|>1<|end|>", truncated=True))


@pytest.mark.parametrize(
    "text",
    [
        "x</think> <answer>1</answer><answer>2</answer>",
        "x</think> <answer>1</answer></think> <answer>2</answer>",
        "x</think> <answer><answer>1</answer>",
        "x</think> and <answer>1</answer>",
        "x</think> <answer>1</answer> trailing",
    ],
)
def test_the_papers_form_is_strict(text: str) -> None:
    with pytest.raises(azr.FormatError):
        azr.ENVELOPES[azr.Style.PAPER]().open(azr.Reply(text))
