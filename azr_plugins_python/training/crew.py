"""The ranks of a run at work: rank 0 plays and shares what there is to sample, judge and learn; the others do their part of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import azr_core as azr
from azr_plugins_python.training.decoding import Sample
from azr_plugins_python.training.lessons import Lesson, Rows, balanced
from azr_plugins_python.training.ranks import WELL, Handler, Message, Ranks, numbers, whole_numbers
from azr_plugins_python.training.tokenized import TokenizedPolicy


class SharedPolicy(TokenizedPolicy):
    """Samples and scores on all ranks: each takes prompts of like length, with a seed of its own, and its replies come back here."""

    def __init__(self, own: TokenizedPolicy, ranks: Ranks) -> None:
        super().__init__(own.wording)
        self.own, self.ranks = own, ranks

    def refresh(self) -> None:
        self.own.refresh()

    def draw(self, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int) -> Iterator[tuple[int, list[Sample]]]:
        mine, *others = balanced([len(row) + sampling.max_tokens for row in rows], self.ranks.count)
        messages = {rank: _sample(rank, [rows[index] for index in part], sampling, n) for rank, part in enumerate(others, 1) if part}
        with self.ranks.asked(messages) as answers:
            assert answers is not None
            for index, samples in self.own.draw([rows[index] for index in mine], sampling, n) if mine else ():
                yield mine[index], samples
            for rank, answer in zip(messages, answers(), strict=True):
                groups = [[Sample(*sample) for sample in group] for group in answer["groups"]]
                yield from zip(others[rank - 1], groups, strict=True)

    def score(self, rows: Sequence[Sequence[int]], top: int = 0) -> list[azr.Scores]:
        mine, *others = balanced([len(row) for row in rows], self.ranks.count)
        messages = {
            rank: {"do": "score", "rows": [whole_numbers(rows[index]) for index in part], "top": top}
            for rank, part in enumerate(others, 1)
            if part
        }
        with self.ranks.asked(messages) as answers:
            assert answers is not None
            found = dict(zip(mine, self.own.score([rows[index] for index in mine], top) if mine else (), strict=True))
            for rank, answer in zip(messages, answers(), strict=True):
                found |= zip(others[rank - 1], [azr.Scores(*scores) for scores in answer["scores"]], strict=True)
        return [found[index] for index in range(len(rows))]


def _sample(rank: int, rows: Sequence[Sequence[int]], sampling: azr.Sampling, n: int) -> Message:
    seed = azr.chance(sampling.seed, rank, "rank").getrandbits(62)
    asked = dataclasses.asdict(dataclasses.replace(sampling, seed=seed))
    return {"do": "sample", "rows": [whole_numbers(row) for row in rows], "sampling": asked, "n": n}


class Lead:
    """Rank 0 in a fit, or the only one: plays, deals, and tells when the step is over."""

    def __init__(self, ranks: Ranks, play: Callable[[int], Rows], after: azr.After) -> None:
        self.ranks, self.play, self._after = ranks, play, after

    def deal(self, lesson: Lesson, share: bool) -> Lesson:
        """This rank's part. From here to `after` all ranks are in the update."""
        if self.ranks.count == 1:
            return lesson
        mine, *others = lesson.dealt(self.ranks.count, share=share)
        self.ranks.held.acquire()
        for rank, part in enumerate(others, 1):
            self.ranks.send(rank, {"do": "learn", "lesson": part.told()})
        return mine

    def after(self, step: int, metrics: Mapping[str, float]) -> bool:
        if self.ranks.count > 1:
            self.ranks.held.release()
        stop = self._after(step, metrics)
        self.ranks.tell({"do": "next", "stop": stop})
        return stop


class Follower:
    """A rank above 0: what it answers between updates, and its place in a fit."""

    def __init__(self, ranks: Ranks, policy: TokenizedPolicy, judge: azr.Judge, keep: Mapping[str, Callable[[Path], None]]) -> None:
        self.ranks, self.policy, self.judge = ranks, policy, judge
        self.handlers: dict[str, Handler] = {"sample": self._draw, "score": self._score, "judge": self._judge}
        self.handlers |= {word: _in_folder(act) for word, act in keep.items()}

    def until(self, *words: str) -> Message:
        """Serve until rank 0 says one of these words."""
        return self.ranks.until(*words, handlers=self.handlers)

    def play(self, step: int) -> Rows:
        """Rank 0 plays; what comes of it comes with `deal`."""
        return []

    def deal(self, lesson: Lesson, share: bool) -> Lesson:
        return Lesson.read(self.until("learn")["lesson"])

    def after(self, step: int, metrics: Mapping[str, float]) -> bool:
        return bool(self.until("next")["stop"])

    def _draw(self, message: Message) -> Message:
        settings = message["sampling"]
        sampling = azr.Sampling(**{**settings, "stop": tuple(settings["stop"])})
        groups = dict(self.policy.draw(message["rows"], sampling, message["n"]))
        drawn = [groups[index] for index in range(len(groups))]
        return {"groups": [[[whole_numbers(s.token_ids), numbers(s.logprobs), s.finished] for s in group] for group in drawn]}

    def _score(self, message: Message) -> Message:
        found = self.policy.score(message["rows"], message["top"])
        return {"scores": [[numbers(scores.logprobs), [list(map(list, place)) for place in scores.likeliest]] for scores in found]}

    def _judge(self, message: Message) -> Message:
        return self.judge(message["job"])


def _in_folder(act: Callable[[Path], None]) -> Handler:
    def handler(message: Message) -> Message:
        act(Path(message["folder"]))
        return WELL

    return handler


@contextmanager
def judging(ranks: Ranks, jobs: Sequence[azr.Job]) -> Iterator[azr.Answers | None]:
    """See `Trainer.judging`."""
    with ranks.asked({rank: {"do": "judge", "job": job} for rank, job in enumerate(jobs, 1)}, patient=False) as answers:
        yield answers


def together(ranks: Ranks, word: str, folder: Path) -> AbstractContextManager[object]:
    """While entered, every rank does its part of saving or loading a checkpoint."""
    return ranks.asked({rank: {"do": word, "folder": str(folder)} for rank in ranks.others})
