"""GenEval's detector: Mask2Former, with images prepared and outputs read as in mmdet 2.x.

In addition to the network, these steps decide a detection: the 8-bit resize, the grey padding
(before normalisation, as in the published configuration
`mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco.py`; square images need none), masks enlarged in two
steps, the score (class probability times the mean of the mask's sigmoid), and boxes whose right and
bottom are exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from hnbench.detections import Detection
from hnbench.devices.transfers import ahead, to_device, to_host
from hnbench.suites.geneval.resize import resize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image
    from torch import Tensor
    from transformers import Mask2FormerForUniversalSegmentation

LONG, SHORT = 1333, 800
"""An image is enlarged or reduced, with its proportions, until one of its sides has reached its
limit.
"""
DIVISOR = 32
GREY = 128
"""The grey of the padding, at the right and the bottom, to multiples of 32."""
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""Mean and standard deviation of the red, green and blue values, which are 0 to 255."""
LARGEST = 100
"""The number of (query, class) pairs considered, those with the largest class probabilities; a
query may give several classes.
"""
BATCH = 4
"""Images in one pass of a GPU: four of 800x800 take some 8 GB."""
PREPARING = 4
"""Threads that prepare images while a GPU looks at others; each image takes some 30 ms."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Instance(Detection):
    """A detection with its mask, bool `[height, width]` of the image."""

    mask: Mask = field(compare=False, repr=False)


class InstanceDetector:
    """A Mask2Former for instances of the classes `names`, in the order of the network's outputs.
    `ValueError` if their number is another.
    """

    def __init__(
        self, model: Mask2FormerForUniversalSegmentation, names: Sequence[str], device: str = "cpu"
    ) -> None:
        if model.config.num_labels != len(names):
            raise ValueError(
                f"the network has {model.config.num_labels} classes, and {len(names)} names were"
                " given"
            )
        self.model = model.to(device)
        self.names = tuple(names)
        self._device = torch.device(device)

    def detect(
        self, images: Sequence[Image.Image], smallest: float
    ) -> list[dict[str, list[Instance]]]:
        """For each image, class -> detections with a score above `smallest`, in no order. Images
        are RGB, of any sizes.

        Images of the same size share passes, which does not change their detections.
        """
        found: list[dict[str, list[Instance]]] = [{} for _ in images]
        chunks = list(_by_size(images, images_at_once(self._device)))
        prepared = ahead(
            lambda chunk: torch.stack([prepare(np.asarray(images[index])) for index in chunk]),
            chunks,
            self._device,
            workers=PREPARING,
        )
        for chunk, batch in zip(chunks, prepared, strict=True):
            classes, masks = self.forward(batch)
            readings = read(classes, masks, images[chunk[0]].size, smallest)
            for index, reading in zip(chunk, readings, strict=True):
                found[index] = self._instances(reading)
        return found

    @torch.no_grad()
    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits `[B, queries, classes + 1]` and mask logits `[B, queries, H/4, W/4]` of
        prepared images `[B, 3, H, W]`.
        """
        output = self.model(pixel_values=to_device(batch, self._device).to(self.model.dtype))
        return output.class_queries_logits, output.masks_queries_logits

    def _instances(self, reading: Reading) -> dict[str, list[Instance]]:
        boxes, labels, scores, bits = (part.numpy() for part in reading)
        found: dict[str, list[Instance]] = {}
        for box, label, score, mask in zip(
            boxes.tolist(), labels.tolist(), scores.tolist(), bits, strict=True
        ):
            left, top, right, bottom = box
            found.setdefault(self.names[label], []).append(
                Instance((left, top, right, bottom), score, mask=mask)
            )
        return found


def images_at_once(device: torch.device) -> int:
    """The number of images in one pass of the network."""
    # A CPU is busy with one image; two of 800x800 at once took it 12% longer than one by one.
    return 1 if device.type == "cpu" else BATCH


def _by_size(images: Sequence[Image.Image], most: int) -> Iterator[list[int]]:
    """Groups of indices of images of the same size, at most `most` in a group."""
    for size in dict.fromkeys(image.size for image in images):
        same = [index for index, image in enumerate(images) if image.size == size]
        yield from (same[start : start + most] for start in range(0, len(same), most))


