"""plugins/sorting.py for tinker-cookbook 0.6, a ProblemEnv: its solver's half. There is no proposer, and so neither a gate nor seeds."""

import random
from collections.abc import Sequence
from functools import partial

import chz
from tinker_cookbook import renderers
from tinker_cookbook.rl.problem_env import ProblemEnv, ProblemGroupBuilder
from tinker_cookbook.rl.types import EnvGroupBuilder, RLDataset, RLDatasetBuilder
from tinker_cookbook.tokenizer_utils import get_tokenizer

SOLVE = "Task: sort these numbers from the smallest to the largest. The answer is the numbers alone, with spaces between them."


class SortingEnv(ProblemEnv):
    def __init__(self, numbers: Sequence[int], renderer: renderers.Renderer) -> None:
        super().__init__(renderer)
        self.numbers = numbers

    def get_question(self) -> str:
        return f"{SOLVE}\n\n{' '.join(map(str, self.numbers))}"

    def check_answer(self, sample_str: str) -> bool:
        return sample_str.split() == self.get_reference_answer().split()

    def check_format(self, sample_str: str) -> bool:
        return True

    def get_reference_answer(self) -> str:
        return " ".join(map(str, sorted(self.numbers)))


class SortingDataset(RLDataset):
    def __init__(self, batch_size: int, group_size: int, n_batches: int, renderer: renderers.Renderer, split: str) -> None:
        self.batch_size, self.group_size, self.n_batches = batch_size, group_size, n_batches
        self.renderer, self.split = renderer, split

    def get_batch(self, index: int) -> Sequence[EnvGroupBuilder]:
        rng = random.Random(f"{self.split} {index}")
        draws = [[rng.randint(-99, 99) for _ in range(rng.randint(2, 8))] for _ in range(self.batch_size)]
        return [ProblemGroupBuilder(partial(SortingEnv, numbers, self.renderer), self.group_size, "sorting") for numbers in draws]

    def __len__(self) -> int:
        return self.n_batches


@chz.chz
class SortingDatasetBuilder(RLDatasetBuilder):
    model_name: str
    renderer_name: str
    batch_size: int = 32
    group_size: int = 8
    n_batches: int = 100

    async def __call__(self) -> tuple[SortingDataset, SortingDataset]:
        renderer = renderers.get_renderer(self.renderer_name, tokenizer=get_tokenizer(self.model_name))
        train = SortingDataset(self.batch_size, self.group_size, self.n_batches, renderer, "train")
        return train, SortingDataset(200, 1, 1, renderer, "test")
