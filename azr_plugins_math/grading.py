"""Whether an answer is right, operation by operation. Pure: no processes, no SymPy. Runs in a worker that can be killed.

`objection(question, trees)` is empty for a right answer, else the reason; MathError and Undefined are reasons as well.
"""

from __future__ import annotations

from collections.abc import Callable

from azr_plugins_math import forms
from azr_plugins_math.antiderivatives import check_antiderivative
from azr_plugins_math.errors import MathError
from azr_plugins_math.identities import identical, same_number
from azr_plugins_math.nodes import Constant, Node, Number, functions, in_lowest_terms, literal, names, size, walk
from azr_plugins_math.polynomials import polynomial
from azr_plugins_math.questions import Op, Question, read_answer
from azr_plugins_math.writing import canonical

STEPS = frozenset(("floor", "ceil", "mod", "min", "max", "gcd", "lcm", "factorial", "binomial"))
"""Functions that an answer holds only where the question or the gold does."""
ALWAYS = frozenset(("sqrt", "root", "cbrt"))
SPARE_NODES, SIMPLER_NODES = 6, 4


def objection(question: Question, answer: tuple[Node, ...]) -> str:
    """Why an answer is not right; empty for one that is. Raises MathError where that cannot be told."""
    if question.op is Op.SOLVE:
        return _roots(question, answer)
    return _GRADERS[question.op](question, answer[0], question.golds[0])


def is_literal(question: Question) -> bool:
    """Whether the gold is a rational number, so that only a literal can be right."""
    return question.op in _NUMBERS and literal(question.golds[0]) is not None


def _number(question: Question, answer: Node, gold: Node) -> str:
    """A closed form: a literal for a rational gold, else no more functions and not much longer than the gold."""
    if _infinite(gold) or _infinite(answer):
        return "" if answer == gold else "not that infinity"
    expected = literal(gold)
    if expected is not None:
        found = literal(answer)
        if literal(question.tree) is not None and not in_lowest_terms(answer):
            return "not in lowest terms, which is all that was asked"
        return "not a literal" if found is None else "" if found == expected else "another number"
    if question.op is Op.EVALUATE and canonical(answer) == canonical(question.tree):
        return "the question itself"
    if unlike := _unlike(answer, gold):
        return unlike
    if names(gold) or names(answer):
        return "" if identical(gold, answer, question.kinds, question.seed) else "not equal"
    return "" if same_number(gold, answer) else "another number"


def _unlike(answer: Node, gold: Node) -> str:
    """Why an answer is not a closed form like the gold."""
    if not names(gold) and any(isinstance(part, Number) and part.decimal for part in walk(answer)):
        return "a decimal where the number is not rational"
    powers_of_e = {"exp"} if Constant("E") in walk(gold) else set()
    if strange := functions(answer) - functions(gold) - ALWAYS - powers_of_e:
        return f"not evaluated: {', '.join(sorted(strange))}"
    most = 2 * size(gold) + SPARE_NODES
    return f"more than {most} nodes" if size(answer) > most else ""


def _infinite(node: Node) -> bool:
    return Constant("oo") in walk(node)


def _equal(question: Question, answer: Node, gold: Node) -> str:
    """An expression that is identical on the domain."""
    if strange := (functions(answer) & STEPS) - functions(gold) - functions(question.tree):
        return f"{', '.join(sorted(strange))} may hide steps"
    return "" if identical(gold, answer, question.kinds, question.seed) else "not equal"


def _simpler(question: Question, answer: Node, gold: Node) -> str:
    most = min(size(question.tree) - 1, size(gold) + SIMPLER_NODES)
    if size(answer) > most:
        return f"{size(answer)} nodes, at most {most}"
    return _equal(question, answer, question.tree)


def _antiderivative(question: Question, answer: Node, gold: Node) -> str:
    if strange := functions(answer) & (STEPS | {"sign"}):
        return f"{', '.join(sorted(strange))} may hide steps"
    return check_antiderivative(question, answer, gold)


def _expanded(question: Question, answer: Node, gold: Node) -> str:
    count = forms.monomials(answer)
    if count is None:
        return "not expanded"
    if count != forms.monomials(gold):
        return f"{count} terms, not {forms.monomials(gold)}"
    return "" if polynomial(answer) == polynomial(gold) else "not equal"


def _factored(question: Question, answer: Node, gold: Node) -> str:
    """The factors of the gold are irreducible; constants may stand anywhere."""
    constant, found = forms.factors(answer)
    expected_constant, expected = forms.factors(gold)
    if found != expected:
        return "other factors, or not all of them irreducible"
    return "" if constant == expected_constant else "another constant factor"


def _roots(question: Question, answer: tuple[Node, ...]) -> str:
    """Set equality: every root is named and nothing else is."""
    if any(_infinite(root) for root in answer):
        return "oo is no root"
    missing = set(range(len(question.golds)))
    for root in answer:
        match = next((place for place, gold in enumerate(question.golds) if _same_root(root, gold)), None)
        if match is None:
            return "a number that is no root"
        missing.discard(match)
    return f"{len(missing)} roots are missing" if missing else ""


def _same_root(root: Node, gold: Node) -> bool:
    if literal(gold) is None and _unlike(root, gold):
        return False
    return same_number(root, gold)


_NUMBERS = (Op.EVALUATE, Op.DEFINITE_INTEGRAL, Op.LIMIT, Op.SUM)
_GRADERS: dict[Op, Callable[[Question, Node, Node], str]] = {
    **dict.fromkeys(_NUMBERS, _number),
    Op.DIFF: _equal,
    Op.INTEGRATE: _antiderivative,
    Op.EXPAND: _expanded,
    Op.FACTOR: _factored,
    Op.SIMPLIFY: _simpler,
}


def graded(fields: dict[str, object], answer: str) -> str:
    """`objection` for a question as a JSON object and an answer as text; what is refused is an objection too."""
    question = Question.of(fields)
    try:
        return objection(question, read_answer(question, answer))
    except MathError as refusal:
        return str(refusal) or "refused"
