"""Replays a self-play step through TRL's GRPOTrainer: one AdamW step over all trained episodes, token mean, PPO clip.

No body of TRL is copied. The difference from GRPO: the episodes come from the engine through TRL's `rollout_func`, their
advantages replace TRL's, and micro-batches are cut inside the loss, by tokens, instead of between fixed row counts. So any
number of rows makes an update, without filler rows and with little padding; only parity is padded, with rows that are
dropped before the loss.

The loss is summed over tokens and divided by the tokens of all trained episodes (`loss_type="dapo"`), skipped ones included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState
from trl import GRPOConfig, GRPOTrainer

import azr_core as azr

Rows = list[azr.Episode]
Tensors = dict[str, torch.Tensor]


class ReplayTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that asks `play` for each step's episodes.

    play: gives the episodes of a step. steps: the self-play steps of this fit. limit: tokens of a micro-batch.
    """

    def __init__(self, play: Callable[[int], Rows], steps: range, limit: int, **kwargs: Any) -> None:
        super().__init__(reward_funcs=[episode_reward], rollout_func=replayed, **kwargs)
        self.play, self.steps, self.limit = play, steps, limit
        self.rows: Rows = []
        self.update: dict[str, float] = {}
        self.started = 0.0

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Tensors:
        number = self.steps[self.state.global_step]
        episodes = self.play(number)
        self.started = time.perf_counter()
        # TRL shuffles rows with the global generator; a seed of its own makes a resumed run draw the same
        torch.manual_seed(azr.chance(self.args.seed, number, "update").getrandbits(63))
        trained = [episode for episode in episodes if episode.trained and len(episode.reply.token_ids)]
        silent = self.args.entropy_coef == 0
        self.rows = [episode for episode in trained if episode.advantage or not silent]
        self.update = {"tokens/trained": float(sum(len(row.reply.token_ids) for row in trained)), "train/rows": float(len(self.rows))}
        padded = max(2, len(self.rows) + len(self.rows) % 2)
        out: Tensors = super()._generate_and_score_completions([dict(inputs[0]) for _ in range(padded)])
        out = {name: tensor[: len(self.rows)] if tensor.ndim else tensor for name, tensor in out.items()}
        out["advantages"] = torch.tensor([row.advantage for row in self.rows], device=self.accelerator.device)
        out["num_items_in_batch"] = torch.tensor(self.update["tokens/trained"], device=self.accelerator.device)
        return out

    def _compute_loss(self, model: torch.nn.Module, inputs: Tensors) -> torch.Tensor:
        """Cut the update into micro-batches; all but the last are sent backward here, the last one by TRL."""
        total, entropy, clipped = 0.0, 0.0, 0.0
        loss = torch.zeros((), device=self.accelerator.device, requires_grad=True)  # no rows: no gradient, and AdamW does nothing
        tokens = max(1.0, float(inputs["completion_mask"].sum()))
        pieces = list(micro_batches(inputs, self.limit))
        for index, piece in enumerate(pieces):
            share = float(piece["tool_mask"].sum()) / tokens
            self.entropy_coef = self.args.entropy_coef * share  # TRL's bonus is a mean over the piece, ours over the update
            loss = super()._compute_loss(model, piece)
            total += float(loss.detach())
            entropy += share * self._metrics["train"]["entropy"][-1]
            clipped += share * self._metrics["train"]["clip_ratio/region_mean"][-1]
            if index + 1 < len(pieces):
                self.accelerator.backward(loss)
        self.update |= {"train/loss": total, "train/entropy": entropy, "train/clip_fraction": clipped}
        return loss

    def _clip_grad_norm(self, model: torch.nn.Module) -> Any:
        norm = super()._clip_grad_norm(model)
        self.update["train/grad_norm"] = float(norm)
        self.update["train/learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        return norm

    def forget(self) -> None:
        """Drop what TRL gathered for logs that are switched off."""
        self._metrics["train"].clear()
        self.rows, self._buffered_inputs = [], None


def replayed(prompts: Sequence[str], trainer: ReplayTrainer) -> dict[str, Any]:
    """TRL's `rollout_func`: the rows of this step, then one-token rows up to the even number that TRL wants."""
    filler = [trainer.processing_class.pad_token_id]
    missing = len(prompts) - len(trainer.rows)
    return {
        "prompt_ids": [list(row.reply.prompt_ids) for row in trainer.rows] + [filler] * missing,
        "completion_ids": [list(row.reply.token_ids) for row in trainer.rows] + [filler] * missing,
        "logprobs": None,
        "reward": [row.reward for row in trainer.rows] + [0.0] * missing,
    }


def episode_reward(completions: Sequence[str], reward: Sequence[float], **kwargs: Any) -> list[float]:
    """TRL's reward function: what the engine's shaper gave, for TRL's own logs."""
    return list(reward)


def micro_batches(inputs: Tensors, limit: int) -> Iterator[Tensors]:
    """Rows of like length, moved together and padded on the right only, at most `limit` cells a piece.

    TRL pads prompts on the left and replies on the right; sorting by the whole length then leaves much padding. Here a
    piece's `prompt` is what all its rows have of theirs, the `completion` the rest, and `tool_mask` marks reply tokens.
    """
    prompts, replies = inputs["prompt_mask"].sum(1), inputs["completion_mask"].sum(1)
    order = torch.argsort(prompts + replies, stable=True).tolist()
    lengths = (prompts + replies).tolist()
    piece: list[int] = []
    for row in order:
        if piece and (len(piece) + 1) * lengths[row] > limit:
            yield _joined(inputs, piece, prompts, replies)
            piece = []
        piece.append(row)
    if piece:
        yield _joined(inputs, piece, prompts, replies)


def _joined(inputs: Tensors, piece: list[int], prompts: torch.Tensor, replies: torch.Tensor) -> Tensors:
    width, split = int((prompts + replies)[piece].max()), int(prompts[piece].min())
    ids = inputs["prompt_ids"].new_zeros(len(piece), width)
    mask, scored = torch.zeros_like(ids), torch.zeros_like(ids)
    for place, row in enumerate(piece):
        begin, count = int(prompts[row]), int(replies[row])
        ids[place, :begin] = inputs["prompt_ids"][row, -begin:]
        ids[place, begin : begin + count] = inputs["completion_ids"][row, :count]
        mask[place, : begin + count] = 1
        scored[place, begin : begin + count] = 1
    return {
        "prompt_ids": ids[:, :split],
        "prompt_mask": mask[:, :split],
        "completion_ids": ids[:, split:],
        "completion_mask": mask[:, split:],
        "tool_mask": scored[:, split:],
        "advantages": inputs["advantages"][piece],
        "num_items_in_batch": inputs["num_items_in_batch"],
    }


class StepEnd(TrainerCallback):  # type: ignore[misc]
    """After each update: shows the new weights to the policy, tells `after`, and stops where it says so."""

    def __init__(self, trainer: ReplayTrainer, after: azr.After, moved: Callable[[], None]) -> None:
        self.trainer, self.after, self.moved = trainer, after, moved

    def on_step_end(self, args: GRPOConfig, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.moved()
        metrics = self.trainer.update | {"seconds/train": time.perf_counter() - self.trainer.started}
        self.trainer.forget()
        control.should_training_stop |= self.after(self.trainer.steps[state.global_step - 1], metrics)
