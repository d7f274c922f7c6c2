"""Makes foreign text (prompts, names, messages of plug-ins) harmless: one function for each kind of
output.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_FORMULA = tuple("=+-@＝＋－＠")  # noqa: RUF001
"""Characters that begin a formula in a spreadsheet, also in full width."""
_BEFORE_FORMULA = frozenset((" ", *_FORMULA))
"""The characters that a text begins with if a spreadsheet would take it for a formula."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", " ": "&#32;"}
_MARKDOWN = re.compile(
    r"""
    (?P<plain>
        (?<=[^\W_])_+(?=[^\W_])                         # an underscore in a word: no emphasis
      | (?<=[^!\]])\[[A-Za-z0-9 .,%+-]*\](?=[ .,;:)])      # [0.1, 0.2] without an address: no link
      | <(?=[ =\d])                                       # "less than": no tag
    )
    | ^[ ]                                                # a code block, with more of them
    | ^=                                                  # a line under a heading
    | ^-(?=[\s-]|$) | ^\+(?=\s|$) | ^\d{1,9}[.)](?=\s|$)  # a list
    | (?<!\S)\# | \#$                                    # a heading, or its end
    | [\\`*_\[\]|~$<>&]
    """,
    re.VERBOSE,
)
"""Matches whose last character is escaped. A match of `plain` stays as it is, because its
characters have no special meaning there.
"""

LONGEST = 500
"""The largest number of characters of an error's text that are shown."""
QUOTED = 80
"""The largest number of characters of a value in a message."""


def printable(text: str) -> str:
    r"""The text in one line for a terminal or a log. Characters that are not printable (control
    characters, marks of direction, lone surrogates) become escapes.

    >>> printable("two\nlines\x1b[31m")
    'two\\nlines\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )


def quoted(value: object) -> str:
    """A value as Python writes it, printable and short enough for a message."""
    shown = printable(repr(value))
    return shown if len(shown) <= QUOTED else f"{shown[:QUOTED]}..."


def first_line(error: BaseException) -> str:
    """The first line of an error's text, printable and of at most `LONGEST` characters; the error's
    type if it has no text. If that line ends in a colon, the next one, with the reason, is added.
    """
    lines = [stripped for line in text_of(error).splitlines() if (stripped := line.strip())]
    lines = lines or [type(error).__name__]
    return printable(" ".join(lines[:2]) if lines[0].endswith(":") else lines[0])[:LONGEST]


def text_of(error: BaseException) -> str:
    """The error's text, or empty if asking for it fails: the class may be anybody's."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return ""


def csv_cell(text: str) -> str:
    """The printable text, with a leading `'` if a spreadsheet would take it for a formula.

    >>> csv_cell("=1+1")
    "'=1+1"
    """
    shown = printable(text)
    return f"'{shown}" if shown.lstrip(" ").startswith(_FORMULA) else shown


def csv_cells(texts: Collection[str]) -> dict[str, str]:
    """Text -> its `csv_cell`, for many texts at once."""
    # Most columns hold hashes, paths and names, in which nothing has to be changed. Two looks at
    # all of them together take a fraction of a call for each.
    harmless = "".join(texts).isprintable() and _BEFORE_FORMULA.isdisjoint(
        [text[:1] for text in texts]
    )
    return {text: text if harmless else csv_cell(text) for text in texts}


def markdown(text: str) -> str:
    r"""The printable text, with every character escaped that has a meaning in Markdown or HTML at
    its place.

    It is safe in a sentence, a heading, a list, a table's cell or a picture's title, but not in a
    code span. An address stays unchanged, and GitHub makes a link of it.

    >>> markdown("a | b_c_")
    'a \\| b_c\\_'
    """
    return _MARKDOWN.sub(
        lambda found: (
            found["plain"] or _ENTITIES.get(found[0]) or f"{found[0][:-1]}\\{found[0][-1]}"
        ),
        printable(text),
    )


def markdown_code(text: str) -> str:
    """A code span of Markdown that shows the text. Not for tables, where `|` divides even code."""
    shown = printable(text)
    # The fence must be longer than any run of backticks inside.
    longest = max(
        (len(run) for run in "".join(c if c == "`" else " " for c in shown).split()), default=0
    )
    fence, space = (
        "`" * (longest + 1),
        " " if "`" in shown or shown[:1] == " " == shown[-1:] else "",
    )
    return f"{fence}{space}{shown}{space}{fence}"


def _escaped(character: str) -> str:
    return (
        character.encode("unicode_escape").decode("ascii")
        if not _is_surrogate(character)
        else f"\\u{ord(character):04x}"
    )


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"
