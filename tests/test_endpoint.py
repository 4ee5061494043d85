"""A model behind a server: what is asked, what is read, and servers that are busy, broken, away or wrong."""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playing import played

import azr_core as azr
from azr_core import run
from azr_core.cli import main
from azr_core.directory import RunDirectory, fixed
from azr_core.run import Request
from azr_core.service import Service
from azr_core.serving import application
from azr_core.toml import toml
from azr_plugins_python import training
from azr_plugins_python.training import endpoint
from azr_plugins_python.training.endpoint.options import EndpointOptions
from azr_plugins_python.training.endpoint.policy import EndpointPolicy
from azr_plugins_python.training.endpoint.server import Server

PLUGIN = str(Path(__file__).with_name("played_plugin.py"))
SAMPLING = azr.Sampling(0.7, 64, 0.9, ("</answer>",), 5)
CUT = 0  # the status of a connection that is closed without an answer

Asked = dict[str, Any]
Reaction = tuple[int, Any]


class Scripted(ThreadingHTTPServer):
    """A server that answers with `says`, but first with what the script holds. asked: the bodies of requests; keys: what came with them."""

    daemon_threads = True

    def __init__(self, says: Callable[[Asked], Reaction]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says = says
        self.script: list[Reaction] = []
        self.cards: Reaction = (200, {"object": "list", "data": [{"id": "toy", "object": "model", "max_model_len": 1000}]})
        self.asked: list[Asked] = []
        self.keys: set[str | None] = set()
        self.paths: set[str] = set()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def reaction(self, asked: Asked) -> Reaction:
        with self.lock:
            self.asked.append(asked)
            if self.script:
                return self.script.pop(0)
        return self.says(asked)


class _Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.keys.add(self.headers["Authorization"])
        self._send(*self.server.cards)

    def do_POST(self) -> None:
        self.server.keys.add(self.headers["Authorization"])
        self.server.paths.add(self.path)
        self._send(*self.server.reaction(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def _send(self, status: int, body: Any) -> None:
        if status == CUT:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
            self.close_connection = True
            return
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.send_header("Retry-After-Ms", "1")
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *words: Any) -> None:
        pass


def refusal(status: int, message: str) -> Reaction:
    return status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def answer(*texts: str, finish: str = "stop", tokens: int = 6, **more: Any) -> Reaction:
    choices = [{"index": index, "text": text, "finish_reason": finish, "logprobs": None, **more} for index, text in enumerate(texts)]
    usage = {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens}
    return 200, {"id": "1", "object": "text_completion", "created": 1, "model": "toy", "choices": choices, "usage": usage}


def said(text: str, thought: str = "", **more: Any) -> Reaction:
    status, body = answer(text, **more)
    message = {"role": "assistant", "content": body["choices"][0].pop("text")}
    body["choices"][0]["message"] = message | ({"reasoning_content": thought} if thought else {})
    return status, body


def doubling(asked: Asked) -> Reaction:
    """Proposes a number that the prompt alone decides, and doubles numbers, every third one wrongly."""
    prompt = asked["prompt"] if "prompt" in asked else asked["messages"][0]["content"]
    if "PROPOSE" in prompt:
        text = str(asked["seed"] % 900)
    else:
        number = int(prompt.rpartition("Double ")[2].partition("\n")[0])
        text = str(2 * number + (asked["seed"] % 3 == 0))
    return answer(*[f"so</think> <answer>{text}"] * asked.get("n", 1))


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted(lambda asked: answer(*["hm</think> <answer>4"] * asked.get("n", 1))) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


class Planned(azr.Listener):
    """Keeps the plan."""

    lines: Mapping[str, str]

    def plan(self, lines: Mapping[str, str]) -> None:
        self.lines = lines


def policy(server: Scripted, **options: Any) -> EndpointPolicy:
    return EndpointPolicy(Server(EndpointOptions(url=server.url, **{"retries": 2} | options)))


def only(groups: Sequence[Sequence[azr.Reply]]) -> azr.Reply:
    [[reply]] = groups
    return reply


def request(server: Scripted, runs: Path, name: str, *, resume: bool = False, **settings: Any) -> Request:
    trainer = {"name": "endpoint", "url": server.url, "retries": 1}
    more = {"steps": 3, "batch_size": 4, "references": 2, "probe_samples": 3, "trainer": trainer, "propose_tokens": 64, "solve_tokens": 64}
    more["evaluation"] = {"final": False}
    return Request((PLUGIN,), {**more, **settings}, name, runs, resume)


def test_a_request_says_all_of_the_sampling_and_carries_the_key(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZR_ENDPOINT_KEY", "sesame")
    policy(server, extra={"top_k": -1}).sample(["p"], SAMPLING)
    [asked] = server.asked
    seed = asked.pop("seed")
    assert asked == {
        "model": "toy", "prompt": "p", "temperature": 0.7, "top_p": 0.9, "max_tokens": 64, "stop": ["</answer>"], "top_k": -1,
    }  # fmt: skip
    assert 0 <= seed < 2**31
    assert server.keys == {"Bearer sesame"}


def test_prompts_have_seeds_of_their_own_and_the_same_ones_again(server: Scripted) -> None:
    for _ in range(2):
        policy(server).sample(["p", "q"], SAMPLING)
    seeds = [(asked["prompt"], asked["seed"]) for asked in server.asked]
    assert len(set(seeds)) == 2 and len({seed for _, seed in seeds}) == 2


def test_a_field_that_the_server_does_not_know_can_be_left_out(server: Scripted) -> None:
    policy(server, without=["seed", "stop"]).sample(["p"], SAMPLING)
    assert server.asked[0].keys() == {"model", "prompt", "temperature", "top_p", "max_tokens"}


def test_the_stop_string_that_a_server_cuts_away_is_put_back(server: Scripted) -> None:
    assert only(policy(server).sample(["p"], SAMPLING)).text == "hm</think> <answer>4</answer>"


@pytest.mark.parametrize(
    ("text", "more", "read"),
    [
        ("a", {"stop_reason": "</answer>"}, "a</answer>"),
        ("a", {"stop_reason": None}, "a<end>"),
        ("a", {"finish": "length"}, "a"),
        ("a</answer> b", {}, "a</answer>"),
        ("a</answer> b</answer>", {"finish": "length"}, "a</answer>"),
    ],
)
def test_a_reply_ends_as_it_ended_at_the_server(server: Scripted, text: str, more: dict[str, Any], read: str) -> None:
    server.script = [answer(text, **more)]
    made = EndpointPolicy(policy(server).server, end="<end>")
    reply = only(made.sample(["p"], SAMPLING))
    assert (reply.text, reply.truncated) == (read, more.get("finish") == "length")


def test_tokens_are_as_many_as_the_server_counts(server: Scripted) -> None:
    server.script = [answer("a", "b", "c", tokens=7)]
    [group] = policy(server).sample(["p"], SAMPLING, 3)
    assert sum(len(reply.token_ids) for reply in group) == 7
    assert {index for reply in group for index in reply.token_ids} == {-1}


def test_log_probabilities_are_kept_where_they_are_those_of_the_sampling(server: Scripted) -> None:
    told = {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1.0], "top_logprobs": None, "text_offset": None}
    server.says = lambda asked: answer("ab", tokens=2, **({"logprobs": told} if "logprobs" in asked else {}))
    asking = policy(server, logprobs=True)
    assert only(asking.sample(["p"], azr.Sampling(1.0, 9))).logprobs == (-0.5, -1.0)
    assert only(asking.sample(["p"], azr.Sampling(0.5, 9))).logprobs == ()


def test_a_server_that_refuses_several_replies_is_asked_for_one_at_a_time(server: Scripted) -> None:
    server.says = lambda asked: refusal(400, "n > 1") if asked.get("n", 1) > 1 else answer(str(asked["seed"]))
    asking = policy(server)
    for _ in range(2):
        [group] = asking.sample(["p"], SAMPLING, 3)
        assert len({reply.text for reply in group}) == 3
    assert [asked.get("n", 1) for asked in server.asked] == [3, 1, 1, 1, 1, 1, 1]


def test_a_server_that_gives_fewer_replies_is_asked_for_the_rest(server: Scripted) -> None:
    server.says = lambda asked: answer("a")
    [group] = policy(server).sample(["p"], SAMPLING, 3)
    assert len(group) == 3


def test_chat_goes_as_a_users_turn_and_leaves_the_template_to_the_server(server: Scripted) -> None:
    server.says = lambda asked: said("a")
    asking = policy(server, api="chat")
    assert asking.chat("hello") == "hello" and policy(server).chat("hello") is None
    assert only(asking.sample(["hello"], SAMPLING)).text == "a</answer>"
    assert server.asked[0]["messages"] == [{"role": "user", "content": "hello"}]
    assert server.paths == {"/v1/chat/completions"}


def test_thoughts_that_a_server_keeps_apart_stand_before_the_answer(server: Scripted) -> None:
    server.script = [said("4", "hm"), said("", "hm, long", finish="length")]
    asking = policy(server, api="chat", concurrency=1)
    replies = [only(asking.sample([prompt], azr.Sampling(1.0, 9))) for prompt in ("p", "q")]
    assert [(reply.text, reply.truncated) for reply in replies] == [("<think>hm</think>4", False), ("<think>hm, long", True)]


def test_a_run_by_chat_is_played_in_the_style_for_it(server: Scripted, tmp_path: Path) -> None:
    def chatting(asked: Asked) -> Reaction:
        prompt = asked["messages"][0]["content"]
        number = prompt.partition("Double ")[2].partition("\n")[0]
        return said(f"so <answer>{2 * int(number) if number else asked['seed'] % 900}</answer>")

    server.says = chatting
    trainer = {"name": "endpoint", "url": server.url, "api": "chat"}
    folder = run.start(request(server, tmp_path, "one", trainer=trainer, steps=1), azr.Listener())
    store = RunDirectory(folder).open_store()
    [(_, metrics)] = store.steps()
    store.close()
    assert (metrics["valid/toys/doubling"], metrics["solve_rate/toys/doubling"]) == (1.0, 1.0)


def test_a_chat_server_that_calls_the_limit_otherwise_is_understood(server: Scripted) -> None:
    unknown = refusal(400, "Unsupported parameter: use 'max_completion_tokens' instead.")
    server.says = lambda asked: unknown if "max_tokens" in asked else said("a")
    asking = policy(server, api="chat", concurrency=1)
    asking.sample(["p", "q"], SAMPLING)
    assert [asked.get("max_completion_tokens") for asked in server.asked] == [None, 64, 64]


def test_what_fits_is_estimated_from_the_context_that_the_server_tells(server: Scripted) -> None:
    asking = EndpointPolicy(policy(server).server, prompt_tokens=950)
    assert asking.fits("x" * 3 * 936, SAMPLING) and not asking.fits("x" * 3 * 937, SAMPLING)
    assert not asking.fits("x" * 3 * 951, azr.Sampling(1.0, 1))


def test_groups_come_as_they_finish(server: Scripted) -> None:
    seen = threading.Event()

    def slow(asked: Asked) -> Reaction:
        if asked["prompt"] == "slow":
            assert seen.wait(10)
        return answer(asked["prompt"])

    server.says = slow
    order = []
    for index, _ in policy(server).stream(["slow", "fast"], SAMPLING):
        order.append(index)
        seen.set()
    assert order == [1, 0]


def test_no_more_requests_are_under_way_than_asked_for(server: Scripted) -> None:
    busy, most = [], []

    def count(asked: Asked) -> Reaction:
        busy.append(asked)
        most.append(len(busy))
        busy.remove(asked)
        return answer("a")

    server.says = count
    assert len(policy(server, concurrency=1).sample([str(index) for index in range(9)], SAMPLING)) == 9
    assert max(most) == 1


def test_a_stream_that_is_left_drops_its_requests(server: Scripted) -> None:
    left = threading.Event()

    def hold(asked: Asked) -> Reaction:
        if asked["prompt"] == "held":
            left.wait(60)
        return answer("a")

    server.says = hold
    stream = policy(server).stream(["held", "p"], SAMPLING)
    assert next(iter(stream))[0] == 1
    stream.close()  # type: ignore[attr-defined]
    assert [thread.name for thread in threading.enumerate() if thread.name == "endpoint"] == []
    left.set()


@pytest.mark.parametrize("trouble", [refusal(429, "slow down"), refusal(503, "loading"), (CUT, None)])
def test_a_server_in_trouble_is_asked_again(server: Scripted, trouble: Reaction) -> None:
    server.script = [trouble, trouble]
    assert only(policy(server).sample(["p"], SAMPLING)).text
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (refusal(500, "no memory"), ["failed 2 times, last with 500", "no memory", "--resume"]),
        (refusal(429, "slow down"), ["failed 2 times, last with 429", "--resume"]),
        ((CUT, None), ["cannot be reached", "tried 2 times", "--resume"]),
        (refusal(401, "bad key sesame"), ["refuses the key", "AZR_ENDPOINT_KEY"]),
        (refusal(400, "context length exceeded"), ["context length exceeded", "prompt_tokens", "without"]),
        ((200, {"object": "error"}), ["does not speak OpenAI's protocol", "/v1"]),
        ((200, ["?"]), ["does not speak OpenAI's protocol", "/v1"]),
    ],
)
def test_a_server_that_gives_nothing_is_an_error_with_its_mend(server: Scripted, trouble: Reaction, words: list[str]) -> None:
    server.says = lambda asked: trouble
    with pytest.raises(azr.UsageError) as failed:
        policy(server, retries=1).sample(["p", "q"], SAMPLING, 2)
    for word in words:
        assert word in str(failed.value)
    assert "sesame" not in str(failed.value) and "\n" not in str(failed.value)


