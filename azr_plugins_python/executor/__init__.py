"""The sandboxed executor: runs programs that nobody has read, and the values that go in and come out of them."""

from azr_plugins_python.executor.audit import FastLaneMismatch
from azr_plugins_python.executor.host import Executor, Isolation
from azr_plugins_python.executor.limits import Attempt, Call, Job, Limits, Protection, Result, SandboxUnavailable, Status, Value
from azr_plugins_python.executor.literals import LiteralError, parse_arguments, parse_literal, unwrap_call
from azr_plugins_python.executor.profiles import Profile
from azr_plugins_python.executor.sheets import expression_job, literal_job
from azr_plugins_python.executor.values import canonical, display, equal

__all__ = [
    "Attempt",
    "Call",
    "Executor",
    "FastLaneMismatch",
    "Isolation",
    "Job",
    "Limits",
    "LiteralError",
    "Profile",
    "Protection",
    "Result",
    "SandboxUnavailable",
    "Status",
    "Value",
    "canonical",
    "display",
    "equal",
    "expression_job",
    "literal_job",
    "parse_arguments",
    "parse_literal",
    "unwrap_call",
]
