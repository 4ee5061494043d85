"""One warm-up's state: network, optimisers and progress, with its updates, its checkpoint and its held-out loss."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import azr_core as azr
from azr_plugins_python.training import models
from azr_plugins_python.training.network import Network, export
from azr_plugins_python.training.shards import Example, Makers, Press

GROUP = 8  # shards whose documents are mixed, at most
ADAM_BETAS = (0.9, 0.98)
MOMENTUM = 0.95
LOWEST_RATE = 0.02  # of the peak
MEMORY = 0.02  # of the running means
MAX_GRAD_NORM = 1.0


@dataclass
class Progress:
    """How far a warm-up is. seconds: wall time, of all its sessions. weight, loss: running means of a batch's loss weights and loss."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    weight: float = 0.0
    loss: float = 0.0
    read: list[int] = field(default_factory=list)


class Course:
    """Learns what a press encodes. Muon for the projections, AdamW for the rest, one rate for both."""

    def __init__(self, press: Press, weights: Mapping[str, Tensor], device: torch.device) -> None:
        recipe = press.recipe
        self.press, self.recipe, self.device, self.progress = press, recipe, device, Progress()
        self.network = Network(recipe.shape, weights, device, models.precision("auto", device))
        self.muon = torch.optim.Muon(self.network.matrices(), lr=1.0, weight_decay=0.0, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW(self.network.others(), lr=1.0, betas=ADAM_BETAS, weight_decay=0.0)

    def update(self, batch: Sequence[Example], time_share: float) -> None:
        """Learn from one batch. time_share: 0..1, of the time that has passed; it decides the rate."""
        progress = self.progress
        ids, weights = self._tensors(batch)
        total = float(weights.sum())
        memory = MEMORY if progress.step else 1.0
        progress.weight += memory * (total - progress.weight)  # the mean, not the batch's own, or the kinds' weights would mean little
        loss = (self._losses(ids) * weights).sum()
        mean = float(loss.detach()) / total
        if not np.isfinite(mean):
            raise azr.RunError(f"the loss of step {progress.step + 1} is {mean}; lower peak_rate in the recipe")
        (loss / progress.weight).backward()
        torch.nn.utils.clip_grad_norm_(list(self.network.weights.values()), MAX_GRAD_NORM)
        for optimizer in (self.muon, self.adam):
            for group in optimizer.param_groups:
                group["lr"] = self._rate(time_share)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress.loss += memory * (mean - progress.loss)
        progress.step += 1
        progress.tokens += sum(len(example.tokens) for example in batch)

    def _rate(self, time_share: float) -> float:
        recipe = self.recipe
        left = (1 - time_share) / (1 - recipe.decay_from)
        return recipe.peak_rate * min(1.0, (self.progress.step + 1) / recipe.rise_steps) * min(1.0, max(LOWEST_RATE, left))

    def _tensors(self, batch: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """ids [B, T] right-padded, and the loss weights of the targets [B, T - 1]."""
        width = max(len(example.tokens) for example in batch)
        ids: np.ndarray = np.zeros((len(batch), width), np.int64)
        weights: np.ndarray = np.zeros((len(batch), width), np.float32)
        for row, example in enumerate(batch):
            ids[row, : len(example.tokens)] = example.tokens
            weights[row, : example.prompt_length] = self.recipe.prompt_weight
            weights[row, example.prompt_length : len(example.tokens)] = self.recipe.weight(example.kind)
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(weights[:, 1:]).to(self.device)

    def _losses(self, ids_BT: Tensor) -> Tensor:
        """Nats of each target, [B, T - 1]."""
        logits = self.network(ids_BT[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), ids_BT[:, 1:].flatten(), reduction="none").view(len(ids_BT), -1)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def held_out(self, examples: Sequence[Example]) -> dict[str, float]:
        """Nats per reply token by environment/role."""
        sums: dict[str, list[float]] = defaultdict(list)
        for batch in cut(examples, self.recipe.batch_tokens, random.Random(0)):
            losses = self._losses(self._tensors(batch)[0])
            for row, example in enumerate(batch):
                sums[example.kind] += losses[row, example.prompt_length - 1 : len(example.tokens) - 1].tolist()
        return {kind: sum(values) / len(values) for kind, values in sorted(sums.items())}

    def batches(self, makers: Makers) -> Iterator[list[Example]]:
        """Batches without end: of shards that were not read yet, some at a time, and of read ones again while there is none."""
        makers.wait(1)
        while True:
            rng, read = random.Random(self.progress.step), self.progress.read
            fresh = [index for index in self.press.ready() if index not in read][:GROUP]
            chosen = fresh or rng.sample(read, min(GROUP, len(read)))
            examples = [example for index in chosen for example in self.press.read(index)]
            if not examples:
                raise azr.ConfigError(f"no document is as short as longest = {self.recipe.longest} tokens; raise it in the recipe")
            yield from cut(examples, self.recipe.batch_tokens, rng)
            read += fresh

    def resume(self, path: Path) -> None:
        """Take up a checkpoint if there is one."""
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        with torch.no_grad():
            for name, tensor in self.network.weights.items():
                tensor.copy_(state["weights"][name])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.progress = Progress(**state["progress"])

    def save(self, path: Path) -> None:
        """Write a checkpoint; a crash leaves the one before."""
        weights = {name: tensor.detach() for name, tensor in self.network.weights.items()}
        state = {"weights": weights, "muon": self.muon.state_dict(), "adam": self.adam.state_dict(), "progress": asdict(self.progress)}
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    def export(self, out: Path, scratch: Path) -> None:
        """Write the model's files to `out`, each at once."""
        asked, ids = self.recipe.tokenizer, self.press.tokenizer.get_vocab()
        export(self.network, scratch, end=ids[asked.end], pad=ids[asked.pad])
        for path in scratch.iterdir():
            os.replace(path, out / path.name)


def cut(examples: Sequence[Example], tokens: int, rng: random.Random) -> list[list[Example]]:
    """Batches of similar lengths and at most so many padded tokens, in random order."""
    grouped: list[list[Example]] = [[]]
    for example in sorted(examples, key=lambda one: (len(one.tokens), rng.random())):
        if grouped[-1] and len(example.tokens) * (len(grouped[-1]) + 1) > tokens:
            grouped.append([])
        grouped[-1].append(example)
    rng.shuffle(grouped)
    return grouped
