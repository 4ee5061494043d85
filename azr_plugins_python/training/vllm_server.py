"""The sampler `server`: a `vllm serve` that runs elsewhere and reads the trainer's weights from a folder that both see."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import httpx2
import torch
from huggingface_hub import save_torch_state_dict

import azr_core as azr
from azr_plugins_python.training import models, vllm_support
from azr_plugins_python.training.decoding import Sample
from azr_plugins_python.training.tokenized import TokenizedPolicy, Wording

AT_ONCE = 128  # requests under way
READ_S, CONNECT_S = 1800.0, 10.0  # longest wait for a reply, and for a connection
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
BUSY = frozenset({429, 500, 502, 503, 504})  # worth another try
LOGPROBS = "processed_logprobs"  # at the temperature that was sampled at
NAME = "azr"  # of the model, where azr says the command


class Connection:
    """A server of vLLM. patience: seconds for which one that does not answer is asked again. start: the command that starts it."""

    def __init__(self, url: str, patience: float, start: str) -> None:
        self.url, self.patience, self.start = url, patience, start
        limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self.client = httpx2.Client(base_url=url, timeout=httpx2.Timeout(READ_S, connect=CONNECT_S), limits=limits, trust_env=False)
        weakref.finalize(self, self.client.close)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises UsageError for one that refuses, or that stays away longer than the patience."""
        pause, deadline = FIRST_PAUSE_S, time.monotonic() + self.patience
        while True:
            try:
                answer = self.client.request(method, path, json=body)
                if answer.status_code not in BUSY:
                    return self._read(path, answer)
                reason = f"{answer.status_code} {_brief(answer.text)}"
            except httpx2.TransportError as error:
                reason = f"{type(error).__name__}: {error}"
            if time.monotonic() + pause > deadline:
                raise self._lost(reason)
            time.sleep(pause)
            pause = min(LONGEST_PAUSE_S, 2 * pause)

    def _read(self, path: str, answer: httpx2.Response) -> Any:
        if answer.status_code == 404:
            raise azr.UsageError(f"{self.url}{path} is not served there; start the server with: {self.start}")
        if answer.is_error:
            raise azr.UsageError(f"{self.url}{path} refuses ({answer.status_code}): {_brief(answer.text)}")
        return answer.json() if answer.content else None

    def _lost(self, reason: str) -> azr.UsageError:
        return azr.UsageError(
            f"no vLLM answers at {self.url} for {self.patience:g} s ({reason}); nothing of this step is kept, the run goes on from "
            f"its last checkpoint with --resume; start a server with: {self.start}"
        )


