"""What judging during sampling saves: the same steps with replies judged as their groups finish, and only when all are there.

python benchmarks/overlap.py [--steps 2] [--rounds 3] [--batch 64] [--n 8] [--model]

Replies are worked examples, right and wrong, handed out at a pace as a sampler on another device would, so that sampling takes as long as
judging: the best case, in which nearly half of the time goes. With `--model` also the embedded model, where both share the processor
and overlap must not cost. Rounds alternate, and the fastest of each way counts: whatever else the machine does only adds. It fails
where the two ways do not play the same episodes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import azr_core as azr
from azr_core import run
from azr_core.documents import documents
from azr_core.engine import Parts, SelfPlay
from azr_core.plugins import Plugins
from azr_core.run import Request
from azr_core.seeding import seed
from azr_core.types import Role, chance
from azr_core.verification import Verification

DOCUMENTS = 40  # a prompt of the batch: enough for proposals that mostly differ
Groups = Iterator[tuple[int, list[azr.Reply]]]


class Taught(azr.Policy):
    """Replies with worked examples: every other solve is another task's. pause_s: between groups."""

    def __init__(self, config: azr.RunConfig, plugins: Plugins, pause_s: float = 0.0) -> None:
        self.pause_s, self.groups = pause_s, 0
        self.proposals: dict[str, list[str]] = defaultdict(list)
        self.solutions: dict[str, str] = {}
        environments = list(plugins.environments(config).values())
        for document in islice(documents(environments, azr.Prompts(config.style), 0), DOCUMENTS * config.batch_size):
            if document.role is Role.PROPOSE:
                self.proposals[document.environment].append(document.reply)
            else:
                self.solutions[document.prompt] = document.reply

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        return [group for _, group in self.stream(prompts, sampling, n)]

    def stream(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> Groups:
        rng = chance(sampling.seed, 0, "replies")
        names, others = sorted(self.proposals), list(self.solutions.values())
        for index, prompt in enumerate(prompts):
            time.sleep(self.pause_s)
            self.groups += 1
            if prompt in self.solutions:
                texts = [rng.choice((self.solutions[prompt], rng.choice(others))) for _ in range(n)]
            else:  # proposals are asked for by environment, in the order of their names
                texts = [rng.choice(self.proposals[names[index * len(names) // len(prompts)]]) for _ in range(n)]
            yield index, [azr.Reply(text, (1,), (1,), (0.0,)) for text in texts]


class Whole(azr.Policy):
    """Another policy, which hands on nothing before all of it is there."""

    def __init__(self, inner: azr.Policy) -> None:
        self.inner, self.fits = inner, inner.fits  # type: ignore[method-assign]

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        return [group for _, group in sorted(self.inner.stream(prompts, sampling, n))]


def played(config: azr.RunConfig, plugins: Plugins, policy: azr.Policy, steps: int) -> tuple[list[azr.Episode], dict[str, float]]:
    """The episodes of a fresh loop's steps, and seconds by activity."""
    parts = Parts(plugins.environments(config), plugins.buffer(config), plugins.shaper(config), Verification(config, plugins))
    engine = SelfPlay(config, parts)
    seed(engine, policy)
    engine.clock.take()
    started = time.perf_counter()
    episodes = [episode for step in range(1, steps + 1) for episode in engine.step(policy, step)]
    return episodes, {"step": time.perf_counter() - started, **engine.clock.take()}


def compared(play: Callable[[azr.Policy], tuple[list[azr.Episode], dict[str, float]]], policy: azr.Policy, rounds: int) -> dict[str, float]:
    """Seconds of both ways, each its fastest round, and their ratio."""
    ways = {"overlapped": policy, "apart": Whole(policy)}
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    episodes: list[list[azr.Episode]] = []
    for number in range(rounds):
        for way in list(ways)[:: -1 if number % 2 else 1]:
            made, seconds = play(ways[way])
            episodes.append(made)
            found[way].append(seconds)
    assert all(made == episodes[0] for made in episodes), "the two ways played different episodes"
    best = {way: min(runs, key=lambda seconds: seconds["step"]) for way, runs in found.items()}
    figures = {f"{way}_{name}_s": round(value, 3) for way, seconds in best.items() for name, value in sorted(seconds.items())}
    return figures | {"ratio": round(best["overlapped"]["step"] / best["apart"]["step"], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("steps", 2), ("rounds", 3), ("batch", 64), ("n", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--model", action="store_true")
    arguments = parser.parse_args()
    settings = {"batch_size": arguments.batch, "probe_samples": arguments.n, "probes": "measure"}
    config, plugins = run.resolve(Request(("python",), settings))

    def play(policy: azr.Policy) -> tuple[list[azr.Episode], dict[str, float]]:
        return played(config, plugins, policy, arguments.steps)

    taught = Taught(config, plugins)
    play(taught)  # everything starts
    taught.groups = 0
    _, seconds = play(taught)
    taught.pause_s = (seconds["verify"] + seconds["verify_hidden"]) / taught.groups
    found = {"paced": compared(play, taught, arguments.rounds)}
    if arguments.model:
        found["model"] = compared(play, plugins.trainer(config).policy, arguments.rounds)
    plugins.close()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
