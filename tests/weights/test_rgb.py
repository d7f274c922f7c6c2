"""Every mode that Pillow has for a picture: the same grey, and nothing clipped."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from hnbench.images.inventory import decode_png
from hnbench.weights.pictures import centre_cropped, letterboxed, to_bytes
from hnbench.weights.rgb import rgb

GREY: npt.NDArray[np.uint8] = np.arange(256, dtype=np.uint8).reshape(16, 16)
EIGHT = Image.fromarray(GREY)
WIDE = GREY.astype(np.uint16) * 257


def grey_of(picture: Image.Image) -> npt.NDArray[np.int64]:
    """The grey of a picture whose three channels are alike."""
    assert picture.mode == "RGB"
    values = np.asarray(picture).astype(np.int64)
    assert np.ptp(values, axis=2).max() <= 2
    return np.asarray(values[:, :, 0])


def palette(mode: str) -> Image.Image:
    picture = EIGHT.convert("P")
    return picture.convert("PA") if mode == "PA" else picture


def transparent_palette() -> Image.Image:
    """As a PNG has it: an alpha for each entry of the palette."""
    buffer = io.BytesIO()
    palette("P").save(buffer, "PNG", transparency=bytes(range(255, -1, -1)))
    return Image.open(buffer)


PICTURES: dict[str, Any] = {
    "L": EIGHT,
    "RGB": EIGHT.convert("RGB"),
    "I;16": Image.fromarray(WIDE),
    "I;16B": Image.fromarray(WIDE.astype(">u2")),
    "I": Image.fromarray(WIDE.astype(np.int32)),
    "I of 8 bits": EIGHT.convert("I"),
    "F": Image.fromarray(WIDE.astype(np.float32)),
    "F of 8 bits": EIGHT.convert("F"),
    "F to 1": Image.fromarray(GREY.astype(np.float32) / 255),
    "LA": Image.merge("LA", (EIGHT, EIGHT.point(lambda _: 30))),
    "PA": palette("PA"),
    "P": palette("P"),
    "P with transparency": transparent_palette(),
    "RGBA": Image.merge("RGBA", (EIGHT, EIGHT, EIGHT, EIGHT.point(lambda _: 30))),
    "RGBX": EIGHT.convert("RGBX"),
    "CMYK": EIGHT.convert("CMYK"),
    "YCbCr": EIGHT.convert("YCbCr"),
    "HSV": EIGHT.convert("HSV"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_mode_keeps_its_grey(name: str) -> None:
    assert np.abs(grey_of(rgb(PICTURES[name])) - GREY).max() <= 1


def test_black_and_white() -> None:
    assert set(np.unique(grey_of(rgb(EIGHT.convert("1", dither=Image.Dither.NONE))))) == {0, 255}


def test_premultiplied_colours_are_divided_again() -> None:
    half = Image.merge("RGBA", (*[EIGHT] * 3, EIGHT.point(lambda _: 128)))
    assert np.abs(grey_of(rgb(half.convert("RGBa"))) - GREY).max() <= 2


def test_all_16_bit_values_are_rounded_to_the_nearest() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = grey_of(rgb(Image.fromarray(values)))
    assert np.abs(found - values / 257).max() <= 0.5


def test_a_dark_16_bit_picture_stays_dark() -> None:
    assert grey_of(rgb(Image.fromarray(WIDE // 257))).max() == 1


@pytest.mark.parametrize(
    "values",
    [
        np.array([[-1, 5]], np.int32),
        np.array([[0, 65536]], np.int32),
        np.array([[0.0, np.nan]], np.float32),
        np.array([[1e9]], np.float32),
    ],
)
def test_numbers_that_are_no_picture_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="are not a picture"):
        rgb(Image.fromarray(values))


@pytest.mark.parametrize("name", ["L", "RGBA", "I;16", "P with transparency", "LA"])
def test_a_saved_png_is_judged_as_its_8_bit_picture(name: str, tmp_path: Path) -> None:
    PICTURES[name].save(tmp_path / "image.png")
    assert np.abs(grey_of(decode_png((tmp_path / "image.png").read_bytes())) - GREY).max() <= 1


def test_rewards_see_the_same_of_8_and_16_bits() -> None:
    eight, wide = (
        EIGHT.resize((64, 48)),
        Image.fromarray(np.asarray(EIGHT.resize((64, 48))).astype(np.uint16) * 257),
    )
    for prepare in (centre_cropped, letterboxed, lambda picture: to_bytes([picture])):
        torch.testing.assert_close(prepare(wide), prepare(eight))
