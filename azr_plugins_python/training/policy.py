"""The policy: a copy of the model that only samples, in the precision that samples fastest."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from jinja2 import TemplateError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import azr_core as azr
from azr_plugins_python.training.decoding import Draw, Endings, Sample, batches, decode
from azr_plugins_python.training.scoring import score


class TransformersPolicy(azr.TokenPolicy):
    """Samples from a copy of the master weights; `refresh` copies them again after an update.

    keep_end: whether a reply's text holds the text of the end token, as the compact style wants it. spent: what the model works in,
    so that the end of memory is said as the user can mend it.
    """

    def __init__(
        self,
        master: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        dtype: torch.dtype,
        keep_end: bool,
        prompt_tokens: int | None = None,
        spent: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.master, self.tokenizer, self.keep_end = master, tokenizer, keep_end
        self.prompt_tokens, self.spent = prompt_tokens, spent
        self.model = copy.deepcopy(master).to(dtype).requires_grad_(False).eval()
        self.ends = end_tokens(master, tokenizer)
        self.context = getattr(master.config.get_text_config(), "max_position_embeddings", None)
        self.vocabulary = master.config.get_text_config().vocab_size

    def refresh(self) -> None:
        """Copy the master's weights, in place."""
        with torch.no_grad():
            for mine, theirs in zip(self.model.parameters(), self.master.parameters(), strict=True):
                mine.copy_(theirs)
            for mine, theirs in zip(self.model.buffers(), self.master.buffers(), strict=True):
                mine.copy_(theirs)

    def tokens(self, prompt: str) -> list[int]:
        """Ids of a prompt; its markers become special tokens, nothing is added."""
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return ids

    def fits(self, prompt: str, sampling: azr.Sampling) -> bool:
        length = len(self.tokens(prompt))
        if self.prompt_tokens is not None and length > self.prompt_tokens:
            return False
        return self.context is None or length + sampling.max_tokens <= self.context

    def text(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def converse(self, turns: Sequence[Mapping[str, str]]) -> str | None:
        if not self.tokenizer.chat_template:
            return None
        try:
            text: str = self.tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise azr.UsageError(f"the model's chat template refuses the messages: {error}") from None
        return text

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        groups = dict(self.stream(prompts, sampling, n))
        return [groups[index] for index in range(len(prompts))]

    def stream(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> Iterator[tuple[int, list[azr.Reply]]]:
        """Groups as they finish. Raises UsageError where a prompt and a whole reply do not fit the model."""
        yield from self._groups([self.tokens(prompt) for prompt in prompts], sampling, n)

    def extend(self, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        groups = dict(self._groups(rows, sampling, n))
        return [groups[index] for index in range(len(rows))]

    def score(self, rows: Sequence[Sequence[int]], top: int = 0) -> list[azr.Scores]:
        self._check(rows, 0)
        with self.spent("scoring"):
            return score(self.model, rows, top)

    def _groups(self, ids: Sequence[Sequence[int]], sampling: azr.Sampling, n: int) -> Iterator[tuple[int, list[azr.Reply]]]:
        self._check(ids, sampling.max_tokens)
        device = self.model.device
        draw = Draw(sampling, torch.Generator(device).manual_seed(sampling.seed))
        ends = torch.tensor(sorted(self.ends), device=device)
        endings = Endings(ends, self.tokenizer.pad_token_id, sampling.stop, self.tokenizer.batch_decode)
        for batch in batches(ids, n):
            with self.spent("sampling"):
                samples = decode(self.model, [ids[index] for index in batch], n, draw, endings)
            for place, index in enumerate(batch):
                yield index, self._replies(ids[index], samples[place * n : (place + 1) * n])

    def _check(self, ids: Sequence[Sequence[int]], reply: int) -> None:
        if not all(ids):
            raise azr.UsageError("a prompt is empty; a causal model needs at least one token to continue")
        longest = max(map(len, ids), default=0) + reply
        if self.context is not None and longest > self.context:
            raise azr.UsageError(
                f"a prompt and a reply of {reply} tokens need {longest} tokens, the model's context holds {self.context}; "
                "lower solve_tokens or propose_tokens, or show fewer references"
            )

    def _replies(self, prompt_ids: Sequence[int], samples: Sequence[Sample]) -> list[azr.Reply]:
        texts = self.tokenizer.batch_decode([self._visible(sample) for sample in samples], skip_special_tokens=False)
        return [
            azr.Reply(text, tuple(prompt_ids), tuple(sample.token_ids), tuple(sample.logprobs), truncated=not sample.finished)
            for text, sample in zip(texts, samples, strict=True)
        ]

    def _visible(self, sample: Sample) -> list[int]:
        ended = sample.finished and sample.token_ids[-1] in self.ends
        return sample.token_ids[:-1] if ended and not self.keep_end else sample.token_ids


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids of the tokens that end a reply: the tokenizer's, and those the model's generation settings add."""
    declared = getattr(model.generation_config, "eos_token_id", None)
    more = [declared] if isinstance(declared, int) else declared or []
    return frozenset([tokenizer.eos_token_id, *more])
