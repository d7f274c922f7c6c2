"""The result files of T2I-CompBench's own scripts, against what those write, by the rules of
each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hnbench.images.finding import find_images
from hnbench.images.inventory import FoundImage
from hnbench.images.judging import score
from hnbench.images.result_files import write_results
from hnbench.runs.store import read_run
from hnbench.suites.base import Judge, Prompt, Verdict
from hnbench.suites.t2i_compbench.suite import CompBenchSuite
from tests.images.conftest import SmallSuite, Stages
from tests.runs.world import Base, Best, run

BLIP, DETECTED = "annotation_blip", "labels/annotation_obj_detection_2d"
PLACES = {
    **dict.fromkeys(("color", "shape", "texture"), BLIP),
    "spatial": DETECTED,
    "3d_spatial": "labels/annotation_obj_detection_3d",
    "numeracy": "annotation_num",
    "non_spatial": "annotation_clip",
    "complex": "annotation_3_in_1",
}


class RedShare(Judge):
    """Grades by how red an image is."""

    name = "red"
    fingerprint = "red"

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        del metadata
        return [
            Verdict(None, score=float(np.asarray(image)[..., 0].mean() / 255)) for image in images
        ]


class ThreeOfEach(CompBenchSuite):
    """Three prompts of each category, two images each."""

    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(
            Prompt(f"{tag}/{number}", f"{tag.replace('_', ' ')} {number}.", tag)
            for tag in self.tags
            for number in range(3)
        )

    def samples(self, prompt: Prompt, *, full: bool) -> int:
        del prompt
        return 2 if full else 1

    def judge(self, *, device: str = "cpu") -> RedShare:  # type: ignore[override]
        del device
        return RedShare()


def written(
    folder: Path, suite: CompBenchSuite | SmallSuite, out: Path, *, partial: bool = False
) -> dict[str, Any]:
    """The content of every result file, by path."""
    found = find_images(folder, suite).usable(Stages(), partial=partial)
    write_results(score(found, RedShare(), out, batch_size=3, progress=Stages()), out)
    assert len((out / "results.jsonl").read_text().splitlines()) == len(found.images)
    return {
        path.relative_to(out).as_posix(): json.loads(path.read_text())
        for path in out.rglob("vqa_result.json")
    }


def save(folder: Path, tag: str, first: int = 0) -> None:
    """The images of a category; that with the number n in its name, counted from `first`, is red by
    n - first of 255.
    """
    folder.mkdir(parents=True)
    for index in range(6):
        text = f"{tag.replace('_', ' ')} {index // 2}."
        Image.new("RGB", (4, 4), (index, 0, 0)).save(folder / f"{text}_{first + index:06d}.png")


@pytest.mark.parametrize("tag", PLACES)
def test_a_category_has_the_file_of_its_script(tmp_path: Path, tag: str) -> None:
    """Attributes have texts of four decimals; scripts over detections name an image by its number,
    the others by its place.
    """
    save(tmp_path / "samples", tag, first=100)
    (content,) = (
        files := written(tmp_path, ThreeOfEach(tag.replace("_", "-")), tmp_path / "out")
    ).values()
    assert list(files) == [f"{PLACES[tag]}/vqa_result.json"]
    first = 100 if tag in ("spatial", "3d_spatial", "numeracy") else 0
    assert [line["question_id"] for line in content] == [first + index for index in range(6)]
    if PLACES[tag] == BLIP:
        assert [line["answer"] for line in content] == [
            "0.0000",
            "0.0039",
            "0.0078",
            "0.0118",
            "0.0157",
            "0.0196",
        ]
    else:
        assert [line["answer"] for line in content] == [index / 255 for index in range(6)]
    assert all(line.keys() == {"question_id", "answer"} for line in content)


def test_several_categories_have_a_folder_each(tmp_path: Path) -> None:
    for tag in PLACES:
        save(tmp_path / tag / "samples", tag)
    files = written(tmp_path, ThreeOfEach(), tmp_path / "out")
    assert files.keys() == {f"{tag}/{place}/vqa_result.json" for tag, place in PLACES.items()}
    assert files[f"numeracy/{PLACES['numeracy']}/vqa_result.json"][5] == {
        "question_id": 5,
        "answer": 5 / 255,
    }


@pytest.mark.parametrize(
    ("tag", "ids"), [("spatial", [0, 1, 3, 4, 5]), ("complex", [0, 1, 2, 3, 4])]
)
def test_without_an_image_numbers_stay_and_places_close_up(
    tmp_path: Path, tag: str, ids: list[int]
) -> None:
    save(tmp_path / "samples", tag)
    (tmp_path / "samples" / f"{tag} 1._000002.png").unlink()
    (content,) = written(tmp_path, ThreeOfEach(tag), tmp_path / "out", partial=True).values()
    assert [(line["question_id"], line["answer"]) for line in content] == [
        (name, index / 255) for name, index in zip(ids, [0, 1, 3, 4, 5], strict=True)
    ]


def test_a_run_has_a_folder_for_each_label_and_the_numbers_of_its_plan(tmp_path: Path) -> None:
    suite = ThreeOfEach("spatial")
    run(tmp_path / "run", [Base(), Best()], suite=suite)
    labels = ("random", "best-of-2", "best-of-4")
    files = written(tmp_path / "run", suite, tmp_path / "out")
    assert files.keys() == {f"{label}/{DETECTED}/vqa_result.json" for label in labels}
    for label in labels:
        values = {
            (record.prompt_id, record.sample): record.verdict.value
            for record in read_run(tmp_path / "run").records
            if record.label == label and record.verdict
        }
        assert files[f"{label}/{DETECTED}/vqa_result.json"] == [
            {
                "question_id": 2 * prompt + sample,
                "answer": pytest.approx(values[f"spatial/{prompt}", sample]),
            }
            for prompt in range(3)
            for sample in range(2)
        ]
    (lost,) = [
        record
        for record in read_run(tmp_path / "run").records
        if (record.label, record.prompt_id, record.sample) == ("random", "spatial/1", 0)
    ]
    assert lost.image
    (tmp_path / "run" / lost.image.path).unlink()
    again = written(tmp_path / "run", suite, tmp_path / "again", partial=True)
    assert [line["question_id"] for line in again[f"random/{DETECTED}/vqa_result.json"]] == [
        0,
        1,
        3,
        4,
        5,
    ]


def test_a_label_that_is_no_name_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "samples", "color")
    made = FoundImage.__init__

    def labelled(self: FoundImage, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **{"label": "../up", **named})

    monkeypatch.setattr(FoundImage, "__init__", labelled)
    written(tmp_path, ThreeOfEach("color"), tmp_path / "out")
    (place,) = (
        path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("vqa_result.json")
    )
    assert place.parts[0] == f"_up-{hashlib.sha256(b'../up').hexdigest()[:8]}"


def test_other_suites_have_no_such_files(compbench: Path, suite: SmallSuite) -> None:
    assert written(compbench, suite, compbench / "out") == {}
