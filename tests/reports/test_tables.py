from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hnbench.reports.summary import Summary
from hnbench.reports.tables import console_table, records_frame, summary_frame, write_csv
from tests.reports.synthetic import LABELS


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
    assert frame.loc[("reno", "cost/generator_passes"), "estimate"] == pytest.approx(99)
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


def test_equal_numbers_that_are_written_differently_keep_their_texts(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [0.0, -0.0, math.nan, 1 / 3], "b": [None, "x", "=1", math.nan]})
    write_csv(frame, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "a,b\n0,\n-0,x\n,'=1\n0.333333333,\n"


def test_a_table_without_rows_has_its_header(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"a": [], "b": []}), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "a,b\n"


@pytest.mark.parametrize("number", [5, 25_000])
def test_a_table_is_read_again_as_it_was_written(number: int, tmp_path: Path) -> None:
    """Cells that repeat and cells that do not, in one part of the table and in several."""
    random = np.random.default_rng(0)
    texts = ["plain", 'a "quoted" word', "a, b", "", "-x", None]
    frame = pd.DataFrame(
        {
            "few": random.choice([0.5, -0.0, math.nan], number),
            "many": random.normal(size=number),
            "count": random.integers(0, 3, number),
            "right": random.choice([True, False], number),
            "words": pd.Series(random.choice(np.array(texts, dtype=object), number), dtype=object),
            "id": [f'{index}, "{index}"' for index in range(number)],
        }
    )
    write_csv(frame, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        header, *found = csv.reader(file)
    assert header == list(frame.columns)
    expected = [
        [
            ""
            if value is None or value != value  # noqa: PLR0124
            else "'-x"
            if value == "-x"
            else f"{value:.9g}"
            if isinstance(value, float)
            else str(value)
            for value in row
        ]
        for row in frame.itertuples(index=False)
    ]
    assert found == expected


def test_a_single_empty_cell_is_a_line_of_its_own(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"a": ["x", "", "y"]}), tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a"], ["x"], [""], ["y"]]
