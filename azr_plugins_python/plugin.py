"""The plugin `python`: programs as tasks, run in a sandbox."""

from __future__ import annotations

from collections.abc import Sequence

import azr_core as azr
from azr_plugins_python.benchmarks import load_benchmarks
from azr_plugins_python.environments import make_environments, make_executor
from azr_plugins_python.options import Options
from azr_plugins_python.public import PUBLIC, Machine


@azr.hookimpl
def azr_environments(config: azr.RunConfig) -> Sequence[azr.Environment]:
    """Deduction, abduction, induction, and error if the options ask for it. Their verifiers share one executor, which closes with any."""
    options = azr.plugin_options(config, "python", Options)
    return make_environments(options, make_executor(options, config.accept_unsandboxed))


@azr.hookimpl
def azr_benchmarks(config: azr.RunConfig) -> Sequence[azr.Benchmark]:
    """Held-out programs, graded by the shipped rules whatever the run's options say; only the limits are the run's."""
    asked = azr.plugin_options(config, "python", Options)
    options = Options(cpu_s=asked.cpu_s, wall_s=asked.wall_s, memory_mb=asked.memory_mb, isolation=asked.isolation, slots=asked.slots)
    return load_benchmarks(make_environments(options, make_executor(options, config.accept_unsandboxed)))


@azr.hookimpl
def azr_public_benchmarks(config: azr.RunConfig) -> Sequence[azr.PublicBenchmark]:
    """CRUXEval, HumanEval and MBPP, the last two also with EvalPlus' tests."""
    machine = Machine(azr.plugin_options(config, "python", Options).slots, config.accept_unsandboxed)
    return [benchmark(machine) for benchmark in PUBLIC]
