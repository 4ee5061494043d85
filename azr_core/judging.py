"""Replies become verdicts: the two places where a bad reply is data. Anything else that is raised stops the run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from azr_core.envelope import Envelope
from azr_core.errors import FormatError
from azr_core.interfaces import Environment
from azr_core.types import Episode, Outcome, Proposal, Task, Verdict
from azr_core.verification import Verification


def judge_proposals(
    verification: Verification,
    environments: Mapping[str, Environment],
    envelope: Envelope,
    episodes: Sequence[Episode],
    references: Sequence[Sequence[Task]],
) -> None:
    """Fill in verdict and task of episodes that propose; references: what each was shown. One batch an environment."""
    batches: defaultdict[str, list[tuple[Episode, Proposal]]] = defaultdict(list)
    for episode, shown in zip(episodes, references, strict=True):
        try:
            proposal = environments[episode.environment].proposer.parse(envelope.open(episode.reply), shown)
        except FormatError as error:
            episode.verdict = Verdict(Outcome.MALFORMED, reason=str(error))
        else:
            episode.proposal = proposal
            batches[episode.environment].append((episode, proposal))
    for name, batch in batches.items():
        admissions = verification.admit(environments[name], [proposal for _, proposal in batch])
        for (episode, _), admission in zip(batch, admissions, strict=True):
            if isinstance(admission, Verdict):
                episode.verdict = admission
            else:
                episode.verdict, episode.task = Verdict(Outcome.ADMITTED, 1.0), admission


def judge_answers(
    verification: Verification,
    environments: Mapping[str, Environment],
    envelope: Envelope,
    episodes: Sequence[Episode],
    *,
    formless: bool = False,
) -> None:
    """Fill in the verdict of episodes that solve their task; formless: an answer counts wherever it stands. One batch an environment."""
    read = envelope.find if formless else envelope.open
    batches: defaultdict[str, list[tuple[Episode, tuple[Task, str]]]] = defaultdict(list)
    for episode in episodes:
        if episode.task is None:
            raise AssertionError(f"{episode.environment}: an answer without a task")
        try:
            answer = read(episode.reply)
        except FormatError as error:
            episode.verdict = Verdict(Outcome.MALFORMED, reason=str(error))
        else:
            batches[episode.environment].append((episode, (episode.task, answer)))
    for name, batch in batches.items():
        verdicts = verification.grade(environments[name], [pair for _, pair in batch])
        for (episode, _), verdict in zip(batch, verdicts, strict=True):
            episode.verdict = verdict
