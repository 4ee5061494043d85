"""Queries of SQLite: what a query returns, rows of which it returns a given result, a query from results. Needs the standard library only.

azr run --plugin plugins/sql.py
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

import azr_core as azr

# A query may have been written by anybody. It may read the tables of the task and nothing else, and is stopped after so many
# instructions, everywhere alike. Its SELECTs are few because SQLite puts one into another before the first instruction: sizes multiply.
LONGEST, SELECTS, INSTRUCTIONS, MOST_ROWS, MOST_CELLS, MOST_TEXT = 300, 3, 100_000, 12, 80, 40
LIMITS = {"LENGTH": 2_000, "COLUMN": 16, "EXPR_DEPTH": 20, "VDBE_OP": 5_000, "LIKE_PATTERN_LENGTH": 20, "ATTACHED": 0}
TOLD = ("The rows may stand in any order.", "The order of the rows counts.")
# No random(), no dates, nothing that depends on the order of rows (group_concat), on the machine or on the version.
CALLS = re.compile("abs|avg|coalesce|count|instr|length|like|lower|max|min|rank|replace|round|row_number|substr|sum|trim|upper", re.I)
READS = re.compile(r"(select|with)\b", re.I)
LAST_ORDER = re.compile(r"\border\s+by\b(?:[^()]|\([^()]*\))*$", re.I)
DATABASES, SHOWN = 8, 2  # of a query that is to be found
WORDS, GROUPS = ("ann", "ben", "cleo", "dan", "eve", "fay", "gus", "hal", "ida", "joe"), ("red", "blue", "green")

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,15}$")]
Cell = Annotated[int, Field(ge=-(10**6), le=10**6)] | Annotated[str, Field(max_length=20, pattern=r"^[ -~]*$")] | None
Rows = Annotated[tuple[tuple[Cell, ...], ...], Field(max_length=MOST_ROWS)]
Result = list[tuple[Any, ...]]
RESULT = TypeAdapter(list[tuple[int | float | str | None, ...]])
DATABASE = TypeAdapter(dict[str, Rows])


class Table(BaseModel):
    """A table without types: its cells are whole numbers, text and null."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    columns: tuple[Name, ...] = Field(min_length=1, max_length=5)
    rows: Rows


class Query(azr.Proposal):
    """A query and the tables that it is for."""

    tables: tuple[Table, ...] = Field(min_length=1, max_length=3)
    query: Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST)] = Field(description="one SELECT of SQLite")


def returned(tables: Sequence[Table], query: str, order: int) -> Result:
    """What a query returns, with rows stored in one of three orders. Raises InvalidTask."""
    if len(query) > LONGEST or not query.isascii() or not READS.match(query) or len(re.findall("select|values", query.lower())) > SELECTS:
        raise azr.InvalidTask(f"it is no SELECT of at most {LONGEST} characters of ASCII with at most {SELECTS} SELECTs in it")

    def allow(action: int, first: str | None, second: str | None, *rest: object) -> int:
        known = {sqlite3.SQLITE_READ: any(one.name == first for one in tables), sqlite3.SQLITE_FUNCTION: CALLS.fullmatch(str(second))}
        return sqlite3.SQLITE_OK if known.get(action, action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)) else sqlite3.SQLITE_DENY

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        for limit, most in LIMITS.items():
            database.setlimit(getattr(sqlite3, f"SQLITE_LIMIT_{limit}"), most)
        try:
            for table in tables:
                columns = ", ".join(f'"{column}"' for column in table.columns)
                database.execute(f'CREATE TABLE "{table.name}" ({columns})')
                rows = [table.rows, table.rows[::-1], sorted(table.rows, key=repr)][order]
                database.executemany(f'INSERT INTO "{table.name}" VALUES ({", ".join("?" * len(table.columns))})', rows)
            database.execute(f"PRAGMA reverse_unordered_selects = {order // 2}")
            database.set_authorizer(allow)
            database.set_progress_handler(lambda: 1, INSTRUCTIONS)
            found = database.execute(query).fetchmany(MOST_ROWS + 1)
        except (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError) as error:
            raise azr.InvalidTask(f"SQLite: {error or 'too large'}") from None
    return [tuple(map(_plain, row)) for row in found]


def _plain(cell: object) -> object:
    """A cell of a result: numbers to six decimals, 2.0 as 2."""
    if isinstance(cell, float) and abs(cell) < 1e15:
        cell = round(cell, 6)
        return int(cell) if cell.is_integer() else cell
    if cell is None or isinstance(cell, int) or (isinstance(cell, str) and cell.isascii() and len(cell) <= MOST_TEXT):
        return cell
    raise azr.InvalidTask(f"a cell of the result is no number and no text of at most {MOST_TEXT} characters of ASCII")


