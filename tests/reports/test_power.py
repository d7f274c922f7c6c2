"""What a report says of the differences that it could have told from zero."""

from __future__ import annotations

import csv
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from hnbench.reports.sections import power
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.reports.write import write_report
from hnbench.runs.frame import SCORE
from hnbench.stats.intervals import RESAMPLES
from hnbench.stats.power import SHARE, spread_of
from tests.reports.synthetic import LABELS, write_run


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder: Path = tmp_path_factory.mktemp("power") / "run"
    return summarise_runs([write_run(folder, (*LABELS, "oracle"), prompts_per_tag=12, samples=3)])


def test_the_bootstrap_and_the_analysis_of_variance_agree(seen: Summary) -> None:
    pool = seen.pool
    values = pool.values(SCORE)
    samples = np.array([prompt.samples for prompt in pool.prompts], dtype=np.intp)
    for pair in seen.pairs:
        first, second = (pool.labels.index(one) for one in (pair.first, pair.second))
        spread = spread_of(values[:, second] - values[:, first], pool.clusters, pool.strata)
        by_parts = SHARE * spread.error(pool.strata, samples)
        # The part between prompts is at least zero in one, and can be less by chance in the other.
        assert pair.detectable == pytest.approx(by_parts, rel=0.35), pair
        assert pair.detectable <= by_parts * (1 + 4 / math.sqrt(RESAMPLES))


def test_every_pair_is_in_the_file(seen: Summary, tmp_path: Path) -> None:
    write_report(seen, tmp_path)
    with (tmp_path / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["first"], row["second"]) for row in rows] == list(combinations(seen.rows, 2))
    for row, pair in zip(rows, seen.pairs, strict=True):
        assert float(row["detectable"]) == pytest.approx(pair.detectable, rel=1e-8)
        assert float(row["estimate"]) == pytest.approx(pair.overall.difference.estimate, abs=1e-8)
        assert int(row["wins"]) + int(row["losses"]) + int(row["ties"]) == seen.pool.planned


def test_the_table_has_the_methods_and_no_oracle(seen: Summary) -> None:
    text = power.section(seen)
    assert text.startswith("## Power\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == len(LABELS) - 1
    assert "oracle" not in text
    (best,) = (pair for pair in seen.pairs if {pair.first, pair.second} == {"random", "best-of-2"})
    assert rows[0].split("|")[2].strip() == f"{best.detectable:.3f}"


def test_a_tag_of_one_prompt_gives_no_statement(tmp_path: Path) -> None:
    one = summarise_runs([write_run(tmp_path / "run", ("random", "reno"), prompts_per_tag=1)])
    assert power.section(one) == ""
