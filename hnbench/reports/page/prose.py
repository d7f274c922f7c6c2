"""The sections of a report's text as HTML: the same Markdown, rendered by markdown-it.

Everything that comes from a run is escaped in the Markdown already. HTML is escaped here once more,
except for the two tags with which a section folds a list.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

_FOLDING = re.compile(r"<details><summary>([^<>]*)</summary>|</details>")
_ALERT = "[!WARNING]"
"""The first line of a quotation that GitHub shows as a warning."""


def html_of(markdown: str) -> Markup:
    """Markdown of a report as HTML. Tables scroll on their own and can be sorted."""
    return Markup(_parser().render(markdown))  # noqa: S704 - escaped by the renderer


class _Renderer(RendererHTML):
    """The elements whose HTML is not markdown-it's own."""

    def html_block(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return _folding(tokens[idx].content)

    def html_inline(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return _folding(tokens[idx].content)

    def table_open(self, *_: Any) -> str:
        return '<div class="scroll" tabindex="0" role="group"><table class="sortable">\n'

    def table_close(self, *_: Any) -> str:
        return "</table></div>\n"

    def image(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        # No section shows pictures; the page has its own.
        return str(escape(tokens[idx].content))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", renderer_cls=_Renderer).enable("table")
    parser.core.ruler.push("classes", _with_classes)
    return parser


def _with_classes(state: Any) -> None:
    """Replace style attributes, which the page's policy forbids, and mark warnings."""
    for at, token in enumerate(state.tokens):
        if str(token.attrs.pop("style", "")).endswith("right"):
            token.attrs["class"] = "number"
        if token.type == "th_open":
            token.attrs["scope"] = "col"
        if token.type == "inline" and token.content.startswith(_ALERT):
            token.children = [
                one for one in token.children if one.content != _ALERT and one.type != "softbreak"
            ]
            state.tokens[at - 2].attrs["class"] = "warning"


def _folding(html: str) -> str:
    return html if _FOLDING.fullmatch(html.strip()) else str(escape(html))
