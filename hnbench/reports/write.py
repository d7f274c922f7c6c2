"""Write a report into one folder: its tables, plots and text.

The content follows from the runs' records alone, so the same runs give the same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hnbench.files.writing import writing
from hnbench.reports import tables
from hnbench.reports.drawing import save, settings
from hnbench.reports.folder import PAGE, TEXT, replacing
from hnbench.reports.grid import write_grid
from hnbench.reports.headlines import headlines
from hnbench.reports.markdown import markdown
from hnbench.reports.page.report import page
from hnbench.reports.plots import PLOTS

if TYPE_CHECKING:
    from pathlib import Path

    from hnbench.reports.summary import Summary

FILES = (
    "summary.csv",
    "pairs.csv",
    "records.csv",
    "headline.json",
    *(f"{name}.{ending}" for name in PLOTS for ending in ("png", "svg")),
    "grid.png",
    PAGE,
    TEXT,
)
"""All files that a report can have. The text comes last, so if it is there, the rest is too."""


def write_report(
    summary: Summary, out: Path, *, published: bool = False, embed: int | None = None
) -> Path:
    """Write all files of a report into `out` and return the path of its `report.md`. With
    `published`, the text also has the numbers of papers. With `embed`, the page contains small
    pictures of at most that number of prompts, instead of links to the images.

    The files replace those of an earlier report once all of them are written; other files are kept.
    `UsageError` if files of these names were written by something else, `StoreError` if the folder
    cannot be written to.
    """
    with writing(out, "The runs are not touched."), replacing(out, FILES) as working:
        plots, notes = _write(summary, working, published=published)
        content = page(
            summary, plots, notes, folder=working, place=out, published=published, embed=embed
        )
        (working / PAGE).write_text(content, encoding="utf-8", newline="\n")
    return out / TEXT


def _write(summary: Summary, out: Path, *, published: bool) -> tuple[dict[str, str], list[str]]:
    """Write everything but the page. Returns the drawn plots and the sentences on the others, as
    `_draw` does.
    """
    tables.write_csv(tables.records_frame(summary), out / "records.csv")
    tables.write_csv(tables.summary_frame(summary), out / "summary.csv")
    tables.write_csv(tables.pairs_frame(summary), out / "pairs.csv")
    (out / "headline.json").write_text(
        json.dumps([one.to_json() for one in headlines(summary)], indent=1, ensure_ascii=False)
        + "\n",
        encoding="utf-8",
        newline="\n",
    )
    plots, notes = _draw(summary, out)
    (out / TEXT).write_text(
        markdown(summary, plots, notes, published=published), encoding="utf-8", newline="\n"
    )
    return plots, notes


def _draw(summary: Summary, out: Path) -> tuple[dict[str, str], list[str]]:
    """Draw every plot. Returns file name -> title of the plots that were drawn, and a sentence for
    each one that was not.
    """
    plots: dict[str, str] = {}
    notes: list[str] = []
    with settings():
        for name, plot in PLOTS.items():
            figure = plot(summary)
            if isinstance(figure, str):
                notes.append(figure)
            else:
                plots[f"{name}.png"] = figure.get_suptitle()
                save(figure, out, name)
        grid = write_grid(summary, out)
    if isinstance(grid, str):
        notes.append(grid)
    else:
        plots["grid.png"] = "The same prompts and starting noises by method"
    return plots, notes
