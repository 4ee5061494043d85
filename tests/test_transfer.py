"""Transfer studies: what the matrix says, what the study refuses, that it goes on and is reported."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from azr_core.cli import main
from azr_core.curves import Curve
from azr_core.directory import RunDirectory
from azr_core.errors import ConfigError, RunError
from azr_core.history import History
from azr_core.matrix import Column, Kind, Trained, foreseen, matrix, measured
from azr_core.matrix_report import Findings, as_json, markdown
from azr_core.mixture import read_mixture
from azr_core.overlap import Overlap, overlaps
from azr_core.pilot import budget
from azr_core.progress import Listener
from azr_core.run import Request, resolve
from azr_core.store import RunStore
from azr_core.study import claim
from azr_core.transfer import Asked, layout, prepare
from azr_core.types import TaskRecord

HERE = Path(__file__).parent
PLUGINS = (str(HERE / "played_plugin.py"), str(HERE / "tripled_plugin.py"))
ITEMS = 400
LEFT, RIGHT = Column("left/heldout", "left", "pass@1"), Column("right/heldout", "right", "pass@1")


def made(left: float, right: float, seed: int, name: str = "run", samples: int = 1) -> History:
    """A run whose last measurement has about these accuracies; the same tasks are hard in every run."""
    curves = [_curve("left", left, seed), _curve("right", right, seed)]
    steps = [(step, {"tokens/generated": 1000.0}) for step in (1, 2)]
    return History(Path(name), {"evaluation": {"samples": samples}}, steps, curves, {"wall_s": 120.0, "evaluation_s": 0.0})


def _curve(domain: str, level: float, seed: int) -> Curve:
    hard, noise = random.Random(domain), random.Random(f"{domain} {seed}")
    scores = tuple(float(0.8 * hard.random() + 0.2 * noise.random() < level) for _ in range(ITEMS))
    return Curve(f"{domain}/heldout", f"{domain}/a", "sampled", ((0, ((0.0,) * ITEMS,)), (2, (scores,))))


def row(name: str, levels: Sequence[tuple[float, float]], domains: tuple[str, ...], kind: Kind = Kind.DOMAIN) -> Trained:
    return Trained(name, kind, domains, [made(*level, seed=10 + seed) for seed, level in enumerate(levels)])


def test_a_gain_is_told_where_it_is_and_a_loss_is_flagged_as_forgetting() -> None:
    found = matrix([row("left", [(0.6, 0.2)] * 3, ("left",))], made(0.4, 0.4, 1))
    entries = found.rows[0].entries
    gain = entries[LEFT].gain
    assert gain.low is not None and gain.high is not None and 0.1 < gain.low < gain.mean < gain.high < 0.3
    assert not entries[LEFT].forgotten and entries[RIGHT].forgotten
    assert found.levels[LEFT].mean == pytest.approx(0.4, abs=0.06)


def test_a_gain_of_nothing_is_told_from_nothing_in_neither_direction() -> None:
    entry = matrix([row("left", [(0.4, 0.4)] * 3, ("left",))], made(0.4, 0.4, 1)).rows[0].entries[LEFT]
    assert entry.gain.low is not None and entry.gain.high is not None
    assert entry.gain.low < 0 < entry.gain.high and not entry.forgotten


def test_intervals_hold_the_spread_of_the_seeds_not_only_of_the_items() -> None:
    alike = matrix([row("left", [(0.5, 0.4)] * 3, ("left",))], made(0.4, 0.4, 1)).rows[0].entries[LEFT]
    apart = matrix([row("left", [(0.3, 0.4), (0.5, 0.4), (0.7, 0.4)], ("left",))], made(0.4, 0.4, 1)).rows[0].entries[LEFT]
    assert apart.detectable > 2 * alike.detectable


def test_the_transferability_index_is_the_ratio_of_relative_gains() -> None:
    index = matrix([row("left", [(0.6, 0.5)] * 3, ("left",))], made(0.4, 0.4, 1)).rows[0].indices["right", "pass@1"]
    assert index.low is not None and index.high is not None and index.low < index.mean < index.high
    assert index.mean == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    ("levels", "domains", "kind"),
    [
        ((0.4, 0.6), ("left",), Kind.DOMAIN),  # no gain at home
        ((0.3, 0.6), ("left",), Kind.DOMAIN),  # a loss at home
        ((0.6, 0.6), ("left", "right"), Kind.MIXTURE),  # everything is home
    ],
)
def test_without_a_gain_at_home_there_is_no_index(levels: tuple[float, float], domains: tuple[str, ...], kind: Kind) -> None:
    assert matrix([row("row", [levels] * 3, domains, kind)], made(0.4, 0.4, 1)).rows[0].indices == {}


def test_a_gain_is_compared_with_that_of_the_controls_in_the_same_rounds() -> None:
    rows = [row("left", [(0.6, 0.4)] * 3, ("left",)), row("random", [(0.5, 0.4)] * 3, ("left", "right"), Kind.CONTROL)]
    found = matrix(rows, made(0.4, 0.4, 1))
    versus = found.rows[0].entries[LEFT].versus["random"]
    difference = found.rows[0].entries[LEFT].gain.mean - found.rows[1].entries[LEFT].gain.mean
    assert versus.mean == pytest.approx(difference) and versus.low is not None and versus.low > 0
    assert found.rows[1].entries[LEFT].versus == {}


def test_pass_at_k_counts_an_item_that_any_of_k_samples_solved() -> None:
    curve = Curve("left/heldout", "left/a", "sampled", ((0, ((0.0, 0.25, 1.0, 0.0),)),))
    found = measured(History(Path("x"), {"evaluation": {"samples": 4}}, [], [curve], {}))
    assert found == {LEFT: (0.0, 0.25, 1.0, 0.0), Column("left/heldout", "left", "pass@4"): (0.0, 1.0, 1.0, 0.0)}


def test_the_power_told_beforehand_is_of_the_order_of_what_the_study_then_has() -> None:
    start = made(0.4, 0.4, 1)
    told = foreseen(start, {LEFT: ITEMS}, seeds=3)[LEFT]
    then = matrix([row("left", [(0.45, 0.4)] * 3, ("left",))], start).rows[0].entries[LEFT].detectable
    assert 0.3 < then / told < 1.5
    assert foreseen(None, {LEFT: 4 * ITEMS}, 3)[LEFT] == pytest.approx(foreseen(None, {LEFT: ITEMS}, 3)[LEFT] / 2)


def test_the_page_names_no_winner_and_the_json_holds_every_interval() -> None:
    found = matrix(
        [row("left", [(0.6, 0.2)] * 3, ("left",)), row("both", [(0.5, 0.5)] * 3, ("left", "right"), Kind.MIXTURE)], made(0.4, 0.4, 1)
    )
    findings = Findings(found, "9 steps", {LEFT: 0.1}, [Overlap("left/heldout", 400, 10, 1, 400, 3)], 2, ["both"])
    page = markdown(findings)
    assert "**left" not in page and "▼" in page and "1 of 10 tasks" in page and "Not finished: both" in page
    written = json.loads(json.dumps(as_json(findings)))
    assert [row["trained_on"] for row in written["rows"]] == ["left", "both"]
    assert all(entry["gain"]["low"] < entry["gain"]["high"] for row in written["rows"] for entry in row["entries"])


@pytest.mark.parametrize(
    ("text", "shares", "schedule"),
    [
        ("mixed", {"left": 1.0, "right": 1.0}, "mixed"),
        ("sequential right=1,left=2", {"right": 1.0, "left": 2.0}, "sequential"),
        ("left=3,right=0", {"left": 3.0}, "mixed"),
    ],
)
def test_a_mixture_is_read(text: str, shares: dict[str, float], schedule: str) -> None:
    found = read_mixture(text, ("left", "right"))
    assert (found.shares, list(found.shares), found.schedule) == (shares, list(shares), schedule)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sequentiel", "did you mean 'sequential'"),
        ("mixed sequential", "no schedule 'sequential'"),
        ("lift=1", "did you mean 'left'"),
        ("left=0,right=0", "all shares are zero"),
        ("left=-1,right=2", "negative"),
        ("left=much", "a share is a number, as in left=2"),
    ],
)
def test_a_wrong_mixture_is_an_error_that_names_the_mend(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_mixture(text, ("left", "right"))


SMALL = {"trainer": {"name": "scripted"}, "batch_size": 4}


def test_every_row_has_the_same_prompts_a_step_and_measures_what_it_holds_out() -> None:
    plan = layout(Asked(plugins=PLUGINS, steps=2, mixtures=("mixed", "sequential toys=3,others=1"), settings=SMALL))
    cells = {cell.name: cell.settings for cell in plan.study(Path("x"), {"steps": 2}).cells()}
    assert list(cells) == ["untrained", "toys", "others", "mixed", "sequential toys=3,others=1", "format only", "random reward"]
    assert cells["toys"]["environments"] == {"toys": 1.0, "others": 0.0}
    assert cells["sequential toys=3,others=1"]["schedule"] == {"name": "sequential", "unit": "tasks"}
    assert cells["random reward"]["reward"] == {"name": "random"}
    assert {settings["batch_size"] for settings in cells.values()} == {4}
    assert {column.benchmark: count for column, count in plan.items().items() if column.measure == "greedy"} == {
        "toys/heldout": 40,
        "others/heldout": 30,
    }


def test_domains_share_the_prompts_of_one_unless_told_otherwise() -> None:
    plan = layout(Asked(plugins=PLUGINS, tokens=9, settings={"trainer": {"name": "scripted"}}))
    assert {cell.settings["batch_size"] for cell in plan.study(Path("x"), {"tokens": 9}).cells()} == {32}


@pytest.mark.parametrize("budgets", [{}, {"steps": 1, "tokens": 1}])
def test_a_study_has_one_budget(budgets: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="give one budget"):
        layout(Asked(plugins=PLUGINS, settings=SMALL, **budgets))


def test_shares_of_environments_are_not_the_users_to_set() -> None:
    with pytest.raises(ConfigError, match="leave it out"):
        layout(Asked(plugins=PLUGINS, steps=1, settings=SMALL | {"environments": {"toys": 1.0}}))


def test_a_folder_of_another_study_is_refused_and_more_seeds_are_not(tmp_path: Path) -> None:
    asked = Asked(plugins=PLUGINS, steps=2, seeds=1, settings=SMALL)
    prepare(asked, tmp_path)
    prepare(asked.model_copy(update={"seeds": 2}), tmp_path)
    with pytest.raises(RunError, match="steps was 2, is 3"):
        prepare(asked.model_copy(update={"steps": 3}), tmp_path)


def test_hours_become_tokens_once_and_too_few_are_refused(tmp_path: Path) -> None:
    plan = layout(Asked(plugins=PLUGINS, hours=2.0, seeds=1, controls=False, settings=SMALL))
    found = budget(plan, tmp_path, Listener())
    assert found["tokens"] > 0 and budget(plan, tmp_path, Listener()) == found
    claim(plan.study(tmp_path, found))  # what was measured for the budget belongs to the study
    short = layout(Asked(plugins=PLUGINS, hours=0.01, seeds=1, controls=False, settings=SMALL))
    (tmp_path / "budget.json").unlink()
    with pytest.raises(ConfigError, match=r"--hours 0.01 is too short for 3 runs.*ask for 0\.\d"):
        budget(short, tmp_path, Listener())


def test_buffers_are_compared_with_held_out_items_by_id_and_by_form(tmp_path: Path) -> None:
    config, plugins = resolve(Request(PLUGINS, SMALL))
    benchmarks = plugins.benchmarks(config)
    item = next(one for one in benchmarks if one.name == "others/heldout").tasks["others/tripling"][0]
    other = item.model_copy(update={"question": "Double 5", "answer": "10", "number": 5})
    (tmp_path / "run").mkdir()
    store = RunStore(tmp_path / "run" / "run.db")
    store.commit(0, [], [TaskRecord("others/tripling", item, 0)], {})  # a seed, which is no proposal
    store.commit(1, [], [TaskRecord("others/tripling", other, 1, (), "others/tripling:one form for all")], {})
    store.close()
    shared, refused = overlaps([RunDirectory(tmp_path / "run")], benchmarks)
    found = {one.benchmark: one for one in shared}
    assert refused == 0
    assert found["others/heldout"] == Overlap("others/heldout", items=30, tasks=1, equal=0, forms=30, alike=30)
    assert found["toys/heldout"] == Overlap("toys/heldout", items=40, tasks=1, equal=0, forms=0, alike=0)
    plugins.close()


def test_a_study_runs_reports_goes_on_and_refuses_another_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def azr(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["transfer", *arguments, "--out", "study"])
        said = capfd.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, said.out, said.err

    asked = ["--plugin", PLUGINS[0], "--plugin", PLUGINS[1], "--steps", "1", "--seeds", "1", "--no-controls"]
    asked += ["--set", "trainer.name=scripted", "--set", "batch_size=4"]
    assert azr("--report")[0] == 2
    code, out, _ = azr(*asked, "--dry-run")
    assert code == 0 and "finds gains of" in out and not Path("study").exists()
    code, out, _ = azr(*asked[:4], *asked[6:], "--hours", "2", "--dry-run")
    assert code == 0 and "as 2 h in all allow" in out
    code, _, err = azr(*asked, "--cells", "toyz-0")
    assert code == 2 and "did you mean 'toys-0'" in err
    code, out, _ = azr(*asked, "--cells", "untrained-0", "--cells", "toys-0")
    assert code == 0 and "not finished: others, mixed" in out.replace("\n", "")
    code, out, _ = azr(*asked, "--jobs", "2", "--json")
    found = json.loads(out)
    assert code == 0 and [row["trained_on"] for row in found["rows"]] == ["toys", "others", "mixed"] and not found["unfinished"]
    assert all((Path("study") / name).stat().st_size for name in ("matrix.json", "matrix.csv", "matrix.md", "matrix.png"))
    code, _, err = azr(*asked, "--set", "references=1")
    assert code == 2 and "begun as another study" in err and "references" in err
    code, out, _ = azr("--report")
    assert code == 0 and "trained on" in out
