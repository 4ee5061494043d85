"""Late solves: judged while the update runs, learned from in the next one, and kept beside the checkpoint until then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from azr_core.errors import RunError
from azr_core.types import Episode, Kind, Reply

FILE = "late.json"


def save(folder: Path, episodes: Sequence[Episode]) -> None:
    """Write down what the next update learns from; no file where there is nothing. Raises OSError."""
    if rows := [_row(episode) for episode in episodes if episode.trained]:
        (folder / FILE).write_text(json.dumps(rows))


def load(folder: Path) -> list[Episode]:
    """What the next update learns from, without verdicts and tasks: they are in the store. Raises RunError."""
    try:
        return [_episode(row) for row in json.loads((folder / FILE).read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        mend = f"remove {folder}, and --resume goes on from the checkpoint before it"
        raise RunError(f"{folder / FILE} cannot be read ({error}); {mend}") from None


def _row(episode: Episode) -> dict[str, Any]:
    reply = episode.reply
    return {
        "environment": episode.environment,
        "kind": episode.kind,
        "group": episode.group,
        "prompt_ids": list(reply.prompt_ids),
        "token_ids": list(reply.token_ids),
        "logprobs": list(reply.logprobs),
        "reward": episode.reward,
        "advantage": episode.advantage,
    }


def _episode(row: dict[str, Any]) -> Episode:
    """Texts are left out: a trainer learns from tokens."""
    reply = Reply("", tuple(row["prompt_ids"]), tuple(row["token_ids"]), tuple(row["logprobs"]))
    scores = {name: row[name] for name in ("reward", "advantage")}
    return Episode(row["environment"], Kind(row["kind"]), row["group"], "", reply, **scores)
