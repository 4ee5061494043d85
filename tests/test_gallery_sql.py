"""plugins/sql.py: queries of anybody read the task's tables, and do nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from gallery import admitted, assert_attacks_find_nothing, assert_plays, environments, scores

import azr_core as azr

PETS: dict[str, Any] = {
    "name": "pets",
    "columns": ["name", "kind", "age"],
    "rows": [["rex", "dog", 7], ["tom", "cat", 3], ["kit", "cat", 9], ["ada", "ox", 4]],
}
OLD = "SELECT name FROM pets WHERE age > 3 ORDER BY age, name"
KINDS = "SELECT kind, count(*) FROM pets GROUP BY kind"
HOSTILE = {
    "more than one statement": "SELECT name FROM pets; DROP TABLE pets",
    "a write": "WITH a AS (SELECT 1) DELETE FROM pets",
    "a drop": "DROP TABLE pets",
    "a pragma": "PRAGMA writable_schema = 1",
    "a pragma as a table": "SELECT name FROM pragma_table_info('pets')",
    "another database": "ATTACH 'stolen.db' AS stolen",
    "a file written": "VACUUM INTO 'stolen.db'",
    "an extension": "SELECT load_extension('evil'), name FROM pets",
    "a file read": "SELECT readfile('/etc/passwd'), name FROM pets",
    "a tokenizer": "SELECT fts3_tokenizer('simple'), name FROM pets",
    "the schema": "SELECT name FROM sqlite_master",
    "a plan": "EXPLAIN SELECT name FROM pets",
    "the version": "SELECT sqlite_version(), name FROM pets",
    "chance": "SELECT random() FROM pets",
    "the time": "SELECT CURRENT_TIMESTAMP, name FROM pets",
    "a date": "SELECT date('now'), name FROM pets",
    "what was written before": "SELECT total_changes(), name FROM pets",
    "rows without end": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r, pets",
    "a text that doubles": "WITH r(n) AS (SELECT 'ab' UNION ALL SELECT n || n FROM r) SELECT n FROM r, pets",
    "a large join": "SELECT count(*) FROM " + ", ".join(["pets"] * 12),
    "a large text": "SELECT printf('%.*c', 1000000000, 'x'), name FROM pets",
    "a large blob": "SELECT hex(zeroblob(1000000000)), name FROM pets",
    "brackets": "SELECT " + "(" * 120 + "1" + ")" * 120 + " FROM pets",
    "expressions in each other": "SELECT a+a+a+a a FROM (SELECT a+a+a+a a FROM (SELECT a+a+a+a a FROM (SELECT age a FROM pets)))",
    "parts of parts": "WITH a AS (SELECT 1 FROM pets), b AS (SELECT 1 FROM a, a, a), c AS (SELECT 1 FROM b, b, b) SELECT 1 FROM c, c",
    "a limit without an order": "SELECT name FROM pets LIMIT 2",
    "a tie": "SELECT name FROM pets ORDER BY kind = 'cat' DESC LIMIT 1",
    "a column of some row": "SELECT kind, name FROM pets GROUP BY kind",
    "texts in some order": "SELECT group_concat(name) FROM pets",
    "numbers of rows": "SELECT name, row_number() OVER () FROM pets",
    "infinity": "SELECT 9e999, name FROM pets",
    "bytes": "SELECT x'00ff', name FROM pets",
    "bytes as text": "SELECT CAST(x'ff' AS TEXT), name FROM pets",
    "a NUL": "SELECT name\x00 FROM pets",
    "no ASCII": "SELECT name FROM pets WHERE name <> 'é'",
    "too long": "SELECT name FROM pets WHERE " + "age > 1 AND " * 30 + "age > 2",
    "many rows": "SELECT a.name FROM pets a JOIN pets b",
    "nonsense": "SELECT FROM WHERE",
    "no rows": "SELECT name FROM pets WHERE age > 90",
    "no need of rows": "SELECT 1",
}  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_query_is_neither_a_task_nor_an_answer(query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, found in environments("sql").items():
        with pytest.raises((azr.InvalidTask, azr.FormatError)):
            admitted(found, tables=[PETS], query=query)
        if name == "sql/induction":
            task = admitted(found, tables=[PETS], query=OLD)
            assert scores(found, task, [query]) == [0]
    assert not list(tmp_path.iterdir())


def test_a_result_counts_as_rows_or_as_a_sequence_as_the_query_says() -> None:
    found = environments("sql")["sql/deduction"]
    ordered, free = (admitted(found, tables=[PETS], query=query) for query in (OLD, KINDS))
    assert "The order of the rows counts." in ordered.question and "any order" in free.question
    assert scores(found, ordered, ['[["ada"], ["rex"], ["kit"]]', '[["rex"], ["ada"], ["kit"]]']) == [1, 0]
    assert scores(found, free, ['[["ox", 1], ["cat", 2.0], ["dog", 1]]', '[["ox", 1], ["cat", 2]]']) == [1, 0]
    doubled = '[["ox", 1], ["ox", 1], ["cat", 2], ["dog", 1]]'
    assert scores(found, free, [doubled, '[["ox", "1"], ["cat", 2], ["dog", 1]]', "[]"]) == [0] * 3
    unread = ["", KINDS, '[["ox", true], ["cat", 2], ["dog", 1]]', "[" * 100_000, '{"rows": []}', "\ud800", "9" * 5000, "[[[]]]"]
    assert scores(found, free, unread) == ["unread"] * len(unread)


def test_numbers_count_to_six_decimals() -> None:
    found = environments("sql")["sql/deduction"]
    task = admitted(found, tables=[PETS], query="SELECT sum(age) / 3.0, avg(age) * 4 FROM pets")
    assert task.answer == "[[7.666667, 23]]"
    assert scores(found, task, ["[[7.6666666667, 23.0]]", "[[7.67, 23]]", "[[NaN, 23]]", "[[1e400, 23]]"])[:2] == [1, 0]


def test_any_rows_that_bring_the_result_count() -> None:
    found = environments("sql")["sql/abduction"]
    task = admitted(found, tables=[PETS], query=OLD)
    assert "rex" in task.question and '"dog"' not in task.question
    right = ['{"pets": [["ada", 0, 4], ["rex", 0, 7], ["kit", 0, 9]]}', '{"pets": [["kit", null, 6], ["rex", "", 5], ["ada", 1, 5]]}']
    assert scores(found, task, right) == [1, 1]
    wrong = ["{}", '{"pets": []}', '{"pets": [["ada"], ["rex"], ["kit"]]}', '{"pets": [["ada", 0, 4]], "more": []}']
    wrong += ['{"pets": [["rex", 0, 4], ["ada", 0, 7], ["kit", 0, 9]]}', '{"Pets": [["ada", 0, 4], ["rex", 0, 7], ["kit", 0, 9]]}']
    assert scores(found, task, wrong) == [0] * len(wrong)
    unread = ["", '[["ada"]]', '{"pets": [["ada", 0, 1e9]]}', '{"pets": [["ada", 0, 99999999999999999999]]}', '{"pets": null}', "\ud800"]
    assert scores(found, task, [*unread, f'{{"pets": {[["a", 0, 4]] * 13}}}'.replace("'", '"')]) == ["unread"] * 7
    with pytest.raises(azr.InvalidTask, match="result itself"):
        admitted(found, tables=[PETS], query="SELECT * FROM pets")


def test_rows_must_bring_the_result_however_they_are_stored() -> None:
    found = environments("sql")["sql/abduction"]
    task = admitted(found, tables=[PETS], query="SELECT name FROM pets ORDER BY age DESC LIMIT 1")
    assert scores(found, task, ['{"pets": [["kit", 0, 9], ["rex", 0, 9]]}', '{"pets": [["kit", 0, 9], ["rex", 0, 8]]}']) == [0, 1]


def test_a_query_must_hold_for_hidden_rows_too() -> None:
    found = environments("sql")["sql/induction"]
    task = admitted(found, tables=[PETS], query=OLD)
    assert OLD not in task.question and task.question.count("result: ") == 2
    same = ["select p.name from pets as p where not p.age <= 3 order by p.age, p.name;", f" {OLD}\n", f"{OLD} -- so"]
    assert scores(found, task, same) == [1] * 3
    wrong = ["SELECT name FROM pets", "SELECT 'ada' UNION ALL SELECT 'rex' UNION ALL SELECT 'kit'", OLD.replace("age, name", "name"), ""]
    wrong += ["SELECT name FROM pets WHERE name IN ('ada', 'rex', 'kit') ORDER BY age, name", OLD.replace("name FROM", "name, age FROM")]
    assert scores(found, task, wrong) == [0] * len(wrong)


def test_a_query_that_tells_nothing_is_no_task() -> None:
    found = environments("sql")["sql/induction"]
    with pytest.raises(azr.InvalidTask, match="a table as it is"):
        admitted(found, tables=[PETS], query="SELECT name, kind, age FROM pets")
    with pytest.raises(azr.InvalidTask, match="the same, or nothing"):
        admitted(found, tables=[PETS], query="SELECT count(*) FROM pets")


@pytest.mark.parametrize(
    "change",
    [{"name": "sqlite_x"}, {"columns": ["name", "name", "age"]}, {"columns": ["name"]}, {"name": 'a"b'}, {"columns": ["a) --", "b", "c"]}],
    ids=str,
)
def test_tables_that_are_none_are_refused(change: dict[str, Any]) -> None:
    for found in environments("sql").values():
        with pytest.raises((azr.InvalidTask, azr.FormatError)):
            admitted(found, tables=[PETS | change], query="SELECT * FROM pets")


def test_this_sqlite_is_one_that_the_plugin_was_written_for() -> None:
    assert sqlite3.sqlite_version_info >= (3, 38)


def test_attacks_find_nothing_in_sql(tmp_path: Path) -> None:
    assert_attacks_find_nothing("sql", tmp_path)


def test_a_run_plays_sql(tmp_path: Path) -> None:
    assert_plays("sql", tmp_path)