def test_a_model_that_is_not_served_is_named_with_the_nearest(server: Scripted) -> None:
    server.says = lambda asked: refusal(404, "no such model")
    with pytest.raises(azr.UsageError, match="no model 'tyo' is served there; did you mean 'toy'"):
        policy(server, model="tyo").sample(["p"], SAMPLING)
    with pytest.raises(azr.UsageError, match="api = 'chat'"):
        policy(server).sample(["p"], SAMPLING)


def test_without_a_name_there_must_be_one_model(server: Scripted) -> None:
    assert policy(server).server.model == "toy"
    server.cards = 200, {"object": "list", "data": [{"id": name, "object": "model"} for name in ("a", "b")]}
    with pytest.raises(azr.ConfigError, match="--model; known: a, b"):
        policy(server)
    server.cards = refusal(404, "no list")
    assert policy(server, model="mine").server.model == "mine"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://h/v1", "http://me:sesame@h/v1", "http://h/v1?key=sesame"])
def test_a_url_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(azr.ConfigError, match=r"AZR_ENDPOINT_KEY|http://HOST"):
        azr.parse(EndpointOptions, {"url": url}, "the part endpoint")


def test_without_the_package_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "find_spec", lambda name: None)
    with pytest.raises(azr.UsageError, match=r"pip install 'azr\[endpoint\]'"):
        endpoint.azr_trainer(azr.Part(name="endpoint", url="http://h/v1"), azr.RunConfig(plugins=("x",)))
    assert endpoint.azr_trainer(azr.Part(name="trl"), azr.RunConfig(plugins=("x",))) is None


