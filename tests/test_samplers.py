"""Samplers of the trainer without a vLLM: the parity probe, and what is said where an engine or a server is missing or another."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
import torch
from test_training import PROMPTS, SHORT, learn, llama, one_thread, trainer

import azr_core as azr
from azr_plugins_python.training import vllm_server, vllm_support
from azr_plugins_python.training.vllm_server import Connection, check

__all__ = ["llama", "one_thread"]
SETTINGS = {"version": "0.32.0", "vllm_config": {"model_config": {"logprobs_mode": "processed_logprobs", "max_model_len": 128}}}


def test_the_probe_agrees_with_a_sampler_that_has_the_weights(llama: Path) -> None:
    made = trainer(llama)
    assert made.parity.measure(made.policy, made.model) < 1e-4
    made.policy.sample(PROMPTS, SHORT)
    assert made.parity.measure(made.policy, made.model) < 1e-4


def test_the_probe_stops_a_run_whose_sampler_kept_old_weights(llama: Path) -> None:
    made = trainer(llama)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.mul_(1.3)
    with pytest.raises(azr.UsageError, match=r"differ by .* nats on average, bound 0.05 .*--resume"):
        made.parity.probe(made.policy, made.model)
    made.policy.refresh()
    assert made.parity.probe(made.policy, made.model)["sampling/parity_nats"] < 1e-4


def test_the_probe_is_at_the_runs_temperature(llama: Path) -> None:
    made = trainer(llama)
    cold = made.parity.__class__(1, 0.05, 0.5, made.parity.autocast)
    assert cold.measure(made.policy, made.model) < 1e-4


@pytest.mark.parametrize(("every", "steps"), [(1, [1, 2]), (2, [2]), (0, [])])
def test_steps_are_probed_as_often_as_asked(every: int, steps: list[int], llama: Path) -> None:
    metrics = learn(trainer(llama, parity_every=every), range(1, 3), [1.0, -1.0])
    assert [step for step, found in enumerate(metrics, 1) if "sampling/parity_nats" in found] == steps


def test_an_engine_that_is_not_there_is_said_with_the_command(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(azr.UsageError, match=r"vLLM, which is not installed; pip install 'azr\[vllm\]'"):
        trainer(llama, sampler="vllm")


@pytest.mark.parametrize("version", ["0.21.3", "0.33.0", "1.0", "0.1.dev7+gabc"])
def test_an_engine_of_another_version_is_said_with_the_command(version: str, llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    with pytest.raises(azr.UsageError, match=r"version .*pip install 'azr\[vllm\]'"):
        trainer(llama, sampler="vllm")


@pytest.mark.parametrize("version", ["0.22.0", "0.32.0", "0.32.1+cpu", "0.32.0rc1", "0.30.0.post1"])
def test_versions_of_the_range_are_taken(version: str) -> None:
    vllm_support.check_version(version, "it")


def test_a_server_needs_a_folder(llama: Path) -> None:
    with pytest.raises(azr.ConfigError, match="server_folder"):
        trainer(llama, sampler="server")


def test_weights_are_written_for_a_server_before_it_is_looked_for(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(azr.UsageError, match=r"--resume; start a server with: VLLM_SERVER_DEV_MODE=1 vllm serve .* --port 9"):
        trainer(llama, sampler="server", server_folder=str(tmp_path), server_url="http://127.0.0.1:9", server_patience=0)
    assert {path.name for path in tmp_path.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}


def connected(answer: Callable[[httpx2.Request], httpx2.Response], patience: float = 0) -> Connection:
    connection = Connection("http://server", patience, "THE COMMAND")
    connection.client = httpx2.Client(base_url="http://server", transport=httpx2.MockTransport(answer))
    return connection


def answering(settings: dict[str, object]) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda request: httpx2.Response(200, json=settings)


def test_a_server_that_suits_is_taken() -> None:
    check(connected(answering(SETTINGS)), 128)


@pytest.mark.parametrize(
    ("settings", "context", "message"),
    [
        (SETTINGS | {"version": "0.40.0"}, 128, r"server at http://server is version 0\.40\.0"),
        (SETTINGS | {"vllm_config": {"model_config": {"logprobs_mode": "raw_logprobs"}}}, 128, "raw_logprobs.*THE COMMAND"),
        (SETTINGS, 256, "max_model_len = 128, less than the model's 256; start it with: THE COMMAND"),
    ],
)
def test_a_server_that_does_not_suit_is_said(settings: dict[str, object], context: int, message: str) -> None:
    with pytest.raises(azr.UsageError, match=message):
        check(connected(answering(settings)), context)


def test_a_server_without_its_development_paths_is_said() -> None:
    with pytest.raises(azr.UsageError, match="/collective_rpc is not served there; start the server with: THE COMMAND"):
        connected(lambda request: httpx2.Response(404)).ask("POST", "/collective_rpc", {})


def test_a_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_server, "FIRST_PAUSE_S", 0.0)
    answers = iter([httpx2.Response(503), httpx2.Response(200, json={"here": True})])
    assert connected(lambda request: next(answers), patience=10).ask("GET", "/health") == {"here": True}
