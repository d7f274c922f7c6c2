"""What a folder holds is found, and whatever keeps it from being all of a suite is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.images.finding import find_images
from hnbench.images.inventory import (
    NOT_ASKED_FOR,
    OTHER_NUMBER,
    TWICE,
    UNKNOWN,
    UNREADABLE,
    WITHOUT_IMAGES,
)
from tests.images.conftest import SmallSuite, Stages


def test_a_complete_geneval_folder(geneval: Path, suite: SmallSuite, stages: Stages) -> None:
    (geneval / "scores-old").mkdir()
    (geneval / "README.md").write_text("beside")
    found = find_images(geneval, suite)
    assert found.complete
    assert [(image.name, image.prompt.id) for image in found.images[:3]] == [
        ("00000/samples/00000.png", "single_object/0000"),
        ("00000/samples/00001.png", "single_object/0000"),
        ("00001/samples/00000.png", "single_object/0001"),
    ]
    assert len(found.images) == 24
    assert {len(image.sha256) for image in found.usable(stages, partial=False).images} == {64}
    assert stages.done == {"reading": 24}


def test_folders_are_told_apart_by_their_metadata(geneval: Path, suite: SmallSuite) -> None:
    (geneval / "00000").rename(geneval / "00700")
    found = find_images(geneval, suite)
    assert found.complete
    assert found.images[-1].prompt.id == "single_object/0000"


def test_metadata_with_a_byte_order_mark_is_the_same_metadata(
    geneval: Path, suite: SmallSuite
) -> None:
    path = geneval / "00000/metadata.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert find_images(geneval, suite).complete


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"prompt": "half \\ud800"}', '{"prompt": NaN}', "9" * 10_000, "\0", ""],
)
def test_strange_metadata_is_another_prompt_s(
    geneval: Path, suite: SmallSuite, content: str
) -> None:
    (geneval / "00000/metadata.jsonl").write_text(content)
    assert set(find_images(geneval, suite).problems) == {NOT_ASKED_FOR, WITHOUT_IMAGES}


def test_short_names_of_images_are_geneval_s_too(geneval: Path, suite: SmallSuite) -> None:
    samples = geneval / "00003/samples"
    for old, new in (("00000", "0010"), ("00001", "2")):
        (samples / f"{old}.png").rename(samples / f"{new}.png")
    found = find_images(geneval, suite)
    assert found.complete
    names = [(image.name, image.sample) for image in found.images if image.name.startswith("00003")]
    assert names == [("00003/samples/2.png", 0), ("00003/samples/0010.png", 1)]


def reword(folder: Path, **changes: object) -> None:
    """Change the metadata of the first folder."""
    path = folder / "00000/metadata.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


SECOND = "00000/samples/00001.png"
SPOIL: dict[str, Callable[[Path], object]] = {
    "no folder": lambda folder: shutil.rmtree(folder / "00000"),
    "no image": lambda folder: shutil.rmtree(folder / "00000/samples"),
    "one less": lambda folder: (folder / SECOND).unlink(),
    "one more": lambda folder: shutil.copy(folder / SECOND, folder / "00000/samples/00002.png"),
    "jpg": lambda folder: (folder / "00000/samples/00002.jpg").write_bytes(b"skipped upstream"),
    "extra folder": lambda folder: (folder / "backup").mkdir(),
    "no metadata": lambda folder: (folder / "00000/metadata.jsonl").unlink(),
    "no json": lambda folder: (folder / "00000/metadata.jsonl").write_text("{"),
    "twice": lambda folder: shutil.copytree(folder / "00000", folder / "00099"),
    "other prompt": lambda folder: reword(folder, prompt="a photo of a bench"),
    "other clauses": lambda folder: reword(folder, include=[{"class": "ring", "count": 7}]),
    "cut": lambda folder: (folder / SECOND).write_bytes((folder / SECOND).read_bytes()[:-200]),
    "empty": lambda folder: (folder / SECOND).write_bytes(b""),
    "gif": lambda folder: (folder / SECOND).write_bytes(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"),
}


@pytest.mark.parametrize(
    ("how", "problems", "left"),
    [
        ("no folder", {WITHOUT_IMAGES: 1}, 22),
        ("no image", {WITHOUT_IMAGES: 1}, 22),
        ("one less", {OTHER_NUMBER: 1}, 23),
        ("one more", {OTHER_NUMBER: 1}, 25),
        ("jpg", {UNKNOWN: 1}, 24),
        ("extra folder", {UNKNOWN: 1}, 24),
        ("no metadata", {UNKNOWN: 1, WITHOUT_IMAGES: 1}, 22),
        ("no json", {NOT_ASKED_FOR: 1, WITHOUT_IMAGES: 1}, 22),
        ("twice", {TWICE: 1}, 24),
        ("other prompt", {NOT_ASKED_FOR: 1, WITHOUT_IMAGES: 1}, 22),
        ("other clauses", {NOT_ASKED_FOR: 1, WITHOUT_IMAGES: 1}, 22),
        ("cut", {UNREADABLE: 1}, 23),
        ("empty", {UNREADABLE: 1}, 23),
        ("gif", {UNREADABLE: 1}, 23),
    ],
)
def test_what_is_wrong_with_a_geneval_folder(
    geneval: Path, suite: SmallSuite, stages: Stages, how: str, problems: dict[str, int], left: int
) -> None:
    SPOIL[how](geneval)
    with pytest.raises(UsageError, match="does not match small-shapes: 1 ") as told:
        find_images(geneval, suite).usable(stages, partial=False)
    assert all(kind in str(told.value) for kind in problems)
    there = find_images(geneval, suite).usable(stages, partial=True)
    assert {kind: len(found) for kind, found in there.problems.items()} == problems
    assert len(there.images) == left


def test_only_the_first_few_are_told(geneval: Path, suite: SmallSuite, stages: Stages) -> None:
    for number in range(5):
        shutil.rmtree(geneval / f"{number:05}")
    with pytest.raises(
        UsageError,
        match=(
            r"5 prompts without images \(single_object/0000 '.*', single_object/0001 '.*', .*,"
            r" \.\.\.\)\. Fix the folder"
        ),
    ):
        find_images(geneval, suite).usable(stages, partial=False)


def test_the_quick_protocol_is_asked_for_by_name(geneval: Path, suite: SmallSuite) -> None:
    assert {
        kind: len(found) for kind, found in find_images(geneval, suite, quick=True).problems.items()
    } == {
        NOT_ASKED_FOR: 6,
        OTHER_NUMBER: 6,
    }
    for number in range(12):
        (geneval / f"{number:05}/samples/00001.png").unlink()
        if number % 2:
            shutil.rmtree(geneval / f"{number:05}")
    found = find_images(geneval, suite, quick=True)
    assert found.complete
    assert len(found.images) == 6


@pytest.mark.parametrize("by_category", [False, True])
def test_a_complete_compbench_folder(compbench: Path, suite: SmallSuite, by_category: bool) -> None:
    if by_category:
        category_of = {prompt.text: prompt.tag for prompt in suite.prompts()}
        for path in list((compbench / "samples").iterdir()):
            place = compbench / category_of[path.name.split("_")[0]] / "samples"
            place.mkdir(parents=True, exist_ok=True)
            path.rename(place / path.name)
        (compbench / "samples").rmdir()
    found = find_images(compbench, suite)
    assert (found.complete, found.layout, len(found.images)) == (True, "t2i-compbench", 24)
    assert [image.prompt.id for image in found.images[:3]] == [
        "single_object/0000",
        "single_object/0000",
        "single_object/0001",
    ]
    assert all(
        image.name.rpartition("/")[2].startswith(f"{image.prompt.text}_") for image in found.images
    )


def test_what_is_wrong_with_a_compbench_folder(compbench: Path, suite: SmallSuite) -> None:
    samples = compbench / "samples"
    (samples / "Thumbs.db").write_bytes(b"")
    first, second = sorted(samples.glob(f"{suite.prompts()[0].text}_*.png"))
    first.rename(samples / "a photo of a bench_000000.png")
    second.rename(samples / f"{suite.prompts()[0].text}.png")
    problems = find_images(compbench, suite).problems
    assert set(problems[UNKNOWN]) == {"samples/Thumbs.db", f"samples/{suite.prompts()[0].text}.png"}
    assert problems[NOT_ASKED_FOR] == ("samples/a photo of a bench_000000.png",)
    assert len(problems[WITHOUT_IMAGES]) == 1


def test_folders_that_cannot_be_scored(
    tmp_path: Path, geneval: Path, suite: SmallSuite, stages: Stages
) -> None:
    for folder, given, message in (
        (tmp_path / "gone", {}, "there is no folder"),
        (tmp_path, {}, "has no known layout"),
        (geneval, {"labels": ["random"]}, "is not a run folder, and only runs have labels"),
    ):
        with pytest.raises(UsageError, match=message):
            find_images(folder, suite, **given)  # type: ignore[arg-type]
    for path in geneval.glob("*/samples/*"):
        path.unlink()
    with pytest.raises(UsageError, match="has no image of small-shapes"):
        find_images(geneval, suite).usable(stages, partial=True)
