"""Every relative link of a document leads to a file that is there, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(
        path
        for folder in ("hnbench", "examples", "results")
        for path in sorted((ROOT / folder).rglob("README.md"))
    ),
]
LINK = re.compile(r"\[[^\[\]]*\]\(([^()\s]+)\)")
CODE = re.compile(r"^(```.*?^```|    .*?)$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
"""Text in which brackets are no link: blocks and spans of code."""


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: dict[str, int] = {}
    names = set()
    for title in re.findall(r"^#+ +(.*)$", CODE.sub(_spans, text), re.MULTILINE):
        plain = LINK.sub(lambda link: link[0][1 : link[0].index("]")], title)
        name = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


def _spans(code: re.Match[str]) -> str:
    """Code as it counts in a heading: spans do, blocks are no headings."""
    return "" if code[1] else code[0]


def broken(page: Path, text: str) -> list[str]:
    """The relative links of a page that lead nowhere."""
    links = [link for link in LINK.findall(CODE.sub("", text)) if not re.match("[a-z]+:", link)]
    return [link for link in links if not _leads_somewhere(page, text, link)]


def _leads_somewhere(page: Path, text: str, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name
    if name and not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text("utf-8") if name else text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert not broken(page, page.read_text("utf-8"))


def test_broken_links_are_found() -> None:
    text = (
        "# A `b`, c\n## A `b`, c\n[1](README.md) ![2](none.png)\n"
        "[3](#a-b-c) [4](#a-b-c-1) [5](#no)\n"
        "[6](docs/score.md#layouts) [7](docs/score.md#none) [8](https://x.org/none) `[9](none)`\n"
        "\n    [10](none)\n"
    )
    assert broken(ROOT / "page.md", text) == ["none.png", "#no", "docs/score.md#none"]
