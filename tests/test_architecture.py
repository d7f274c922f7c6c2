"""Who may import whom, and what start-up may load."""

from __future__ import annotations

import ast
import inspect
import re
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
GROUND = {
    *("errors", "tasks", "seeds", "config", "detections"),
    *("files", "guards", "devices", "weights"),
}
"""What every room may use: it knows nothing of models, methods, suites or runs."""
MODELS = {"generators", "rewards"}

ALLOWED = {
    "errors": set(),
    "tasks": set(),
    "detections": set(),
    "seeds": {"tasks"},
    "files": {"errors"},
    "devices": {"errors", "files"},
    "guards": {"errors", "files"},
    "weights": {"errors", "files", "seeds"},
    "config": {"errors", "files", "seeds"},
    "generators": GROUND,
    "rewards": GROUND,
    "metering": MODELS,
    "flops": {"devices"},
    "stats": set(),
    "shapes": GROUND | MODELS,
    "measures": GROUND | {"shapes"},
    "suites": GROUND | {"shapes", "measures"},
    "hypernetwork": GROUND | MODELS | {"metering", "flops"},
    "methods": GROUND | MODELS | {"hypernetwork"},
    "runs": GROUND | MODELS | {"metering", "flops", "methods", "suites"},
    "reports": {"errors", "files", "weights", "config", "stats", "runs", "measures"},
    "testing": GROUND | MODELS | {"metering", "methods", "suites", "measures", "runs"},
    "images": GROUND | {"stats", "runs", "suites", "measures"},
    "catalogue": GROUND | MODELS | {"hypernetwork", "methods", "suites", "measures", "shapes"},
    "verification": (
        GROUND
        | MODELS
        | {"catalogue", "hypernetwork", "images", "measures", "methods", "runs", "shapes", "suites"}
    ),
    "shapes_training": GROUND | MODELS | {"shapes", "suites", "hypernetwork", "catalogue"},
    "display": {"files", "guards", "runs", "verification"},
    "api": (
        GROUND
        | {"catalogue", "display", "generators", "hypernetwork", "images", "measures", "methods"}
        | {"reports", "runs", "suites", "verification"}
    ),
    "cli": (
        GROUND
        | {
            "api",
            "catalogue",
            "display",
            "hypernetwork",
            "images",
            "reports",
            "runs",
            "suites",
            "verification",
        }
    ),
    "__main__": {"cli"},
}
"""The room of the package -> the rooms that it may import, for types included. From the ground
floor up.
"""

JUDGING = {"suites", "runs", "reports", "images", "measures", "catalogue", "cli", "shapes"}
"""What knows judges, or leads to them."""

HOLDS_NETWORKS = {
    f"hnbench.suites.geneval.{name}" for name in ("colours", "conversion", "detector", "judge")
}
"""The modules of `suites` that are imported only when a judge is made."""

READS_RECORDS_ONLY = {
    f"hnbench.runs.{name}"
    for name in ("record", "frame", "store", "manifest", "plan", "coverage", "identity")
}
"""The modules of `runs` that read what a run left, without models: all that a report may use of it.
"""

HEAVY = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "peft",
    "open_clip",
    "scipy",
    "pandas",
    "matplotlib",
    "PIL",
)


def module_name(path: Path) -> str:
    parts = ["hnbench", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of this package that a module imports anywhere: at the top, inside functions and
    for types.
    """
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            source = node.module or ""
            found |= {
                f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source
                for alias in node.names
            }
    return frozenset(found & set(MODULES) - {"hnbench"})


TYPED_AT_A_SHELL = {
    "hnbench.api.command",
    "hnbench.catalogue.contamination",
    "hnbench.shapes_training.__main__",
    "hnbench.suites.t2i_compbench.parse",
    "hnbench.reports.markdown",
    "hnbench.reports.sections.coverage",
    "hnbench.reports.sections.provenance",
}
"""Command lines of their own, and the report, whose readers type commands."""


def texts(module: str) -> list[str]:
    """A module's strings without docstrings; an f-string is one, with {} for each value."""
    found, parts = [], set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts.update(item for item in node.values if isinstance(item, ast.Constant))
            found.append(
                "".join(
                    str(item.value) if isinstance(item, ast.Constant) else "{}"
                    for item in node.values
                )
            )
        elif isinstance(node, ast.Call):  # such as git("status", "--porcelain")
            parts.update(
                item
                for item in node.args
                if isinstance(item, ast.Constant) and re.fullmatch(r"--[a-z=-]+", str(item.value))
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            found.append(node.value)
    return found


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
    wrong = sorted(name for name in others if part(name) not in ALLOWED[own])
    assert not wrong, f"{module} must not import {wrong}"


def test_every_room_of_the_package_is_ruled() -> None:
    assert {part(module) for module in MODULES} - {""} == set(ALLOWED)


def test_no_room_is_above_itself() -> None:
    floors = list(ALLOWED)
    up = [
        (room, other)
        for room, others in ALLOWED.items()
        for other in others
        if floors.index(other) >= floors.index(room)
    ]
    assert not up


def test_the_top_level_has_at_most_ten_files() -> None:
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 10


def test_no_two_public_classes_have_one_name() -> None:
    found: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(module)
    assert not {name: modules for name, modules in found.items() if len(modules) > 1}


@pytest.mark.parametrize(
    "module",
    sorted(
        name
        for name in MODULES
        if part(name) in {"methods", "hypernetwork", "generators", "rewards"}
    ),
)
def test_nothing_that_optimises_can_reach_a_judge(module: str) -> None:
    assert not [name for name in reachable(module) if part(name) in JUDGING]


def test_a_method_is_given_nothing_that_a_judge_checks() -> None:
    assert list(inspect.signature(Method.propose).parameters) == [
        "self",
        "tasks",
        "generator",
        "reward",
        "noises",
    ]
    assert [item.name for item in fields(Task)] == ["prompt_id", "prompt", "sample"]


@pytest.mark.parametrize(
    "module",
    sorted(name for name in MODULES if part(name) != "cli" and name not in TYPED_AT_A_SHELL),
)
def test_a_message_of_the_library_names_parameters_and_no_flags(module: str) -> None:
    """The command line turns `batch_size` into --batch-size (`hnbench.cli.flags`). Lines that begin
    with four spaces are code blocks of model cards.
    """
    flags = re.compile(r"(?<![\w-])--(?=[a-z{])")
    wrong = [text for text in texts(module) if flags.search(re.sub(r"(?m)^ {4}.*$", "", text))]
    assert not wrong


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part(name) == "reports"))
def test_a_report_reads_records_only(module: str) -> None:
    assert {name for name in imports(module) if part(name) == "runs"} <= READS_RECORDS_ONLY


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_has_to_start_quickly_imports_no_torch() -> None:
    light = {
        "errors",
        "tasks",
        "seeds",
        "config",
        "detections",
        "files",
        "catalogue",
        "cli",
        "suites",
        "stats",
        "reports",
    }
    modules = [
        "hnbench",
        *(name for name in MODULES if part(name) in light and name not in HOLDS_NETWORKS),
        *READS_RECORDS_ONLY,
    ]
    code = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
    assert "torch" not in sys.modules, f"{{name}} imports torch"
"""
    python(code)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["train", "--help"],
        ["score", "--help"],
        ["--version"],
        ["list", "methods"],
        ["list", "suites"],
    ],
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
