"""The entry: run folders in, a folder of tables, plots and text out. A pure function of what the
runs stored.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hnbench.files.writing import writing
from hnbench.reports import tables
from hnbench.reports.drawing import save, settings
from hnbench.reports.folder import replacing
from hnbench.reports.grid import write_grid
from hnbench.reports.headlines import headlines, spanned
from hnbench.reports.labels import style_of
from hnbench.reports.markdown import markdown
from hnbench.reports.plots import PLOTS
from hnbench.reports.pool import pool_runs
from hnbench.reports.published import beside
from hnbench.reports.summary import Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table


TEXT = "report.md"
FILES = (
    "summary.csv",
    "records.csv",
    "headline.json",
    *(f"{name}.{ending}" for name in PLOTS for ending in ("png", "svg")),
    "grid.png",
    TEXT,
)
"""Whatever a report can have, the text last: it is there when the rest is."""


def summarise_runs(run_folders: Sequence[Path], *, check: bool = False) -> Summary:
    """Read and analyse runs: the one input of `write`, `tables.console_table` and `headline_lines`.
    With `check`, also every image.

    Several runs are pooled; they must differ in nothing but the base seed. `UsageError` when they
    differ in more, when there is none, or when one has no record yet; `StoreError` when one is
    damaged.
    """
    return summarise(pool_runs(run_folders, check=check))


def write_report(run_folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of the runs into `out` (`report/` in the first run's folder unless said
    otherwise) and return its `report.md`.
    """
    summary = summarise_runs(run_folders)
    return write(summary, summary.pool.folders[0] / "report" if out is None else out)


def write(summary: Summary, out: Path, *, published: bool = False) -> Path:
    """Write all files of a report into `out` and return the path of its `report.md`, with published
    numbers where asked for.

    They take the places of an earlier report's when all of them are written; other files are kept.
    `UsageError` where files of these names are someone else's, `StoreError` where nothing can be
    written.
    """
    with writing(out, "The runs are not touched."), replacing(out, FILES) as working:
        _write(summary, working, published=published)
    return out / TEXT


def _write(summary: Summary, out: Path, *, published: bool) -> None:
    tables.write_csv(tables.records_frame(summary), out / "records.csv")
    tables.write_csv(tables.summary_frame(summary), out / "summary.csv")
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


def _draw(summary: Summary, out: Path) -> tuple[dict[str, str], list[str]]:
    """Draw every plot: file name -> title of those drawn, and the reasons for those not."""
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


def console_table(run_folders: Sequence[Path]) -> Table:
    """The main table for the terminal."""
    return tables.console_table(summarise_runs(run_folders))


def headline_lines(summary: Summary) -> list[str]:
    """The findings as sentences, most important first."""
    return [headline.sentence for headline in headlines(summary)]


def published_lines(summary: Summary) -> list[str]:
    """Published numbers of the same benchmark, model and steps beside the run's own, one sentence
    each.
    """
    return [
        f"{style_of(one.method).name}, {one.tag}: published {one.value:g} ({one.source}; judge"
        f" {one.judge}), this run {spanned(own) if own else 'has none'}."
        for one, own in beside(summary)
    ] or ["No published number is known of this benchmark, model and number of steps."]
