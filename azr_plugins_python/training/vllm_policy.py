"""The sampler `vllm`: an engine of vLLM in the trainer's process, handed the trainer's weights after every update."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

import azr_core as azr
from azr_plugins_python.training import models, vllm_support
from azr_plugins_python.training.decoding import Sample
from azr_plugins_python.training.tokenized import TokenizedPolicy, Wording

# Read in parts, a prompt has its generator step back a draw, which torch's on a CPU cannot.
ON_PROCESSORS = {"enforce_eager": True, "enable_chunked_prefill": False}


class VllmPolicy(TokenizedPolicy):
    """Samples with a colocated vLLM; `refresh` hands it the master's weights without a file between.

    share: of the GPU's memory that vLLM may take. sleeps: it gives that memory to the update (`rest`); its weights come back with
    the next refresh. Both mean nothing on a CPU. device: where the master will be; None: it is there. spent: as in TransformersPolicy.
    """

    def __init__(
        self,
        master: Any,
        wording: Wording,
        *,
        dtype: torch.dtype,
        share: float,
        sleeps: bool,
        device: torch.device | None = None,
        spent: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        super().__init__(wording)
        vllm_support.require()
        import vllm

        self.vllm, self.master, self.dtype, self.spent = vllm, master, dtype, spent
        gpu = check_platform(device or master.device)
        self.sleeps, self.asleep = sleeps and gpu, False
        settings: dict[str, Any] = {"gpu_memory_utilization": share, "enable_sleep_mode": sleeps} if gpu else ON_PROCESSORS
        if azr.place().count > 1:  # an engine for each rank, in the process group that is there already
            settings = {**settings, "distributed_executor_backend": "external_launcher"}
        with tempfile.TemporaryDirectory(prefix="azr-vllm-") as folder, spent("loading"):
            vllm_support.write_description(master, wording.tokenizer, Path(folder))
            self.llm = vllm.LLM(
                folder,
                load_format="dummy",  # the weights come from the master
                dtype=models.short(dtype),
                max_model_len=wording.context,
                logprobs_mode="processed_logprobs",
                generation_config="vllm",
                max_logprobs=-1,
                disable_log_stats=True,
                **settings,
            )
        self.engine: Any = self.llm.llm_engine
        self.requests = itertools.count()
        self.finished: dict[str, Any] = {}
        self.refresh()

    def refresh(self) -> None:
        if self.asleep:
            self.llm.wake_up(tags=["weights"])
        weights = vllm_support.untied(self.master, self.dtype)
        with self.spent("loading"), torch.no_grad():
            self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
        if self.asleep:
            self.llm.wake_up(tags=["kv_cache"])
        self.asleep = False
        self.llm.reset_prefix_cache()

    def rest(self) -> None:
        if self.sleeps and not self.asleep:
            self.llm.sleep(level=2)
            self.asleep = True

    def draw(self, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int) -> Iterator[tuple[int, list[Sample]]]:
        drawn, copies = vllm_support.counted(sampling, n)
        asked = [self._parameters(sampling, seed, drawn) for seed in vllm_support.seeds(sampling, len(rows))]
        for index, output in self._outputs(rows, asked):
            yield index, [_sample(one) for one in output.outputs] * copies

    def score(self, rows: Sequence[Sequence[int]], top: int = 0) -> list[azr.Scores]:
        self.check(rows, 1)  # vLLM scores a prompt, and samples a token after it
        asked = self.vllm.SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=top, detokenize=False)
        outputs = dict(self._outputs(rows, [asked] * len(rows)))
        return [_scores(outputs[index], top) for index in range(len(rows))]

    def _parameters(self, sampling: azr.Sampling, seed: int, n: int) -> Any:
        return self.vllm.SamplingParams(
            n=n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=0,
            min_p=0.0,
            repetition_penalty=1.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop),
            stop_token_ids=sorted(self.ends),
            ignore_eos=True,  # the ends are all of them
            seed=seed,
            logprobs=0,  # of the sampled token alone
            flat_logprobs=True,
            detokenize=bool(sampling.stop),  # texts are made of the tokens, by the base
            skip_special_tokens=False,
            spaces_between_special_tokens=False,
            output_kind=self.vllm.sampling_params.RequestOutputKind.FINAL_ONLY,
        )

    def _outputs(self, rows: Sequence[Sequence[int]], asked: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Requests as they finish. Several such iterators may take turns: each step of the engine serves them all."""
        if self.asleep:
            self.refresh()
        waiting: dict[str, int] = {}
        try:
            for index, (row, parameters) in enumerate(zip(rows, asked, strict=True)):
                name = f"azr-{next(self.requests)}"
                waiting[name] = index
                self.engine.add_request(name, {"prompt_token_ids": list(row)}, parameters)
            while waiting:
                for name in [name for name in waiting if name in self.finished]:
                    yield waiting.pop(name), self.finished.pop(name)
                if waiting:
                    self._step()
        finally:
            if waiting:
                self.engine.abort_request(list(waiting))

    def _step(self) -> None:
        with self.spent("sampling"):
            self.finished |= {output.request_id: output for output in self.engine.step() if output.finished}


def check_platform(device: torch.device) -> bool:
    """Whether vLLM computes on GPUs. Raises UsageError where the trainer is elsewhere than vLLM's build can go."""
    from vllm.platforms import current_platform

    kind = str(current_platform.device_type)
    if kind != device.type:
        raise azr.UsageError(
            f"the vLLM here is built for {kind}, the trainer is on {device.type}; set trainer.device = {kind!r}, or install the other vLLM"
        )
    return kind != "cpu"


def _sample(output: Any) -> Sample:
    return Sample(list(output.token_ids), list(output.logprobs.logprobs), output.finish_reason == "stop")


def _scores(output: Any, top: int) -> azr.Scores:
    pairs = list(zip(output.prompt_token_ids[1:], output.prompt_logprobs[1:], strict=True))
    ranked = [sorted(found.items(), key=lambda pair: pair[1].rank)[:top] for _, found in pairs]
    likeliest = [[(token, one.logprob) for token, one in ranks] for ranks in ranked]
    return azr.Scores([found[token].logprob for token, found in pairs], likeliest)
