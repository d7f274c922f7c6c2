"""GenEval's detector on small random networks of the real classes. That it is mmdet's is shown by
`nox -s mmdet`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional
from transformers import Mask2FormerForUniversalSegmentation

from hnbench.errors import UsageError
from hnbench.suites.geneval import detector
from hnbench.suites.geneval.conversion import convert, convert_checkpoint, load
from hnbench.suites.geneval.detector import InstanceDetector, boxes_of, prepare, read, scaled_size
from hnbench.suites.geneval.resize import resize
from tests.queued_device import moved, queued_device
from tests.suites.mask2former import NAMES, config, mmdet_state, network

SIZES = [
    (512, 512, 800, 800),
    (640, 480, 1067, 800),
    (200, 300, 800, 1200),
    (457, 123, 1333, 359),
    (1600, 1600, 800, 800),
]


@pytest.mark.parametrize(("width", "height", "new_width", "new_height"), SIZES)
def test_images_are_scaled_to_1333_by_800_in_proportion(
    width: int, height: int, new_width: int, new_height: int
) -> None:
    assert scaled_size(width, height) == (new_width, new_height)
    assert scaled_size(height, width) == (new_height, new_width)


@pytest.mark.parametrize(
    ("before", "after"),
    [((64, 64), (100, 100)), ((48, 64), (75, 100)), ((90, 33), (41, 15)), ((20, 20), (10, 10))],
)
def test_the_resize_is_bilinear_to_the_next_grey_level(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*before, 3), dtype=np.uint8)
    values = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    expected = (
        functional.interpolate(values, size=after, mode="bilinear", align_corners=False)[0]
        .permute(1, 2, 0)
        .numpy()
    )
    found = resize(image, *after)
    assert found.shape == (*after, 3)
    assert np.abs(found - expected).max() < 1.1


OPENCV = [
    [0, 94, 202, 171, 140, 109, 78, 46, 15, 124, 218],
    [74, 117, 164, 133, 102, 71, 111, 120, 89, 137, 180],
    [163, 141, 111, 90, 64, 32, 154, 210, 179, 148, 126],
    [109, 87, 72, 152, 169, 138, 158, 156, 124, 93, 71],
    [135, 112, 97, 178, 195, 164, 133, 101, 70, 83, 97],
    [240, 218, 188, 167, 140, 109, 78, 47, 16, 115, 202],
    [202, 180, 148, 117, 86, 55, 115, 136, 105, 135, 164],
    [164, 142, 110, 79, 48, 17, 149, 210, 179, 148, 126],
]
"""`cv2.resize` of OpenCV 4.11 and 5.0 of the image below; 18 of these values are not the nearest to
the exact ones.
"""


def test_the_resize_rounds_as_opencv_does() -> None:
    grey = (np.arange(35) * 207 % 256).astype(np.uint8).reshape(5, 7)
    assert resize(np.repeat(grey[:, :, None], 3, 2), 8, 11).tolist() == [
        [[value] * 3 for value in row] for row in OPENCV
    ]


def test_padding_is_grey_and_right_and_below() -> None:
    image = np.full((90, 60, 3), 255, np.uint8)
    prepared = prepare(image)
    assert prepared.shape == (3, 1216, 800)
    mean, std = torch.tensor(detector.MEAN), torch.tensor(detector.STD)
    assert torch.allclose(prepared[:, :1200].mean((1, 2)), (255 - mean) / std, atol=1e-4)
    assert torch.allclose(prepared[:, 1200:].mean((1, 2)), (128 - mean) / std, atol=1e-4)


def test_boxes_are_tight_and_exclusive() -> None:
    masks = torch.zeros(3, 9, 12, dtype=torch.bool)
    masks[0, 2:5, 3:11] = True
    masks[1, 8, 11] = True
    assert boxes_of(masks).tolist() == [
        [3.0, 2.0, 11.0, 5.0],
        [11.0, 8.0, 12.0, 9.0],
        [0.0, 0.0, 0.0, 0.0],
    ]


def by_hand(
    classes: torch.Tensor, masks: torch.Tensor, width: int, height: int
) -> list[tuple[float, int, tuple[int, ...]]]:
    """All detections, one (query, class) pair after the other, as the published post-processing is
    described.
    """
    inner_width, inner_height = scaled_size(width, height)
    padded = [-(-length // 32) * 32 for length in (inner_height, inner_width)]
    probability = classes.softmax(-1)
    pairs = sorted(
        (
            (float(probability[q, c]), q, c)
            for q in range(len(classes))
            for c in range(classes.shape[1] - 1)
        ),
        reverse=True,
    )
    found = []
    for score, query, label in pairs[:100]:
        large = functional.interpolate(
            masks[None, None, query], size=padded, mode="bilinear", align_corners=False
        )
        mask = functional.interpolate(
            large[:, :, :inner_height, :inner_width],
            size=(height, width),
            mode="bilinear",
            align_corners=False,
        )[0, 0]
        rows, columns = np.nonzero((mask > 0).numpy())
        box = (
            (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
            if len(rows)
            else (0, 0, 0, 0)
        )
        inside = float(mask[mask > 0].sigmoid().sum()) / (len(rows) + 1e-6)
        found.append((score * inside, label, box))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("smallest", [-1.0, 0.1])
def test_the_output_is_read_as_described(smallest: float) -> None:
    torch.manual_seed(0)
    classes, masks = 4 * torch.randn(20, 9), torch.randn(20, 12, 8)
    masks[3] = -1.0
    boxes, labels, scores, bits = read(classes[None], masks[None], (61, 93), smallest)[0]
    expected = [item for item in by_hand(classes, masks, 61, 93) if item[0] > smallest]
    found = sorted(
        zip(
            scores.tolist(),
            labels.tolist(),
            (tuple(map(int, box)) for box in boxes.tolist()),
            strict=True,
        ),
        reverse=True,
    )
    assert len(found) == len(expected) > 2
    assert [item[0] for item in found] == pytest.approx([item[0] for item in expected], abs=1e-6)
    assert sorted(item[1:] for item in found) == sorted(item[1:] for item in expected)
    assert bits.shape == (len(found), 93, 61)
    assert torch.equal(boxes_of(bits), boxes)


def test_nothing_above_the_limit_is_nothing() -> None:
    boxes, labels, scores, bits = read(
        torch.zeros(1, 5, 9), torch.zeros(1, 5, 4, 4), (32, 32), 0.5
    )[0]
    assert (len(boxes), len(labels), len(scores), len(bits)) == (0, 0, 0, 0)


@pytest.fixture
def small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "LONG", 96)
    monkeypatch.setattr(detector, "SHORT", 64)


@pytest.mark.usefixtures("small_images")
def test_images_of_mixed_sizes_are_detected_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "images_at_once", lambda _: 2)
    rng = np.random.default_rng(0)
    images = [
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8))
        for size in [(64, 64, 3), (40, 50, 3), (64, 64, 3), (64, 64, 3)]
    ]
    made = InstanceDetector(network(), NAMES)
    together = made.detect(images, 0.02)
    for image, found in zip(images, together, strict=True):
        (alone,) = made.detect([image], 0.02)
        assert {name: len(each) for name, each in found.items()} == {
            name: len(each) for name, each in alone.items()
        }
        for name, instances in found.items():
            assert [one.score for one in instances] == pytest.approx(
                [one.score for one in alone[name]], abs=1e-5
            )
            assert all(one.mask.shape == image.size[::-1] for one in instances)
    assert sum(len(each) for found in together for each in found.values()) > 4


def test_a_detector_needs_a_name_for_every_class() -> None:
    with pytest.raises(ValueError, match="8 classes"):
        InstanceDetector(network(), NAMES[1:])


@pytest.mark.parametrize("version", ["2.x", "3.x"])
def test_a_checkpoint_of_mmdet_is_converted_once_and_wholly(tmp_path: Path, version: str) -> None:
    state = mmdet_state(version)
    torch.save(
        {"meta": {"CLASSES": tuple(NAMES)}, "state_dict": state}, tmp_path / "checkpoint.pth"
    )
    convert_checkpoint(tmp_path / "checkpoint.pth", config(), tmp_path / "converted")
    tensors = load_file(tmp_path / "converted" / "model.safetensors")
    assert sum(tensor.numel() for tensor in tensors.values()) == sum(
        tensor.numel() for name, tensor in state.items() if "_index" not in name
    )
    model = load(tmp_path / "converted", "the checkpoint")
    assert isinstance(model, Mask2FormerForUniversalSegmentation)
    assert torch.equal(model.class_predictor.weight, state["panoptic_head.cls_embed.weight"])
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pth", "converted"]


def test_names_of_mmdet_2_and_3_are_the_same_tensors() -> None:
    older, newer = convert(mmdet_state("2.x"), "older"), convert(mmdet_state("3.x"), "newer")
    assert older.keys() == newer.keys()
    assert all(torch.equal(older[name], newer[name]) for name in newer)


def test_a_name_without_a_place_is_refused() -> None:
    with pytest.raises(
        UsageError,
        match=(
            r"the file is not a Mask2Former checkpoint of mmdet: 1 of its \d+ names have no place,"
            r" for example bbox_head"
        ),
    ):
        convert({**mmdet_state("2.x"), "bbox_head.weight": torch.zeros(1)}, "the file")


@pytest.mark.parametrize("change", ["missing", "shape"])
def test_a_checkpoint_that_does_not_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, change: str
) -> None:
    state = mmdet_state("2.x")
    name = "panoptic_head.query_feat.weight"
    if change == "missing":
        del state[name]
    else:
        state[name] = state[name][:3]
    torch.save({"state_dict": state}, tmp_path / "checkpoint.pth")
    with pytest.raises(UsageError, match=r"checkpoint\.pth"):
        convert_checkpoint(tmp_path / "checkpoint.pth", config(), tmp_path / "converted")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pth"]


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": Path("x")}}, tmp_path / "checkpoint.pth")
    with pytest.raises(UsageError, match="not a checkpoint of plain tensors"):
        convert_checkpoint(tmp_path / "checkpoint.pth", config(), tmp_path / "converted")


@pytest.mark.parametrize("images", [1, 4])
def test_the_host_waits_twice_however_many_images_are_read(
    images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = torch.Generator().manual_seed(1)
    classes = 3 * torch.randn(images, 5, 9, generator=draw)
    masks = torch.randn(images, 5, 4, 4, generator=draw)
    expected = read(classes, masks, (32, 32), 0.1)
    with queued_device(monkeypatch) as waits:
        found = read(moved(classes), moved(masks), (32, 32), 0.1)
    assert waits == {"wait": 2}
    assert sum(len(one.scores) for one in found) > images
    for one, other in zip(expected, found, strict=True):
        for ours, theirs in zip(one, other, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_images_read_together_are_those_read_alone() -> None:
    draw = torch.Generator().manual_seed(2)
    classes = 3 * torch.randn(3, 5, 9, generator=draw)
    masks = torch.randn(3, 5, 4, 4, generator=draw)
    together = read(classes, masks, (48, 32), 0.05)
    for index, one in enumerate(together):
        (alone,) = read(classes[[index]], masks[[index]], (48, 32), 0.05)
        for ours, theirs in zip(one, alone, strict=True):
            torch.testing.assert_close(ours, theirs)
