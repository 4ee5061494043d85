"""Shortest paths, colourings with the fewest colours, and heaviest matchings of small graphs. Every answer that is right counts.

python -m pip install networkx
azr run --plugin plugins/graphs.py
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import Field

import azr_core as azr

try:
    import networkx as nx
except ImportError as error:
    raise azr.UsageError("plugins/graphs.py needs networkx: python -m pip install networkx") from error

MOST = 10  # vertices, so that the fewest colours are found by trying
Vertex = Annotated[int, Field(ge=0, lt=MOST)]
Weight = Annotated[int, Field(ge=1, le=99)]


class Graph(azr.Proposal):
    """An undirected graph."""

    edges: tuple[tuple[Vertex, Vertex], ...] = Field(min_length=4, max_length=30, description="two vertices each")


class Weighted(azr.Proposal):
    """One whose edges have lengths or weights."""

    edges: tuple[tuple[Vertex, Vertex, Weight], ...] = Field(min_length=4, max_length=30, description="two vertices and a weight each")


class Route(Weighted):
    """A graph and where to go in it."""

    start: Vertex
    goal: Vertex


def built(proposal: Graph | Weighted) -> nx.Graph:
    """The graph of a proposal, the same however its edges are listed. Raises InvalidTask where it is no simple graph."""
    graph = nx.Graph()
    graph.add_weighted_edges_from(sorted((min(u, v), max(u, v), *(weight or [1])) for u, v, *weight in proposal.edges))
    if graph.number_of_edges() < len(proposal.edges):
        raise azr.InvalidTask("an edge stands there twice")
    if nx.number_of_selfloops(graph):
        raise azr.InvalidTask("an edge joins a vertex with itself")
    return graph


def shown(graph: nx.Graph) -> str:
    return "\n".join(f"{u}-{v}: {weight}" for u, v, weight in listed(graph))


def listed(graph: nx.Graph) -> list[tuple[int, int, int]]:
    """Edges in their order, the smaller vertex first."""
    return sorted((min(u, v), max(u, v), weight) for u, v, weight in graph.edges(data="weight"))


def numbers(words: Iterable[str]) -> list[int]:
    """Vertices of an answer. Raises FormatError."""
    found = list(words)
    if not found or not all(word.isascii() and word.isdecimal() and len(word) == 1 for word in found):
        raise azr.FormatError(f"not numbers of vertices: {' '.join(found)[:40]!r}")
    return [int(word) for word in found]


def admit_path(proposal: Route) -> tuple[str, str]:
    graph = built(proposal)
    if not {proposal.start, proposal.goal} <= set(graph) or not nx.has_path(graph, proposal.start, proposal.goal):
        raise azr.InvalidTask("no path leads there")
    best = min(nx.all_shortest_paths(graph, proposal.start, proposal.goal, weight="weight"))
    if len(best) < 4:
        raise azr.InvalidTask("the shortest path has fewer than three edges")
    return f"{shown(graph)}\nfrom {proposal.start} to {proposal.goal}", " ".join(map(str, best))


def grade_path(task: azr.PosedTask[Route], answer: str) -> float:
    graph, path, proposal = built(task.proposal), numbers(answer.split()), task.proposal
    right = (path[0], path[-1]) == (proposal.start, proposal.goal) and nx.is_simple_path(graph, path)
    return float(right and nx.path_weight(graph, path, "weight") == nx.dijkstra_path_length(graph, proposal.start, proposal.goal))


def coloured(graph: nx.Graph, colours: int) -> list[int] | None:
    """A colour for each vertex, in their order; None where there are too few."""
    order, given = sorted(graph), dict[int, int]()

    def extend() -> bool:
        if len(given) == len(order):
            return True
        vertex = order[len(given)]
        near = {given[other] for other in graph[vertex] if other in given}
        for colour in range(min(colours, max(given.values(), default=-1) + 2)):  # one new colour is as good as another
            if colour not in near:
                given[vertex] = colour
                if extend():
                    return True
                del given[vertex]
        return False

    return list(given.values()) if extend() else None


def admit_colouring(proposal: Graph) -> tuple[str, str]:
    graph = built(proposal)
    if sorted(graph) != list(range(len(graph))):
        raise azr.InvalidTask("the vertices must be 0, 1, 2 and so on, without a gap")
    fewest = next(found for colours in range(1, MOST + 1) if (found := coloured(graph, colours)))
    if not 2 < max(fewest) + 1 < len(graph):
        raise azr.InvalidTask("two colours are enough, or every vertex needs its own")
    edges = "\n".join(f"{u}-{v}" for u, v, _ in listed(graph))
    return f"{edges}\n{max(fewest) + 1} colours", " ".join(map(str, fewest))


def grade_colouring(task: azr.PosedTask[Graph], answer: str) -> float:
    graph, colours = built(task.proposal), numbers(answer.split())
    fits = len(colours) == len(graph) and max(colours) <= max(numbers(task.answer.split()))
    return float(fits and all(colours[u] != colours[v] for u, v in graph.edges))


def weigh(graph: nx.Graph, pairs: Sequence[Sequence[int]]) -> int:
    """Weight of a matching; -1 of what is none."""
    ends = [vertex for pair in pairs for vertex in pair]
    matches = len(ends) == len(set(ends)) and all(len(pair) == 2 and graph.has_edge(*pair) for pair in pairs)
    return sum(graph.edges[pair]["weight"] for pair in map(tuple, pairs)) if matches else -1


def admit_matching(proposal: Weighted) -> tuple[str, str]:
    graph = built(proposal)
    best = sorted(tuple(sorted(pair)) for pair in nx.max_weight_matching(graph))
    greedy: list[tuple[int, int]] = []
    for u, v, _ in sorted(listed(graph), key=lambda edge: -edge[2]):
        greedy += [(u, v)] if weigh(graph, [*greedy, (u, v)]) > 0 else []
    if weigh(graph, greedy) == weigh(graph, best):
        raise azr.InvalidTask("taking the heaviest edge that fits, again and again, is enough")
    return shown(graph), " ".join(f"{u}-{v}" for u, v in best)


def grade_matching(task: azr.PosedTask[Weighted], answer: str) -> float:
    graph = built(task.proposal)
    pairs = [numbers(pair.split("-")) for pair in answer.split()]
    return float(weigh(graph, pairs) == weigh(graph, [numbers(pair.split("-")) for pair in task.answer.split()]))


def pairs(rng: random.Random) -> list[tuple[int, int]]:
    """Edges of a random graph whose vertices are 0, 1, 2 and so on."""
    size = rng.randint(6, MOST)
    tree = [(rng.randrange(vertex), vertex) for vertex in range(1, size)]
    others = [(u, v) for v in range(size) for u in range(v) if (u, v) not in tree]
    names = rng.sample(range(size), size)  # or 0-1 would be an edge of every graph
    return [(names[u], names[v]) for u, v in tree + rng.sample(others, rng.randint(3, size))]


def draw(rng: random.Random) -> Graph:
    return Graph(edges=tuple(pairs(rng)))


def draw_weighted(rng: random.Random) -> Weighted:
    return Weighted(edges=tuple((u, v, rng.randint(1, 20)) for u, v in pairs(rng)))


def draw_route(rng: random.Random) -> Route:
    edges = draw_weighted(rng).edges
    start, goal = rng.sample(range(len({vertex for u, v, _ in edges for vertex in (u, v)})), 2)
    return Route(edges=edges, start=start, goal=goal)


WRITE = "Task: write a connected graph for others to solve by thinking. Make it neither trivial nor hopeless."
LADDER = ((0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 4, 1), (0, 4, 9), (1, 3, 5))
BARS = ((0, 1, 5), (1, 2, 6), (2, 3, 5), (3, 4, 1))
ENVIRONMENTS = [
    azr.environment(
        "graphs/path",
        Route,
        admit=admit_path,
        grade=grade_path,
        seeds=[Route(edges=LADDER, start=0, goal=4), Route(edges=LADDER, start=0, goal=3)],
        propose=f"{WRITE} The question is the shortest path between two vertices; it must have three edges or more.",
        solve="Task: find a shortest path; `0-1: 7` is an edge of length 7, both ways. The answer is its vertices, such as 0 3 1.",
        draw=draw_route,
    ),
    azr.environment(
        "graphs/colouring",
        Graph,
        admit=admit_colouring,
        grade=grade_colouring,
        seeds=[Graph(edges=((0, 1), (1, 2), (2, 3), (3, 4), (0, 4))), Graph(edges=((0, 1), (1, 2), (0, 2), (2, 3)))],
        propose=f"{WRITE} The question is a colouring with the fewest colours; two must not be enough.",
        solve="Task: colour the vertices with so many colours, 0, 1 and so on, so that no edge joins two of one colour. The answer is the "
        "colours of vertex 0, 1, 2 and so on, with spaces between them.",
        draw=draw,
    ),
    azr.environment(
        "graphs/matching",
        Weighted,
        admit=admit_matching,
        grade=grade_matching,
        seeds=[Weighted(edges=BARS), Weighted(edges=((0, 1, 4), (1, 2, 5), (2, 3, 4), (3, 4, 2)))],
        propose=f"{WRITE} The question is a matching of the greatest weight; taking the heaviest edge first must not lead to it.",
        solve="Task: choose edges of which no two share a vertex, with the greatest sum of weights; `0-1: 7` is an edge of weight 7. The "
        "answer is the edges, such as 0-1 2-3.",
        draw=draw_weighted,
    ),
]


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return ENVIRONMENTS


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    return [azr.held_out(*ENVIRONMENTS, count=100)]
