"""The law of the house: layers, borders, budgets, hooks."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from azr_core.plugins import HOOKS

ROOT = Path(__file__).parents[1]
CORE = ROOT / "azr_core"
LAYERS = {
    0: "later types errors settings config options toml differences clock shares ranks interrupt database",
    1: "progress interfaces",
    2: "buffer advantages rewards terms prompts envelope identity desk workers node connection cluster verification judging "
    "rounds late documents metrics statistics resampling curves series signs health checkpoint lineage public scoring turns "
    "completions choices fields forms authoring wrapping attacks mutations footprint",
    3: "hookspecs loading answers plugins defaults",
    4: "store directory history comparison matrix mixture overlap admission drawing schedule engine seeding rewarding subject "
    "trials trials_elsewhere trials_law trials_proposer trials_verifier logs players evaluate examination failures cases "
    "vitals service vllm_engine",
    5: "runner run dashboard display figures health_figure report tables reading session study study_report transfer pilot "
    "matrix_report crossing measuring cli proctor examiner scaffold card export outward taskset hub cli_eval cli_export "
    "cli_plugins cli_seed cli_serve cli_study cli_transfer hosting serving checking doctor testing",
}
LAYER = {module: layer for layer, modules in LAYERS.items() for module in modules.split()}
# Imports inside a function that go up, and why they may.
UPWARD = {
    ("desk", "plugins"): "a worker is a small host of its own: it loads the plugins in its own process",
    ("desk", "loading"): "and writes tracebacks where the loader does",
    ("verification", "loading"): "and so does the parent for the verifiers that it calls itself",
}
HEAVY = {"torch", "transformers", "trl", "vllm", "sympy", "numpy", "accelerate", "datasets", "pandas", "scipy"}
DOMAIN_WORDS = ("deduction", "abduction", "induction", "sympy", "python/", "math/")
VAGUE = {"data", "info", "manager", "utils", "util", "helper", "helpers", "common", "misc"}

FILE_LINES, FUNCTION_LINES, NESTING, PARAMETERS = 250, 40, 3, 5
# "file" or "file::function": the reason why it may be over a budget.
EXCEPTIONS: dict[str, str] = {
    "plugins/logic.py": "a plugin is one file, and this one has a parser of formulas beside two kinds of task",
}


@dataclass(frozen=True)
class Import:
    """One imported module; deep: inside a function."""

    module: str
    deep: bool


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in ROOT.glob(folder) if "__pycache__" not in path.parts)


SHIPPED = sources("azr_core/**/*.py", "azr_plugins_*/**/*.py", "plugins/**/*.py")


def imports(path: Path) -> Iterator[Import]:
    """What a file imports, but for what only its annotations need."""

    def walk(node: ast.AST, deep: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, deep) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield from (Import(name, deep) for name in origins(path, child))
            yield from walk(child, deep or isinstance(child, ast.FunctionDef))

    return walk(ast.parse(path.read_text()), False)


def origins(path: Path, node: ast.ImportFrom) -> list[str]:
    """The modules behind `from x import a, b`: submodules where there are such files, else x."""
    package = path.relative_to(ROOT).with_suffix("").parts[: -node.level] if node.level else ()
    origin = ".".join([*package, *([node.module] if node.module else [])])
    folder = ROOT.joinpath(*origin.split("."))
    return [f"{origin}.{a.name}" if (folder / f"{a.name}.py").exists() or (folder / a.name).is_dir() else origin for a in node.names]


def core_imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Modules of azr_core that one of them imports, by short name."""
    for imported in imports(path):
        root, _, rest = imported.module.partition(".")
        if root == "azr_core" and rest:
            yield rest.partition(".")[0], imported.deep


def test_every_module_of_the_core_has_a_layer() -> None:
    assert {path.stem for path in CORE.glob("*.py")} - {"__init__", "__main__"} == set(LAYER)


def test_a_module_imports_only_its_own_layer_and_those_below() -> None:
    upward = {
        (path.stem, other)
        for path in CORE.glob("*.py")
        if path.stem in LAYER
        for other, deep in core_imports(path)
        if LAYER.get(other, 0) > LAYER[path.stem] and not (deep and (path.stem, other) in UPWARD)
    }
    assert upward == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {path.stem: {other for other, deep in core_imports(path) if not deep} for path in CORE.glob("*.py") if path.stem in LAYER}
    TopologicalSorter(graph).prepare()


