from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from hnbench.reports.headlines import interval_notes
from hnbench.reports.markdown import markdown
from hnbench.reports.report import summarise_runs
from hnbench.reports.summary import Summary
from hnbench.reports.tables import console_table, records_frame, summary_frame
from tests.reports.synthetic import LABELS, write_run


def test_records_are_one_row_each_without_trajectories(summary: Summary) -> None:
    frame = records_frame(summary)
    assert len(frame) == len(LABELS) * 72
    assert {
        "label",
        "prompt_id",
        "correct",
        "reward_shapes-clip",
        "initial_optimised",
        "seconds",
        "id",
    } <= set(frame.columns)
    assert not {"trajectory", "row", "column", "folder"} & set(frame.columns)
    assert frame["id"].is_unique


def test_summary_rows(summary: Summary) -> None:
    frame = summary_frame(summary).set_index(["label", "metric"])
    assert frame.index.is_unique
    own = summary.rows["hypernoise"]
    line = frame.loc[[("hypernoise", "gain/overall")]].to_dict("records")[0]
    shown = {name: line[name] for name in ("estimate", "low", "high", "p_holm")}
    assert shown == {
        "estimate": own.gain.estimate,
        "low": own.gain.low,
        "high": own.gain.high,
        "p_holm": own.p_holm,
    }
    assert frame.loc[("reno", "cost/passes"), "estimate"] == pytest.approx(296)
    assert frame.loc[("reno", "reward/redness"), "role"] == "held_out"
    assert frame.loc[("reno", "standard_gain/optimised"), "role"] == "optimised"
    assert frame.loc[("reno", "overall"), "role"] == ""
    assert (
        frame.loc[("hypernoise", "minus/best-of-2"), "estimate"]
        == summary.comparisons[0].gain.estimate
    )
    assert ("random", "gain/overall") not in frame.index
    assert ("hypernoise", "share_of_reno/gain") in frame.index
    assert ("hypernoise", "equivalent_best_of_n") in frame.index


def printed(summary: Summary) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=120, color_system=None).print(console_table(summary))
    return stream.getvalue().splitlines()


def test_console_table_fits_120_columns_in_full(summary: Summary) -> None:
    lines = printed(summary)
    assert max(len(line.rstrip()) for line in lines) <= 120
    assert not any("…" in line for line in lines)
    own = next(line for line in lines if line.startswith("HyperNoise"))
    assert f"{summary.rows['hypernoise'].overall.estimate:.3f} [" in own
    assert (
        sum(
            line.startswith(
                (
                    "random ",
                    "best-of-",
                    "ReNO",
                    "HyperNoise",
                    "fine-tuning",
                    "random dir.",
                    "other noise",
                )
            )
            for line in lines
        )
        == 12
    )


def test_console_table_marks_what_is_incomplete(gappy: Summary) -> None:
    lines = printed(gappy)
    assert [
        line.split(" (!)")[0] for line in lines if " (!) " in line and not line.startswith("(!)")
    ] == ["random", "ReNO", "HyperNoise"]
    assert any("failed or are missing" in line for line in lines)
    assert max(len(line.rstrip()) for line in lines) <= 120


def test_what_has_to_be_known_of_the_intervals(summary: Summary, tmp_path: Path) -> None:
    """Beside the table and in the report: intervals are not adjusted, and those of small tags are
    too narrow.
    """
    shown = " ".join(" ".join(printed(summary)).split())
    text = markdown(summary, {}, ())
    for place in (shown, text):
        assert (
            "Intervals are not adjusted for the number of comparisons, p-values are (Holm)" in place
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
