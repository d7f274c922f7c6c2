"""The report that a run already has, read without computing anything again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hnbench.measures.journal import FOLDER
from hnbench.reports.folder import TEXT
from hnbench.runs.manifest import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = ("Findings", "Methods")
"""The sections that stand for the whole report."""


def existing_report(run: Path) -> tuple[Path, str] | None:
    """The report in a run's own folder: its path, and its title, findings and table as text. None
    if there is no report, or anything in the run is newer than it.
    """
    path = run / "report" / TEXT
    if not is_current(run):
        return None
    title, *sections = re.split(r"^(?=## )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    chosen = [one for one in sections if one.startswith(tuple(f"## {name}\n" for name in SHOWN))]
    return path, "".join([title, *chosen]).rstrip()


def is_current(run: Path) -> bool:
    """Whether a run's own folder has a report, and nothing in the run is newer than it."""
    path = run / "report" / TEXT
    sources = [run / MANIFEST, *run.glob("journal-*"), *(run / FOLDER).glob("*.jsonl*")]
    return path.is_file() and all(
        source.stat().st_mtime <= path.stat().st_mtime for source in sources if source.is_file()
    )
