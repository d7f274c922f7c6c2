"""`hnbench.report`: the tables, plots and findings of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.api.arguments import RESULTS, check_embed
from hnbench.display.screen import Screen
from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from hnbench.reports.summary import Summary
    from hnbench.runs.store import Run


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    path: Path
    """Its `report.md`; tables and plots are in the same folder."""
    page: Path
    """Its `index.html`, with all images."""
    findings: tuple[str, ...]
    """One sentence each, the most important first."""
    published: tuple[str, ...]
    """Published numbers next to the runs' own, one sentence each; empty unless asked for."""
    summary: Summary
    """Everything that was computed."""

    def frame(self) -> pd.DataFrame:
        """The table of `summary.csv`: one row per label and metric, with its 95% interval."""
        from hnbench.reports.tables import summary_frame

        return summary_frame(self.summary)

    @property
    def damaged(self) -> tuple[str, ...]:
        """Images that are missing or changed since they were written; empty without `check`."""
        return tuple(self.summary.pool.damaged or ())


def report(
    runs: Run | str | Path | Sequence[Run | str | Path] | None = None,
    *,
    out: str | Path | None = None,
    published: bool = False,
    check: bool = False,
    embed: int | None = None,
    progress: bool = True,
) -> Report:
    """Write the report of a run, or of several that differ only in the base seed.

    A run is given by its folder, or as `hnbench.run` and `hnbench.load_run` return it; None is the
    newest run under `results/`. The report goes into `report/` in the run's folder; for several
    runs, `out` is required. It is made from the records alone. With `check`, every image is
    compared with the SHA-256 in its record. With `published`, published numbers are shown too.

    The page links the images where they are. With `embed`, it contains small pictures of at most
    that number of prompts instead, so that it can be sent as one file.
    `progress` shows the stages on stderr.

    Raises `UsageError` for runs that cannot be reported together or have no record, `StoreError`
    for a damaged run.
    """
    from hnbench.reports.folder import PAGE
    from hnbench.reports.headlines import headline_lines
    from hnbench.reports.published import published_lines
    from hnbench.reports.summary import summarise_runs
    from hnbench.reports.write import write_report

    check_embed(embed)
    chosen = _chosen(runs)
    if len(chosen) > 1 and out is None:
        raise UsageError(
            f"{len(chosen)} runs were given; name a folder for their common report with `out`, for"
            f" example {RESULTS / 'report'}"
        )
    with Screen(shown=progress) as screen:
        screen.announce("reading the records")
        summary = summarise_runs(chosen, check=check)
        place = summary.pool.folders[0] / "report" if out is None else Path(out)
        screen.announce("drawing the plots")
        path = write_report(summary, place, published=published, embed=embed)
    lines = tuple(published_lines(summary)) if published else ()
    return Report(path, path.with_name(PAGE), tuple(headline_lines(summary)), lines, summary)


def _chosen(
    runs: Run | str | Path | Sequence[Run | str | Path] | None,
) -> list[Run | Path]:
    if runs is None:
        return [newest_run()]
    if isinstance(runs, (list, tuple)):
        return [Path(one) if isinstance(one, str) else one for one in runs]
    one: Run | str | Path = runs  # type: ignore[assignment]
    return [Path(one) if isinstance(one, str) else one]


def newest_run() -> Path:
    """The run under results/ whose run.json was written last."""
    found = sorted(RESULTS.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UsageError(
            f"there is no run under {RESULTS}/; give a run's folder, or make a run with `hnbench"
            " run`"
        )
    return found[-1].parent
