"""LPIPS with AlexNet (Zhang et al., arXiv 1801.03924) between the images of one prompt: the mean
over all pairs.

The distance of two images is a sum over five layers of AlexNet. Each layer contributes the mean
over positions of sum_c w_c (f_c - g_c)^2, where f and g are its outputs after the ReLU, divided by
their norm over channels. The mean over pairs of a squared difference is twice the unbiased
variance, so each image passes through the network only once, and no pairs are formed.

The weights w_c come with the package torchmetrics. AlexNet's weights are downloaded from PyTorch's
site here, because torchvision's own download would unpickle them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torchvision.models import alexnet

from hnbench.errors import UsageError
from hnbench.files.hashing import sha256_of_file
from hnbench.measures.base import PromptMeasure
from hnbench.seeds import digest
from hnbench.weights.checkpoint import fill, read_weights
from hnbench.weights.pictures import to_bytes
from hnbench.weights.pinned_files import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image
    from torch import Tensor

ALEXNET = "lpips/alexnet-owt-7be5be79.pth"
ALEXNET_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
ALEXNET_SHA256 = "7be5be79"
"""The beginning of the SHA-256, which torchvision puts into the file's name."""
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""ImageNet's mean and standard deviation for pixels in [-1, 1]."""
LAYERS = (1, 4, 7, 9, 11)
"""The indices of the ReLUs in torchvision's AlexNet whose outputs are compared."""
SMALLEST = 32
"""The least pixels of the short side: of a smaller image, AlexNet's poolings leave nothing."""


class Lpips(PromptMeasure):
    """The mean LPIPS over all pairs of a prompt's images, at their own size. `UsageError` if they
    have different sizes or are too small.
    """

    name = "lpips"
    about = (
        "Mean LPIPS (AlexNet) over all pairs of a prompt's images at their own size, from 0, higher"
        " for more diverse ones"
    )
    higher_is_better = True
    source = "download.pytorch.org/models/alexnet-owt-7be5be79.pth, torchmetrics"

    def __init__(self, weights: Path, device: str) -> None:
        """`weights` is the file of torchvision's AlexNet."""
        # The meta device draws no random weights, which would be replaced at once.
        with torch.device("meta"):
            network = alexnet(weights=None)
        fill(network, read_weights(weights), weights)
        self._features: nn.Sequential = (
            network.features[: LAYERS[-1] + 1].to(device).requires_grad_(False).eval()
        )
        self._heads = [head.to(device) for head in heads(heads_path())]
        self._shift, self._scale = (
            torch.tensor(values, device=device)[:, None, None] for values in (SHIFT, SCALE)
        )
        self._fingerprint = digest(
            ["mean pairwise LPIPS 1", sha256_of_file(weights), sha256_of_file(heads_path())]
        )
        self._device = device

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @torch.inference_mode()
    def values(self, groups: Sequence[Sequence[Image]]) -> list[float]:
        return [self._mean_over_pairs(group) for group in groups]

    def _mean_over_pairs(self, pictures: Sequence[Image]) -> float:
        sizes = {picture.size for picture in pictures}
        if len(sizes) > 1 or min(min(sizes)) < SMALLEST:
            shown = ", ".join(sorted(f"{width}x{height}" for width, height in sizes))
            raise UsageError(
                f"LPIPS compares images of one size, at least {SMALLEST} pixels; those of one"
                f" prompt here have {shown}"
            )
        pixels = to_bytes(pictures).to(self._device).float() / 127.5 - 1
        layers = zip(self._layers((pixels - self._shift) / self._scale), self._heads, strict=True)
        return float(
            sum((2 * (unit.var(0) * head).sum(0).mean()).double() for unit, head in layers)
        )

    def _layers(self, values: Tensor) -> Iterator[Tensor]:
        """The outputs `[B, C, h, w]` of the compared layers, of length 1 over channels."""
        for place, layer in enumerate(self._features):
            values = layer(values)
            if place in LAYERS:
                # The 1e-8 is that of torchmetrics.
                yield values / (values.square().sum(1, keepdim=True) + 1e-8).sqrt()


def heads_path() -> Path:
    """The file with the published weights of the channels, in torchmetrics' package."""
    spec = find_spec("torchmetrics")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            "the measure lpips needs torchmetrics, which brings LPIPS's weights; type pip install"
            " torchmetrics"
        )
    return (
        Path(spec.submodule_search_locations[0])
        / "functional"
        / "image"
        / "lpips_models"
        / "alex.pth"
    )


def heads(path: Path) -> list[Tensor]:
    """The weights `[C, 1, 1]` of the channels of the five layers."""
    found = read_weights(path)
    return [found[f"lin{layer}.model.1.weight"][0] for layer in range(len(LAYERS))]


def load(device: str) -> Lpips:
    """LPIPS with the published weights. Those of AlexNet are downloaded on first use (244 MB)."""
    return Lpips(fetch(ALEXNET, ALEXNET_URL, ALEXNET_SHA256, progress=True), device)
