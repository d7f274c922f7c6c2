"""How much one function of the package may decide.

ruff's C901 counts statements; what is written as a comprehension, an `and` or a conditional
expression decides as much, and is counted here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hnbench

PACKAGE = Path(hnbench.__file__).parent
MOST = 15
"""Branches of a function, with the one that every function has."""
ALLOWED: set[str] = set()
"""Functions that have more."""

BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case)


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef):
            yield node
            yield from own_nodes(node)


def branches(function: ast.FunctionDef) -> int:
    found = 1
    for node in own_nodes(function):
        if isinstance(node, BRANCHES):
            found += 1
        elif isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            found += 1 + len(node.ifs)
    return found


def functions(code: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("pass", 1),
        ("if a and b:\n  pass\n elif c:\n  pass\n else:\n  pass", 4),
        ("return [x if x else y for x in a for y in b if x or y]", 6),
        ("try:\n  pass\n except OSError:\n  pass", 2),
        ("while a:\n  for b in c:\n   assert b", 4),
        ("def inner():\n  if a:\n   pass\n return inner", 1),
    ],
)
def test_branches_are_counted(body: str, expected: int) -> None:
    assert branches(functions(f"def f():\n {body}\n")[0]) == expected


def test_no_function_decides_too_much() -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}:{function.name}"
        for path in PACKAGE.rglob("*.py")
        for function in functions(path.read_text())
        if branches(function) > MOST
    }
    assert found == ALLOWED
