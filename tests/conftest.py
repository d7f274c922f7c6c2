"""What all tests have in common."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from hnbench.reports.plots import PLOTS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full",
        action="store_true",
        help="of storm and fuzz: all kills and all folders, which takes an hour each",
    )


def pytest_collection_finish() -> None:
    """Everything imported so far stays: a third of the time is saved by not looking at it at every
    collection of garbage.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_is_verified_yet(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was verified on this machine is none of the tests' business, and what they verify none
    of its.
    """
    memory: Path = tmp_path_factory.mktemp("memory") / "verified.jsonl"
    monkeypatch.setattr("hnbench.weights.verified.memory_file", lambda: memory)


@pytest.fixture
def few_plots() -> Iterator[None]:
    """Reports have one plot: for tests of something else. `tests/reports` draws them all."""
    kept = dict(PLOTS)
    for name in list(PLOTS)[1:]:
        del PLOTS[name]
    yield
    PLOTS.clear()
    PLOTS.update(kept)  # in their order, which a report keeps
