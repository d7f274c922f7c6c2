"""Whatever lies in a folder, a command ends in an exit code of its own, and no report calls itself
complete over something else.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from hnbench.files.journal import unsealed
from tests.fuzz.calls import Called, call
from tests.fuzz.mutator import AGAINST_THE_CHECK, AGAINST_THE_PLAN, Apply, change, opened, resealed
from tests.fuzz.session import Outcomes, drawing, limit_memory, try_folder
from tests.fuzz.world import COMPLETE, REPORT, make_world, toys

pytestmark = pytest.mark.fuzz

QUICK, FULL = 80, 10_000
"""Damaged folders."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A whole folder, not to be changed, and this process in an environment of toys."""
    before, limits = Path.cwd(), resource.getrlimit(resource.RLIMIT_AS)
    place = tmp_path_factory.mktemp("fuzz") / "world"
    with toys():
        make_world(place)
        limit_memory()
        yield place
    resource.setrlimit(resource.RLIMIT_AS, limits)
    os.chdir(before)


def test_damaged_folders(world: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    outcomes = Outcomes()
    for seed in range(FULL if request.config.getoption("--full") else QUICK):
        try_folder(seed, world, tmp_path / "folder", outcomes)
    print(outcomes)
    assert not outcomes.faults


@pytest.mark.parametrize("reseal", [False, True])
@pytest.mark.parametrize(("name", "apply"), AGAINST_THE_PLAN.items())
def test_what_contradicts_is_refused(
    world: Path, tmp_path: Path, name: str, apply: Apply, reseal: bool
) -> None:
    called = report_of_changed(world, tmp_path, apply, reseal=reseal)
    assert (called.code, called.fault) == (4, ""), f"{name}: {called}"


@pytest.mark.parametrize(("name", "apply"), AGAINST_THE_CHECK.items())
def test_what_was_changed_is_refused(world: Path, tmp_path: Path, name: str, apply: Apply) -> None:
    called = report_of_changed(world, tmp_path, apply, reseal=False)
    assert (called.code, called.fault) == (4, ""), f"{name}: {called}"


@pytest.mark.parametrize(("name", "apply"), AGAINST_THE_CHECK.items())
def test_what_was_forged_is_no_traceback(
    world: Path, tmp_path: Path, name: str, apply: Apply
) -> None:
    """Whoever makes the check value anew is believed where nothing else contradicts; all plots that
    it concerns are drawn, or not.
    """
    called = report_of_changed(world, tmp_path, apply, reseal=True, plots=True)
    assert not called.fault, f"{name}: {called}"


def report_of_changed(
    world: Path, folder: Path, apply: Apply, *, reseal: bool, plots: bool = False
) -> Called:
    shutil.copytree(world / "run", folder / "run")
    os.chdir(folder)
    change(folder / "run/journal-0000.jsonl", apply, reseal=reseal)
    with nullcontext() if plots else drawing():
        return call(*REPORT)


def test_what_was_not_changed_is_complete(world: Path, tmp_path: Path) -> None:
    """Else the tests above could not fail: written by the same way, a journal that is as it was is
    accepted.
    """
    assert report_of_changed(world, tmp_path, lambda records: None, reseal=True).code == 0
    assert (tmp_path / "run/journal-0000.jsonl").read_bytes() == (
        world / "run/journal-0000.jsonl"
    ).read_bytes()
    assert COMPLETE in (tmp_path / "run/report/report.md").read_text()


def test_lines_are_sealed_as_the_mutator_thinks(world: Path) -> None:
    for line in (world / "run/journal-0000.jsonl").read_bytes().splitlines():
        assert unsealed(line)[1]
        assert resealed(opened(line)[0]) == line
