"""plugins/graphs.py: any right certificate counts, and nothing else does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from gallery import admitted, assert_attacks_find_nothing, assert_plays, environments, file, scores

import azr_core as azr

pytest.importorskip("networkx", reason="plugins/graphs.py needs networkx")

DIAMOND: dict[str, Any] = {"edges": [[0, 1, 1], [1, 2, 1], [0, 3, 1], [3, 2, 1], [2, 4, 1], [4, 0, 9]], "start": 0, "goal": 4}


def test_every_shortest_path_counts_and_no_other_walk() -> None:
    found = environments("graphs")["graphs/path"]
    task = admitted(found, **DIAMOND)
    assert task.question.splitlines() == ["0-1: 1", "0-3: 1", "0-4: 9", "1-2: 1", "2-3: 1", "2-4: 1", "from 0 to 4"]
    assert scores(found, task, ["0 1 2 4", " 0 3\n2 4 "]) == [1, 1]
    wrong = ["0 4", "4 2 1 0", "0 1 2", "1 2 4", "0 2 4", "0 1 0 1 2 4", "0 1 2 4 2 4", "0 1 2 9 4", "0 1 2 4 0 3 2 4"]
    assert scores(found, task, wrong) == [0] * len(wrong)
    unread = ["", "0-1-2-4", "0 1 2 04", "٠ 1 2 4", "0 1 2 4.", "[0, 1, 2, 4]", "0 1 2 -4", "9" * 5000]
    assert scores(found, task, unread) == ["unread"] * len(unread)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"goal": 2}, "fewer than three"),
        ({"goal": 0}, "fewer than three"),
        ({"goal": 9}, "no path"),
        ({"edges": [*DIAMOND["edges"], [1, 0, 5]]}, "twice"),
        ({"edges": [*DIAMOND["edges"], [5, 5, 5]]}, "itself"),
        ({"edges": [[0, 1, 1], [1, 2, 1], [3, 4, 1], [4, 5, 1]]}, "no path"),
    ],
)
def test_a_path_that_asks_for_nothing_is_no_task(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        admitted(environments("graphs")["graphs/path"], **DIAMOND | change)


def test_a_graph_is_one_task_however_its_edges_are_listed() -> None:
    found = environments("graphs")["graphs/path"]
    turned = [[v, u, weight] for u, v, weight in DIAMOND["edges"][::-1]]
    assert admitted(found, **DIAMOND | {"edges": turned}).key() == admitted(found, **DIAMOND).key()


def test_every_colouring_with_the_fewest_colours_counts() -> None:
    found = environments("graphs")["graphs/colouring"]
    task = admitted(found, edges=[[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]])
    assert task.question.endswith("3 colours")
    assert scores(found, task, ["0 1 0 1 2", "2 0 1 0 1"]) == [1, 1]
    assert scores(found, task, ["0 1 0 1 0", "0 1 2 3 4", "0 1 0 1", "0 1 0 1 2 0", "0 1 0 1 3"]) == [0] * 5


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ([[0, 1], [1, 2], [2, 3], [3, 0]], "two colours"),
        ([[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]], "its own"),
        ([[0, 1], [1, 2], [0, 2], [2, 5]], "gap"),
    ],
)
def test_a_colouring_that_asks_for_nothing_is_no_task(edges: list[list[int]], reason: str) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        admitted(environments("graphs")["graphs/colouring"], edges=edges)


def test_every_heaviest_matching_counts_and_greed_does_not() -> None:
    found = environments("graphs")["graphs/matching"]
    task = admitted(found, edges=[[0, 1, 5], [1, 2, 6], [2, 3, 5], [2, 4, 5]])
    assert scores(found, task, ["0-1 2-3", "2-3 0-1", "4-2 1-0"]) == [1] * 3
    wrong = ["1-2", "0-1 1-2", "0-1 0-1", "0-1 2-3 2-4", "0-1 2-3 5-6", "0-3 2-4", "0-1-2", "0-1 2-3-4", ""]
    assert scores(found, task, wrong) == [0] * len(wrong)
    assert scores(found, task, ["0-1, 2-3", "0-1 2-", "01 23", "0-1 2-٣"]) == ["unread"] * 4
    with pytest.raises(azr.InvalidTask, match="heaviest edge"):
        admitted(found, edges=[[0, 1, 5], [1, 2, 6], [2, 3, 5], [3, 4, 6]])


def test_without_its_library_graphs_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(azr.UsageError, match="python -m pip install networkx"):
        azr.load([file("graphs")])


def test_attacks_find_nothing_in_graphs(tmp_path: Path) -> None:
    assert_attacks_find_nothing("graphs", tmp_path)


def test_a_run_plays_graphs(tmp_path: Path) -> None:
    assert_plays("graphs", tmp_path)
