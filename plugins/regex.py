"""Regular expressions in RE2's syntax, which match in linear time: what matches, a string that matches, a pattern for examples.

python -m pip install google-re2
azr run --plugin plugins/regex.py
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

import azr_core as azr

try:
    import re2
except ImportError as error:
    raise azr.UsageError("plugins/regex.py needs google-re2: python -m pip install google-re2") from error

LONGEST = 60  # characters of a pattern or a string
MUTANTS = 4  # hidden strings that are made of each given one
FEWEST = 4  # hidden strings of either sort
MEMORY = 1 << 20  # bytes that a compiled pattern may take
Text = Annotated[str, Field(max_length=LONGEST, pattern=r"^[ -~]*$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST, pattern=r"^[ -~]*$")]
Pattern = Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"^[!-~]([ -~]*[!-~])?$")]
Matches = TypeAdapter(list[str])


class Matching(azr.Proposal):
    """What a pattern finds in a text."""

    pattern: Pattern
    text: Line


class Between(azr.Proposal):
    """A string that one pattern matches and another does not; trap: what both match, so that the second matters."""

    pattern: Pattern = Field(description="must match the whole string")
    avoid: Pattern = Field(description="must not match anywhere in it")
    example: Pattern = Field(description="a string that solves it")
    trap: Text = Field(description="a string that `pattern` matches as a whole and in which `avoid` matches too")


class Language(azr.Proposal):
    """A pattern that is to be found from examples."""

    pattern: Pattern = Field(description="must match whole strings")
    strings: tuple[Text, ...] = Field(min_length=8, max_length=24, description="some match and some do not; half of them stay hidden")


def compiled(pattern: str) -> Any:
    """A pattern that may have been written by anybody. Raises FormatError."""
    options = re2.Options()
    options.max_mem, options.log_errors = MEMORY, False
    if not (pattern.isascii() and pattern.isprintable() and len(pattern) <= LONGEST):
        raise azr.FormatError(f"a pattern has at most {LONGEST} printable characters of ASCII")
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise azr.FormatError(f"RE2 does not take the pattern: {error}") from None


def proposed(pattern: str) -> Any:
    """A pattern of a proposal. Raises InvalidTask."""
    try:
        return compiled(pattern)
    except azr.FormatError as error:
        raise azr.InvalidTask(str(error)) from None


def fits(pattern: Any, text: str) -> bool:
    return pattern.fullmatch(text) is not None


def admit_matches(proposal: Matching) -> tuple[str, str]:
    found = [match.group() for match in proposed(proposal.pattern).finditer(proposal.text)]
    if not found or "" in found:
        raise azr.InvalidTask("it matches nothing, or the empty string")
    if proposal.pattern in found or found == [proposal.text]:
        raise azr.InvalidTask("the pattern or the whole text is the answer")
    question, answer = f"pattern: {proposal.pattern}\ntext: {proposal.text}", json.dumps(found)
    if answer in question:
        raise azr.InvalidTask("the question shows the answer")
    return question, answer


def grade_matches(task: azr.PosedTask[Matching], answer: str) -> float:
    try:
        return float(Matches.validate_json(answer) == json.loads(task.answer))
    except ValidationError:
        raise azr.FormatError("not a JSON list of strings") from None


def admit_between(proposal: Between) -> tuple[str, str]:
    wanted, avoided = proposed(proposal.pattern), proposed(proposal.avoid)
    solves = _between(wanted, avoided)
    if not solves(proposal.example) or any(proposal.example in pattern for pattern in (proposal.pattern, proposal.avoid)):
        raise azr.InvalidTask("the example does not solve it, or stands in a pattern")
    if not fits(wanted, proposal.trap) or not avoided.search(proposal.trap):
        raise azr.InvalidTask("the trap must match both patterns, or one could leave the second out")
    if any(map(solves, [*string.printable, proposal.pattern, proposal.avoid])):
        raise azr.InvalidTask("one character, or a pattern itself, solves it")
    return f"match: {proposal.pattern}\navoid: {proposal.avoid}", proposal.example


def grade_between(task: azr.PosedTask[Between], answer: str) -> float:
    text = answer.strip()
    if not (text.isascii() and text.isprintable() and 0 < len(text) <= LONGEST):
        raise azr.FormatError(f"the answer is one line of at most {LONGEST} printable characters of ASCII")
    return float(_between(compiled(task.proposal.pattern), compiled(task.proposal.avoid))(text))


def _between(wanted: Any, avoided: Any) -> Callable[[str], bool]:
    return lambda text: fits(wanted, text) and not avoided.search(text)


def hidden(proposal: Language) -> list[str]:
    """Strings that decide: those that are not shown, and changed copies of all of them; the same in every process."""
    found = list(proposal.strings[1::2])
    rng = azr.chance(0, 0, json.dumps(proposal.strings))
    letters = sorted(set("".join(proposal.strings)) | set("a0"))
    for text in proposal.strings * MUTANTS:
        at, letter = rng.randrange(len(text) + 1), rng.choice(letters)
        changed = (text[:at] + text[at + 1 :], text[:at] + letter + text[at + 1 :], text[:at] + letter + text[at:], text[:at] * 2)
        found.append(rng.choice(changed))
    return sorted(set(found) - set(proposal.strings[::2]))


def agree(one: Any, other: Any, strings: Sequence[str]) -> bool:
    return all(fits(one, text) == fits(other, text) for text in strings)


def admit_language(proposal: Language) -> tuple[str, str]:
    pattern = proposed(proposal.pattern)
    if len(set(proposal.strings)) < len(proposal.strings):
        raise azr.InvalidTask("a string stands there twice")
    given = proposal.strings[::2]
    for strings, least in ((given, 2), (hidden(proposal), FEWEST)):
        if not least <= sum(fits(pattern, text) for text in strings) <= len(strings) - least:
            raise azr.InvalidTask(f"too few {'given' if strings is given else 'hidden'} strings match, or too many")
    listed = "|".join(re2.escape(text) for text in given if fits(pattern, text))
    if len(listed) <= LONGEST and agree(proposed(listed), pattern, hidden(proposal)):
        raise azr.InvalidTask("a list of the given strings that match is enough")
    lines = [f"{'yes' if fits(pattern, text) else 'no'}: {json.dumps(text)}" for text in given]
    if any(proposal.pattern in text for text in given):
        raise azr.InvalidTask("the question shows the answer")
    return "\n".join(lines), proposal.pattern


def grade_language(task: azr.PosedTask[Language], answer: str) -> float:
    strings = [*task.proposal.strings, *hidden(task.proposal)]
    return float(agree(compiled(answer.strip()), compiled(task.proposal.pattern), strings))


def sampled(rng: random.Random) -> tuple[str, list[str]]:
    """A random pattern and strings that it matches."""
    pattern, strings = "", [""] * 16
    for _ in range(rng.randint(2, 4)):
        atoms = rng.sample(["a", "b", "c", "d", "0", "1", "ab", "ca", "d0"], rng.randint(1, 3))
        least, most, mark = rng.choice([(1, 1, ""), (1, 1, ""), (1, 3, "+"), (0, 1, "?"), (2, 2, "{2}")])
        joined = f"[{''.join(atoms)}]" if max(map(len, atoms)) == 1 else f"({'|'.join(atoms)})"
        pattern += (joined if len(atoms) > 1 or len(joined) > 3 else atoms[0]) + mark
        strings = [text + "".join(rng.choices(atoms, k=rng.randint(least, most))) for text in strings]
    return pattern, list(dict.fromkeys(strings))


def draw_matching(rng: random.Random) -> Matching:
    pattern, strings = sampled(rng)
    words = [*strings[:3], *("".join(rng.choices("abcd01", k=rng.randint(1, 4))) for _ in range(4))]
    return Matching(pattern=pattern, text=rng.choice(["", " "]).join(rng.sample(words, len(words)))[:LONGEST].strip())


def draw_between(rng: random.Random) -> Between:
    pattern, strings = sampled(rng)
    avoid = rng.choice(["a", "b", "c", "d", "0", "1", "aa", "ab", "[ab]c", "0$", "^a", "c$", "^[cd]"])
    traps = [text for text in strings if re2.search(avoid, text)] or strings
    return Between(pattern=pattern, avoid=avoid, example=max(set(strings) - set(traps), key=len, default="") or "a", trap=traps[0])


def draw_language(rng: random.Random) -> Language:
    pattern, strings = sampled(rng)
    others = [text.replace(rng.choice("abcd01"), rng.choice("abcd01")) + rng.choice(["", "", "a", "1"]) for text in strings * 2]
    words = list(dict.fromkeys([*strings[:6], *others, *("a" * count for count in range(1, 9))]))[:16]
    return Language(pattern=pattern, strings=tuple(rng.sample(words, len(words))))


SYNTAX = "Patterns are regular expressions in the syntax of RE2: no look-around, no back references."
ENVIRONMENTS = [
    azr.environment(
        "regex/deduction",
        Matching,
        admit=admit_matches,
        grade=grade_matches,
        seeds=[
            Matching(pattern="[a-c]+", text="abdcab"),
            Matching(pattern="a|ab", text="abba"),
            Matching(pattern=r"\d{2}", text="a123b45"),
        ],
        propose=f"Task: write a pattern and a text in which others must find what it matches. {SYNTAX}",
        solve=f"Task: find all matches of the pattern, from left to right, without overlap. {SYNTAX} The answer is a JSON list of strings.",
        draw=draw_matching,
    ),
    azr.environment(
        "regex/abduction",
        Between,
        admit=admit_between,
        grade=grade_between,
        seeds=[
            Between(pattern="(ab|c)+d", avoid="cc", example="cabd", trap="ccd"),
            Between(pattern=r"[a-f]\d{2,4}", avoid="1|2|3", example="b0456", trap="a12"),
            Between(pattern="x[yz]*w", avoid="(yz|zy)", example="xzzzw", trap="xyzw"),
        ],
        propose=f"Task: write two patterns; others must find a string that the first matches and the second does not. {SYNTAX}",
        solve=f"Task: write a string that the first pattern matches as a whole and the second matches nowhere. {SYNTAX} The answer is the "
        "string alone, without quotes.",
        draw=draw_between,
    ),
    azr.environment(
        "regex/induction",
        Language,
        admit=admit_language,
        grade=grade_language,
        seeds=[
            Language(pattern="a+b", strings=("ab", "aab", "b", "a", "aaab", "aaaaab", "ba", "abb", "aba", "aaaaaab", "aaaab", "bab")),
            Language(pattern=r"\d+-\d+", strings=("1-2", "12-3", "12", "4-56", "1-", "-1", "78-90", "0-0", "1--2", "a-b", "10-11", "9")),
        ],
        propose=f"Task: write a pattern, and strings of which some match as a whole and some do not. Others see half of "
        f"them and must find a pattern for all. {SYNTAX}",
        solve=f"Task: write a pattern that matches the whole of each string with yes and of none with no; strings that you are not shown "
        f"decide. {SYNTAX} The answer is the pattern alone.",
        draw=draw_language,
    ),
]


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return ENVIRONMENTS


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    return [azr.held_out(*ENVIRONMENTS, count=100)]
