"""Folders of images drawn for the captions of the embedded suite, and a run of the miniature
world.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hnbench.shapes.captions import by_text
from hnbench.shapes.drawing import draw
from hnbench.suites.base import Prompt
from hnbench.suites.shapes import ShapesSuite


class Stages:
    """Notes the stages of a score and how many images each dealt with."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self._name = ""

    def label(self, name: str, total: int) -> None:
        del total
        self._name = name
        self.done[name] = 0

    def advance(self, count: int) -> None:
        self.done[self._name] += count


class SmallSuite(ShapesSuite):
    """Two prompts of each task of the embedded suite, two images each; quick: one image of the
    first of each.
    """

    name = "small-shapes"

    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(
            prompt for prompt in super().prompts() if prompt.id.endswith(("/0000", "/0001"))
        )

    def subset(self) -> tuple[Prompt, ...]:
        return tuple(prompt for prompt in self.prompts() if prompt.id.endswith("/0000"))

    def samples(self, prompt: Prompt, *, full: bool) -> int:
        del prompt
        return 2 if full else 1


@pytest.fixture
def suite() -> SmallSuite:
    return SmallSuite()


@pytest.fixture
def stages() -> Stages:
    return Stages()


def draw_png(path: Path, text: str, seed: int) -> None:
    """A picture that the caption is true of."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(by_text()[text].scene(rng), rng)).save(path)


def write_geneval(folder: Path, suite: SmallSuite) -> Path:
    """GenEval's layout, written by hand: the reference generator's file names, and a grid beside
    them.
    """
    for number, prompt in enumerate(suite.prompts()):
        place = folder / f"{number:05d}"
        for sample in range(2):
            draw_png(place / "samples" / f"{sample:05d}.png", prompt.text, 10 * number + sample)
        (place / "metadata.jsonl").write_text(json.dumps(prompt.metadata))
        (place / "grid.png").write_bytes(b"not looked at")
    return folder


def write_compbench(folder: Path, suite: SmallSuite) -> Path:
    for number, prompt in enumerate(suite.prompts()):
        for sample in range(2):
            draw_png(
                folder / "samples" / f"{prompt.text}_{2 * number + sample:06d}.png",
                prompt.text,
                10 * number + sample,
            )
    return folder


@pytest.fixture
def geneval(tmp_path: Path, suite: SmallSuite) -> Path:
    return write_geneval(tmp_path / "images", suite)


@pytest.fixture
def compbench(tmp_path: Path, suite: SmallSuite) -> Path:
    return write_compbench(tmp_path / "images", suite)
