"""Replays a self-play step through TRL's GRPOTrainer: one AdamW step over all trained episodes, token mean, PPO clip.

No body of TRL is copied. The difference from GRPO: the episodes come from the engine through TRL's `rollout_func`, their
advantages replace TRL's, and micro-batches are cut inside the loss, by tokens, instead of between fixed row counts. So any
number of rows makes an update, without filler rows and with little padding; only parity is padded, with rows that are
dropped before the loss.

The loss is summed over tokens and divided by the tokens of all trained episodes (`loss_type="dapo"`), skipped ones included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState
from trl import GRPOConfig, GRPOTrainer

import azr_core as azr
from azr_plugins_python.training.packing import Exchange, Piece, packable, packed, pieces, score

Rows = list[azr.Episode]
Tensors = dict[str, torch.Tensor]
PerToken = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


class ReplayTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that asks `play` for each step's episodes.

    play: gives the episodes of a step. steps: the self-play steps of this fit. limit: tokens of a micro-batch.
    pack: compute a prompt once for its replies where the model allows it.
    """

    def __init__(self, play: Callable[[int], Rows], steps: range, limit: int, *, pack: bool, **kwargs: Any) -> None:
        super().__init__(reward_funcs=[episode_reward], rollout_func=replayed, **kwargs)
        self.play, self.steps, self.limit = play, steps, limit
        # a router's loss is a mean over cells, so it would change with the copies of a prompt
        self.share = pack and packable(self.model) and not self.aux_loss_enabled
        self.piece: Piece | None = None
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
        cut = list(pieces(packed(exchanges(inputs), share=self.share), self.limit))
        for index, piece in enumerate(cut):
            self.piece = piece.to(self.accelerator.device)
            share = len(piece.targets) / tokens
            self.entropy_coef = self.args.entropy_coef * share  # TRL's bonus is a mean over the piece, ours over the update
            loss = super()._compute_loss(model, self._rows_of(self.piece, inputs))
            total += float(loss.detach())
            entropy += share * self._metrics["train"]["entropy"][-1]
            clipped += share * self._metrics["train"]["clip_ratio/region_mean"][-1]
            if index + 1 < len(cut):
                self.accelerator.backward(loss)
        self.update |= {"train/loss": total, "train/entropy": entropy, "train/clip_fraction": clipped}
        return loss

    def _rows_of(self, piece: Piece, inputs: Tensors) -> Tensors:
        """What TRL's loss reads of a piece: one row a reply, without prompts."""
        ids = torch.zeros_like(piece.scored, dtype=torch.long).masked_scatter(piece.scored, piece.targets)
        return {
            "prompt_ids": ids[:, :0],
            "prompt_mask": ids[:, :0],
            "completion_ids": ids,
            "completion_mask": piece.scored.long(),
            "advantages": inputs["advantages"][piece.order],
            "num_items_in_batch": inputs["num_items_in_batch"],
        }

    def _get_per_token_logps_and_entropies(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> PerToken:
        """TRL's seam between the model and the loss: values of the piece at hand, [R, W] as its replies are."""
        assert self.piece is not None
        piece, routed = self.piece, {"output_router_logits": True} if self.aux_loss_enabled else {}
        with self.accelerator.autocast():
            scores = score(model, piece, share=self.share, **routed)
        logps, entropies = (
            torch.zeros_like(piece.scored, dtype=values.dtype).masked_scatter(piece.scored, values)
            for values in (scores.log_probs, scores.entropy)
        )
        return logps, entropies, scores.aux_loss

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


def exchanges(inputs: Tensors) -> list[Exchange]:
    """The rows of TRL's tensors, without their padding."""
    prompts, replies = inputs["prompt_mask"].sum(1).tolist(), inputs["completion_mask"].sum(1).tolist()
    rows = zip(inputs["prompt_ids"].tolist(), prompts, inputs["completion_ids"].tolist(), replies, strict=True)
    return [
        Exchange(index, tuple(prompt[len(prompt) - begin :]), tuple(reply[:count]))
        for index, (prompt, begin, reply, count) in enumerate(rows)
    ]


class StepEnd(TrainerCallback):  # type: ignore[misc]
    """After each update: shows the new weights to the policy, tells `after`, and stops where it says so."""

    def __init__(self, trainer: ReplayTrainer, after: azr.After, moved: Callable[[], None]) -> None:
        self.trainer, self.after, self.moved = trainer, after, moved

    def on_step_end(self, args: GRPOConfig, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.moved()
        metrics = self.trainer.update | {"seconds/train": time.perf_counter() - self.trainer.started}
        self.trainer.forget()
        control.should_training_stop |= self.after(self.trainer.steps[state.global_step - 1], metrics)
