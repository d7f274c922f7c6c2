"""The page of a comparison: its tables, which can be sorted, and its plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import printable
from hnbench.reports.comparison.text import lead, sections, title
from hnbench.reports.page.document import document
from hnbench.reports.page.prose import html_of
from hnbench.reports.page.report import page_plot, page_section, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hnbench.reports.comparison.comparison import Comparison


def comparison_page(
    comparison: Comparison, plots: Mapping[str, str], notes: Sequence[str], folder: Path
) -> str:
    """The whole page as HTML.

    `plots` maps the names of the drawn plots' PNG files to their titles, and `notes` say which are
    absent and why, as in `markdown`; their SVG files are read from `folder`.
    """
    main, *others = map(page_section, sections(comparison))
    return document(
        "comparison.html.jinja",
        None,  # there is no gallery
        title=plain(title(comparison)),
        lead=html_of(lead(comparison)),
        main=main,
        others=others,
        plots=[page_plot(folder, name.removesuffix(".png"), text) for name, text in plots.items()],
        notes=[printable(note) for note in notes],
    )
