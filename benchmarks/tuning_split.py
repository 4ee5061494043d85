"""A third held-out split of the Python tasks, for choosing settings such as a learning rate without looking at the benchmarks.

A plugin by path: `plugins = ["python", "benchmarks/tuning_split.py"]` with `evaluation.benchmarks = ["python/tuning"]`.
"""

from __future__ import annotations

from collections.abc import Sequence

import azr_core as azr
from azr_plugins_python import benchmarks
from azr_plugins_python.environments import make_environments, make_executor
from azr_plugins_python.generator import STATEMENT_COUNTS
from azr_plugins_python.options import Options
from azr_plugins_python.tasks import InductionTask, ProgramTask

TASKS = 200
SEED = 7_919


@azr.hookimpl
def azr_benchmarks(config: azr.RunConfig) -> Sequence[azr.Benchmark]:
    """Programs of the generator that are in no training and in no other benchmark, drawn with another seed."""
    options = Options()
    environments = make_environments(options, make_executor(options, config.accept_unsandboxed))
    shipped = [task for benchmark in benchmarks.load_benchmarks(environments) for tasks in benchmark.tasks.values() for task in tasks]
    taken = frozenset(benchmarks.fingerprint(task.program) for task in shipped if isinstance(task, (ProgramTask, InductionTask)))
    tasks = {environment.name: benchmarks.make_tasks(environment, STATEMENT_COUNTS, TASKS, taken, SEED) for environment in environments}
    return [azr.Benchmark("python/tuning", tasks, {environment.name: environment for environment in environments})]