def result(tables: Sequence[Table], query: str) -> tuple[Result, bool]:
    """What a query returns, and whether the order of its rows counts. Raises InvalidTask where rows hang on how they are stored."""
    found, *others = (returned(tables, query, order) for order in range(3))
    if len(found) > MOST_ROWS or sum(map(len, found)) > MOST_CELLS:
        raise azr.InvalidTask(f"it returns more than {MOST_ROWS} rows or {MOST_CELLS} cells")
    if not all(same(other, found, False) for other in others):
        raise azr.InvalidTask("what it returns depends on the order in which rows are stored")
    return found, bool(LAST_ORDER.search(query)) and all(other == found for other in others)


def same(one: Result, other: Result, ordered: bool) -> bool:
    return one == other if ordered else Counter(one) == Counter(other)


def agrees(tables: Sequence[Table], query: str, wanted: tuple[Result, bool]) -> bool:
    """Whether a query returns the wanted result, however the rows are stored."""
    try:
        return all(same(returned(tables, query, order), *wanted) for order in range(3))
    except azr.InvalidTask:
        return False


def filled(tables: Sequence[Table], rows: dict[str, Any]) -> tuple[Table, ...]:
    return tuple(table.model_copy(update={"rows": rows.get(table.name, ())}) for table in tables)


def asked(proposal: Query) -> tuple[Result, bool]:
    """The result of a proposal. Raises InvalidTask where there is nothing to find out."""
    found = result(proposal.tables, proposal.query)
    if not found[0] or agrees(filled(proposal.tables, {}), proposal.query, found):
        raise azr.InvalidTask("it returns nothing, or the same without any rows")
    return found


def shown(tables: Sequence[Table], rows: bool = True) -> str:
    return "\n".join("\n".join([f"{one.name}({', '.join(one.columns)})", *map(json.dumps, one.rows * rows)]) for one in tables)


def admit_result(proposal: Query) -> tuple[str, str]:
    found, ordered = asked(proposal)
    question, answer = f"{shown(proposal.tables)}\n{TOLD[ordered]}\n{proposal.query}", json.dumps(found)
    if answer in question:
        raise azr.InvalidTask("the question shows the answer")
    return question, answer


def grade_result(task: azr.PosedTask[Query], answer: str) -> float:
    try:
        found = [tuple(map(_plain, row)) for row in RESULT.validate_json(answer, strict=True)]
    except (ValidationError, azr.InvalidTask):
        raise azr.FormatError("not a JSON list with a list of numbers, texts and nulls for each row") from None
    return float(same(found, *result(task.proposal.tables, task.proposal.query)))


def admit_rows(proposal: Query) -> tuple[str, str]:
    found, ordered = asked(proposal)
    question = f"{shown(proposal.tables, rows=False)}\nresult: {json.dumps(found)}\n{TOLD[ordered]}\n{proposal.query}"
    answer = json.dumps({table.name: table.rows for table in proposal.tables})
    copies = [filled(proposal.tables, {table.name: found}) for table in proposal.tables]
    if answer in question or any(agrees(copy, proposal.query, (found, ordered)) for copy in copies):
        raise azr.InvalidTask("the question shows the answer, or the result itself, as the rows of a table, is one")
    return question, answer


def grade_rows(task: azr.PosedTask[Query], answer: str) -> float:
    tables, query = task.proposal.tables, task.proposal.query
    try:
        rows = DATABASE.validate_json(answer, strict=True)
    except ValidationError:
        raise azr.FormatError(f"not a JSON object with a list of at most {MOST_ROWS} rows for each table") from None
    return float(set(rows) == {table.name for table in tables} and agrees(filled(tables, rows), query, result(tables, query)))


@lru_cache(256)
def databases(tables: tuple[Table, ...]) -> list[tuple[Table, ...]]:
    """The tables, and others whose cells are drawn from their columns: the same in every process."""
    rng = azr.chance(0, 0, json.dumps([table.model_dump() for table in tables]))

    def row(table: Table) -> tuple[Any, ...]:
        cells = [rng.choice(column) for column in zip(*table.rows, strict=True)]
        return tuple(cell + rng.choice((0, 0, 1)) if isinstance(cell, int) else cell for cell in cells)

    others = [filled(tables, {table.name: [row(table) for _ in table.rows] for table in tables}) for _ in range(DATABASES - 1)]
    return [tables, *others]


