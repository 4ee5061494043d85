"""The display: what a person sees of a run, live or as plain lines."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from made_run import KINDS, evaluations, reports
from rich.console import Console

from azr_core.dashboard import Board, render
from azr_core.display import Display, LiveDisplay, PlainDisplay, choose


def console(width: int = 100, *, terminal: bool = False) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=40, force_terminal=terminal, color_system=None, legacy_windows=False, _environ={}
    )


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def play(display: Display, steps: int = 12) -> None:
    with display:
        display.plan({"run": "runs/toys-001", "model": "[tiny]"})
        display.phase("measuring familiar, sampled", 0, 2)
        display.phase("measured", 2, 2)
        display.evaluated(evaluations(0, 0))
        for report in reports(steps):
            display.step(report, 20, 60.0 * (20 - report.step))
        display.evaluated(evaluations(12, 0, light=True))
        display.note("a [bracketed] note")
        display.finished(Path("runs/toys-001"), stopped=True)


@pytest.fixture
def board() -> Board:
    board = Board()
    for report in reports(12):
        board.add_step(report, 20, 480.0)
    board.evaluations += evaluations(0, 0) + evaluations(12, 0, light=True)
    board.notes.append("a [bracketed] note")
    return board


@pytest.mark.parametrize("width", [80, 120])
def test_the_board_shows_everything_and_fits_a_terminal(board: Board, width: int) -> None:
    screen = console(width)
    screen.print(render(board))
    shown = text(screen)
    for word in ("step 12 of 20", "8:00 left", "3.0 s a step", "count", "order", "rhyme", "generate 40 %", "tokens/s", "unique skeletons"):
        assert word in shown
    assert "familiar" in shown and "harder" in shown and "a [bracketed] note" in shown
    lines = shown.splitlines()
    assert len(lines) <= 24 and all(len(line) <= width for line in lines)


def test_numbers_are_means_of_recent_steps() -> None:
    board = Board()
    made = reports(25)
    for report in made:
        board.add_step(report, 30, None)
    name = f"solve_rate/{KINDS[0]}"
    assert board.recently(name) == pytest.approx(sum(report.metrics[name] for report in made[-10:]) / 10)
    assert board.recently("nothing/of/this/name") is None


def test_a_board_that_knows_nothing_yet_is_drawn() -> None:
    screen = console()
    screen.print(render(Board()))
    assert "starting" in text(screen)


def test_a_phase_is_shown_while_it_lasts() -> None:
    board = Board()
    board.add_phase("measuring familiar", 1, 4)
    screen = console()
    screen.print(render(board))
    assert "measuring familiar" in text(screen) and "1 of 4" in text(screen)
    board.add_phase("measured", 4, 4)
    assert board.phase is None


def test_plain_output_is_one_line_a_step_without_control_characters() -> None:
    screen = console()
    play(PlainDisplay(screen))
    lines = text(screen).splitlines()
    assert "\x1b" not in text(screen)
    assert sum(line.startswith("step ") for line in lines) == 12
    assert lines[0] == "run: runs/toys-001" and "model: [tiny]" in lines
    assert any(line.startswith("held out, step 0: familiar sampled toys/count") for line in lines)
    assert any(line.startswith("held out, step 12: familiar sampled") and "points)" in line for line in lines)
    assert not any("step 12: harder" in line for line in lines)


def test_the_live_display_gives_the_terminal_back() -> None:
    screen = console(terminal=True)
    display = LiveDisplay(screen)
    play(display)
    assert display.stopped
    assert text(screen).endswith("\x1b[?25h") or "\x1b[?25h" in text(screen)[-40:]
    assert "step 12 of 20" in text(screen)


def test_only_a_watched_terminal_gets_the_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert isinstance(choose(console(terminal=True)), LiveDisplay)
    assert isinstance(choose(console(terminal=False)), PlainDisplay)
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(choose(dumb), PlainDisplay)
    monkeypatch.setenv("CI", "1")
    assert isinstance(choose(console(terminal=True)), PlainDisplay)
