"""The sampler of a server, with a real `vllm serve` beside it: parity, stale weights, a server that dies in the middle of a run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playing import played
from serving_vllm import Place, end, place
from test_run_trl import SETTINGS, play
from test_training import trainer
from vllm_models import BOUND, NEEDED, PROMPTS, difference, disturbed, write_model

import azr_core as azr
from azr_plugins_python.training.trainer import TrlTrainer
from azr_plugins_python.training.vllm_server import ServerPolicy

pytestmark = NEEDED
NARROW = {"sampling_dtype": "bfloat16", "update_dtype": "bfloat16"}


def announced(model: Path, at: Place) -> None:
    """The folder is written before the server is looked for, and the error says how to start one from it."""
    with pytest.raises(azr.UsageError, match=rf"VLLM_SERVER_DEV_MODE=1 vllm serve {at.folder} .*--port {at.port}"):
        trainer(model, **at.settings(server_patience=0), **NARROW)


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrlTrainer]:
    folder = tmp_path_factory.mktemp("server")
    model, at = write_model(folder / "model", tied=request.param), place(folder / "weights")
    announced(model, at)
    with at.served():
        yield trainer(model, **at.settings(), **NARROW)


def test_log_probabilities_are_the_trainers_before_and_after_new_weights(made: TrlTrainer) -> None:
    assert difference(made) < BOUND
    with disturbed(made.model):
        made.policy.refresh()
        assert difference(made) < BOUND
    made.policy.refresh()
    assert difference(made) < BOUND


def test_weights_that_never_arrived_stop_the_run(made: TrlTrainer) -> None:
    with disturbed(made.model), pytest.raises(azr.UsageError, match=r"sampler is not the model that learns.*--resume"):
        made.parity.probe(made.policy, made.model)


def test_replies_have_their_tokens_and_ends(made: TrlTrainer) -> None:
    replies = [reply for group in made.policy.sample(PROMPTS, azr.Sampling(1.5, 60, seed=1), 20) for reply in group]
    assert {reply.truncated for reply in replies} == {True, False}
    for reply in replies:
        assert reply.truncated == (reply.token_ids[-1] != 1) and reply.text.endswith("<|end|>") != reply.truncated
        assert len(reply.logprobs) == len(reply.token_ids) and made.policy.text(reply.token_ids) == reply.text


def test_scores_are_the_log_probabilities_of_sampling(made: TrlTrainer) -> None:
    [[reply]] = made.policy.sample(PROMPTS[:1], azr.Sampling(temperature=1.0, max_tokens=20, seed=2))
    [scores] = made.policy.score([[*reply.prompt_ids, *reply.token_ids]], 2)
    assert scores.logprobs[len(reply.prompt_ids) - 1 :] == pytest.approx(list(reply.logprobs), abs=0.1)
    assert all(first[1] >= second[1] for first, second in scores.likeliest)


def test_a_request_that_the_server_refuses_is_told(made: TrlTrainer) -> None:
    assert isinstance(made.policy, ServerPolicy)
    with pytest.raises(azr.UsageError, match=r"/v1/completions refuses \(4\d\d\)"):
        made.policy.connection.ask("POST", "/v1/completions", {"model": made.policy.model, "prompt": "x", "n": 0})


class Killer(azr.Listener):
    """Ends the server once a step is stored."""

    def __init__(self, child: subprocess.Popen[bytes], step: int) -> None:
        self.child, self.last = child, step

    def step(self, report: azr.StepReport, total_steps: int, remaining_s: float | None) -> None:
        if report.step == self.last:
            end(self.child)


def test_a_server_that_dies_stops_the_run_and_a_new_one_takes_it_up(tmp_path: Path) -> None:
    model, at = write_model(tmp_path / "model", tied=False), place(tmp_path / "weights")
    announced(model, at)
    learning = {"model": str(model), "learning_rate": 1e-3, "threads": 1, **NARROW, **at.settings()}
    settings = {**SETTINGS, "checkpoint_every": 1, "evaluation": {"final": False}, "trainer": learning}
    with at.served() as child, pytest.raises(azr.UsageError, match=r"no vLLM answers .* --resume; start a server with"):
        play(tmp_path / "runs", settings, listener=Killer(child, 2))
    assert played(tmp_path / "runs" / "one").steps == [1, 2]
    with at.served():
        folder = play(tmp_path / "runs", {}, resume=True)
    assert played(folder).steps == [1, 2, 3, 4]
