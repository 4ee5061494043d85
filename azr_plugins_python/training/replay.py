"""Replays a self-play step through TRL's GRPOTrainer: one AdamW step over all trained episodes, token mean, PPO clip.

No body of TRL is copied. The difference from GRPO: the episodes come from the engine through TRL's `rollout_func`, their
advantages replace TRL's, and micro-batches are cut inside the loss, by tokens, instead of between fixed row counts. So any
number of rows makes an update, without filler rows and with little padding; only parity is padded, with rows that are
dropped before the loss.

The loss is summed over tokens and divided by the tokens of all trained episodes (`loss_type="dapo"`), skipped ones included. With
several ranks each computes its part of the rows; a rank with fewer micro-batches than another computes fillers that weigh nothing,
so that all of them meet in the same collectives.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate.utils import DistributedType
from transformers import TrainerCallback, TrainerControl, TrainerState
from trl import GRPOConfig, GRPOTrainer

import azr_core as azr
from azr_plugins_python.training.importance import Importance
from azr_plugins_python.training.lessons import Lesson, Rows
from azr_plugins_python.training.meeting import meeting
from azr_plugins_python.training.packing import Exchange, Piece, laid_out, packable, packed, pieces, score
from azr_plugins_python.training.ranks import Ranks

Tensors = dict[str, torch.Tensor]
PerToken = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


class ReplayTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that asks `play` for each step's episodes, and `deal` for this rank's part of what they teach.

    play: gives the episodes of a step. deal: hears whether replies of one prompt are computed together. steps: the self-play steps of
    this fit. limit: tokens of a micro-batch. pack: compute a prompt once for its replies where the model allows it. cap: of importance
    weights; None: all weigh 1.
    """

    def __init__(
        self,
        play: Callable[[int], Rows],
        steps: range,
        limit: int,
        *,
        pack: bool,
        cap: float | None = None,
        deal: Callable[[Lesson, bool], Lesson] = lambda lesson, share: lesson,
        ranks: Ranks | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        **kwargs: Any,
    ) -> None:
        super().__init__(reward_funcs=[episode_reward], rollout_func=replayed, **kwargs)
        self.optimizer, self.lr_scheduler = optimizers  # not handed over: transformers refuses them where it will shard
        self.play, self.deal, self.steps, self.limit, self.cap = play, deal, steps, limit, cap
        self.ranks = ranks or Ranks(cpu=True, timeout_s=0.0)
        # a router's loss is a mean over cells, so it would change with the copies of a prompt
        self.share = pack and packable(self.model) and not self.aux_loss_enabled
        self.piece: Piece | None = None
        self.advantages = torch.zeros(0)  # [R, W] of the piece at hand
        self.importance = Importance(cap)
        self.lesson = Lesson([], 0, 0, 0, 0)
        self.update: dict[str, float] = {}
        self.started = 0.0

    @property
    def rows(self) -> Rows:
        """What this rank learns from in this step."""
        return self.lesson.rows

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Tensors:
        number = self.steps[self.state.global_step]
        episodes = self.play(number)
        self.started = time.perf_counter()
        self.lesson = self.deal(Lesson.of(episodes, silent=self.args.entropy_coef == 0), self.share)
        # TRL shuffles rows with the global generator; a seed of its own makes a resumed run draw the same
        torch.manual_seed(azr.chance(self.args.seed, number, "update").getrandbits(63))
        self.update = {"tokens/trained": float(self.lesson.tokens), "train/rows": float(self.lesson.count)}
        padded = max(2, self.lesson.most + self.lesson.most % 2)  # as many on every rank: TRL gathers what it logs
        out: Tensors = super()._generate_and_score_completions([dict(inputs[0]) for _ in range(padded)])
        out = {name: tensor[: len(self.rows)] if tensor.ndim else tensor for name, tensor in out.items()}
        out["advantages"] = torch.tensor([row.advantage for row in self.rows], device=self.accelerator.device)
        out["num_items_in_batch"] = torch.tensor(self.update["tokens/trained"], device=self.accelerator.device)
        return out

    def _compute_loss(self, model: torch.nn.Module, inputs: Tensors) -> torch.Tensor:
        """Cut the update into micro-batches; all but the last are sent backward here, the last one by TRL."""
        sums = [0.0, 0.0, 0.0]  # loss, entropy, clipped
        loss = torch.zeros((), device=self.accelerator.device, requires_grad=True)  # no rows: no gradient, and AdamW does nothing
        tokens, world = max(1, self.lesson.computed), self.ranks.count
        self.importance = Importance(self.cap)
        cut = self._passes(inputs)
        for index, piece in enumerate(cut):
            self.piece = piece.to(self.accelerator.device)
            share = len(piece.targets) / tokens if piece.order[0] < len(self.rows) else 0.0
            # TRL's bonus is a mean over the piece, ours over the update; gradients are averaged over ranks
            self.entropy_coef = self.args.entropy_coef * share * world
            last = index + 1 == len(cut)
            with meeting(self, model, last=last):
                loss = super()._compute_loss(model, self._rows_of(self.piece, inputs))
                if not last:
                    self.accelerator.backward(loss)
            logged = (self._metrics["train"][name][-1] for name in ("entropy", "clip_ratio/region_mean"))
            sums = [
                total + more for total, more in zip(sums, (float(loss.detach()) / world, *(share * one for one in logged)), strict=True)
            ]
        self.update |= zip(("train/loss", "train/entropy", "train/clip_fraction"), self.ranks.total(sums), strict=True)
        self.update |= self.importance.metrics(self.ranks.total, self.ranks.most)
        return loss

    def _passes(self, inputs: Tensors) -> list[Piece]:
        """This rank's micro-batches, and as many fillers as it has fewer than another: one row without advantage."""
        cut = list(pieces(packed(exchanges(inputs), share=self.share), self.limit))
        passes = int(self.ranks.most(len(cut)))
        if self.accelerator.distributed_type is DistributedType.DEEPSPEED:
            passes = max(1, passes)  # its engine knows no update without a loss of the model's
        missing = passes - len(cut)
        filler = (self.processing_class.pad_token_id,)
        return cut + [laid_out([[Exchange(len(self.rows), filler, filler)]])] * missing

    def _rows_of(self, piece: Piece, inputs: Tensors) -> Tensors:
        """What TRL's loss reads of a piece: one row a reply, without prompts."""
        ids = torch.zeros_like(piece.scored, dtype=torch.long).masked_scatter(piece.scored, piece.targets)
        advantages = torch.cat([inputs["advantages"], inputs["advantages"].new_zeros(1)])  # the last is a filler's
        self.advantages = advantages[piece.order][:, None].repeat(1, ids.shape[1])
        return {
            "prompt_ids": ids[:, :0],
            "prompt_mask": ids[:, :0],
            "completion_ids": ids,
            "completion_mask": piece.scored.long(),
            "advantages": self.advantages,
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
        # in place: TRL reads the advantages after this, and its ratio to itself is 1, so they carry the weights
        weights = self.importance.weigh(scores.log_probs.flatten(), piece.sampled)
        self.advantages *= torch.ones_like(self.advantages).masked_scatter(piece.scored, weights)
        return logps, entropies, scores.aux_loss

    def _clip_grad_norm(self, model: torch.nn.Module) -> Any:
        masters = getattr(getattr(self.optimizer, "optimizer", self.optimizer), "masters", None)  # of an optimiser on the CPU
        norm = super()._clip_grad_norm(model if masters is None else masters)
        self.update["train/grad_norm"] = float(norm or 0.0)
        self.update["train/learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        return norm

    def forget(self) -> None:
        """Drop what TRL gathered for logs that are switched off."""
        self._metrics["train"].clear()
        self.lesson, self._buffered_inputs = Lesson([], 0, 0, 0, 0), None


def replayed(prompts: Sequence[str], trainer: ReplayTrainer) -> dict[str, Any]:
    """TRL's `rollout_func`: the rows of this step, then one-token rows up to the even number that TRL wants."""
    filler = [trainer.processing_class.pad_token_id]
    missing = len(prompts) - len(trainer.rows)
    return {
        "prompt_ids": [list(row.reply.prompt_ids) for row in trainer.rows] + [filler] * missing,
        "completion_ids": [list(row.reply.token_ids) for row in trainer.rows] + [filler] * missing,
        "logprobs": [sampled(row.reply) for row in trainer.rows] + [[math.nan]] * missing,
        "reward": [row.reward for row in trainer.rows] + [0.0] * missing,
    }


def sampled(reply: azr.Reply) -> list[float]:
    """The sampler's log-probabilities of a reply; NaN where it gave none."""
    return list(reply.logprobs) if len(reply.logprobs) == len(reply.token_ids) else [math.nan] * len(reply.token_ids)


def episode_reward(completions: Sequence[str], reward: Sequence[float], **kwargs: Any) -> list[float]:
    """TRL's reward function: what the engine's shaper gave, for TRL's own logs."""
    return list(reward)


def exchanges(inputs: Tensors) -> list[Exchange]:
    """The rows of TRL's tensors, without their padding."""
    prompts, replies = inputs["prompt_mask"].sum(1).tolist(), inputs["completion_mask"].sum(1).tolist()
    columns = (inputs[name].tolist() for name in ("prompt_ids", "completion_ids", "sampling_per_token_logps"))
    return [
        Exchange(index, tuple(prompt[len(prompt) - begin :]), tuple(reply[:count]), tuple(logps[:count]))
        for index, (prompt, reply, logps, begin, count) in enumerate(zip(*columns, prompts, replies, strict=True))
    ]


class StepEnd(TrainerCallback):  # type: ignore[misc]
    """After each update: shows the new weights to the policy, tells `after`, and stops where it says so.

    moved: shows the weights, and says how that went. settle: called once, when model and optimiser have been prepared.
    """

    def __init__(
        self,
        trainer: ReplayTrainer,
        after: azr.After,
        moved: Callable[[int, Any], dict[str, float]],
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self.trainer, self.after, self.moved, self.settle = trainer, after, moved, settle

    def on_train_begin(self, args: GRPOConfig, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.settle()

    def on_step_end(self, args: GRPOConfig, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        step = self.trainer.steps[state.global_step - 1]
        shown = self.moved(step, self.trainer.model_wrapped)
        metrics = self.trainer.update | shown | {"seconds/train": time.perf_counter() - self.trainer.started}
        self.trainer.forget()
        control.should_training_stop |= self.after(step, metrics)