@lru_cache(256)
def wanted(proposal: Query) -> list[tuple[Result, bool]]:
    """What the query returns from each database. Raises InvalidTask."""
    found = [result(tables, proposal.query) for tables in databases(proposal.tables)]
    return [(rows, all(ordered for _, ordered in found)) for rows, _ in found]


def solves(query: str, proposal: Query, found: Sequence[tuple[Result, bool]]) -> bool:
    return all(agrees(tables, query, one) for tables, one in zip(databases(proposal.tables), found, strict=True))


def admit_query(proposal: Query) -> tuple[str, str]:
    asked(proposal)
    found = wanted(proposal)
    if len({json.dumps(rows) for rows, _ in found if rows}) < DATABASES // 2:
        raise azr.InvalidTask("with other rows it returns the same, or nothing")
    if any(solves(f'SELECT * FROM "{table.name}"', proposal, found) for table in proposal.tables):
        raise azr.InvalidTask("it returns a table as it is")
    pairs = list(zip(databases(proposal.tables), found, strict=True))[:SHOWN]
    parts = [f"{shown(tables)}\nresult: {json.dumps(rows)}" for tables, (rows, _) in pairs]
    return "\n\n".join([*parts, TOLD[found[0][1]]]), proposal.query


def grade_query(task: azr.PosedTask[Query], answer: str) -> float:
    return float(solves(answer.strip(), task.proposal, wanted(task.proposal)))


def draw(rng: random.Random) -> Query:
    name = rng.choice(("people", "boats", "teams", "shops"))
    word, group, number = rng.sample(("who", "kind", "size", "age", "cost", "at"), 3)
    rows = [(text, rng.choice(GROUPS), rng.randint(1, 30)) for text in rng.sample(WORDS, rng.randint(4, 7))]
    few, many = sorted(rng.sample(range(1, 30), 2))
    query = rng.choice((
        f"SELECT {word}, {number} % {few} FROM {name} WHERE {number} < {many}",
        f"SELECT {word} FROM {name} WHERE {group} = '{rng.choice(GROUPS)}' ORDER BY {number} DESC, {word}",
        f"SELECT {group}, {rng.choice(('sum', 'min', 'avg', 'count'))}({number}) FROM {name} GROUP BY {group}",
        f"SELECT a.{word}, b.{word} FROM {name} a JOIN {name} b ON a.{group} = b.{group} AND a.{number} < b.{number} - {few}",
        f"SELECT {word}, {number} FROM {name} WHERE {number} = (SELECT {rng.choice(('min', 'max'))}({number}) FROM {name})",
        f"SELECT DISTINCT {group} FROM {name} WHERE {number} BETWEEN {few} AND {many} ORDER BY {group}",
    ))  # fmt: skip
    return Query(tables=(Table(name=name, columns=(word, group, number), rows=tuple(rows)),), query=query)


PETS = Table(name="pets", columns=("name", "kind", "age"), rows=(("rex", "dog", 7), ("tom", "cat", 3), ("kit", "cat", 9), ("ada", "ox", 4)))
FOOD = Table(name="food", columns=("kind", "price"), rows=(("dog", 12), ("cat", 8), ("ox", 5)))
SEEDS = [
    Query(tables=(PETS,), query="SELECT name FROM pets WHERE age > 3 ORDER BY age, name"),
    Query(tables=(PETS, FOOD), query="SELECT p.name, f.price * p.age FROM pets p JOIN food f ON p.kind = f.kind WHERE f.price < 10"),
    Query(tables=(PETS,), query="SELECT kind, count(*) FROM pets GROUP BY kind"),
]
WRITE = "Task: write one or two small tables and a query of SQLite, which returns the same however rows are stored. Others must write "
WAYS = {
    "deduction": (admit_result, grade_result, "what the query returns, as a JSON list with a list for each row."),
    "abduction": (admit_rows, grade_rows, 'rows of which it returns the result, as JSON such as {"pets": [["rex", 7]], "food": []}.'),
    "induction": (admit_query, grade_query, "a query that returns these results, and the right ones of other rows, which are not shown."),
}
ENVIRONMENTS = [
    azr.environment(f"sql/{kind}", Query, admit=admit, grade=grade, seeds=SEEDS, draw=draw, propose=WRITE + say, solve=f"Task: write {say}")
    for kind, (admit, grade, say) in WAYS.items()
]


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return ENVIRONMENTS


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    return [azr.held_out(*ENVIRONMENTS, count=40)]
