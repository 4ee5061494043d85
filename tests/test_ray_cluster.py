"""Verification on a Ray cluster: three nodes on this machine, one of which is unlike the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core.cluster import Cluster
from azr_core.connection import QUIET
from azr_core.desk import Address, encode
from azr_core.errors import UsageError
from azr_core.identity import identify
from azr_core.verification import Verification

HERE = Path(__file__).parent
STUMBLING, TOY = (str(HERE / f"{name}_plugin.py") for name in ("stumbling", "toy"))
SETTINGS = {
    **QUIET,
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # only the loopback interface
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "of-these-tests-only-0123456789abcdef",
}


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed: pip install 'azr[ray]'")]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of three nodes: the second may leave, the third has another fingerprint."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)  # Ray reads them when it is imported
        from ray.cluster_utils import Cluster as LocalCluster

        machine = {"num_cpus": 1, "object_store_memory": 80_000_000}
        cluster = LocalCluster(initialize_head=True, head_node_args={**machine, "include_dashboard": False})
        cluster.add_node(**machine, env_vars={"STUMBLING_MAY_LEAVE": "1"})
        cluster.add_node(**machine, env_vars={"STUMBLING_FINGERPRINT": "odd"})
        cluster.wait_for_nodes()
        yield cluster.address
        cluster.shutdown()


@dataclass
class Crew:
    """A verification on the cluster, and what it noted."""

    verification: Verification
    environment: azr.Environment
    plugins: azr.Plugins
    config: azr.RunConfig
    notes: list[str] = field(default_factory=list)

    def grade(self, *answers: str) -> list[azr.Verdict]:
        task = self.environment.task_type(question="hello", answer="hello")
        return self.verification.grade(self.environment, [(task, answer) for answer in answers])

    def close(self) -> None:
        self.verification.close()
        self.plugins.close()


def muster(address: str, plugin: str, name: str, log: Path | None = None) -> Crew:
    config = azr.RunConfig(plugins=(plugin,), verify_on=address, workers=1)
    plugins = azr.load([plugin])
    notes: list[str] = []
    verification = Verification(config, plugins, log, notes.append)
    return Crew(verification, plugins.environments(config)[name], plugins, config, notes)


@pytest.fixture(scope="module")
def crew(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    made = muster(address, STUMBLING, "toy/stumbling", tmp_path_factory.mktemp("ray") / "run.log")
    made.verification.start([made.environment])
    yield made
    made.close()


def test_a_node_with_another_fingerprint_is_refused_and_the_others_go_on(crew: Crew) -> None:
    (note,) = crew.notes
    assert "is refused: the fingerprint of toy/stumbling is 'odd' there and 'alike' here" in note and note.endswith("2 nodes left")
    assert crew.verification.describe([crew.environment])["verified on"].startswith("2 nodes of Ray")


def test_answers_keep_their_order_over_many_batches(crew: Crew) -> None:
    answers = ["hello" if number % 3 else "no" for number in range(300)]
    assert [verdict.score for verdict in crew.grade(*answers)] == [float(answer == "hello") for answer in answers]


def test_a_batch_whose_process_dies_is_sent_again(crew: Crew, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    verdicts = crew.grade(*["hello"] * 40, f"die {tmp_path / 'once'}", *["hello"] * 40)
    assert [v.outcome for v in verdicts] == [*[azr.Outcome.SOLVED] * 40, azr.Outcome.WRONG, *[azr.Outcome.SOLVED] * 40]
    assert "begins anew" in crew.notes[-1]
    assert capfd.readouterr() == ("", "")


def test_an_answer_that_always_ends_its_process_fails_alone(crew: Crew) -> None:
    verdicts = crew.grade("hello", "die", "no")
    assert [v.outcome for v in verdicts] == [azr.Outcome.SOLVED, azr.Outcome.FAILED, azr.Outcome.WRONG]


def test_a_bug_in_a_verifier_stops_the_run_names_the_task_and_is_logged(crew: Crew) -> None:
    with pytest.raises(azr.PluginError, match=r"toy/stumbling, grade of task .*: ZeroDivisionError: a bug"):
        crew.grade("hello", "bug")
    assert crew.verification._log and "ZeroDivisionError" in crew.verification._log.read_text()
    assert crew.grade("hello")[0].outcome is azr.Outcome.SOLVED


def test_a_node_over_its_time_gets_a_new_process_and_the_batch_is_sent_again(crew: Crew, tmp_path: Path) -> None:
    config = crew.config.model_copy(update={"verify_timeout": 0.01})
    task, notes = crew.environment.task_type(question="q", answer="a"), list[str]()
    cluster = Cluster(config, crew.plugins.names, identify(crew.plugins.listing(), [crew.environment]), note=notes.append, slack_s=4.0)
    answer = cluster.answer(encode(Address("", "toy/stumbling"), "grade", [(task, "a"), (task, f"hang {tmp_path / 'once'}")]))
    cluster.close()
    assert answer == {"results": [["score", 1.0], ["score", 0.0]]}
    assert "begins anew: no answer within" in notes[-1]


def test_verifiers_that_do_not_isolate_themselves_run_in_workers_of_the_nodes(address: str) -> None:
    crew = muster(address, TOY, "toy/sorting")
    kind = type(crew.environment.seeds[0])
    proposals = [kind.model_validate({"numbers": range(number % 5, 0, -1)}) for number in range(70)]
    assert crew.verification.admit(crew.environment, proposals) == Verification().admit(crew.environment, proposals)
    crew.close()


def test_programs_are_judged_as_on_this_machine(address: str) -> None:
    crew = muster(address, "python", "python/abduction")
    seeds = list(crew.environment.seeds)
    tasks = crew.verification.admit(crew.environment, seeds)
    assert tasks == Verification().admit(crew.environment, seeds)
    pairs: list[tuple[Any, str]] = [(task, answer) for task in tasks for answer in (task.answer, "(", "1", "'x', 2")]  # type: ignore[union-attr]
    assert crew.verification.grade(crew.environment, pairs) == Verification().grade(crew.environment, pairs)
    crew.close()


def test_a_plugin_that_the_nodes_lack_is_named(address: str, tmp_path: Path) -> None:
    path = tmp_path / "vanishing.py"
    path.write_text(Path(STUMBLING).read_text())
    crew = muster(address, str(path), "toy/stumbling")
    own = identify(crew.plugins.listing(), [crew.environment])
    path.rename(tmp_path / "elsewhere.py")
    with pytest.raises(UsageError, match=r"vanishing.py does not exist; .* no node of .* is left to verify on"):
        Cluster(crew.config, crew.plugins.names, own)
    crew.close()


def test_a_batch_of_a_node_that_leaves_is_judged_by_another(address: str) -> None:
    """The last test on this cluster: one of its nodes is gone after it."""
    crew = muster(address, STUMBLING, "toy/stumbling")
    verdicts = crew.grade(*["hello", "leave"] * 40)
    assert [v.outcome for v in verdicts] == [azr.Outcome.SOLVED, azr.Outcome.WRONG] * 40
    assert {v.outcome for v in crew.grade(*["hello"] * 100)} == {azr.Outcome.SOLVED}  # and Ray has found out that it left
    crew.close()
    assert "is lost" in crew.notes[-1] and crew.notes[-1].endswith("1 node left")
