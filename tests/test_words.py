"""Words of CONTRIBUTING's list that have no good use are in no code and in no document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BANNED = re.compile(
    r"\b(mend(s|ed|ing)?|anew|so\s+many|known\s+by|taken\s+apart"
    r"|(?<!there )(is|are)\s+no\s+(file|run|number|folder|picture|prompt|repository|JSON|PNG))\b",
    re.IGNORECASE,
)
TABLE = re.compile(r"^\| avoid \| write \|\n(\|.*\n)*", re.MULTILINE)
"""The list itself."""
TEXTS = [
    *sorted(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "hnbench").rglob("*.md")),
    *sorted((ROOT / "hnbench").rglob("*.py")),
]


def banned_in(text: str) -> list[str]:
    """Every banned word with its line's number."""
    text = TABLE.sub(lambda table: "\n" * table[0].count("\n"), text)
    return [
        f"line {text.count(chr(10), 0, found.start()) + 1}: {' '.join(found[0].split())}"
        for found in BANNED.finditer(text)
    ]


def test_words_are_found_with_their_lines() -> None:
    assert banned_in("plain\nMend it. So\nmany x are no\nnumber, there is no file; amend") == [
        "line 2: Mend",
        "line 2: So many",
        "line 3: are no number",
    ]
    assert banned_in("| avoid | write |\n|---|---|\n| anew | again |\n\nanew") == ["line 5: anew"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_word(path: Path) -> None:
    assert not banned_in(path.read_text(encoding="utf-8"))


def test_docstrings_begin_with_their_noun_or_verb() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {opening[0]}"
        for path in TEXTS
        for opening in re.finditer(r'"""(What|That|Of) .*', path.read_text(encoding="utf-8"))
    ]
    assert not found
