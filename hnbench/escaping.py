"""Text of others (prompts, names, messages of plug-ins) made harmless: one helper for each kind of output."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@")
_MARKDOWN = {character: f"\\{character}" for character in "\\`*_[]|~$#"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def printable(text: str) -> str:
    """The text in one line for a terminal or a log: what is not printable (control, direction, lone surrogates) is an escape."""
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def csv_cell(text: str) -> str:
    """`printable`, and with a leading `'` where a spreadsheet would take the text for a formula."""
    shown = printable(text)
    return f"'{shown}" if shown.lstrip(" ").startswith(_FORMULA) else shown


def markdown(text: str) -> str:
    """`printable`, and with every character escaped that Markdown or HTML gives a meaning to. For text and cells, not for code spans."""
    return "".join(_MARKDOWN.get(character, character) for character in printable(text))


def markdown_code(text: str) -> str:
    """A code span of Markdown that shows the text, also in a table cell."""
    shown = printable(text).replace("|", "\\|")
    longest = max((len(run) for run in "".join(c if c == "`" else " " for c in shown).split()), default=0)
    fence, space = "`" * (longest + 1), " " if "`" in shown else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if not _is_surrogate(character) else f"\\u{ord(character):04x}"


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"
