from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from hnbench.errors import StoreError
from hnbench.reports.markdown import markdown
from hnbench.reports.notes import interval_notes, judge_notes, left_out
from hnbench.reports.pool import pool_runs
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.reports.tables import console_table, narrow_tables
from tests.reports.synthetic import manifest, write_run

LABELS = ("random", "reno")
REASON = "the generator has no gradient."


def printed(summary: Summary) -> str:
    """All that the table for the console says, in one line."""
    stream = io.StringIO()
    Console(file=stream, width=120, color_system=None).print(console_table(summary))
    return " ".join(stream.getvalue().split())


def test_what_has_to_be_known_of_the_intervals(summary: Summary) -> None:
    """Beside the table and in the report: intervals are not adjusted, and those of small tags are
    too narrow.
    """
    shown = printed(summary)
    text = markdown(summary, {}, ())
    for place in (shown, text):
        assert (
            "Intervals are not adjusted for the number of comparisons; p-values are (Holm)" in place
        )
        assert (
            "fewer than 20 prompts have intervals that are too narrow: single_object (6),"
            " two_object (6)," in place
        )


def test_tags_of_twenty_prompts_are_not_small(tmp_path: Path) -> None:
    one = summarise_runs(
        [write_run(tmp_path / "run", labels=("random", "reno"), prompts_per_tag=20, samples=1)]
    )
    assert len(interval_notes(one)) == 1
    other = summarise_runs(
        [write_run(tmp_path / "less", labels=("random", "reno"), prompts_per_tag=19, samples=1)]
    )
    assert len(interval_notes(other)) == 2


def test_no_comparison_needs_no_word_on_comparisons(tmp_path: Path) -> None:
    one = summarise_runs(
        [write_run(tmp_path / "run", labels=("random",), prompts_per_tag=20, samples=1)]
    )
    assert interval_notes(one) == []


def run(folder: Path, skipped: dict[str, str], base_seed: int = 0) -> Path:
    return write_run(
        folder,
        LABELS,
        prompts_per_tag=2,
        samples=1,
        base_seed=base_seed,
        changes={"skipped": skipped},
    )


def test_a_method_that_was_left_out_is_shown_everywhere(tmp_path: Path) -> None:
    summary = summarise_runs([run(tmp_path / "run", {"hypernoise": REASON})])
    sentence = "Left out: HyperNoise, because the generator has no gradient."
    text = markdown(summary, {}, ())
    assert f"\n\n{sentence}\n\n" in text[: text.index("## ")]
    assert sentence in printed(summary)
    assert sentence in str(narrow_tables(summary)[-1].caption)


def test_runs_that_left_out_the_same_say_it_once(tmp_path: Path) -> None:
    folders = [run(tmp_path / f"seed{seed}", {"mine": "it cannot"}, seed) for seed in (0, 1)]
    assert left_out(pool_runs(folders)) == ["Left out: mine, because it cannot."]


def test_runs_that_differ_in_what_they_left_out_are_named(tmp_path: Path) -> None:
    folders = [
        run(tmp_path / "a", {"mine": "it cannot", "reno": "it is slow"}, 0),
        run(tmp_path / "b", {"mine": "it will not"}, 1),
        run(tmp_path / "c", {"mine": "it cannot"}, 2),
    ]
    assert left_out(pool_runs(folders)) == [
        "Left out: mine, because it cannot (only in a, c).",
        "Left out: ReNO, because it is slow (only in a).",
        "Left out: mine, because it will not (only in b).",
    ]


def test_a_report_without_such_methods_says_nothing(summary: Summary) -> None:
    assert left_out(summary.pool) == []
    assert "Left out" not in markdown(summary, {}, ())


def test_reasons_come_from_a_file_and_are_text(tmp_path: Path) -> None:
    summary = summarise_runs([run(tmp_path / "run", {"<b>": "# [x](y) | *z*"})])
    text = markdown(summary, {}, ())
    assert "<b>" not in text
    assert "[x](y)" not in text


def test_a_reason_that_is_not_text_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", LABELS, changes={"skipped": {"reno": 1}})
    with pytest.raises(StoreError, match="skipped"):
        pool_runs([folder])


def test_the_drift_of_genevals_judge_is_stated_and_no_other_judges(tmp_path: Path) -> None:
    suite = {**manifest(LABELS, 2, 2, 0)["suite"], "judge": {"name": "geneval", "fingerprint": "1"}}
    one = summarise_runs([write_run(tmp_path / "one", changes={"suite": suite})])
    (sentence,) = judge_notes(one.pool)
    assert "17.7 points" in sentence
    assert sentence in markdown(one, {}, ())
    other = summarise_runs([write_run(tmp_path / "other")])
    assert judge_notes(other.pool) == []
