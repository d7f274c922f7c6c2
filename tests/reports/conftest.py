from __future__ import annotations

from pathlib import Path

import pytest

from hnbench.reports.report import summarise_runs
from hnbench.reports.summary import Summary
from tests.reports.synthetic import write_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "complete", images=True)


@pytest.fixture(scope="session")
def summary(run_folder: Path) -> Summary:
    return summarise_runs([run_folder])


@pytest.fixture(scope="session")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Of `reno` one sample failed, of `hypernoise` one is missing, of the base one failed."""
    folder = tmp_path_factory.mktemp("runs") / "gappy"
    return summarise_runs(
        [write_run(folder, failed=("random", "reno"), missing=("hypernoise",), base_seed=3)]
    )
