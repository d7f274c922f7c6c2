"""Escape codes that show pictures, read back by the rules of the protocols."""

from __future__ import annotations

import re
from base64 import b64decode

import pytest

from hnbench.display.inline_pictures import escape_codes, protocol_of

PNG = b"\x89PNG" + bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-kitty", "TERM_PROGRAM": "iTerm.app"}, "kitty"),
        ({"TERM_PROGRAM": "vscode", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "default,1,0"}, None),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, None),
        ({"TERM": "xterm-kitty", "STY": "1.pts"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({}, None),
    ],
)
def test_only_known_terminals_have_a_protocol(
    environment: dict[str, str], expected: str | None
) -> None:
    assert protocol_of(environment) == expected


@pytest.mark.parametrize("size", [1, 3072, 3073, 6144, len(PNG)])
def test_kitty_gets_the_file_in_chunks(size: int) -> None:
    text = escape_codes(PNG[:size], "kitty")
    parts = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{payload}\x1b\\" for keys, payload in parts) + "\n" == text
    assert b64decode("".join(payload for _, payload in parts)) == PNG[:size]
    assert all(len(payload) <= 4096 for _, payload in parts)
    assert parts[0][0].startswith("a=T,f=100,q=2,")
    assert [keys.endswith("m=1") for keys, _ in parts] == [True] * (len(parts) - 1) + [False]


def test_iterm2_gets_the_file_and_its_size() -> None:
    found = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=70;:(.*)\x07\n",
        escape_codes(PNG, "iterm2", 70),
    )
    assert found is not None
    assert int(found[1]) == len(PNG)
    assert b64decode(found[2]) == PNG


def test_a_picture_can_be_as_wide_as_some_columns() -> None:
    assert ",c=70," in escape_codes(PNG, "kitty", 70)
    assert "c=" not in escape_codes(PNG, "kitty").split(";")[0]
    assert "width" not in escape_codes(PNG, "iterm2")