def scaled_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) after the resize: the largest of the same proportions within 1333 by 800,
    either way round.

    >>> scaled_size(512, 512)
    (800, 800)
    >>> scaled_size(1024, 512)
    (1333, 667)
    """
    scale = min(LONG / max(width, height), SHORT / min(width, height))
    return int(width * scale + 0.5), int(height * scale + 0.5)


def prepare(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """An RGB image, uint8 `[h, w, 3]`, as the network's input: float32 `[3, H, W]`, resized, padded
    and normalised.
    """
    width, height = scaled_size(pixels.shape[1], pixels.shape[0])
    resized = resize(pixels, height, width)
    padded = np.pad(
        resized, ((0, -height % DIVISOR), (0, -width % DIVISOR), (0, 0)), constant_values=GREY
    )
    values = torch.from_numpy(padded).permute(2, 0, 1).float()
    return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


class Reading(NamedTuple):
    """The n detections of one image, on the CPU. Boxes and masks are in pixels of the image."""

    boxes: Tensor
    """`[n, 4]`."""
    labels: Tensor
    """`[n]`."""
    scores: Tensor
    """`[n]`."""
    masks: Tensor
    """Bool `[n, H, W]`."""


def read(classes: Tensor, masks: Tensor, size: tuple[int, int], smallest: float) -> list[Reading]:
    """The detections of each of B images with a score above `smallest`, from class logits `[B,
    queries, classes + 1]` and mask logits `[B, queries, h, w]`. The (width, height) of all images
    is `size`.

    The host waits for the device twice, however many images there are.
    """
    probabilities = classes.softmax(-1)[:, :, :-1]
    flat = probabilities.flatten(1)
    best, places = to_host(flat.topk(min(LARGEST, flat.shape[1])))
    # A score is at most its class probability, so these pairs can be dropped before their masks are
    # enlarged.
    likely = [each > smallest for each in best]
    pairs = [each[chosen] for each, chosen in zip(places, likely, strict=True)]
    count = probabilities.shape[2]
    measured = [
        tensor
        for each, pair in zip(masks, pairs, strict=True)
        for tensor in _measured(each[to_device(pair // count, masks.device)], size)
    ]
    landed = iter(to_host(measured))
    readings = []
    for each, chosen, pair in zip(best, likely, pairs, strict=True):
        boxes, inside, bits = next(landed), next(landed), next(landed)
        scores = each[chosen] * inside
        kept = scores > smallest
        readings.append(Reading(boxes[kept], (pair % count)[kept], scores[kept], bits[kept]))
    return readings


def _measured(masks: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """The box `[n, 4]`, the mean probability inside `[n]` and the bits `[n, H, W]` of mask logits
    `[n, h, w]`.
    """
    logits = _enlarged(masks, size)
    bits = logits > 0
    # The 1e-6 is mmdet's; with it, an empty mask has the score 0.
    inside = (logits.sigmoid() * bits).flatten(1).sum(1) / (bits.flatten(1).sum(1) + 1e-6)
    return boxes_of(bits), inside, bits


def _enlarged(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Mask logits `[n, h, w]` of the padded image, in the original size: enlarged to the padded
    size, cropped to the image without padding, then resized to the original size.
    """
    width, height = size
    inner = scaled_size(width, height)
    padded = [length + -length % DIVISOR for length in inner]
    large = functional.interpolate(
        masks[:, None], size=padded[::-1], mode="bilinear", align_corners=False
    )
    large = large[:, :, : inner[1], : inner[0]]
    return functional.interpolate(
        large, size=(height, width), mode="bilinear", align_corners=False
    )[:, 0]


def boxes_of(masks: Tensor) -> Tensor:
    """Left, top, right and bottom of bool masks `[n, H, W]`, float32 `[n, 4]`. Right and bottom are
    exclusive; an empty mask has zeros.
    """
    sides = []
    for occupied in (masks.any(1), masks.any(2)):
        length = occupied.shape[1]
        first = occupied.int().argmax(1)
        last = length - occupied.flip(1).int().argmax(1)
        some = occupied.any(1)
        sides.append((first * some, last * some))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], 1).float()
