"""What learns: a model, the optimiser of that part of it which is trained, and their schedule; how they are kept in a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import PreTrainedModel

import azr_core as azr
from azr_plugins_python.training import adapters, models
from azr_plugins_python.training.optimisers import OffloadedAdamW
from azr_plugins_python.training.options import TrainerOptions
from azr_plugins_python.training.sharding import Strategy, spread_state, whole_state
from azr_plugins_python.training.weights import core, whole

STATE = "optimizer.pt"
SIZES = "azr.toml"


class Learner:
    """The model in one of three forms, by the options.

    All weights: float32 masters, which the update computes with under autocast, and the sampler has a copy. Adapters: a frozen base in
    the update's precision or in 4 bits, with float32 adapters. Offloaded: masters on the CPU, one copy in the update's precision.
    shared: the sampler takes the model itself. autocast: the update's arithmetic is narrower than the weights. learns: not only samples.
    """

    def __init__(
        self, options: TrainerOptions, device: torch.device, seed: int, *, learns: bool = True, strategy: Strategy = Strategy.ONE
    ) -> None:
        self.options, self.device, self.seed, self.learns, self.strategy = options, device, seed, learns, strategy
        self.waiting: Mapping[str, Any] | None = None  # an optimiser's state, until the ranks have divided the optimiser
        self.adapted = learns and options.lora_rank > 0
        self.offloaded = learns and options.offload_optimizer
        if learns:
            check(options, device)
            check_ranks(options, strategy)
        update = models.precision(options.update_dtype, device)
        self.dtype = update if self.adapted else torch.float32 if learns else models.precision(options.sampling_dtype, device)
        self.model, self.tokenizer = self._loaded()
        self.count = sum(parameter.numel() for parameter in self.trained)
        self.shared = not learns or self.adapted or self.offloaded
        self.autocast = update is torch.bfloat16 and not self.offloaded
        self.optimizer = self._optimizer(update)
        warmup = options.warmup_steps
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / max(1, warmup)))

    def _loaded(self) -> tuple[Any, Any]:
        """The model as it is trained; on the CPU first where the masters stay there."""
        options, place = self.options, torch.device("cpu") if self.offloaded or self.strategy.sharded else self.device
        folder = Path(options.model)
        if not adapters.holds(folder):
            model, tokenizer = self._read(options.model, place, quantise=self.adapted and options.quantise == "nf4")
        elif self.adapted and options.quantise == "nf4":
            raise azr.ConfigError(f"trainer.model = {options.model!r} is an adapter, which nf4 cannot be put on; azr export its run first")
        else:
            base, four_bit = adapters.base_of(folder)
            model, tokenizer = self._read(base, place, quantise=four_bit)
            model = adapters.put_on(model, folder, merge=self.learns)
        return adapters.wrap(model, options, self.seed) if self.adapted else model, tokenizer

    def _read(self, name: str, place: torch.device, *, quantise: bool) -> tuple[Any, Any]:
        more = {"quantization_config": adapters.quantisation(self.dtype), "device_map": {"": place}} if quantise else {}
        model, tokenizer = models.load(name, place, offline=self.options.offline, dtype=self.dtype, **more)
        adapters.keep_layout(model)
        return model, tokenizer

    def _optimizer(self, update: torch.dtype) -> torch.optim.Optimizer:
        options = self.options
        settings = {"lr": options.learning_rate, "betas": options.betas, "weight_decay": options.weight_decay}
        trained = self.trained if self.learns else [torch.nn.Parameter(torch.zeros(0))]  # never stepped
        if not self.offloaded:
            return torch.optim.AdamW(trained, fused=True, **settings)
        masters = [torch.nn.Parameter(parameter.detach(), requires_grad=True) for parameter in trained]
        self.model.to(self.device, update)
        return OffloadedAdamW(masters, trained, **settings)

    @property
    def trained(self) -> list[torch.nn.Parameter]:
        """What the optimiser moves."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    @property
    def kept(self) -> str:
        """In which precision the weights are kept, for people."""
        kept = models.short(self.dtype)
        if self.adapted:
            return f"{kept if self.options.quantise == 'none' else '4 bits (nf4)'} with float32 adapters"
        return f"{kept} on the CPU" if self.offloaded else kept

    @property
    def core(self) -> PreTrainedModel:
        """The transformers model."""
        return core(self.model)

    def form(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be gone on with. Offloading may differ: the state is the same."""
        whole = {"parameters": self.count, "lora_rank": 0}
        if not self.adapted:
            return whole
        options = self.options
        adapter = {"lora_rank": options.lora_rank, "lora_alpha": options.lora_alpha, "lora_targets": list(options.lora_targets)}
        return whole | adapter | {"quantise": options.quantise, "model": located(options.model)}

    def save(self, directory: Path) -> None:
        """A transformers model, or an adapter that names its base; with tokenizer, optimiser, schedule, and the sizes that suit it.

        No random state: every step seeds its own. Where there are ranks all of them save, and rank 0 writes; the files are those of
        one process, for any number of ranks to go on with. Raises OSError.
        """
        first = azr.place().rank == 0
        sizes = Path(self.options.model) / SIZES
        optimizer = self.optimizer.state_dict() if not self.strategy.sharded else None
        if self.strategy is Strategy.FSDP2:
            optimizer = whole_state(self.optimizer, keep=first)
        state = {"form": self.form(), "optimizer": optimizer, "scheduler": self.scheduler.state_dict()}
        weights = self._gathered(keep=first) if self.strategy.sharded else None
        if not first:
            return
        try:
            self._write(directory, weights)
            self.tokenizer.save_pretrained(directory)
            torch.save(state, directory / STATE)
            if sizes.is_file():
                shutil.copy(sizes, directory / SIZES)
        except (SafetensorError, RuntimeError) as error:  # what the libraries raise when the disk is full
            raise OSError(str(error).partition("\n")[0]) from error

    def _gathered(self, *, keep: bool) -> dict[str, torch.Tensor]:
        """All weights, on the CPU of ranks that keep them."""
        return {name: weight.cpu() for name, weight in whole(self.model) if keep}

    def _write(self, directory: Path, weights: Mapping[str, torch.Tensor] | None) -> None:
        if isinstance(self.model, PeftModel):
            adapters.write(self.model, located(self.options.model), directory)
        elif isinstance(self.optimizer, OffloadedAdamW):
            with self.optimizer.exposed():
                self.model.save_pretrained(directory)
        else:
            self.model.save_pretrained(directory, state_dict=weights)

    def load(self, directory: Path) -> None:
        """Read back what `save` wrote. Raises RunError for a checkpoint of another form."""
        try:
            place = "cpu" if self.offloaded or self.strategy.sharded else self.device
            state = torch.load(directory / STATE, map_location=place, weights_only=True)
        except FileNotFoundError:
            raise azr.RunError(f"{directory} holds no {STATE}; resume from a folder that a run has written") from None
        self._refuse_other(directory, state.get("form", self.form()))
        if state["optimizer"] is None or self.strategy.deepspeed:
            raise azr.RunError(f"{directory}: DeepSpeed keeps its optimiser to itself; start a new run from it with --model")
        if isinstance(self.model, PeftModel):
            adapters.read(self.model, directory)
        else:
            self._take(directory)
        self.scheduler.load_state_dict(state["scheduler"])
        if self.strategy.sharded:
            self.waiting = state["optimizer"]
        else:
            self.optimizer.load_state_dict(state["optimizer"])

    def settle(self) -> None:
        """The ranks have divided the optimiser: give each its part of what was read."""
        if self.waiting:
            spread_state(self.optimizer, self.waiting)
            self.waiting = None

    def _take(self, directory: Path) -> None:
        saved, _ = models.load(str(directory), torch.device("cpu"), offline=True)  # the device has no room for a second copy
        if isinstance(self.optimizer, OffloadedAdamW):
            with self.optimizer.exposed():
                self.model.load_state_dict(saved.state_dict())
            self.optimizer.show()
        else:
            self.model.load_state_dict(saved.state_dict())

    def _refuse_other(self, directory: Path, saved: Mapping[str, Any]) -> None:
        mine = self.form()
        changed = [
            f"{name} was {saved.get(name)!r}, is {mine.get(name)!r}"
            for name in sorted({*mine, *saved})
            if mine.get(name) != saved.get(name)
        ]
        if changed:
            raise azr.RunError(
                f"{directory} was written with other settings ({'; '.join(changed)}); "
                "resume with those, or start a new run from it with --model"
            )


def merge(checkpoint: Path, folder: Path) -> None:
    """Write an adapter's checkpoint as the model it stands for, float32 as runs that train all weights keep theirs."""
    base, four_bit = adapters.base_of(checkpoint)
    settings = {"quantization_config": adapters.quantisation(torch.float32), "device_map": {"": "cpu"}} if four_bit else {}
    model, tokenizer = models.load(base, torch.device("cpu"), offline=True, **settings)
    adapters.put_on(model, checkpoint, merge=True).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if (checkpoint / SIZES).is_file():
        shutil.copy(checkpoint / SIZES, folder / SIZES)


def check(options: TrainerOptions, device: torch.device) -> None:
    """Raises ConfigError for options that contradict each other."""
    if options.quantise != "none" and not options.lora_rank:
        raise azr.ConfigError(f"trainer.quantise = {options.quantise!r} freezes the weights; set trainer.lora_rank too, such as 32")
    if options.offload_optimizer and options.lora_rank:
        raise azr.ConfigError("trainer.offload_optimizer with trainer.lora_rank: adapters' optimiser is small and stays; leave one out")
    shared = options.lora_rank or options.offload_optimizer
    sampling, update = (models.precision(choice, device) for choice in (options.sampling_dtype, options.update_dtype))
    if shared and sampling is not update:
        raise azr.ConfigError("one copy of the weights learns and samples here; set trainer.sampling_dtype and trainer.update_dtype alike")


def check_ranks(options: TrainerOptions, strategy: Strategy) -> None:
    """Raises ConfigError for options that do not go with several ranks."""
    if strategy is not Strategy.ONE and options.offload_optimizer:
        raise azr.ConfigError("trainer.offload_optimizer works in one process; with several, let FSDP divide the optimiser (fsdp2.yaml)")
    if strategy.sharded and options.lora_rank:
        raise azr.ConfigError(f"trainer.lora_rank does not go with {strategy}, which divides the weights; use configs/accelerate/ddp.yaml")
    if strategy is not Strategy.ONE and options.sampler not in ("transformers", "vllm"):
        raise azr.ConfigError(f"trainer.sampler = {options.sampler!r} works in one process; with several, set transformers or vllm")


def located(model: str) -> str:
    """A model's name that stays true from anywhere: the whole path of a folder, else as it is."""
    return str(Path(model).resolve()) if Path(model).is_dir() else model
