from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from PIL import Image

from hnbench.reports.drawing import new_figure, save, settings


def test_files_have_the_same_bytes_every_time(tmp_path: Path) -> None:
    def draw(folder: Path) -> list[bytes]:
        folder.mkdir()
        with settings():
            figure = new_figure(3, "The same")
            figure.subplots().plot([1, 2], [3, 4], marker="D")
            return [path.read_bytes() for path in save(figure, folder, "plot")]

    first, second = draw(tmp_path / "a"), draw(tmp_path / "b")
    assert first == second
    assert b"<dc:date>" not in first[1]
    with Image.open(tmp_path / "a" / "plot.png") as image:
        assert image.width == 1350


def test_the_users_settings_are_left_as_they_were() -> None:
    with mpl.rc_context({"font.size": 31.0}):
        with settings():
            assert mpl.rcParams["font.size"] == pytest.approx(9.5)
        assert mpl.rcParams["font.size"] == pytest.approx(31.0)


def test_two_plots_can_stand_in_one_page(tmp_path: Path) -> None:
    """No id occurs twice, every reference finds its id, and texts are as they were."""
    name = 'a <b> & " id="x" href="#y" url(#z)'
    texts = []
    with settings():
        for plot in ("one", "two"):
            figure = new_figure(3, "The same")
            axes = figure.subplots()
            axes.plot([1, 2], [3, 4], marker="D")
            axes.set_title(name)
            texts.append(save(figure, tmp_path, plot)[1].read_text())
    trees = [ET.fromstring(text) for text in texts]  # noqa: S314 - written by this test
    found = [[node.attrib["id"] for node in tree.iter() if "id" in node.attrib] for tree in trees]
    assert len(found[0]) > 20
    both = [*found[0], *found[1]]
    assert len(set(both)) == len(both)
    for text, ids in zip(texts, found, strict=True):
        tags = "".join(re.findall("<[^<>]+>", text))
        references = re.findall(r'(?:href="#|url\(#)([^")]+)', tags)
        assert len(references) > 5
        assert set(references) <= set(ids)
    for tree in trees:
        words = [node.text for node in tree.iter() if node.tag.endswith("}text")]
        assert name in words
        assert "The same" in words
