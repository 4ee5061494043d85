"""The Python plugin's text: blocks, prompts, what is read from answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azr_core as azr
from azr_plugins_python import plugin
from azr_plugins_python.blocks import Name, bare_or_block, block, read_blocks, single
from azr_plugins_python.environments import make_environments, make_executor
from azr_plugins_python.options import Options
from azr_plugins_python.proposers import InductionProposer, ProgramProposer
from azr_plugins_python.tasks import AbductionTask, DeductionTask, InductionProposal, InductionTask

PROGRAM = "def f(a, b):\n    return a + b"
TEN = tuple(f"{number}, 1" for number in range(10))
BOTH = (Name.PYTHON, Name.INPUT)


@pytest.fixture(scope="module")
def environments() -> Iterator[dict[str, azr.Environment]]:
    options = Options()
    with make_executor(options) as executor:
        yield {environment.name: environment for environment in make_environments(options, executor)}


def test_a_deduction_question_is_program_and_input() -> None:
    task = DeductionTask.of(PROGRAM, "1, 2", "3")
    assert task.question == "```python\ndef f(a, b):\n    return a + b\n```\n```input\n1, 2\n```"
    assert task.answer == "3"


def test_an_abduction_question_is_program_and_output() -> None:
    task = AbductionTask.of(PROGRAM, "1, 2", "3")
    assert task.question == "```python\ndef f(a, b):\n    return a + b\n```\n```output\n3\n```"
    assert task.answer == "1, 2"


def test_an_induction_question_shows_the_first_half_and_the_message() -> None:
    proposal = InductionProposal(program=PROGRAM, inputs=("1, 2", "3, 4", "5, 6", "7, 8"), message="add both")
    task = InductionTask.of(proposal, ("3", "7", "11", "15"))
    shown = "```input\n1, 2\n```\n```output\n3\n```\n```input\n3, 4\n```\n```output\n7\n```"
    assert task.question == shown + "\n```message\nadd both\n```"
    assert task.answer == "```python\ndef f(a, b):\n    return a + b\n```"


def test_tasks_survive_storage() -> None:
    for task in (DeductionTask.of(PROGRAM, "1, 2", "3"), InductionTask.of(InductionProposal(program=PROGRAM, inputs=TEN), ("1",) * 10)):
        assert type(task).model_validate_json(task.model_dump_json()) == task


def test_a_reference_shows_program_input_and_output_of_either_type() -> None:
    references = [DeductionTask.of(PROGRAM, "1, 2", "3"), AbductionTask.of("def f(x):\n    return x", "0", "0")]
    text = ProgramProposer().prompt(references)
    assert text == (
        "```python\ndef f(a, b):\n    return a + b\n```\n```input\n1, 2\n```\n```output\n3\n```\n"
        "```python\ndef f(x):\n    return x\n```\n```input\n0\n```\n```output\n0\n```"
    )
    assert ProgramProposer().prompt([]) == ""


def test_an_induction_proposer_is_shown_one_program_alone() -> None:
    assert InductionProposer(10).prompt([AbductionTask.of(PROGRAM, "1, 2", "3")]) == block(Name.PYTHON, PROGRAM)


def test_a_proposal_is_read_back() -> None:
    proposal = ProgramProposer().parse(f"{block(Name.PYTHON, PROGRAM)}\n{block(Name.INPUT, '1, 2')}", [])
    assert (proposal.program, proposal.input) == (PROGRAM, "1, 2")


def test_fences_may_be_windows_style_indented_upper_case_and_trailed_by_spaces() -> None:
    text = "Here it is:\r\n  ```Python  \r\n  def f(x):\r\n      return x\r\n  ``` \r\n\r\n```INPUT\t\r\n 3 \r\n   ```\r\nDone."
    proposal = ProgramProposer().parse(text, [])
    assert (proposal.program, proposal.input) == ("def f(x):\n    return x", "3")


def test_backticks_inside_a_line_are_content() -> None:
    program = "def f(x):\n    return x + '```' + \"`\""
    assert single(read_blocks(block(Name.PYTHON, program), BOTH), Name.PYTHON) == program


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("", "the python block is missing"),
        (block(Name.PYTHON, PROGRAM), "the input block is missing"),
        (block(Name.PYTHON, PROGRAM) + "\n```input\n3", "the input block is not closed"),
        (block(Name.PYTHON, PROGRAM) + "\n" + block(Name.PYTHON, PROGRAM) + "\n" + block(Name.INPUT, "3"), "2 python blocks"),
        ("```python\n" + PROGRAM + "\n```input\n3\n```", "the python block is not closed before the input block"),
        (block(Name.PYTHON, PROGRAM) + "\n" + block(Name.MESSAGE, "x"), "unexpected block 'message'"),
        ("```\n" + PROGRAM + "\n```", "a block without a name"),
    ],
)
def test_a_format_error_names_what_is_missing(answer: str, complaint: str) -> None:
    with pytest.raises(azr.FormatError, match=complaint):
        ProgramProposer().parse(answer, [])


def test_an_input_written_as_the_whole_call_is_unwrapped() -> None:
    proposal = ProgramProposer().parse(f"{block(Name.PYTHON, PROGRAM)}\n{block(Name.INPUT, 'f(1, 2)')}", [])
    assert proposal.input == "1, 2"
    assert InductionProposal(program=PROGRAM, inputs=("f(1, b=2)", " 3, 4 ", "f(*[1, 2])")).inputs == ("1, b=2", "3, 4", "f(*[1, 2])")


def test_an_induction_proposal_needs_all_its_inputs_and_takes_no_more() -> None:
    reference = [DeductionTask.of(PROGRAM, "1, 2", "3")]
    message = block(Name.MESSAGE, "add both")
    inputs = [block(Name.INPUT, text) for text in (*TEN, "99, 99")]
    parse = InductionProposer(10).parse
    assert parse("\n".join([*inputs, message]), reference) == InductionProposal(program=PROGRAM, inputs=TEN, message="add both")
    with pytest.raises(azr.FormatError, match="9 input blocks, 10 are needed"):
        parse("\n".join([*inputs[:9], message]), reference)
    with pytest.raises(azr.FormatError, match="the message block is missing"):
        parse("\n".join(inputs[:10]), reference)
    with pytest.raises(azr.FormatError, match="no program was shown"):
        parse("\n".join([*inputs[:10], message]), [])


def test_an_answer_is_bare_or_in_its_own_block() -> None:
    assert bare_or_block("[1, 2]", Name.OUTPUT) == bare_or_block("```output\n[1, 2]\n```", Name.OUTPUT) == "[1, 2]"
    with pytest.raises(azr.FormatError, match="unexpected block 'input'"):
        bare_or_block("```input\n1\n```", Name.OUTPUT)
    with pytest.raises(azr.FormatError, match="empty"):
        bare_or_block(" \n", Name.OUTPUT)


@given(st.text(max_size=200))
def test_reading_any_text_gives_blocks_or_a_format_error(text: str) -> None:
    try:
        blocks = read_blocks(text.replace("a", "```").replace("b", "\n```python\n"), BOTH)
    except azr.FormatError:
        return
    assert all("\n```\n" not in f"\n{content}\n" for contents in blocks.values() for content in contents)


def test_both_styles_have_a_template_for_both_roles(environments: dict[str, azr.Environment]) -> None:
    for name, environment in environments.items():
        kind = name.partition("/")[2]
        assert sorted(environment.templates) == ["compact/propose", "compact/solve", "paper/propose", "paper/solve"]
        assert all(text.count("{text}") == 1 for text in environment.templates.values())
        assert environment.templates["compact/solve"] == environment.templates["compact/propose"] == f"<|{kind}|>{{text}}"
        assert not any("{pairs}" in text for text in environment.templates.values())


def test_induction_is_proposed_for_one_program_of_either_buffer(environments: dict[str, azr.Environment]) -> None:
    induction = environments["python/induction"]
    assert induction.reference_count == 1
    assert sorted(induction.references) == ["python/abduction", "python/deduction"]


def test_the_plugin_brings_three_environments_that_share_one_executor() -> None:
    environments = plugin.azr_environments(azr.RunConfig(plugins=("python",)))
    assert sorted(environment.name for environment in environments) == ["python/abduction", "python/deduction", "python/induction"]
    assert all(environment.verifier.isolated for environment in environments)
    assert len({id(vars(environment.verifier)["_executor"]) for environment in environments}) == 1


def test_a_misspelt_option_is_an_error_that_names_it() -> None:
    config = azr.RunConfig(plugins=("python",), plugin_options={"python": {"pears": 5}})
    with pytest.raises(azr.ConfigError, match=r"pears.*pairs"):
        plugin.azr_environments(config)


def test_options_reach_the_environments_but_never_a_benchmark() -> None:
    config = azr.RunConfig(plugins=("python",), plugin_options={"python": {"pairs": 4, "match": "strict"}})
    induction = next(item for item in plugin.azr_environments(config) if item.name == "python/induction")
    assert all(len(seed.inputs) == 4 for seed in induction.seeds if isinstance(seed, InductionProposal))
    assert "Write 4 different inputs" in induction.templates["paper/propose"]
    for benchmark in plugin.azr_benchmarks(config):
        assert all(vars(environment.verifier)["options"] == Options() for environment in benchmark.environments.values())
