"""The colocated sampler against the trainer's own model and against the sampler of transformers."""

from __future__ import annotations

import pytest
import torch
from test_training import trainer
from vllm_models import BOUND, NEEDED, PROMPTS, SAMPLING, difference, disturbed, write_model

import azr_core as azr
from azr_plugins_python.training.trainer import TrlTrainer

pytestmark = NEEDED
GREEDY = azr.Sampling(temperature=0.0, max_tokens=24)

ENGINES: list[TrlTrainer] = []


def kept(made: TrlTrainer) -> TrlTrainer:
    """An engine that goes takes vLLM's process groups with it, and those are the next engine's too."""
    ENGINES.append(made)
    return made


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def narrow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrlTrainer:
    """As on a GPU: sampling and update in bfloat16."""
    folder = write_model(tmp_path_factory.mktemp("model"), tied=request.param)
    return kept(trainer(folder, sampler="vllm", sampling_dtype="bfloat16", update_dtype="bfloat16"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrlTrainer, TrlTrainer]:
    """vLLM and transformers with one model, in float32."""
    folder = write_model(tmp_path_factory.mktemp("model"), tied=False)
    return kept(trainer(folder, sampler="vllm")), trainer(folder)


def test_log_probabilities_are_the_trainers_before_and_after_new_weights(narrow: TrlTrainer) -> None:
    assert difference(narrow) < BOUND
    with disturbed(narrow.model):
        narrow.policy.refresh()
        assert difference(narrow) < BOUND
    narrow.policy.refresh()
    assert difference(narrow) < BOUND


def test_weights_that_never_arrived_stop_the_run(narrow: TrlTrainer) -> None:
    with (
        disturbed(narrow.model),
        pytest.raises(azr.UsageError, match=r"sampler is not the model that learns.*--resume"),
    ):
        narrow.parity.probe(narrow.policy, narrow.model)
    assert narrow.parity.probe(narrow.policy, narrow.model)["sampling/parity_nats"] < BOUND


def test_a_cached_prompt_is_read_again_with_new_weights(narrow: TrlTrainer) -> None:
    prompt = PROMPTS[1] * 4
    narrow.policy.sample([prompt], SAMPLING)
    with disturbed(narrow.model):
        narrow.policy.refresh()
        narrow.policy.sample([prompt], SAMPLING)
        assert narrow.parity.measure(narrow.policy, narrow.model) < BOUND
    narrow.policy.refresh()


@pytest.mark.parametrize("stop", [(), ("a",), ("e", "<|answer|>")])
def test_greedy_replies_are_those_of_transformers(pair: tuple[TrlTrainer, TrlTrainer], stop: tuple[str, ...]) -> None:
    sampling = azr.Sampling(temperature=0.0, max_tokens=24, stop=stop)
    mine, theirs = (made.policy.sample(PROMPTS, sampling) for made in pair)
    for [one], [other] in zip(mine, theirs, strict=True):
        assert (one.text, one.token_ids, one.prompt_ids, one.truncated) == (other.text, other.token_ids, other.prompt_ids, other.truncated)
        assert list(one.logprobs) == pytest.approx(list(other.logprobs), abs=1e-3)


def test_greedy_replies_to_one_prompt_are_one(pair: tuple[TrlTrainer, TrlTrainer]) -> None:
    policy = pair[0].policy
    [[alone]] = policy.sample(PROMPTS[:1], GREEDY)
    assert policy.sample(PROMPTS[:1], GREEDY, 3) == [[alone, alone, alone]]


def test_replies_end_at_the_end_token_or_are_truncated(pair: tuple[TrlTrainer, TrlTrainer]) -> None:
    replies = [reply for group in pair[0].policy.sample(PROMPTS, azr.Sampling(1.5, 60, seed=1), 40) for reply in group]
    assert {reply.truncated for reply in replies} == {True, False}
    for reply in replies:
        assert reply.truncated == (reply.token_ids[-1] != 1) and reply.text.endswith("<|end|>") != reply.truncated
        assert len(reply.logprobs) == len(reply.token_ids)


def test_scores_are_those_of_transformers(pair: tuple[TrlTrainer, TrlTrainer]) -> None:
    rows = [pair[0].policy.tokens(prompt) for prompt in PROMPTS]
    for mine, theirs in zip(*(made.policy.score(rows, 2) for made in pair), strict=True):
        assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)
        assert [[token for token, _ in ranks] for ranks in mine.likeliest] == [[token for token, _ in ranks] for ranks in theirs.likeliest]


def test_a_nucleus_renormalises_as_ours_does(pair: tuple[TrlTrainer, TrlTrainer]) -> None:
    sampling = azr.Sampling(temperature=0.7, max_tokens=1, top_p=0.6, seed=1)
    mine, theirs = ({reply.token_ids[0]: reply.logprobs[0] for reply in made.policy.sample(PROMPTS[:1], sampling, 200)[0]} for made in pair)
    assert mine == pytest.approx(theirs, abs=1e-3)


def test_a_seed_repeats_its_replies_and_samples_differ(pair: tuple[TrlTrainer, TrlTrainer]) -> None:
    policy = pair[0].policy
    groups = policy.sample(PROMPTS, SAMPLING, 4)
    assert policy.sample(PROMPTS, SAMPLING, 4) == groups
    assert len({reply.token_ids for reply in groups[0]}) == 4
    assert policy.sample(PROMPTS, azr.Sampling(0.8, 40, seed=6), 4) != groups


def test_groups_come_as_they_finish_and_a_stream_may_be_left(pair: tuple[TrlTrainer, TrlTrainer]) -> None:
    policy = pair[0].policy
    whole = dict(policy.stream(PROMPTS, SAMPLING, 2))
    first, second = policy.stream(PROMPTS, SAMPLING, 2), policy.stream(PROMPTS, azr.Sampling(0.8, 40, seed=6), 2)
    found = [next(first), next(second)]
    second.close()
    assert dict([found[0], *first]) == whole
    assert not policy.engine.has_unfinished_requests()


def test_prompts_that_do_not_fit_are_said(pair: tuple[TrlTrainer, TrlTrainer]) -> None:
    with pytest.raises(azr.UsageError, match="context holds 2048"):
        pair[0].policy.sample(["x" * 2030], GREEDY)


def test_the_trainers_threads_stay_its_own(pair: tuple[TrlTrainer, TrlTrainer]) -> None:
    assert torch.get_num_threads() == 1
