"""Text of others in a terminal, a spreadsheet and Markdown."""

from __future__ import annotations

import csv
import io

import pytest
from markdown_it import MarkdownIt

from hnbench.escaping import csv_cell, markdown, markdown_code, printable
from tests.hostile import TEXTS


@pytest.mark.parametrize("text", TEXTS)
def test_every_output_is_harmless(text: str) -> None:
    assert printable(text).isprintable()
    assert not csv_cell(text).strip().startswith(("=", "+", "-", "@"))
    assert next(csv.reader(io.StringIO(f'"{csv_cell(text).replace(chr(34), chr(34) * 2)}"'))) == [csv_cell(text)]


@pytest.mark.parametrize("text", TEXTS)
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    made = MarkdownIt("commonmark").enable("table").render(f"x{markdown(text)}x")
    assert made == f"<p>x{_html(printable(text))}x</p>\n"


@pytest.mark.parametrize("text", TEXTS)
def test_a_code_span_in_a_table_is_one_cell(text: str) -> None:
    made = MarkdownIt("commonmark").enable("table").render(f"| a | b |\n|---|---|\n| x{markdown(text)} | {markdown_code(text)} |\n")
    assert made.count("<td>") == 2
    assert f"<td>x{_html(printable(text))}</td>".replace(" </td>", "</td>") in made
    assert "<script" not in made


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def test_what_is_plain_stays_as_it_is() -> None:
    assert printable("a red circle, größer, 日本") == csv_cell("a red circle, größer, 日本") == "a red circle, größer, 日本"
    assert markdown("a red circle") == "a red circle"
    assert markdown_code("a`b") == "`` a`b ``"
