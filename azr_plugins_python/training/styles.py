"""Which prompt style suits a model. Read from its files without loading it; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

import azr_core as azr
from azr_plugins_python.training.sources import located, read_json

SAID = "azr-said-this"  # letters that no template changes
EXCHANGE = ({"role": "user", "content": "azr"}, {"role": "assistant", "content": SAID})
# A template is a program of the model's: what it may raise.
TEMPLATE_FAILS = (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Manner:
    """A style, and why."""

    style: azr.Style
    reason: str


def manner(name: str, *, offline: bool) -> Manner:
    """chat for an instruct model: one whose chat template ends the model's turn with one of the model's end tokens.

    A base model may ship a template too (Qwen2.5 does), but nobody taught it to end a turn as the template does.
    """
    if not located(name, "config.json", offline=offline):
        return Manner(azr.Style.PAPER, "its files are not here")
    settings = read_json(name, "tokenizer_config.json", offline=offline)
    template = _template(name, settings, offline=offline)
    if template is None:
        return Manner(azr.Style.PAPER, "no chat template: a base model")
    from transformers.utils.chat_template_utils import render_jinja_template

    named = {key: _text(value) for key, value in settings.items() if key.endswith("_token") and _text(value)}
    try:
        rendered = render_jinja_template([list(EXCHANGE)], chat_template=template, **named)[0][0]
    except TEMPLATE_FAILS as error:
        return Manner(azr.Style.PAPER, f"its chat template fails ({str(error).partition(chr(10))[0]})")
    after = rendered.rpartition(SAID)[2].strip()
    ends = _ends(name, settings, offline=offline)
    end = next((end for end in ends if after.startswith(end)), None)
    if end is not None:
        return Manner(azr.Style.CHAT, f"an instruct model: its chat template ends a turn with {end}, one of its end tokens")
    shown = f"{after[:20]!r}" if after else "nothing"
    return Manner(azr.Style.PAPER, f"a base model: its chat template ends a turn with {shown}, its replies end with {' or '.join(ends)}")


def told(name: str, style: azr.Style, *, offline: bool) -> str:
    """The run's style and why, for the plan."""
    if style is azr.Style.COMPACT:
        return f"{style}, which the model was taught" if located(name, "azr.toml", offline=offline) else f"{style}, as was asked"
    found = manner(name, offline=offline)
    return f"{style}: {found.reason}" if found.style is style else f"{style}, as was asked, not {found.style} ({found.reason})"


def _template(name: str, settings: dict[str, Any], *, offline: bool) -> str | None:
    """The chat template, wherever transformers would find it."""
    path = located(name, "chat_template.jinja", offline=offline)
    if path:
        return path.read_text("utf-8")
    found = read_json(name, "chat_template.json", offline=offline).get("chat_template") or settings.get("chat_template")
    if isinstance(found, list):
        found = next((one.get("template") for one in found if isinstance(one, dict) and one.get("name") == "default"), None)
    return found if isinstance(found, str) else None


def _ends(name: str, settings: dict[str, Any], *, offline: bool) -> list[str]:
    """Texts of the tokens that end the model's replies, as the sampler has them."""
    declared = read_json(name, "generation_config.json", offline=offline) or read_json(name, "config.json", offline=offline)
    ids = declared.get("eos_token_id")
    wanted = {ids} if isinstance(ids, int) else set(ids or ())
    texts = [_text(settings.get("eos_token"))]
    added = {int(key): _text(value) for key, value in (settings.get("added_tokens_decoder") or {}).items()}
    if wanted - added.keys():
        listed = read_json(name, "tokenizer.json", offline=offline).get("added_tokens") or []
        added |= {token["id"]: token["content"] for token in listed}
    return list(dict.fromkeys(text for text in [*texts, *(added.get(one, "") for one in sorted(wanted))] if text))


def _text(token: Any) -> str:
    """A special token as files hold it: its text, or an object around it."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""
