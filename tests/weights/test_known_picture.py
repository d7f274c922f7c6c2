"""The picture that judges are checked with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import cbook

from hnbench.errors import UsageError
from hnbench.weights import known_picture as smoke


def test_the_photograph_shows_what_is_said_of_it() -> None:
    """A blue wall in the upper right, and a dark jacket that reaches, at the bottom, from one side
    of the box to the other.
    """
    pixels = np.asarray(smoke.photograph()).astype(int)
    assert pixels.shape == (600, 512, 3)
    wall = pixels[:200, 400:].mean((0, 1))
    assert wall.argmax() == 2
    left, top, right, bottom = (
        int(part * side) for part, side in zip(smoke.BOX, (512, 600, 512, 600), strict=True)
    )
    dark = pixels.max(-1)[500:bottom] < 80
    assert dark[:, left + 20 : left + 60].mean() > 0.9
    assert dark[:, right - 60 : right - 20].mean() > 0.9
    assert pixels[:top].mean() > 80


def test_a_matplotlib_without_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cbook, "_get_data_path", tmp_path.joinpath)
    with pytest.raises(
        UsageError,
        match=(
            r"matplotlib's grace_hopper.jpg, which cannot be read .*; reinstall matplotlib from"
            r" PyPI"
        ),
    ):
        smoke.photograph()
