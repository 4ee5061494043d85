"""Hostile text and bytes against everything that reads them; `fuzz/targets.py` says what may come of it, `make fuzz` goes deeper."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).with_name("fuzz")))
from run import SAMPLES
from targets import TARGETS

MANY = settings(max_examples=2000, deadline=5_000, derandomize=bool(os.environ.get("CI")))  # the deadline is a hang, not a speed
TEXT = st.text(alphabet="()[]{}'\"#\\,:=*-+~ \n\t0179.eEjJnaifbrux_@\x00\ud800\uff11é", max_size=80).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
JSON = st.text(alphabet='[]{}":,0179eEsdtzfbc.-+naNulINfity\\u ', max_size=80).map(str.encode)
SHAPED = st.recursive(
    st.sampled_from(
        (
            "1",
            "-0",
            "null",
            "true",
            '""',
            '"\\ud800"',
            '{"f":"nan"}',
            '{"f":"-0.0"}',
            '{"b":"00"}',
            '{"c":["0","1"]}',
            "9" * 4300,
            "1e5",
            '{"f":1}',
        )
    ),
    lambda inner: st.builds(
        lambda form, items: form % ",".join(items),
        st.sampled_from(("[%s]", '{"t":[%s]}', '{"s":[%s]}', '{"z":[%s]}', '{"d":[[%s]]}', '{"f":%s}')),
        st.lists(inner, max_size=3),
    ),
    max_leaves=20,
).map(str.encode)
WORDS = (
    "def f(x):\n    ", "return ", "x", "f", "(", ")", "[", "]", "{", "}", ":", "=", ",", "lambda", "class A:\n    ", "\n", "    ",
    "f'{x}'", "'", "\"\"\"", "\\", "#", "async ", "yield ", "import os", "from m import *", "1", "0x", "1j", "...", "@", "*", "**", "->",
    "if ", "else ", "for ", " in ", "with ", "match x:\n case ", "del ", "global f", "\x00", "é", "ﬁ",
)  # fmt: skip
SOURCE = st.lists(st.sampled_from(WORDS), max_size=25).map(lambda parts: "".join(parts).encode())


@given(st.binary(max_size=80) | JSON | SHAPED)
@MANY
@example(b"[" * 60_000)
@example(b'{"s":[' * 200 + b"]}" * 200)
def test_any_payload_is_a_value_or_a_wire_error(raw: bytes) -> None:
    TARGETS["value"](raw)


@given(
    st.lists(
        st.binary(max_size=40) | st.builds(lambda head, body: bytes(8) + head + body, st.binary(min_size=3, max_size=3), SHAPED), max_size=5
    ).map(b"\xff\x00\xff".join)
)
@MANY
def test_any_messages_at_all_leave_every_call_one_typed_outcome(raw: bytes) -> None:
    TARGETS["answer"](raw)


@given(st.binary(max_size=80) | TEXT | st.builds(lambda text: b"f(" + text + b")", TEXT))
@MANY
@example(b"(" * 8000)
@example(b"-" * 8000 + b"1")
@example(b"'" * 8191)
@example(b"9" * 8000)
@example(b"{" * 64 + b"}" * 64)
@example("\u2028'\\N{BULLET}'".encode())
def test_any_text_is_a_literal_that_reads_back_or_a_literal_error(raw: bytes) -> None:
    TARGETS["literals"](raw)


@given(st.binary(max_size=60) | SOURCE | st.builds(lambda body: b"def f(x):\n    return " + body, TEXT))
@MANY
def test_any_text_is_a_program_that_can_be_described_or_no_task(raw: bytes) -> None:
    TARGETS["program"](raw)


def test_every_fuzz_target_has_samples_and_holds_them() -> None:
    assert SAMPLES.keys() == TARGETS.keys()
    for name, samples in SAMPLES.items():
        for sample in samples:
            TARGETS[name](sample.encode())
