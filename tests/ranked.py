"""Starts the ranks of a trainer or a run as a launcher would, from a server that has imported PyTorch once."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PATIENCE_S = 150.0
FSDP2 = {
    "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true", "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}  # fmt: skip
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["azr_plugins_python.training.trainer"])


@dataclass(frozen=True)
class Ended:
    """How a rank ended. code: its exit code. said: stdout and stderr."""

    code: int | None
    said: str


class Ranks:
    """Processes at work; `wait` ends those that are left after a while."""

    def __init__(
        self, folder: Path, count: int, work: Callable[..., None], *args: Any, environment: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.heard, ours = CONTEXT.Pipe(duplex=False)
        self.logs = [folder / f"rank-{rank}.log" for rank in range(count)]
        for log in self.logs:
            log.unlink(missing_ok=True)
        launched = {
            "OMP_NUM_THREADS": "1",
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        variables = [{**launched, "RANK": str(rank), "LOCAL_RANK": str(rank), **(environment or {})} for rank in range(count)]
        self.processes = [
            CONTEXT.Process(target=_rank, args=(variables[rank] if count > 1 else {}, self.logs[rank], ours, work, args))
            for rank in range(count)
        ]
        for process in self.processes:
            process.start()
        ours.close()

    def wait(self) -> list[Ended]:
        deadline = time.monotonic() + PATIENCE_S
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self.processes:
            if process.is_alive():
                process.kill()
            process.join()
        return [Ended(process.exitcode, log.read_text()) for process, log in zip(self.processes, self.logs, strict=True)]


def _rank(variables: Mapping[str, str], log: Path, told: Connection, work: Callable[..., None], args: Sequence[Any]) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
    os.environ |= variables
    import torch

    from azr_core.failures import failures_told

    torch.set_num_threads(1)
    with failures_told():
        work(told, *args)


def learn(told: Connection, model: str, out: str, options: Mapping[str, Any], resume: str = "") -> None:
    """Two updates from scripted episodes, or only the second after a checkpoint; rank 0 writes checkpoints and metrics."""
    import torch
    from torch.distributed.tensor import DTensor

    import azr_core as azr
    from azr_plugins_python.training import azr_trainer
    from azr_plugins_python.training.trainer import TrlTrainer

    _shard_on_cpus()
    scripts: list[list[list[Any]]] = options["scripts"]
    part = azr.Part.model_validate({"name": "trl", "model": model, **options["trainer"], **options.get(str(azr.place()), {})})
    made = azr_trainer(part, azr.RunConfig(plugins=("trl",), style=azr.Style.COMPACT))
    assert isinstance(made, TrlTrainer)
    if azr.place().rank:
        return made.follow(lambda job: {})
    seen: list[dict[str, Any]] = []

    def after(step: int, metrics: Mapping[str, float]) -> bool:
        folder = Path(out) / f"step-{step}"
        folder.mkdir(parents=True)
        made.save(folder)
        seen.append({**metrics, "sharded": any(isinstance(parameter, DTensor) for parameter in made.model.parameters())})
        return False

    def play(policy: azr.Policy, step: int) -> list[azr.Episode]:
        return [
            azr.Episode("toy/any", azr.Kind.SOLVE, "", "", azr.Reply("", prompt, reply), advantage=advantage)
            for prompt, reply, advantage in scripts[step - 1]
        ]

    if resume:
        made.load(Path(resume))
    with torch.no_grad():
        groups = made.policy.sample(["<|solve|>a longer one<|go|>", "<|solve|>x<|go|>", "<|go|>"], azr.Sampling(1.0, 8, seed=3), 2)
    assert [(len(group), len({reply.prompt_ids for reply in group})) for group in groups] == [(2, 1)] * 3
    made.fit(play, after, 2 if resume else 1, 2)
    (Path(out) / "metrics.json").write_text(json.dumps(seen))
    made.close()


def _shard_on_cpus() -> None:
    """accelerate shards on accelerators only, though FSDP works on CPUs too: let it."""
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    original = AcceleratorState.__init__

    def state(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        plugin = kwargs.get("fsdp_plugin")
        if plugin is not None and self.distributed_type is DistributedType.MULTI_CPU:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, plugin
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = state


def play(told: Connection, plugins: Sequence[str], settings: Mapping[str, Any], runs: str, resume: bool, fault: str = "") -> None:
    """A run named `one`, as the command plays it; rank 0 tells each step that is stored."""
    import azr_core as azr
    from azr_core import run
    from azr_core.failures import crashes_logged

    class Teller(azr.Listener):
        def step(self, report: azr.StepReport, total_steps: int, remaining_s: float | None) -> None:
            told.send(report.step)

    os.environ["RANKED_FAULT"] = fault
    if azr.place().rank == 1:
        _break(fault)
    request = run.Request(() if resume else tuple(plugins), settings, "one", Path(runs), resume)
    if azr.place().rank:
        run.follow(request)
    else:
        with crashes_logged(Path(runs) / "one" / "run.log"):
            run.start(request, Teller())


def _break(fault: str) -> None:
    """Let sampling or the update fail here."""
    from azr_plugins_python.training.policy import TransformersPolicy
    from azr_plugins_python.training.replay import ReplayTrainer

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError(f"a bug of the {fault}")

    if fault == "sampler":
        TransformersPolicy.draw = fail
    elif fault == "update":
        ReplayTrainer._rows_of = fail