class ServerPolicy(TokenizedPolicy):
    """Samples from a server; `refresh` writes the master's weights into `folder` and has the server read them.

    The folder is written before the server is looked for, as a whole model without tied weights: a server is started from it, and
    one that is started anew in the middle of a run has the newest weights.
    """

    def __init__(self, master: Any, wording: Wording, *, dtype: torch.dtype, url: str, folder: Path, patience: float) -> None:
        super().__init__(wording)
        self.master, self.dtype, self.folder = master, dtype, folder
        self.connection = Connection(url.rstrip("/"), patience, command(folder, url, dtype))
        self._write(described=True)
        self.model = str(self.connection.ask("GET", "/v1/models")["data"][0]["id"])
        check(self.connection, self.context)
        self._reload()

    def refresh(self) -> None:
        self._write()
        self._reload()

    def draw(self, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int) -> Iterator[tuple[int, list[Sample]]]:
        drawn, copies = vllm_support.counted(sampling, n)
        seeds = vllm_support.seeds(sampling, len(rows))
        asked = [self._request(row, drawn, sampling, seed) for row, seed in zip(rows, seeds, strict=True)]
        for index, choices in self._answers(asked):
            yield index, [_sample(choice) for choice in choices] * copies

    def score(self, rows: Sequence[Sequence[int]], top: int = 0) -> list[azr.Scores]:
        self.check(rows, 1)  # vLLM scores a prompt, and samples a token after it
        common = {"model": self.model, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": top}
        answers = dict(self._answers([{**common, "prompt": list(row)} for row in rows]))
        return [_scores(row, answers[index][0]["prompt_logprobs"], top) for index, row in enumerate(rows)]

    def _request(self, row: Sequence[int], n: int, sampling: azr.Sampling, seed: int) -> dict[str, Any]:
        return {
            "model": self.model,
            "prompt": list(row),
            "n": n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "max_tokens": sampling.max_tokens,
            "stop": list(sampling.stop),
            "stop_token_ids": sorted(self.ends),
            "ignore_eos": True,
            "seed": seed,
            "logprobs": 0,
            "return_token_ids": True,
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
        }

    def _answers(self, asked: Sequence[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Choices of each request, as they finish."""
        pool = ThreadPoolExecutor(max(1, min(AT_ONCE, len(asked))), "azr-sample")
        try:
            places: dict[Future[Any], int] = {
                pool.submit(self.connection.ask, "POST", "/v1/completions", body): index for index, body in enumerate(asked)
            }
            for future in as_completed(places):
                yield places[future], future.result()["choices"]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _write(self, *, described: bool = False) -> None:
        """Each file is replaced as a whole, the index last."""
        kept = {name: weight.to("cpu", copy=True) for name, weight in vllm_support.untied(self.master, self.dtype)}
        try:
            new = self.folder / ".new"
            new.mkdir(parents=True, exist_ok=True)
            if described:
                vllm_support.write_description(self.master, self.tokenizer, new)
            save_torch_state_dict(kept, new, max_shard_size="5GB")
            for path in sorted(new.iterdir(), key=lambda path: path.suffix == ".json"):
                path.replace(self.folder / path.name)
        except OSError as error:
            raise azr.UsageError(
                f"cannot write weights to trainer.server_folder = {str(self.folder)!r}: {error}; mend it, then --resume"
            ) from None

    def _reload(self) -> None:
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(self.folder)}}
        self.connection.ask("POST", "/collective_rpc", body)
        self.connection.ask("POST", "/reset_prefix_cache")


def check(connection: Connection, context: int | None) -> None:
    """Raises UsageError for a server whose version or settings are others than samplers need. context: what it must hold."""
    vllm_support.check_version(str(connection.ask("GET", "/version")["version"]), f"the server at {connection.url}")
    settings = connection.ask("GET", "/server_info?config_format=json")["vllm_config"]["model_config"]
    other = [] if settings.get("logprobs_mode") == LOGPROBS else [f"logprobs_mode = {settings.get('logprobs_mode')!r}"]
    length = settings.get("max_model_len")
    if context is not None and length is not None and length < context:
        other.append(f"max_model_len = {length}, less than the model's {context}")
    if other:
        raise azr.UsageError(f"the server at {connection.url} has {', '.join(other)}; start it with: {connection.start}")


def command(folder: Path, url: str, dtype: torch.dtype) -> str:
    """What starts the server that a run needs."""
    place = httpx2.URL(url)
    words = f"VLLM_SERVER_DEV_MODE=1 vllm serve {folder} --served-model-name {NAME} --host {place.host} --port {place.port or 80}"
    return f"{words} --dtype {models.short(dtype)} --logprobs-mode {LOGPROBS} --max-logprobs -1 --generation-config vllm"


def _brief(text: str) -> str:
    return " ".join(text.split())[:300]


def _sample(choice: dict[str, Any]) -> Sample:
    return Sample(list(choice["token_ids"]), list(choice["logprobs"]["token_logprobs"]), choice["finish_reason"] == "stop")


def _scores(row: Sequence[int], found: Sequence[dict[str, Any]], top: int) -> azr.Scores:
    pairs = list(zip(row[1:], found[1:], strict=True))
    ranked = [sorted(ranks.items(), key=lambda pair: pair[1]["rank"])[:top] for _, ranks in pairs]
    likeliest = [[(int(token), one["logprob"]) for token, one in ranks] for ranks in ranked]
    return azr.Scores([ranks[str(token)]["logprob"] for token, ranks in pairs], likeliest)
