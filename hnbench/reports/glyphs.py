"""Text that the installed fonts can draw: a character that none of them has is written as an escape
(backslash and number), not as an empty box.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from hnbench.weights.quiet import import_matplotlib

MAIN = "DejaVu Sans"
"""The font of all plots, which comes with matplotlib."""


def drawable(text: str) -> str:
    """The text in one line, for the plots' own font; characters that it lacks become escapes."""
    return "".join(
        character if _has(_main(), character) else _escaped(character)
        for character in " ".join(text.split())
    )


def drawable_with(text: str) -> tuple[str, list[str]]:
    """The text in one line, and the fonts to draw it with: the plots' own font and, if that lacks
    characters, installed ones that have them.
    """
    line = " ".join(text.split())
    lacking = {character for character in line if not _has(_main(), character)}
    fonts = {
        character: _installed_with(character)
        for character in sorted(lacking)
        if character.isprintable()
    }
    shown = "".join(
        _escaped(character) if character in lacking and not fonts.get(character) else character
        for character in line
    )
    return shown, [MAIN, *dict.fromkeys(font for font in fonts.values() if font)]


def shortened(text: str, longest: int) -> str:
    """The text with at most `longest` characters. A longer one loses its middle, because labels
    often differ only in their beginning or their end.

    >>> shortened("a-method-of-mine:scale=0.5", 15)
    'a-metho…ale=0.5'
    """
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return f"{text[: longest - 1 - end]}…{text[len(text) - end :]}"


def _escaped(character: str) -> str:
    return (
        character.encode("ascii", "backslashreplace").decode()
        if ord(character) > 0x7F
        else f"\\x{ord(character):02x}"
    )


def _has(font: Any, character: str) -> bool:
    return bool(character.isprintable() and font.get_char_index(ord(character)))


@cache
def _main() -> Any:
    import_matplotlib()
    from matplotlib import font_manager

    return font_manager.get_font(font_manager.findfont(MAIN))


@cache
def _installed_with(character: str) -> str | None:
    """The first installed font, by name, that has the character; None if there is none.

    Fonts that come with matplotlib are not considered: they are for formulas, or draw boxes.
    """
    return next((name for name, path in _installed() if _covers(path, character)), None)


@cache
def _installed() -> list[tuple[str, str]]:
    """Name and path of the installed fonts, by name."""
    matplotlib = import_matplotlib()
    from matplotlib import font_manager

    own = Path(matplotlib.get_data_path())
    entries = sorted((entry.name, entry.fname) for entry in font_manager.fontManager.ttflist)
    return [(name, path) for name, path in entries if own not in Path(path).parents]


def _covers(path: str, character: str) -> bool:
    from matplotlib import font_manager

    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):  # removed since, or of a kind that matplotlib does not read
        return False
    return bool(font.scalable) and _has(font, character)
