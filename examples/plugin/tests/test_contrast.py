from __future__ import annotations

from PIL import Image

from hnbench.testing import check_measure
from hnbench_example.contrast import Contrast


def test_it_keeps_the_contract() -> None:
    check_measure(Contrast())


def test_half_black_and_half_white_has_the_most_contrast() -> None:
    plain, halved = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8), "white")
    halved.paste((0, 0, 0), (0, 0, 4, 8))
    assert Contrast().values([plain, halved], ["a", "b"]) == [0.0, 0.5]
