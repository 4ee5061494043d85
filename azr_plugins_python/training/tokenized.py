"""What every sampler of a transformers model shares: its tokenizer, what fits its context, where its replies end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedModel, PreTrainedTokenizerBase

import azr_core as azr
from azr_plugins_python.training.decoding import Sample
from azr_plugins_python.training.markers import beginning, context_of, controls, thinking_of, turn_ends
from azr_plugins_python.training.styles import TEMPLATE_FAILS

FEW = 2


@dataclass(frozen=True)
class Wording:
    """How texts become tokens and back. keep_end: whether a reply's text holds the text of the end token, as the compact style wants
    it. ends: ids that end a reply. context, vocabulary: as in TokenPolicy. prompt_tokens: the run's limit. beginning: ids that a prompt
    begins with. controls: texts that a task must not hold. thinking: what the chat template is told of it."""

    tokenizer: PreTrainedTokenizerBase
    ends: frozenset[int]
    context: int | None
    vocabulary: int
    keep_end: bool
    prompt_tokens: int | None = None
    beginning: tuple[int, ...] = ()
    controls: tuple[str, ...] = ()
    thinking: Mapping[str, bool] = field(default_factory=dict)


def wording_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    style: azr.Style,
    prompt_tokens: int | None = None,
    thinking: str = "auto",
) -> Wording:
    """What a model and its tokenizer say. A chat template writes the beginning of its prompts itself. Raises ConfigError."""
    config = model.config.get_text_config()
    chats = azr.ENVELOPES[style].chats
    return Wording(
        tokenizer,
        end_tokens(model, tokenizer) | (turn_ends(tokenizer) if chats else frozenset()),
        context_of(config),
        config.vocab_size,
        keep_end=style is azr.Style.COMPACT,
        prompt_tokens=prompt_tokens,
        beginning=() if chats else beginning(tokenizer),
        controls=controls(tokenizer),
        thinking=thinking_of(tokenizer, thinking),
    )


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids of the tokens that end a reply: the tokenizer's, and those the model's generation settings add."""
    declared = getattr(model.generation_config, "eos_token_id", None)
    more = [declared] if isinstance(declared, int) else declared or []
    return frozenset([tokenizer.eos_token_id, *more])


class TokenizedPolicy(azr.TokenPolicy):
    """A policy that is asked in token ids (`draw`) and needs only `score` besides; `refresh` shows it the master's new weights."""

    def __init__(self, wording: Wording) -> None:
        self.wording, self.tokenizer, self.ends = wording, wording.tokenizer, wording.ends
        self.context, self.vocabulary = wording.context, wording.vocabulary
        self.recent: Sequence[Sequence[int]] = ()

    @abstractmethod
    def draw(self, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int) -> Iterator[tuple[int, list[Sample]]]:
        """n samples of each row, as they finish, with the row's index. Rows were checked."""

    @abstractmethod
    def refresh(self) -> None:
        """Sample with the master's weights as they are now."""

    def rest(self) -> None:
        """Nothing is sampled until the next refresh: what the update can use may be given back."""

    def tokens(self, prompt: str) -> list[int]:
        """Ids of a prompt; its markers become special tokens, and it begins as the model's texts do."""
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        opening = list(self.wording.beginning)
        return ids if ids[: len(opening)] == opening else opening + ids

    def forged(self, text: str) -> bool:
        return any(control in text for control in self.wording.controls)

    def fits(self, prompt: str, sampling: azr.Sampling) -> bool:
        length = len(self.tokens(prompt))
        if self.wording.prompt_tokens is not None and length > self.wording.prompt_tokens:
            return False
        return self.context is None or length + sampling.max_tokens <= self.context

    def text(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def converse(self, turns: Sequence[Mapping[str, str]]) -> str | None:
        if not self.tokenizer.chat_template:
            return None
        try:
            text: str = self.tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=True, **self.wording.thinking)
        except TEMPLATE_FAILS as error:
            raise azr.UsageError(f"the model's chat template refuses the messages: {error}") from None
        return text

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        return self.extend([self.tokens(prompt) for prompt in prompts], sampling, n)

    def stream(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> Iterator[tuple[int, list[azr.Reply]]]:
        """Groups as they finish. Raises UsageError where a prompt and a whole reply do not fit the model."""
        yield from self._replies([self.tokens(prompt) for prompt in prompts], sampling, n)

    def extend(self, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        groups = dict(self._replies(rows, sampling, n))
        return [groups[index] for index in range(len(rows))]

    def check(self, rows: Sequence[Sequence[int]], reply: int) -> None:
        """Raises UsageError where a row with so many more tokens does not fit."""
        if not all(rows):
            raise azr.UsageError("a prompt is empty; a causal model needs at least one token to continue")
        longest = max(map(len, rows), default=0) + reply
        if self.context is not None and longest > self.context:
            raise azr.UsageError(
                f"a prompt and a reply of {reply} tokens need {longest} tokens, the model's context holds {self.context}; "
                "lower solve_tokens or propose_tokens, or show fewer references"
            )

    def _replies(self, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int) -> Iterator[tuple[int, list[azr.Reply]]]:
        self.check(rows, sampling.max_tokens)
        self.recent = sorted(rows, key=len)[:FEW]
        for index, samples in self.draw(rows, sampling, n):
            texts = self.tokenizer.batch_decode([self._visible(sample) for sample in samples], skip_special_tokens=False)
            yield (
                index,
                [
                    azr.Reply(text, tuple(rows[index]), tuple(sample.token_ids), tuple(sample.logprobs), truncated=not sample.finished)
                    for text, sample in zip(texts, samples, strict=True)
                ],
            )

    def _visible(self, sample: Sample) -> list[int]:
        ended = sample.finished and sample.token_ids[-1] in self.ends
        return sample.token_ids[:-1] if ended and not self.wording.keep_end else sample.token_ids
