"""The trainer: master weights, optimiser and schedule around TRL's loop."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from azr_plugins_python.training import models  # first: it sets what the libraries read when they are imported

import torch  # isort: skip
from datasets import Dataset  # isort: skip
from safetensors import SafetensorError  # isort: skip
from transformers import PrinterCallback  # isort: skip
from trl import GRPOConfig  # isort: skip

import azr_core as azr
from azr_plugins_python.training.memory import Shape, Sizes
from azr_plugins_python.training.options import TrainerOptions
from azr_plugins_python.training.policy import TransformersPolicy
from azr_plugins_python.training.recipe import read_recipe
from azr_plugins_python.training.replay import ReplayTrainer, StepEnd
from azr_plugins_python.training.room import Budget, room_of
from azr_plugins_python.training.warmup import warm_up

STATE = "optimizer.pt"
SIZES = "azr.toml"


class TrlTrainer(azr.Trainer):
    """Trains with GRPOTrainer (`replay`), samples with a copy in fast precision (`policy`). One process, one device.

    The master weights and the optimiser's state are float32; the update's arithmetic may be bfloat16 (autocast).
    """

    policy: TransformersPolicy

    def __init__(self, options: TrainerOptions, config: azr.RunConfig) -> None:
        self.options, self.seed, self.temperature = options, config.seed, config.temperature
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        self.device = models.device_of(options.device)
        self.budget = self._budget(config)
        if options.check_memory:
            self.budget.check()
        with self.budget.spent("loading"):
            self._load(config)

    def _load(self, config: azr.RunConfig) -> None:
        options = self.options
        self.model, self.tokenizer = models.load(options.model, self.device, offline=options.offline)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=options.learning_rate, betas=options.betas, weight_decay=options.weight_decay, fused=True
        )
        warmup = options.warmup_steps
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / max(1, warmup)))
        self.policy = TransformersPolicy(
            self.model,
            self.tokenizer,
            dtype=models.precision(options.sampling_dtype, self.device),
            keep_end=config.style is azr.Style.COMPACT,
            prompt_tokens=config.prompt_tokens,
            spent=self.budget.spent,
        )

    def _budget(self, config: azr.RunConfig) -> Budget:
        options = self.options
        shape = Shape.read(models.configuration(options.model, offline=options.offline))
        sampling, update = (_short(models.precision(choice, self.device)) for choice in (options.sampling_dtype, options.update_dtype))
        sizes = Sizes.of(options, config, (sampling, update), cpu=self.device.type == "cpu")
        return Budget(options.model, str(self.device), shape, sizes, room_of(self.device))

    def fit(self, play: azr.Play, after: azr.After, first: int, last: int) -> None:
        steps = range(first, last + 1)
        if not steps:
            return
        with tempfile.TemporaryDirectory(prefix="azr-trl-") as folder:
            trainer = ReplayTrainer(
                lambda step: play(self.policy, step),
                steps,
                self.options.micro_batch_tokens,
                pack=self.options.pack,
                model=self.model,
                args=self._arguments(folder, len(steps)),
                train_dataset=Dataset.from_dict({"prompt": [""] * len(steps)}),
                processing_class=self.tokenizer,
                optimizers=(self.optimizer, self.scheduler),
            )
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(StepEnd(trainer, after, self.policy.refresh))
            with self.budget.spent("learning"):
                trainer.train()

    def _arguments(self, folder: str, steps: int) -> GRPOConfig:
        options = self.options
        return GRPOConfig(
            output_dir=folder,
            max_steps=steps,
            seed=self.seed,
            # one generation, one micro-step, one update: rows and micro-batches are cut in `replay`
            per_device_train_batch_size=2,
            num_generations=2,
            steps_per_generation=1,
            gradient_accumulation_steps=1,
            num_iterations=1,
            loss_type="dapo",
            beta=0.0,
            epsilon=options.clip,
            entropy_coef=options.entropy_coefficient,
            temperature=self.temperature,
            max_grad_norm=options.max_grad_norm,
            disable_dropout=True,
            use_cpu=self.device.type == "cpu",
            bf16=models.precision(options.update_dtype, self.device) is torch.bfloat16,
            gradient_checkpointing=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )

    def save(self, directory: Path) -> None:
        """The folder is also a transformers model, with the sizes that suit it. No random state: every step seeds its own."""
        sizes = Path(self.options.model) / SIZES
        state = {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}
        try:
            self.model.save_pretrained(directory)
            self.tokenizer.save_pretrained(directory)
            torch.save(state, directory / STATE)
            if sizes.is_file():
                shutil.copy(sizes, directory / SIZES)
        except (SafetensorError, RuntimeError) as error:  # what the libraries raise when the disk is full
            raise OSError(str(error).partition("\n")[0]) from error

    def load(self, directory: Path) -> None:
        try:
            state = torch.load(directory / STATE, map_location=self.device, weights_only=True)
        except FileNotFoundError:
            raise azr.RunError(f"{directory} holds no {STATE}; resume from a folder that a run has written") from None
        saved, _ = models.load(str(directory), self.device, offline=True)
        self.model.load_state_dict(saved.state_dict())
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.policy.refresh()

    def describe(self) -> Mapping[str, str]:
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return {
            "model": self.options.model,
            "parameters": f"{parameters / 1e6:.2f} M",
            "device": f"{self.device} ({torch.get_num_threads()} threads)" if self.device.type == "cpu" else str(self.device),
            "precision": f"weights float32, sampling {_short(self.policy.model.dtype)}, "
            f"update {_short(models.precision(self.options.update_dtype, self.device))}",
            "memory": self.budget.line(),
        }

    def warmup(self, documents: azr.Documents, out: Path, minutes: float, listener: azr.Listener) -> None:
        """A model is gone on with only if one was named; the embedded one is the default of runs, not of this."""
        named = Path(self.options.model)
        warm_up(
            read_recipe(Path(self.options.recipe)),
            documents,
            out,
            minutes,
            listener,
            model=named if "model" in self.options.model_fields_set else None,
            settings=named / "azr.toml",
            device=str(self.device),
        )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
