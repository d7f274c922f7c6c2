"""Sixels, decoded by another reading of the rules, and the terminals that are asked for them."""

from __future__ import annotations

import io
import re

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hnbench.display import sixel
from hnbench.display.sixel import sixel_colours, sixels


def decoded(text: str) -> npt.NDArray[np.int64]:
    """The picture, `[H, W, 3]` in percent, drawn character by character as a terminal does; -1
    where nothing was drawn.
    """
    found = re.fullmatch(r'\x1bP[\d;]*q"1;1;(\d+);(\d+)(.*)\x1b\\\n', text)
    assert found is not None
    width, height, body = int(found[1]), int(found[2]), found[3]
    shown = np.full((height, width, 3), -1)
    palette: dict[int, tuple[int, ...]] = {}
    left = top = colour = place = 0
    while place < len(body):
        character = body[place]
        place += 1
        if character == "$":
            left = 0
        elif character == "-":
            left, top = 0, top + 6
        elif character == "#":
            numbers = re.compile(r"[\d;]+").match(body, place)
            assert numbers is not None
            place = numbers.end()
            colour, *rest = map(int, numbers[0].split(";"))
            if rest:
                assert rest[0] == 2
                assert all(0 <= part <= 100 for part in rest[1:])
                palette[colour] = tuple(rest[1:])
        else:
            count = 1
            if character == "!":
                number = re.compile(r"\d+").match(body, place)
                assert number is not None
                count, character = int(number[0]), body[number.end()]
                place = number.end() + 1
            bits = ord(character) - 63
            assert 0 <= bits < 64
            for column in range(left, left + count):
                for bit in range(6):
                    if bits >> bit & 1:
                        assert (shown[top + bit, column] == -1).all(), "a pixel is drawn twice"
                        shown[top + bit, column] = palette[colour]
            left += count
    return shown


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def in_percent(picture: Image.Image) -> npt.NDArray[np.int64]:
    values = np.asarray(picture.convert("RGB"), dtype=np.float64)
    return np.rint(values / 255 * 100).astype(np.int64)


@pytest.mark.parametrize("shape", [(1, 1), (6, 4), (7, 5), (12, 1), (31, 64)])
@pytest.mark.parametrize("colours", [2, 16, 256])
def test_the_decoded_picture_is_the_quantised_one(shape: tuple[int, int], colours: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, size=(*shape, 3), dtype=np.uint8)
    pixels[:, : shape[1] // 2] = pixels[0, 0]  # long runs
    text = sixels(png(pixels), 1000, colours)
    assert text.isascii()
    expected = in_percent(Image.fromarray(pixels).quantize(colours))
    assert np.array_equal(decoded(text), expected)
    assert len(np.unique(decoded(text).reshape(-1, 3), axis=0)) <= colours
    registers = {int(one) for one in re.findall(r"#(\d+)", text)}
    assert max(registers) < colours


def test_few_colours_are_exact() -> None:
    pixels = np.zeros((13, 20, 3), dtype=np.uint8)
    pixels[3:9, 4:15] = (255, 0, 51)
    pixels[12] = 255
    assert np.array_equal(decoded(sixels(png(pixels), 20)), in_percent(Image.fromarray(pixels)))


def test_a_wide_picture_is_reduced() -> None:
    pixels = np.full((100, 300, 3), 204, dtype=np.uint8)
    shown = decoded(sixels(png(pixels), 90))
    assert shown.shape == (30, 90, 3)
    assert (shown == 80).all()


def test_equal_sixels_are_written_once() -> None:
    text = sixels(png(np.zeros((600, 800, 3), dtype=np.uint8)), 800)
    assert "!800~" in text
    assert len(text) < 2000


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([b"\x1b[?62;4;22c", b"\x1b[?1;0;1024S\x1b[?62;4;22c"], 256),  # foot
        ([b"\x1b[?63;1;2;4;6;9;15;22c", b"\x1b[?1;0;16S\x1b[?63;1;2;4c"], 16),  # xterm -ti vt340
        ([b"\x1b[?61;4;6;7;14;21;22;23;24;28;32;42c", b"\x1b[?61;4c"], 256),  # Windows Terminal
        ([b"\x1b[?62;4c", b"\x1b[?1;3;0S\x1b[?62;4c"], 256),
        ([b"\x1b[?62;4c", b"\x1b[?1;0;0S\x1b[?62;4c"], 256),
        ([b"\x1b[?62;4c", b""], 256),
        ([b"\x1b[?1;2c"], None),
        ([b"\x1b[?64;14;24;44c"], None),
        ([b"\x1b[?4;6c"], None),  # the 4 is its class: a VT132
        ([b""], None),
    ],
)
def test_answers_of_terminals(
    monkeypatch: pytest.MonkeyPatch, answers: list[bytes], expected: int | None
) -> None:
    given = iter(answers)
    monkeypatch.setattr(sixel, "ask", lambda *_: next(given))
    assert sixel_colours({"TERM": "xterm-256color"}) == expected
    assert list(given) == []


@pytest.mark.parametrize(
    "environment",
    [{}, {"TERM": "dumb"}, {"TERM": "tmux-256color"}, {"TERM": "xterm", "STY": "1.pts"}],
)
def test_some_terminals_are_not_asked(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.setattr(sixel, "ask", lambda *_: pytest.fail("it was asked"))
    assert sixel_colours(environment) is None
