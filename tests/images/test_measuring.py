"""Measuring folders of drawn images with measures that count what they are shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL.Image import Image
from torch import Tensor

from hnbench.errors import SampleFailure, UsageError
from hnbench.images.finding import find_images
from hnbench.images.inventory import FoundImage, Inventory
from hnbench.images.measure_table import sentences, table_of
from hnbench.images.measuring import Measured, Measurer
from hnbench.measures.base import ImageMeasure, Measure, PromptMeasure, SetMeasure
from hnbench.measures.journal import Measurements, open_journal, read_measurements
from hnbench.runs.shards import Shard
from tests.images.conftest import SmallSuite, Stages, draw_png


def red(picture: Image) -> float:
    return float(np.asarray(picture)[..., 0].mean()) / 255


class Redness(ImageMeasure):
    name, about, higher_is_better = "redness", "How red", None
    fingerprint = "1" * 64

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def values(self, pictures: Sequence[Image], prompts: Sequence[str]) -> list[float]:
        self.prompts += prompts
        return [red(picture) for picture in pictures]


class Range(PromptMeasure):
    name, about, higher_is_better = "range", "The range of redness", True
    fingerprint = "2" * 64

    def __init__(self, patience: int = 1000) -> None:
        self.batches: list[int] = []
        self._patience = patience

    def values(self, groups: Sequence[Sequence[Image]]) -> list[float]:
        if sum(self.batches) >= self._patience:
            raise KeyboardInterrupt
        self.batches.append(len(groups))
        return [max(map(red, group)) - min(map(red, group)) for group in groups]


class Shift(SetMeasure):
    name, about, higher_is_better = "shift", "The difference of mean redness", None
    fingerprint = "3" * 64

    def __init__(self) -> None:
        self.seen = 0

    def features(self, pictures: Sequence[Image]) -> Tensor:
        self.seen += len(pictures)
        return torch.tensor([[red(picture)] for picture in pictures])

    def distance(self, ours: Tensor, base: Tensor) -> float:
        return float(ours.mean() - base.mean())


def found_in(folder: Path, suite: SmallSuite, *, partial: bool = False) -> Inventory:
    return find_images(folder, suite).usable(Stages(), partial=partial)


def labelled(inventory: Inventory, **folders: Inventory) -> Inventory:
    """The images as those of a run: of the base, and of further labels."""
    images: list[FoundImage] = [replace(image, label="random") for image in inventory.images]
    for label, other in folders.items():
        images += [replace(image, label=label) for image in other.images]
    return replace(inventory, images=tuple(images))


def measured(
    inventory: Inventory,
    measure: Measure,
    *,
    base: str | None = None,
    batch_size: int = 6,
    stages: Stages | None = None,
) -> Measured:
    with open_journal(inventory.folder / "measures") as journal:
        return Measurer(
            inventory, journal, base=base, batch_size=batch_size, progress=stages or Stages()
        ).measure(measure)


def expected(inventory: Inventory, label: str = "") -> dict[str, list[float]]:
    from PIL import Image as Pillow

    values: dict[str, list[float]] = {}
    for image in inventory.images:
        if image.label == label:
            values.setdefault(image.prompt.id, []).append(
                red(Pillow.open(image.folder / image.name))
            )
    return values


@pytest.fixture
def run(tmp_path: Path, geneval: Path, suite: SmallSuite) -> Inventory:
    """Two labels: the images of one folder, and of another in which one prompt has other images."""
    shutil.copytree(geneval, tmp_path / "others")
    for sample in range(2):
        draw_png(
            tmp_path / f"others/00003/samples/{sample:05d}.png",
            suite.prompts()[3].text,
            77 + sample,
        )
    return labelled(found_in(geneval, suite), ours=found_in(tmp_path / "others", suite))


def test_a_value_for_each_image_and_its_prompt(
    geneval: Path, suite: SmallSuite, stages: Stages
) -> None:
    measure, inventory = Redness(), found_in(geneval, suite)
    found = measured(inventory, measure, stages=stages)
    assert {prompt: list(values) for prompt, values in found.values[""].items()} == {
        prompt: pytest.approx(values, rel=1e-4) for prompt, values in expected(inventory).items()
    }
    assert measure.prompts == [image.prompt.text for image in inventory.images]
    assert (found.new, stages.done) == (24, {"redness": 24})


def test_a_value_for_each_prompt(geneval: Path, suite: SmallSuite) -> None:
    inventory, measure = found_in(geneval, suite), Range()
    found = measured(inventory, measure)
    for prompt, values in expected(inventory).items():
        assert list(found.values[""][prompt]) == pytest.approx(
            [max(values) - min(values)], rel=1e-4
        )
    assert measure.batches == [3, 3, 3, 3]
    assert measured(inventory, Range(), batch_size=1).new == 0


def test_an_interrupted_measure_continues(geneval: Path, suite: SmallSuite) -> None:
    inventory = found_in(geneval, suite)
    with pytest.raises(KeyboardInterrupt):
        measured(inventory, Range(patience=6))
    path = geneval / "measures" / "journal.jsonl"
    with path.open("ab") as file:
        file.write(b'{"schema":1,"measure":"range","fingerp')
    measure = Range()
    found = measured(inventory, measure)
    assert (found.new, sum(measure.batches)) == (12, 6)
    assert len(found.values[""]) == 12
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [len(line["values"]) if "values" in line else line["kind"] for line in lines] == [
        "prompt",
        3,
        3,
        3,
        3,
    ]


def test_shards_measure_whole_labels_and_their_union_is_everything(run: Inventory) -> None:
    measures: list[type[Measure]] = [Redness, Range, Shift]
    whole = [measured(run, one(), base="random") for one in measures]
    shutil.rmtree(run.folder / "measures")

    def shard(number: int, count: int) -> list[Measured]:
        with open_journal(run.folder / "measures", (number, count)) as journal:
            measurer = Measurer(
                run,
                journal,
                base="random",
                batch_size=6,
                progress=Stages(),
                shard=Shard(number, count),
            )
            found = [measurer.measure(one()) for one in measures]
            journal.refresh()
            return [measurer.known(one) for one in found]

    # Pairs 0 to 5: (redness, random), (redness, ours), (range, random), (range, ours),
    # (shift, random), (shift, ours). The base needs no distance.
    first = shard(2, 4)
    assert [one.new for one in first] == [24, 0, 48]
    assert [one.missing for one in first] == [["random"], ["random", "ours"], []]
    second = shard(1, 4)
    assert [one.new for one in second] == [24, 0, 0]
    assert [one.missing for one in second] == [[], ["random", "ours"], []]
    shard(3, 4)
    last = shard(4, 4)
    assert [one.new for one in last] == [0, 24, 0]
    assert [one.missing for one in last] == [[], [], []]
    assert [replace(one, new=0) for one in last] == [replace(one, new=0) for one in whole]
    known = read_measurements(run.folder)
    assert known is not None
    assert known.by_prompt(last[0].definition, "ours", last[0].images["ours"])
    assert [one.new for one in [measured(run, kind(), base="random") for kind in measures]] == [
        *(0, 0, 0)
    ]


def test_only_what_changed_is_measured_again(geneval: Path, suite: SmallSuite) -> None:
    before = measured(found_in(geneval, suite), Range()).values[""]
    draw_png(geneval / "00000/samples/00001.png", suite.prompts()[0].text, 99)
    measure, inventory = Range(), found_in(geneval, suite)
    after = measured(inventory, measure).values[""]
    assert sum(measure.batches) == 3  # the whole batch of the changed image
    first = suite.prompts()[0].id
    assert after[first] != before[first]
    assert {prompt: value for prompt, value in after.items() if prompt != first} == {
        prompt: value for prompt, value in before.items() if prompt != first
    }


def test_the_distance_to_the_base_s_images(run: Inventory) -> None:
    measure = Shift()
    found = measured(run, measure, base="random")
    ours, base = (
        np.mean([value for values in expected(run, label).values() for value in values])
        for label in ("ours", "random")
    )
    assert (found.distances["ours"].images, found.distances["ours"].base_images) == (24, 24)
    assert found.distances["ours"].value == pytest.approx(ours - base, rel=1e-3)
    assert (found.values, measure.seen, found.new) == ({}, 48, 48)
    again = Shift()
    assert measured(run, again, base="random").distances == found.distances
    assert again.seen == 0


def test_a_further_label_is_compared_with_the_same_base(run: Inventory) -> None:
    measured(run, Shift(), base="random")
    third = replace(
        run,
        images=(
            *run.images,
            *(replace(image, label="third") for image in run.images if image.label == "ours"),
        ),
    )
    measure = Shift()
    found = measured(third, measure, base="random")
    assert found.distances["third"].value == found.distances["ours"].value
    assert measure.seen == 48


def test_without_labels_there_is_no_base(geneval: Path, suite: SmallSuite) -> None:
    with pytest.raises(
        UsageError,
        match=r"shift is the distance to the base's images, and .* is not a run folder",
    ):
        measured(found_in(geneval, suite), Shift())


def test_without_the_base_s_images_nothing_is_compared(run: Inventory) -> None:
    ours = replace(run, images=tuple(image for image in run.images if image.label == "ours"))
    with pytest.raises(
        UsageError, match="has no image of random, which every label is compared with"
    ):
        measured(ours, Range(), base="random")


def test_one_image_has_no_diversity(geneval: Path, suite: SmallSuite) -> None:
    for number in range(12):
        (geneval / f"{number:05d}/samples/00001.png").unlink()
    with pytest.raises(
        UsageError,
        match=(
            r"12 prompts have only one \(single_object/0000 0, single_object/0001 0, .*,"
            r" \.\.\.\)\. Generate more"
        ),
    ):
        measured(found_in(geneval, suite, partial=True), Range())
    assert measured(found_in(geneval, suite, partial=True), Redness()).new == 12


def test_of_a_part_what_can_be_measured_is(geneval: Path, suite: SmallSuite) -> None:
    (geneval / "00000/samples/00001.png").unlink()
    inventory = found_in(geneval, suite, partial=True)
    found = measured(inventory, Range())
    assert (len(found.values[""]), found.left_out) == (11, 1)
    partial, about = sentences(inventory, [found])
    assert partial.startswith("PARTIAL: 1 prompts with another number of images")
    assert about == "range: The range of redness. 1 prompts with a single image are not in it."


def test_what_is_no_number_is_told(
    geneval: Path, suite: SmallSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.images.test_measuring.red", lambda _: float("nan"))
    for measure in (Range(), Redness()):
        match = (
            rf"the measure {measure.name} failed for 12 of 12 prompts; of single_object/0000: the"
            rf" measure {measure.name} gave nan"
        )
        with pytest.raises(SampleFailure, match=match):
            measured(found_in(geneval, suite), measure)
    with open_journal(geneval / "measures") as journal:
        assert Measurements(journal.lines).rows == []


def test_the_table_has_means_and_paired_differences(run: Inventory) -> None:
    found = [measured(run, measure, base="random") for measure in (Range(), Shift())]
    table = table_of(run, found, "random")
    columns = {str(column.header): list(column.cells) for column in table.columns[:5]}
    assert columns["measure"] == ["range", "range", "shift"]
    assert columns["label"] == ["random", "ours", "ours"]
    assert columns["prompts"] == ["12", "12", "12"]
    means = {
        label: np.mean([max(values) - min(values) for values in expected(run, label).values()])
        for label in ("random", "ours")
    }
    assert [float(str(cell)) for cell in columns["mean"][:2]] == pytest.approx(
        list(means.values()), rel=1e-3
    )
    (difference,) = (float(str(cell)) for cell in list(table.columns[5].cells) if cell)
    assert difference == pytest.approx(means["ours"] - means["random"], rel=1e-3, abs=1e-6)
    assert difference != 0
    assert columns["95%"][2] == "24 against 24 images"


def test_a_folder_without_labels_has_a_table_without_them(geneval: Path, suite: SmallSuite) -> None:
    inventory = found_in(geneval, suite)
    found = measured(inventory, Redness())
    assert [column.header for column in table_of(inventory, [found], None).columns] == [
        "measure",
        "prompts",
        "mean",
        "95%",
    ]
    assert sentences(inventory, [found]) == ["redness: How red."]
