"""Measures a model on a public benchmark, and a benchmark on its own golds."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azr_core.errors import ConfigError, VerifierUnavailable
from azr_core.evaluate import Decoding
from azr_core.interfaces import Policy
from azr_core.progress import Listener
from azr_core.public import Form, Item, PublicBenchmark, Row, Score, Scored
from azr_core.statistics import standard_error
from azr_core.types import Reply, Sampling, chance


@dataclass(frozen=True)
class Asked:
    """How to measure. ks: of pass@k. tokens: longest reply, none: the benchmark's. limit: only the first so many questions."""

    decoding: Decoding
    ks: tuple[int, ...] = (1,)
    tokens: int | None = None
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Examination:
    """What came of it. result: for the result file. samples: for the samples file, one line a reply."""

    result: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Found:
    """One line of the self-test. passed: golds that passed. expected: what was to be; seconds: of all its benchmark's golds."""

    benchmark: str
    measure: str
    passed: int
    total: int
    expected: str
    held: bool
    seconds: float


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The unbiased estimate that one of k samples passes: 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, equation 1)."""
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def examine(policy: Policy, benchmark: PublicBenchmark, rows: Sequence[Row], asked: Asked, listener: Listener) -> Examination:
    """Ask a model every question and score what it says. Raises ConfigError where nothing can be measured."""
    items = benchmark.items(rows)[: asked.limit]
    rendered = [policy.chat(item.message) for item in items]
    form = Form.COMPLETION if None in rendered else Form.CHAT
    prompts = [item.prompt if text is None else text for item, text in zip(items, rendered, strict=True)]
    stop = benchmark.stop(form)
    seed = chance(asked.seed, 0, f"public {benchmark.name} {asked.decoding.name}").getrandbits(62)
    sampling = Sampling(asked.decoding.temperature, asked.tokens or benchmark.tokens, stop=stop, seed=seed)
    replies = _replies(policy, benchmark.name, prompts, sampling, (asked.decoding.samples, listener))
    texts = [[_cut(reply.text, stop) for reply in group] or [""] * asked.decoding.samples for group in replies]
    listener.phase(f"scoring {benchmark.name}", 0, 1)
    scores = _scored(benchmark, items, texts, form)
    listener.phase(f"scoring {benchmark.name}", 1, 1)
    result: dict[str, Any] = {
        "benchmark": benchmark.name,
        "scorer": benchmark.scorer,
        "form": str(form),
        "decoding": {
            "name": asked.decoding.name,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "stop": list(stop),
            "seed": seed,
        },
        "prompts_sha256": hashlib.sha256(json.dumps(prompts).encode()).hexdigest(),
        "n": len(items),
        "samples": asked.decoding.samples,
    }
    result |= figures(scores, asked.ks) | _rates(replies, scores)
    result["scores"] = [_line(item, group) for item, group in zip(items, scores, strict=True)]
    pairs = [(item, text) for item, group in zip(items, texts, strict=True) for text in group]
    return Examination(result, [benchmark.sample(item, text, form) for item, text in pairs])


def figures(scores: Sequence[Sequence[Scored]], ks: Sequence[int]) -> dict[str, Any]:
    """pass@k and standard errors over questions, of the verdict and of every further measure. A sample that broke counts as not passed."""
    names = sorted({name for group in scores for score in group if isinstance(score, Score) for name in score.also})
    found: dict[str, Any] = {}
    for measure in ("", *names):
        passed = [sum(_passed(score, measure) for score in group) for group in scores]
        for k in ks:
            each = [pass_at_k(len(group), count, k) for group, count in zip(scores, passed, strict=True)]
            label = f"{measure} pass@{k}".strip()
            found[label] = math.fsum(each) / len(each)
            found[f"{label} standard error"] = standard_error(each)
    return found


def self_test(benchmark: PublicBenchmark, rows: Sequence[Row]) -> Iterator[Found]:
    """Score a benchmark's own golds: a line for each of its ceilings."""
    items = benchmark.golds(rows)
    started = time.monotonic()
    scores = benchmark.score([(item, item.gold) for item in items], Form.COMPLETION)
    seconds = time.monotonic() - started
    for ceiling in benchmark.ceilings:
        passed = sum(_passed(score, ceiling.measure) for score in scores)
        held = len(items) == ceiling.total and passed in ceiling.passed
        expected = f"{' or '.join(map(str, ceiling.passed))} of {ceiling.total}"
        yield Found(benchmark.name, ceiling.measure, passed, len(items), expected, held, seconds)


def _replies(policy: Policy, name: str, prompts: Sequence[str], sampling: Sampling, wanted: tuple[int, Listener]) -> list[Sequence[Reply]]:
    """Replies to each prompt, no reply where prompt and reply do not fit the model. Raises ConfigError where nothing fits."""
    samples, listener = wanted
    fitting = [index for index, prompt in enumerate(prompts) if policy.fits(prompt, sampling)]
    if not fitting:
        raise ConfigError(
            f"{name}: no question fits the model's context beside a reply of {sampling.max_tokens} tokens; set a lower --max-tokens, "
            "or choose a model with more"
        )
    replies: list[Sequence[Reply]] = [()] * len(prompts)
    listener.phase(f"asking {name}", 0, len(fitting))
    for done, (place, group) in enumerate(policy.stream([prompts[index] for index in fitting], sampling, samples), 1):
        replies[fitting[place]] = group
        listener.phase(f"asking {name}", done, len(fitting))
    return replies


def _cut(text: str, stop: Sequence[str]) -> str:
    """The text up to its first stop string."""
    return text[: min((text.index(end) for end in stop if end in text), default=len(text))]


def _scored(benchmark: PublicBenchmark, items: Sequence[Item], texts: Sequence[Sequence[str]], form: Form) -> list[list[Scored]]:
    """[items][n]; equal replies to one question are scored once."""
    unique = list({(place, text): None for place, group in enumerate(texts) for text in group})
    scores = dict(zip(unique, benchmark.score([(items[place], text) for place, text in unique], form), strict=True))
    return [[scores[place, text] for text in group] for place, group in enumerate(texts)]


def _rates(replies: Sequence[Sequence[Reply]], scores: Sequence[Sequence[Scored]]) -> dict[str, Any]:
    everything = [reply for group in replies for reply in group]
    judged = [score for group in scores for score in group]
    return {
        "truncation_rate": sum(reply.truncated for reply in everything) / len(everything),
        "extraction_failure_rate": sum(isinstance(score, Score) and not score.extracted for score in judged) / len(judged),
        "did_not_fit": sum(not group for group in replies),
        "failed": sum(isinstance(score, VerifierUnavailable) for score in judged),
        "reply_tokens": sum(len(reply.token_ids) for reply in everything) / len(everything),
    }


def _line(item: Item, scores: Sequence[Scored]) -> dict[str, Any]:
    reasons = [str(score) if isinstance(score, VerifierUnavailable) else score.reason for score in scores]
    return {"id": item.id, "passed": [_passed(score) for score in scores], "reasons": reasons}


def _passed(score: Scored, measure: str = "") -> bool:
    if isinstance(score, VerifierUnavailable):
        return False
    return score.also.get(measure, False) if measure else score.passed
