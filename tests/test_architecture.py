"""Who may import whom, and what start-up may load."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

import hnbench
from hnbench.methods.base import Method
from hnbench.tasks import Task

PACKAGE = Path(hnbench.__file__).parent
BASICS = {
    "errors",
    "escaping",
    "decoding",
    "reading",
    "answers",
    "interrupts",
    "out_of_memory",
    "writing",
    "tasks",
    "seeds",
    "config",
    "names",
}
MODELS = {"generators", "rewards"}

ALLOWED = {
    "errors": set(),
    "tasks": set(),
    "seeds": {"tasks"},
    "config": {"errors", "seeds", "names"},
    "names": set(),
    "prompt_files": {"errors", "escaping", "reading", "decoding"},
    "fingerprint": {"seeds"},
    "quiet": set(),
    "rgb": set(),
    "weights": {"errors", "quiet"},
    "hub": {"errors"},
    "data": {"errors", "hub"},
    "prompts": {"errors", "decoding", "registry", "data", "shapes", "prompt_files"},
    "publish": {"errors", "hub", "hypernetwork"},
    "generators": BASICS | {"fingerprint", "quiet", "hub", "weights"},
    "rewards": BASICS | {"fingerprint", "quiet", "hub", "weights", "rgb"},
    "escaping": set(),
    "answers": {"errors", "escaping"},
    "interrupts": set(),
    "decoding": {"escaping"},
    "reading": {"decoding"},
    "journal": {"errors", "writing", "decoding"},
    "measures": BASICS | {"rewards", "shapes", "suites", "journal", "data", "fingerprint", "hub", "quiet", "weights", "rgb"},
    "stats": set(),
    "suites": BASICS | {"prompt_files", "shapes", "data", "fingerprint", "hub", "quiet", "weights", "rgb"},
    "shapes": BASICS | MODELS | {"suites"},
    "hypernetwork": BASICS | MODELS,
    "methods": BASICS | MODELS | {"hypernetwork"},
    "runs": BASICS | MODELS | {"verified", "methods", "suites", "journal"},
    "report": {"errors", "escaping", "decoding", "reading", "writing", "quiet", "config", "stats", "runs", "measures"},
    "scoring": BASICS | {"stats", "runs", "suites", "journal", "measures", "rgb"},
    "registry": {"errors", "escaping", "prompt_files", "hub", "methods", "rewards", "suites", "measures"},
    "presets": set(),
    "loading": {"errors", "config", "hub", "registry", "presets", "generators", "rewards", "methods", "hypernetwork"},
    "verified": {"errors", "hub", "decoding"},
    "verify": BASICS
    | MODELS
    | {"verified", "loading", "registry", "presets", "hub", "data", "fingerprint", "quiet", "rgb", "weights"}
    | {"measures", "suites", "hypernetwork", "methods", "runs", "scoring", "shapes"},
    "surroundings": {"verified", "runs", "data"},
    "fitting": {"escaping"},
    "streams": {"errors"},
    "writing": {"errors"},
    "out_of_memory": {"errors", "escaping"},
    "display": {"escaping", "fitting", "hub", "registry", "verify"},
    "fetch": {"errors", "hub", "registry", "generators", "hypernetwork"},
    "cli": BASICS
    | {"streams", "registry", "presets", "loading", "display", "fetch", "hub", "runs", "report", "hypernetwork", "prompts", "publish"}
    | {"prompt_files", "suites", "scoring", "measures", "verify", "verified", "surroundings"},
    "__main__": {"cli"},
}
"""The part of the package -> the other parts that it may import, for types included."""

REBUILDS = {"hypernetwork", "presets"}
"""What the rebuild of the shapes adapters uses besides; nothing but that rebuild imports it."""

HOLDS_NETWORKS = {f"hnbench.suites.geneval.{name}" for name in ("colours", "conversion", "detector", "judge")}
"""The modules of `suites` that are imported only when a judge is made."""

READS_RECORDS_ONLY = {f"hnbench.runs.{name}" for name in ("record", "store", "manifest", "plan", "coverage", "identity")}
"""The modules of `runs` that read what a run left, without models: all that a report may use of it."""

HEAVY = ("torch", "torchvision", "diffusers", "transformers", "peft", "open_clip", "scipy", "pandas", "matplotlib", "PIL")


def module_name(path: Path) -> str:
    parts = ["hnbench", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of this package that a module imports anywhere: at the top, inside functions and for types."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            source = node.module or ""
            found |= {f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source for alias in node.names}
    return frozenset(found & set(MODULES) - {"hnbench"})


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def reachable(start: str) -> set[str]:
    found, queue = {start}, [start]
    while queue:
        new = imports(queue.pop()) - found
        found |= new
        queue += new
    return found


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"hnbench"}))
def test_imports_go_one_way(module: str) -> None:
    own = part(module)
    others = {name for name in imports(module) if part(name) != own}
    allowed = ALLOWED[own] | (REBUILDS if module == "hnbench.shapes_training.adapters" else set())
    wrong = sorted(name for name in others if part(name) not in allowed)
    assert not wrong, f"{module} must not import {wrong}"


def test_every_part_of_the_package_is_ruled() -> None:
    assert {part(module) for module in MODULES} - {""} == set(ALLOWED)


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part(name) in {"methods", "hypernetwork", "generators", "rewards"}))
def test_nothing_that_optimises_can_reach_a_judge(module: str) -> None:
    assert not [
        name for name in reachable(module) if part(name) in {"suites", "runs", "report", "scoring", "measures", "registry", "cli", "shapes"}
    ]


def test_a_method_is_given_nothing_that_a_judge_checks() -> None:
    assert list(inspect.signature(Method.propose).parameters) == ["self", "tasks", "generator", "reward", "noises"]
    assert [item.name for item in fields(Task)] == ["prompt_id", "prompt", "sample"]


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part(name) == "report"))
def test_a_report_reads_records_only(module: str) -> None:
    assert {name for name in imports(module) if part(name) == "runs"} <= READS_RECORDS_ONLY


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_has_to_start_quickly_imports_no_torch() -> None:
    light = {
        "errors",
        "streams",
        "fitting",
        "tasks",
        "seeds",
        "config",
        "registry",
        "presets",
        "loading",
        "cli",
        "display",
        "suites",
        "stats",
        "report",
    }
    modules = ["hnbench", *(name for name in MODULES if part(name) in light and name not in HOLDS_NETWORKS), *READS_RECORDS_ONLY]
    code = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
    assert "torch" not in sys.modules, f"{{name}} imports torch"
"""
    python(code)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["train", "--help"], ["score", "--help"], ["--version"], ["list", "methods"], ["list", "suites"]],
)
def test_help_and_list_load_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from hnbench.cli.app import main
sys.argv = ["hnbench", *{arguments!r}]
try:
    main()
finally:
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not heavy, heavy
"""
    assert python(code)
