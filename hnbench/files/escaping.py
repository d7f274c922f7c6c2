"""Text of others (prompts, names, messages of plug-ins) made harmless: one helper for each kind of
output.
"""

from __future__ import annotations

import re

_FORMULA = tuple("=+-@＝＋－＠")  # noqa: RUF001
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", " ": "&#32;"}
_MARKDOWN = re.compile(
    r"""
    (?P<plain>
        (?<=[^\W_])_+(?=[^\W_])                         # an underscore in a word: no emphasis
      | (?<=[^!\]])\[[A-Za-z0-9 .,%+-]*\](?=[ .,;:)])      # [0.1, 0.2] without an address: no link
      | <(?=[ =\d])                                       # less than
    )
    | ^[ ]                                                # a code block, with more of them
    | ^=                                                  # a line under a heading
    | ^-(?=[\s-]|$) | ^\+(?=\s|$) | ^\d{1,9}[.)](?=\s|$)  # a list
    | (?<!\S)\# | \#$                                    # a heading, or its end
    | [\\`*_\[\]|~$<>&]
    """,
    re.VERBOSE,
)
"""Characters to escape, the last one of each match, and in `plain` those that mean nothing where
they stand.
"""

LONGEST = 500
"""Characters of an error's text that are shown."""
QUOTED = 80
"""Characters of a value in a message."""


def printable(text: str) -> str:
    """The text in one line for a terminal or a log: what is not printable (control, direction, lone
    surrogates) is an escape.
    """
    if text.isprintable():
        return text
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )


def quoted(value: object) -> str:
    """How Python writes a value, printable and short enough for a message."""
    shown = printable(repr(value))
    return shown if len(shown) <= QUOTED else f"{shown[:QUOTED]}..."


def first_line(error: BaseException) -> str:
    """What an error says, in one printable line of at most `LONGEST` characters; its type where it
    says nothing. A first line that ends in a colon is taken with the next one, which has the
    reason.
    """
    lines = [stripped for line in text_of(error).splitlines() if (stripped := line.strip())]
    lines = lines or [type(error).__name__]
    return printable(" ".join(lines[:2]) if lines[0].endswith(":") else lines[0])[:LONGEST]


def text_of(error: BaseException) -> str:
    """The error's own words; it may be anybody's class, so even asking can fail."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return ""


def csv_cell(text: str) -> str:
    """`printable`, and with a leading `'` where a spreadsheet would take the text for a formula."""
    shown = printable(text)
    return f"'{shown}" if shown.lstrip(" ").startswith(_FORMULA) else shown


def markdown(text: str) -> str:
    """`printable`, and with every character escaped that Markdown or HTML would give a meaning to
    in its place.

    For text wherever it stands: in a sentence, a heading, a list, a table's cell or a picture's
    title; not for code spans. An address stays one, which GitHub makes a link to itself.
    """
    return _MARKDOWN.sub(
        lambda found: (
            found["plain"] or _ENTITIES.get(found[0]) or f"{found[0][:-1]}\\{found[0][-1]}"
        ),
        printable(text),
    )


def markdown_code(text: str) -> str:
    """A code span of Markdown that shows the text. Not for tables, where a `|` divides code too."""
    shown = printable(text)
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
