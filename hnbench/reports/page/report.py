"""The page of a report: findings, tables and plots as in its text, and all images.

Its sections are those of the text (`hnbench.reports.markdown`), so both say the same.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnbench.files.escaping import printable
from hnbench.reports.markdown import findings, lead, sections, title
from hnbench.reports.page.document import data_uri, document
from hnbench.reports.page.gallery import embedded_rows, gallery
from hnbench.reports.page.gallery_contents import of_report
from hnbench.reports.page.prose import html_of
from hnbench.reports.sections import headroom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from markupsafe import Markup

    from hnbench.reports.summary import Summary


@dataclass(frozen=True)
class PageSection:
    """A part of the page under a heading of its own."""

    id: str
    heading: str
    body: Markup


@dataclass(frozen=True)
class PagePlot:
    """A plot in the page: the picture as an address, and the names of its files in the report's
    folder without ending.
    """

    name: str
    title: str
    address: str


def page(
    summary: Summary,
    plots: Mapping[str, str],
    notes: Sequence[str],
    *,
    folder: Path,
    place: Path,
    published: bool = False,
    embed: int | None = None,
) -> str:
    """The whole page as HTML.

    `plots` maps the names of the drawn plots' PNG files to their titles, and `notes` say which are
    absent and why, as in `markdown`; their SVG files are read from `folder`. `place` is the folder
    that the page will be in; images are linked from there. With `embed`, it contains pictures of at
    most that number of prompts instead, and no links.
    """
    pool = summary.pool
    # The grid is a selection of what the gallery shows.
    drawn = {name.removesuffix(".png"): text for name, text in plots.items() if name != "grid.png"}
    main, *others = map(page_section, sections(summary, published=published))
    found, spread = findings(summary), headroom.section(summary)
    images = gallery(of_report(pool, summary.pairs), place, embed)
    return document(
        "report.html.jinja",
        images,
        title=plain(title(summary)),
        lead=html_of(lead(summary)),
        findings=page_section(found) if found else None,
        headroom=page_section(spread) if spread else None,
        main=main,
        others=others,
        plots=[page_plot(folder, name, text) for name, text in drawn.items()],
        notes=[printable(note) for note in notes],
        embedded=None if embed is None else len(embedded_rows(pool, embed)),
        prompts=len(pool.prompts),
        judge=images["judge"],
    )


def plain(markdown: str) -> str:
    """A line of escaped Markdown as text."""
    return html.unescape(re.sub("<[^>]*>", "", html_of(markdown))).strip()


def page_section(markdown: str) -> PageSection:
    """A section of Markdown, which begins with its heading."""
    heading, _, body = markdown.partition("\n")
    name = heading.removeprefix("## ")
    return PageSection(name.lower().replace(" ", "-"), name, html_of(body))


def page_plot(folder: Path, name: str, text: str) -> PagePlot:
    """A drawn plot, whose SVG file is in `folder`; `text` is its title."""
    # As a picture, each plot keeps its ids and styles to itself.
    content = (folder / f"{name}.svg").read_bytes()
    return PagePlot(name, printable(text), data_uri(content, "image/svg+xml"))
