"""The trainer: master weights, optimiser and schedule around TRL's loop."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from azr_plugins_python.training import models  # first: it sets what the libraries read when they are imported

import torch  # isort: skip
from datasets import Dataset  # isort: skip
from transformers import PrinterCallback  # isort: skip
from trl import GRPOConfig  # isort: skip

import azr_core as azr
from azr_plugins_python.training import styles
from azr_plugins_python.training.crew import Follower, Lead, SharedPolicy, judging, together
from azr_plugins_python.training.learner import Learner
from azr_plugins_python.training.markers import prepare
from azr_plugins_python.training.options import TrainerOptions
from azr_plugins_python.training.ranks import Ended, Ranks
from azr_plugins_python.training.recipe import read_recipe
from azr_plugins_python.training.replay import ReplayTrainer, StepEnd
from azr_plugins_python.training.room import Budget, room_of
from azr_plugins_python.training.samplers import parity_of, policy_of
from azr_plugins_python.training.shape import Shape
from azr_plugins_python.training.sharding import Strategy, compute_in_bfloat16, confirm, strategy
from azr_plugins_python.training.sizes import Sizes
from azr_plugins_python.training.tokenized import TokenizedPolicy, wording_of
from azr_plugins_python.training.warmup import warm_up


class TrlTrainer(azr.Trainer):
    """Trains with GRPOTrainer (`replay`), samples with a copy in fast precision (`policy`). Of several processes rank 0 plays (`crew`).

    The master weights and the optimiser's state are float32; the update's arithmetic may be bfloat16 (autocast).
    """

    policy: TokenizedPolicy

    def __init__(self, options: TrainerOptions, config: azr.RunConfig) -> None:
        self.options, self.seed, self.temperature = options, config.seed, config.temperature
        if config.late_solves and options.importance == "none":
            raise azr.UsageError("late solves are of older weights; set trainer.importance = 'token_truncate', or late_solves = false")
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        cpu = options.device == "cpu" or not torch.cuda.is_available()
        self.strategy = strategy(cpu=cpu)
        self.wire = Ranks(cpu=cpu, timeout_s=options.ddp_timeout)
        self.wire.agree(config.model_dump_json() + options.model_dump_json())
        self.ranks = self.wire.count
        self.device = models.device_of(options.device)
        self.budget = self._budget(config)
        if options.check_memory:
            self.budget.check()
        with self.budget.spent("loading"):
            self._load(config)

    def _load(self, config: azr.RunConfig) -> None:
        self.learner = Learner(self.options, self.device, self.seed, learns=config.steps > 0, strategy=self.strategy)
        self.model, self.tokenizer = self.learner.model, self.learner.tokenizer
        self.optimizer, self.scheduler = self.learner.optimizer, self.learner.scheduler
        self.manner = {"prompt style": styles.told(self.options.model, config.style, offline=self.options.offline)}
        if changes := prepare(self.learner.core, self.tokenizer, config.style):
            self.manner["tokens"] = changes
        wording = wording_of(
            self.learner.core,
            self.tokenizer,
            style=config.style,
            prompt_tokens=config.prompt_tokens,
            thinking=self.options.thinking,
        )
        self.own = policy_of(self.options, self.learner, wording, self.budget.spent)
        self.policy = SharedPolicy(self.own, self.wire) if self.ranks > 1 else self.own
        self.parity = parity_of(self.options, self.learner, self.temperature)

    def _budget(self, config: azr.RunConfig) -> Budget:
        options = self.options
        shape = Shape.read(models.configuration(options.model, offline=options.offline))
        cpu = self.device.type == "cpu"
        total = None if cpu else torch.cuda.get_device_properties(self.device).total_memory
        precisions = (self._precision(options.sampling_dtype), self._precision(options.update_dtype))
        sizes = Sizes.of(options, config, precisions, cpu=cpu, total=total, ranks=self.ranks, strategy=self.strategy)
        ram = None if cpu else room_of(torch.device("cpu"))
        return Budget(options.model, str(self.device), shape, sizes, room_of(self.device), ram)

    def _precision(self, choice: str) -> str:
        return models.short(models.precision(choice, self.device))

    def fit(self, play: azr.Play, after: azr.After, first: int, last: int) -> None:
        if first <= last:
            self.wire.tell({"do": "fit", "first": first, "last": last})
            self._fit(Lead(self.wire, lambda step: play(self.policy, step), after), range(first, last + 1))

    def follow(self, judge: azr.Judge) -> None:
        follower = Follower(self.wire, self.own, judge, {"save": self.learner.save, "load": self._take})
        with suppress(Ended):
            while asked := follower.until("fit"):
                self._fit(follower, range(asked["first"], asked["last"] + 1))
        self.wire.leave()

    def judging(self, jobs: Sequence[azr.Job]) -> AbstractContextManager[azr.Answers | None]:
        return judging(self.wire, jobs)

    def close(self) -> None:
        self.wire.stop()

    def _fit(self, part: Lead | Follower, steps: range) -> None:
        with tempfile.TemporaryDirectory(prefix="azr-trl-") as folder:
            trainer = ReplayTrainer(
                lambda step: self._play(part, step),
                steps,
                self.options.micro_batch_tokens,
                pack=self.options.pack,
                cap=self.options.importance_cap if self.options.importance == "token_truncate" else None,
                deal=part.deal,
                ranks=self.wire,
                model=self.model,
                args=self._arguments(folder, len(steps)),
                train_dataset=Dataset.from_dict({"prompt": [""] * len(steps) * self.ranks}),
                processing_class=self.tokenizer,
                optimizers=(self.optimizer, self.scheduler),
            )
            confirm(self.strategy, trainer.accelerator)
            if self.strategy is Strategy.FSDP2 and self.learner.autocast:
                compute_in_bfloat16(trainer.accelerator)
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(StepEnd(trainer, part.after, self._show, self.learner.settle))
            with self.budget.spent("learning"), self.wire.unbroken():
                if self.parity.due(0) and not self.strategy.sharded:  # weights that will be divided still lie on the CPU
                    self.parity.probe(self.own, self.model)
                trainer.train()

    def _show(self, step: int, model: Any) -> dict[str, float]:
        """Show the new weights to the sampler, and see that they arrived. model: as it learns."""
        self.own.refresh()
        return self.parity.probe(self.own, model) if self.parity.due(step) else {}

    def _play(self, part: Lead | Follower, step: int) -> list[azr.Episode]:
        episodes = part.play(step)
        self.own.rest()
        return episodes

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
            ddp_timeout=int(options.ddp_timeout),
            ddp_find_unused_parameters=False,
            bf16=self.learner.autocast,
            gradient_checkpointing=options.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )

    def save(self, directory: Path) -> None:
        """The folder is also a transformers model, or an adapter that names its base."""
        with together(self.wire, "save", directory):
            self.learner.save(directory)

    def load(self, directory: Path) -> None:
        with together(self.wire, "load", directory):
            self._take(directory)

    def _take(self, directory: Path) -> None:
        self.learner.load(directory)
        self.own.refresh()

    def describe(self) -> Mapping[str, str]:
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return {
            "model": self.options.model,
            "parameters": f"{parameters / 1e6:.2f} M",
            "device": f"{self.device} ({torch.get_num_threads()} threads)" if self.device.type == "cpu" else str(self.device),
            "precision": f"weights {self.learner.kept}, sampling {self._precision(self.options.sampling_dtype)}, "
            f"update {self._precision(self.options.update_dtype)}",
            **({"ranks": f"{self.ranks} by {self.strategy.told}: {', '.join(self.wire.names)}"} if self.ranks > 1 else {}),
            **self.manner,
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
