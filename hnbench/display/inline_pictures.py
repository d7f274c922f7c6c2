"""Pictures in terminals that can show them, by the protocol that each is known to have.

Kitty and Ghostty have the graphics protocol of https://sw.kovidgoyal.net/kitty/graphics-protocol,
iTerm2 and WezTerm the inline images of https://iterm2.com/documentation-images.html. Environment
variables tell which terminal it is. Others are asked whether they have sixels
(`hnbench.display.sixel`).
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Protocol = Literal["kitty", "iterm2"]

TERMINALS = "kitty, Ghostty, iTerm2, WezTerm or one with sixels, outside of tmux and screen"
"""The terminals that show pictures, for a message."""

_BY_TERM: Mapping[str, Protocol] = {"xterm-kitty": "kitty", "xterm-ghostty": "kitty"}
_BY_PROGRAM: Mapping[str, Protocol] = {
    "ghostty": "kitty",
    "iTerm.app": "iterm2",
    "WezTerm": "iterm2",
}
_CHUNK = 4096
"""The most characters of a payload in one escape code of kitty's protocol."""


def protocol_of(environment: Mapping[str, str]) -> Protocol | None:
    """The protocol of the terminal with these environment variables; None if it is not known to
    show pictures, and within tmux and screen, which do not pass them on.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if not passes_on(environment):
        return None
    if term in _BY_TERM:
        return _BY_TERM[term]
    # A terminal that was started from kitty inherits KITTY_WINDOW_ID, so its own name comes first.
    if program:
        return _BY_PROGRAM.get(program)
    return "kitty" if "KITTY_WINDOW_ID" in environment else None


def passes_on(environment: Mapping[str, str]) -> bool:
    """Whether pictures reach the terminal. Within tmux and screen, they do not."""
    within = environment.get("TERM", "").startswith(("tmux", "screen"))
    return not (within or {"TMUX", "STY"} & environment.keys())


def escape_codes(png: bytes, protocol: Protocol, columns: int | None = None) -> str:
    """The text that shows a PNG file at the cursor of a terminal, in ASCII, with a line end.

    The picture is `columns` wide, in the same proportions; without them, it has its own size.
    """
    payload = b64encode(png).decode("ascii")
    if protocol == "iterm2":
        width = "" if columns is None else f"width={columns};"
        return f"\x1b]1337;File=inline=1;size={len(png)};{width}:{payload}\a\n"
    return "".join(_kitty(payload, columns)) + "\n"


def _kitty(payload: str, columns: int | None) -> Iterator[str]:
    width = "" if columns is None else f",c={columns}"
    # a=T: transmit and show; f=100: PNG; q=2: no answer, which would be read as typed keys.
    keys = f"a=T,f=100,q=2{width},"
    for start in range(0, len(payload), _CHUNK):
        more = int(start + _CHUNK < len(payload))
        yield f"\x1b_G{keys}m={more};{payload[start : start + _CHUNK]}\x1b\\"
        keys = "q=2,"
