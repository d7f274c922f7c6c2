"""A report marks an oracle, and compares nothing with it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hnbench.reports.headlines import headlines
from hnbench.reports.labels import featured, style_of
from hnbench.reports.summary import Summary, summarise_runs
from tests.reports.synthetic import LABELS, write_run


@pytest.fixture(scope="module")
def with_and_without(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Summary]:
    """A run with an oracle, and the same run without it. All draws are the same but the oracle's,
    which come last.
    """
    folder: Path = tmp_path_factory.mktemp("runs")
    found = [
        summarise_runs([write_run(folder / name, labels)])
        for name, labels in (("with", (*LABELS, "oracle")), ("without", LABELS))
    ]
    return found[0], found[1]


def test_the_other_rows_are_as_if_it_were_not_there(
    with_and_without: tuple[Summary, Summary],
) -> None:
    seen, blind = with_and_without
    assert math.isnan(seen.rows["oracle"].p_holm)
    assert all(math.isnan(value) for value in seen.rows["oracle"].tag_p_holm.values())
    for label in LABELS[1:]:
        assert seen.rows[label].p_holm == blind.rows[label].p_holm
        assert seen.rows[label].tag_p_holm == blind.rows[label].tag_p_holm
        assert seen.rows[label].gain == blind.rows[label].gain


def test_it_is_marked_and_not_featured(with_and_without: tuple[Summary, Summary]) -> None:
    seen, _ = with_and_without
    assert "sees the judge" in style_of("oracle").name
    assert "oracle" not in featured(list(seen.rows))


def test_its_finding_is_its_own(with_and_without: tuple[Summary, Summary]) -> None:
    seen, blind = with_and_without
    added = [one for one in headlines(seen) if "oracle" in one.key]
    assert [one.key for one in added] == ["oracle/oracle"]
    assert "no method's score" in added[0].sentence
    assert [one for one in headlines(seen) if "oracle" not in one.key] == headlines(blind)