def test_a_run_collects_tasks_and_learns_nothing(server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZR_ENDPOINT_KEY", "sesame")
    server.says = doubling
    folder = run.start(request(server, tmp_path, "one"), azr.Listener())
    store = RunDirectory(folder).open_store()
    steps = [metrics for _, metrics in store.steps()]
    trained = [tuple(row) for row in store._db.select("SELECT DISTINCT trained FROM episodes")]
    store.close()
    assert len(steps) == 3 and all(metrics["tokens/generated"] > 0 for metrics in steps)
    assert steps[-1]["buffer/toys/doubling"] > 2 and 0 < steps[-1]["solve_rate/toys/doubling"] < 1
    assert trained == [(0,)]
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(b"sesame" in content for content in written)


def test_a_run_whose_endpoint_dies_goes_on_elsewhere_and_loses_nothing(server: Scripted, tmp_path: Path) -> None:
    server.says = doubling
    whole = played(run.start(request(server, tmp_path, "whole"), azr.Listener()))
    total = len(server.asked)
    server.asked.clear()

    def dying(asked: Asked) -> Reaction:
        return doubling(asked) if len(server.asked) < total * 2 // 3 else refusal(500, "died")

    server.says = dying
    with pytest.raises(azr.UsageError, match=r"died.*--resume"):
        run.start(request(server, tmp_path, "one"), azr.Listener())
    with Scripted(doubling) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        trainer = {"name": "endpoint", "url": other.url}
        folder = run.start(Request((), {"trainer": trainer}, "one", tmp_path, True), azr.Listener())
        other.shutdown()
        thread.join()
    assert played(folder) == whole


def test_replies_longer_than_the_context_are_refused_before_a_run(server: Scripted, tmp_path: Path) -> None:
    with pytest.raises(azr.ConfigError, match=r"holds 1000 tokens and a reply may take 8096; set propose_tokens and solve_tokens"):
        run.start(request(server, tmp_path, "one", solve_tokens=8096), azr.Listener())


def test_a_resumed_run_must_meet_the_same_model(server: Scripted, tmp_path: Path) -> None:
    server.says = doubling
    run.start(request(server, tmp_path, "one", steps=1), azr.Listener())
    server.cards = 200, {"object": "list", "data": [{"id": "other", "object": "model"}]}
    with pytest.raises(azr.RunError, match="played by 'toy', the endpoint serves 'other'"):
        run.start(Request((), {"steps": 2}, "one", tmp_path, True), azr.Listener())


@pytest.mark.parametrize("role", list(azr.Role))
def test_a_role_is_played_by_a_frozen_model_while_the_other_learns(server: Scripted, tmp_path: Path, role: azr.Role) -> None:
    server.says = doubling
    player = {"name": "endpoint", "url": server.url}
    asked = request(server, tmp_path, "one", trainer={"name": "scripted"}, players={role: player}, steps=2)
    planned = Planned()
    folder = run.start(asked, planned)
    store = RunDirectory(folder).open_store()
    trained = {(row["kind"], bool(row["trained"])) for row in store._db.select("SELECT kind, trained FROM episodes")}
    steps = [metrics for _, metrics in store.steps()]
    store.close()
    learned, frozen = ({kind for kind, is_trained in trained if is_trained is which} for which in (True, False))
    assert (learned, frozen) == (({"probe"}, {"propose"}) if role is azr.Role.PROPOSE else ({"propose"}, {"probe"}))
    assert all(("PROPOSE" in asked["prompt"]) == (role is azr.Role.PROPOSE) for asked in server.asked)
    assert planned.lines[f"to {role}"].startswith("frozen, toy, http://127.0.0.1:")
    assert 0 < steps[-1]["tokens/trained_share"] < 1


def test_two_frozen_roles_leave_nothing_to_learn(server: Scripted, tmp_path: Path) -> None:
    player = {"name": "endpoint", "url": server.url}
    with pytest.raises(azr.ConfigError, match="nothing is left to learn"):
        run.start(request(server, tmp_path, "one", players=dict.fromkeys(azr.Role, player)), azr.Listener())


def test_a_player_may_move_and_stays_who_it_is() -> None:
    before = {"players": {"solve": {"name": "endpoint", "model": "a", "url": "http://one"}}}
    moved = {"players": {"solve": {"name": "endpoint", "model": "a", "url": "http://two", "retries": 1}}}
    other = {"players": {"solve": {"name": "endpoint", "model": "b", "url": "http://one"}}}
    assert fixed(before) == fixed(moved) != fixed(other)


def test_players_can_be_shown_and_given_back(server: Scripted) -> None:
    config, plugins = run.resolve(request(server, Path(), "one", players={"solve": {"name": "endpoint", "url": server.url}}))
    plugins.close()
    again = tomllib.loads(toml(config))
    assert again["players"] == {"solve": {"name": "endpoint", "url": server.url}}


def test_the_flag_is_short_for_the_settings(server: Scripted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.says = doubling
    with pytest.raises(SystemExit) as left:
        main(["eval", "--plugin", PLUGIN, "--endpoint", server.url, "--model", "toy", "--json"])
    assert left.value.code == 0
    figures = json.loads(capsys.readouterr().out)
    assert {figure["name"] for figure in figures} == {"toys/heldout"} and 0 < figures[0]["accuracy"] < 1
    assert {asked["model"] for asked in server.asked} == {"toy"}


def test_the_embedded_model_behind_a_server_says_what_it_says_at_home() -> None:
    compact, plain = (azr.RunConfig(plugins=("trl",), style=style, steps=0) for style in (azr.Style.COMPACT, azr.Style.PAPER))
    trainer = training.azr_trainer(azr.Part(name="trl", sampling_dtype="float32"), plain)
    assert trainer is not None
    served = uvicorn.Server(uvicorn.Config(application(Service(trainer.policy, "azr")), port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    while not (served.started and served.servers):
        assert thread.is_alive()
    [socket] = served.servers[0].sockets
    part = azr.Part(name="endpoint", url=f"http://127.0.0.1:{socket.getsockname()[1]}/v1")
    away = endpoint.azr_trainer(part, compact)
    assert away is not None
    prompts = ["<|solve|>f = lambda x: x + 1\nf(3)<|go|>", "<|propose|>a program<|go|>"]
    greedy = azr.Sampling(0.0, 24)
    home = [only([group]) for group in trainer.policy.sample(prompts, greedy)]
    there = [only([group]) for group in away.policy.sample(prompts, greedy)]
    served.should_exit = True
    thread.join()
    assert [reply.text.removesuffix("<|end|>") for reply in there] == [reply.text for reply in home]
    assert [(reply.truncated, len(reply.token_ids)) for reply in there] == [(reply.truncated, len(reply.token_ids)) for reply in home]
    assert [reply.text.endswith("<|end|>") for reply in there] == [not reply.truncated for reply in home] == [True, False]