def test_the_core_imports_nothing_heavy() -> None:
    heavy = {(path.name, i.module) for path in CORE.rglob("*.py") for i in imports(path) if i.module.partition(".")[0] in HEAVY}
    assert heavy == set()
    code = f"import sys, azr_core, azr_core.testing, azr_core.run; print(sorted({HEAVY | {'ray'}} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_importing_the_core_is_cheap() -> None:
    code = "import time; import azr_core; print(time.process_time())"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.5  # processor seconds, start of the interpreter included


def test_the_core_names_no_domain() -> None:
    found = {(path.name, word) for path in CORE.rglob("*.py") for word in DOMAIN_WORDS if word in path.read_text().lower()}
    assert found == set()


def test_plugins_import_only_the_public_core_and_themselves() -> None:
    strangers = set()
    for path in sources("azr_plugins_*/**/*.py", "plugins/**/*.py"):
        own = path.relative_to(ROOT).parts[0]
        allowed = {"azr_core", "azr_core.testing"} if "tests" in path.parts else {"azr_core"}
        for imported in imports(path):
            root = imported.module.partition(".")[0]
            if (root == "azr_core" and imported.module not in allowed) or (root.startswith("azr_plugins") and root != own):
                strangers.add((str(path.relative_to(ROOT)), imported.module))
    assert strangers == set()


def test_the_training_loop_imports_no_domain() -> None:
    training = "azr_plugins_python.training"
    strangers = {
        (path.name, imported.module)
        for path in sources("azr_plugins_python/training/**/*.py")
        for imported in imports(path)
        if imported.module.startswith("azr_plugins") and not imported.module.startswith(training)
    }
    assert strangers == set()


def test_everything_public_exists_and_is_sorted() -> None:
    import azr_core

    assert all(hasattr(azr_core, name) for name in azr_core.__all__)
    assert len(set(azr_core.__all__)) == len(azr_core.__all__)


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield f"{path.relative_to(ROOT)}::{node.name}", node


def depth(node: ast.AST) -> int:
    """How deep control flow is nested in a function; `elif` does not count again, a function inside counts for itself."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse and len(node.orelse) == 1
        nested = isinstance(child, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match) and not chained
        deepest = max(deepest, depth(child) + nested)
    return deepest


def over_budget() -> Iterator[tuple[str, str]]:
    for path in SHIPPED:
        lines = len(path.read_text().splitlines())
        if lines > FILE_LINES:
            yield str(path.relative_to(ROOT)), f"{lines} lines"
        for name, node in functions(path):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
            if length > FUNCTION_LINES:
                yield name, f"{length} lines"
            if depth(node) > NESTING:
                yield name, f"nested {depth(node)} deep"
            if len(positional) > PARAMETERS:
                yield name, f"{len(positional)} positional parameters"


def test_nothing_is_over_its_budget_without_a_reason() -> None:
    over = dict(over_budget())
    assert {name: what for name, what in over.items() if name not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) - set(over) == set()


def test_every_module_says_what_it_is_for_and_has_a_telling_name() -> None:
    silent = [str(path) for path in SHIPPED if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))]
    vague = [str(path) for path in SHIPPED if path.stem in VAGUE]
    assert silent == [] and vague == []


def test_nothing_is_left_undone() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")
    assert [(str(path), word) for path in SHIPPED for word in words if word in path.read_text()] == []


def implementations(path: Path) -> set[str]:
    """Hooks that a file implements."""
    found = set()
    for _, node in functions(path):
        if any("hookimpl" in ast.unparse(decorator) for decorator in node.decorator_list):
            found.add(node.name)
    return found


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_hook_has_a_page_a_test_and_a_shipped_user(hook: str) -> None:
    assert f"## {hook}\n" in (ROOT / "docs/hooks.md").read_text()
    assert any(hook in path.read_text() for path in ROOT.glob("tests/test_*.py") if path.name != Path(__file__).name)
    assert [path for path in SHIPPED if hook in implementations(path)], f"no shipped plugin implements {hook}"


def test_the_page_of_hooks_is_current() -> None:
    render = runpy.run_path(str(ROOT / "docs/generate_hooks.py"))["render"]
    assert (ROOT / "docs/hooks.md").read_text() == render(), "run python docs/generate_hooks.py"
