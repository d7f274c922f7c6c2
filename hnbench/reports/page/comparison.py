"""The page of a comparison: its tables, which can be sorted, its plots, and the images of rows that
started from the same noises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import printable
from hnbench.reports.comparison.text import lead, sections, title
from hnbench.reports.page.compared_images import matched_rows, of_comparison
from hnbench.reports.page.document import document
from hnbench.reports.page.gallery import embedded_rows, gallery
from hnbench.reports.page.prose import html_of
from hnbench.reports.page.report import page_plot, page_section, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hnbench.reports.comparison.comparison import Comparison


def comparison_page(
    comparison: Comparison,
    plots: Mapping[str, str],
    notes: Sequence[str],
    *,
    folder: Path,
    place: Path,
    embed: int | None = None,
) -> str:
    """The whole page as HTML.

    `plots` maps the names of the drawn plots' PNG files to their titles, and `notes` say which are
    absent and why, as in `markdown`; their SVG files are read from `folder`. `place` is the folder
    that the page will be in; images are linked from there. With `embed`, it contains pictures of at
    most that number of prompts instead, and no links.
    """
    main, *others = map(page_section, sections(comparison))
    rows = matched_rows(comparison)
    contents, shown = of_comparison(comparison, rows), {row.name for row in rows}
    return document(
        "comparison.html.jinja",
        images := None if contents is None else gallery(contents, place, embed),
        title=plain(title(comparison)),
        lead=html_of(lead(comparison)),
        main=main,
        others=others,
        plots=[page_plot(folder, name.removesuffix(".png"), text) for name, text in plots.items()],
        notes=[printable(note) for note in notes],
        images=images,
        without=[
            printable(level.row.name) for level in comparison.levels if level.row.name not in shown
        ],
        embedded=(
            None if embed is None or contents is None else len(embedded_rows(contents.pool, embed))
        ),
        prompts=comparison.prompts,
    )
