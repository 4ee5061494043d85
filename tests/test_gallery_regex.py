"""plugins/regex.py: patterns of anybody, in linear time; hidden strings decide."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gallery import admitted, assert_attacks_find_nothing, assert_plays, environments, file, scores

import azr_core as azr

pytest.importorskip("re2", reason="plugins/regex.py needs google-re2")

EXAMPLES = ["ab", "aab", "b", "a", "aaab", "aaaaab", "ba", "abb", "aba", "aaaaaab", "aaaab", "bab"]
NO_PATTERNS = ["(", "a{1001}", "((a{100}){100}){100}", "(?=a)a", r"(a)\1", "a" * 61, "ä", "a\nb", "\ud800", "(" * 5000, "\x00"]


def test_matches_are_found_from_left_to_right_without_overlap() -> None:
    found = environments("regex")["regex/deduction"]
    task = admitted(found, pattern="a|ab", text="abba")
    assert scores(found, task, ['["a", "a"]', ' ["a","a"]\n']) == [1, 1]
    assert scores(found, task, ['["ab", "a"]', '["a"]', '["a", "a", "a"]', "[]"]) == [0] * 4
    unread = ["", "a a", '[["a", "a"]]', "['a', 'a']", "null", "[" * 100_000, '["a", 1]', "\ud800"]
    assert scores(found, task, unread) == ["unread"] * len(unread)


@pytest.mark.parametrize(
    ("pattern", "text", "reason"),
    [("x", "abc", "nothing"), ("a*", "ba", "empty"), ("ab", "xab", "is the answer"), ("[ab]+", "ab", "is the answer"),
     ("a[b]", 'x["ab"]', "shows the answer"), ("(", "a", "RE2 does not take")],
)  # fmt: skip
def test_a_search_that_shows_its_answer_or_has_none_is_no_task(pattern: str, text: str, reason: str) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        admitted(environments("regex")["regex/deduction"], pattern=pattern, text=text)


def test_any_string_between_two_patterns_counts() -> None:
    found = environments("regex")["regex/abduction"]
    task = admitted(found, pattern="(ab|c)+d", avoid="cc", example="cabd", trap="ccd")
    assert scores(found, task, ["cabd", "abd", "cabcd", " abd\n"]) == [1] * 4
    assert scores(found, task, ["ccd", "abccd", "xabd", "abd abd", "(ab|c)+d", "d", "abd\x20d"]) == [0] * 7
    unread = ["", "  ", "abd\nabd", "abd\x00", "аbd", "abd" * 30]
    assert scores(found, task, unread) == ["unread"] * len(unread)


@pytest.mark.parametrize(
    ("pattern", "avoid", "example", "trap"),
    [
        ("(ab|c)+d", "cc", "ccd", "ccd"),  # the example does not solve it
        ("(ab|c)+d", "zz", "abd", "abd"),  # the second pattern matters to nobody
        ("[a-z]+", "cc", "abd", "ccd"),  # one letter is enough
        ("abd|ccd", "cc", "abd", "ccd"),  # the pattern shows the example
        (".*", "^c", "abd", "ccd"),  # the pattern matches itself
        ("(?=a)ab", "c", "ab", "ab"),  # RE2 has no look-around
    ],
)
def test_two_patterns_that_ask_for_nothing_are_no_task(pattern: str, avoid: str, example: str, trap: str) -> None:
    with pytest.raises(azr.InvalidTask):
        admitted(environments("regex")["regex/abduction"], pattern=pattern, avoid=avoid, example=example, trap=trap)


def test_a_pattern_must_hold_for_the_hidden_strings_too() -> None:
    found = environments("regex")["regex/induction"]
    task = admitted(found, pattern="a+b", strings=EXAMPLES)
    assert [line.partition(": ")[2] for line in task.question.splitlines()] == [f'"{text}"' for text in EXAMPLES[::2]]
    assert scores(found, task, ["a+b", "^aa*b$", "(?:a)+[b]", "a{1,}b", " a+b\n"]) == [1] * 5
    assert scores(found, task, ["ab|aaab|aaaab", ".*", "", "a*b", "a{1,4}b", "(a+)+$"]) == [0] * 6
    assert scores(found, task, NO_PATTERNS) == ["unread"] * len(NO_PATTERNS)


def test_examples_that_ask_for_nothing_are_no_task() -> None:
    found = environments("regex")["regex/induction"]
    for pattern, strings, reason in (
        ("a+b", EXAMPLES[:-1] + EXAMPLES[:1], "twice"),
        ("a*b*", ["a" * count for count in range(12)], "too many"),
        ("ab|aaab", EXAMPLES, "too few"),
        ("(", EXAMPLES, "RE2 does not take"),
    ):
        with pytest.raises(azr.InvalidTask, match=reason):
            admitted(found, pattern=pattern, strings=strings)


def test_the_hidden_strings_are_the_same_for_the_same_proposal() -> None:
    found = environments("regex")["regex/induction"]
    one, other = (admitted(found, pattern="a+b", strings=EXAMPLES) for _ in range(2))
    assert one == other and scores(found, one, ["a{1,7}b"]) == scores(found, other, ["a{1,7}b"])


def test_without_its_library_regex_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(azr.UsageError, match="python -m pip install google-re2"):
        azr.load([file("regex")])


def test_attacks_find_nothing_in_regex(tmp_path: Path) -> None:
    assert_attacks_find_nothing("regex", tmp_path)


def test_a_run_plays_regex(tmp_path: Path) -> None:
    assert_plays("regex", tmp_path)
