"""Write a comparison into one folder: its tables, plots, text and page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.writing import writing
from hnbench.reports.comparison.plots import PLOTS
from hnbench.reports.comparison.text import markdown
from hnbench.reports.drawing import save, settings
from hnbench.reports.folder import PAGE, replacing
from hnbench.reports.page.comparison import comparison_page
from hnbench.reports.tables import write_csv

if TYPE_CHECKING:
    from pathlib import Path

    from hnbench.reports.comparison.comparison import Comparison

TEXT = "comparison.md"
FILES = (
    "comparison.csv",
    "pairs.csv",
    *(f"{name}.{ending}" for name in PLOTS for ending in ("png", "svg")),
    PAGE,
    TEXT,
)
"""All files that a comparison can have. The text comes last."""


def write_comparison(comparison: Comparison, out: Path, *, embed: int | None = None) -> Path:
    """Write all files of a comparison into `out` and return the path of its `comparison.md`. With
    `embed`, the page contains small pictures of at most that number of prompts, instead of links to
    the images.

    Files of an earlier comparison are replaced. `UsageError` if files of these names were written
    by something else, `StoreError` if the folder cannot be written to.
    """
    with writing(out, "The runs are not touched."), replacing(out, FILES) as working:
        write_csv(comparison.frame(), working / "comparison.csv")
        write_csv(comparison.pairs_frame(), working / "pairs.csv")
        plots: dict[str, str] = {}
        notes: list[str] = []
        with settings():
            for name, plot in PLOTS.items():
                figure = plot(comparison)
                if isinstance(figure, str):
                    notes.append(figure)
                else:
                    plots[f"{name}.png"] = figure.get_suptitle()
                    save(figure, working, name)
        page = comparison_page(comparison, plots, notes, folder=working, place=out, embed=embed)
        (working / PAGE).write_text(page, encoding="utf-8", newline="\n")
        (working / TEXT).write_text(
            markdown(comparison, plots, notes), encoding="utf-8", newline="\n"
        )
    return out / TEXT
