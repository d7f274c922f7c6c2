"""Text of others in a terminal, a spreadsheet and Markdown."""

from __future__ import annotations

import csv
import io
import re

import pytest
from markdown_it import MarkdownIt

from hnbench.files.escaping import (
    csv_cell,
    csv_cells,
    first_line,
    markdown,
    markdown_code,
    printable,
)
from tests.hostile import TEXTS


@pytest.mark.parametrize("text", TEXTS)
def test_every_output_is_harmless(text: str) -> None:
    assert printable(text).isprintable()
    assert not csv_cell(text).strip().startswith(("=", "+", "-", "@"))
    assert next(csv.reader(io.StringIO(f'"{csv_cell(text).replace(chr(34), chr(34) * 2)}"'))) == [
        csv_cell(text)
    ]


PLACES = {
    "{}": "<p>{}</p>",
    "x{}x": "<p>x{}x</p>",
    "above\n{}": "<p>above\n{}</p>",
    "- {}": "<ul>\n<li>{}</li>\n</ul>",
    "# {}": "<h1>{}</h1>",
    "**{}**": "<p><strong>{}</strong></p>",
    "_{}._": "<p><em>{}.</em></p>",
    "[{}](x)": '<p><a href="x">{}</a></p>',
    "| {} |\n|---|": "<table>\n<thead>\n<tr>\n<th>{}</th>\n</tr>\n</thead>\n</table>",
}
"""Where a text may stand, and what is shown there."""

MORE = (
    *(
        "- a",
        "+ a",
        "+",
        "-",
        "---",
        "- - -",
        "===",
        "1. a",
        "123456789) a",
        "1)",
        "    four spaces",
        " one",
        "> quoted",
        "a #",
        "#",
        "##",
    ),
    *(
        "[0.1, 0.2](http://example.com)",
        "[0.1]: http://example.com",
        "x [0.1]: y",
        "![0.1](x)",
        "[a][b] c",
        "[ ] done",
        "[x] done",
    ),
    *(
        "_a_",
        "a_",
        "_a",
        "a_b_",
        "__a__",
        "_a b_c",
        "a_*b_",
        "1 < 2",
        "a <b",
        "a <",
        "a&b",
        "&#33;",
        "a*b*c",
        "~~~",
        "```",
        "\\",
        "a\\",
    ),
)
"""Of Markdown alone."""


@pytest.mark.parametrize("text", [*TEXTS, *MORE])
@pytest.mark.parametrize("place", PLACES)
def test_markdown_shows_the_text_and_nothing_else_wherever_it_stands(place: str, text: str) -> None:
    made = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .render(place.format(markdown(text)))
    )
    assert _without_spaces(made) == _without_spaces(PLACES[place].format(_html(printable(text))))


@pytest.mark.parametrize("text", [*TEXTS, *MORE])
def test_a_code_span_shows_the_text(text: str) -> None:
    assert (
        MarkdownIt("commonmark").render(markdown_code(text))
        == f"<p><code>{_html(printable(text))}</code></p>\n"
    )


def _without_spaces(made: str) -> str:
    """Browsers show none at the ends of a block."""
    return re.sub(r"(>) +| +(</)|\n", r"\1\2", made)


def _html(text: str) -> str:
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


@pytest.mark.parametrize("text", ["＝1+1", "＋1", "－1", "＠A1"])  # noqa: RUF001
def test_wide_signs_begin_formulas_too(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", [*TEXTS, "=1+1", " =1+1", "＋1", "plain", ""])  # noqa: RUF001
def test_many_cells_are_what_each_is_alone(text: str) -> None:
    for texts in ([text], [text, "plain"], ["a", text, "=1"], []):
        assert csv_cells(texts) == {one: csv_cell(one) for one in texts}


def test_what_is_plain_stays_as_it_is() -> None:
    assert (
        printable("a red circle, größer, 日本")
        == csv_cell("a red circle, größer, 日本")
        == "a red circle, größer, 日本"
    )
    for plain in (
        "best-of-4",
        "color_attr",
        "shapes-clip x 2",
        "p < 0.001",
        "0.46 [0.435, 0.485]: N = 2.5 [2.2 to 2.8].",
        "-0.026",
        "C#7",
    ):
        assert markdown(plain) == plain
    assert markdown_code("a`b") == "`` a`b ``"


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  one\x1b \ntwo"), r"one\x1b"),
        (RuntimeError("these keys differ:\n\n\ta, b\nand more"), "these keys differ: a, b"),
        (RuntimeError("nothing follows:"), "nothing follows:"),
        (MemoryError(), "MemoryError"),
        (Unspeakable(), "Unspeakable"),
        (ValueError("x" * 999), "x" * 500),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line
