"""How far a method's images are from the base's, as sets of features.

CMMD is Jayasumana et al.'s, arXiv 2401.09603: the squared maximum mean discrepancy with a Gaussian
kernel. The Fréchet distance in DINOv2's features is Stein et al.'s, arXiv 2306.04675. Neither says
that one of the two sets is the better one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hnbench.errors import UsageError
from hnbench.measures.base import SetMeasure
from hnbench.measures.features import FeatureMeasure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image
    from torch import Tensor


BANDWIDTH = 10.0
"""Of the kernel exp(-|x - y|^2 / (2 BANDWIDTH^2)), as published for unit vectors."""
SCALE = 1000.0
"""The factor the discrepancy is multiplied by, as published."""
_ROWS = 1024
"""Of a kernel at a time, so that its size does not grow with the square of the sets'."""


def mean_discrepancy(ours: Tensor, base: Tensor) -> float:
    """CMMD: 1000 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y)) of `[N, D]` and `[M, D]`,
    diagonals included: biased, and never negative.
    """
    x, y = ours.double(), base.double()
    return SCALE * (_mean_kernel(x, x) + _mean_kernel(y, y) - 2 * _mean_kernel(x, y))


def _mean_kernel(x: Tensor, y: Tensor) -> float:
    lengths = (y * y).sum(1)
    total = 0.0
    for rows in torch.split(x, _ROWS):
        squares = (rows * rows).sum(1)[:, None] + lengths - 2 * rows @ y.T
        total += float(torch.exp(-squares / (2 * BANDWIDTH**2)).sum())
    return total / (len(x) * len(y))


def frechet_distance(ours: Tensor, base: Tensor) -> float:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) of the means and unbiased covariances of `[N, D]`
    and `[M, D]`, each of at least two.

    With C = A^T A and C' = B^T B, the trace of (C C')^(1/2) is the sum of the singular values of A
    B^T: no root of a product that is nearly singular, which it always is where N < D.
    """
    if min(len(ours), len(base)) < 2:
        raise UsageError(
            f"a Fréchet distance needs at least two images in each set; there are {len(ours)} and"
            f" {len(base)}"
        )
    x, y = ours.double(), base.double()
    a, b = (_root_of_covariance(features) for features in (x, y))
    means = (x.mean(0) - y.mean(0)).square().sum()
    return float(
        means + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    )


def _root_of_covariance(features: Tensor) -> Tensor:
    """An A `[min(N, D), D]` with A^T A the covariance."""
    centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    root: Tensor = torch.linalg.qr(centred, mode="r").R
    return root


class FeatureDistance(FeatureMeasure, SetMeasure):
    """A distance between the features of two sets."""

    higher_is_better = None
    formula: Callable[[Tensor, Tensor], float]

    def features(self, pictures: Sequence[Image]) -> Tensor:
        return self._features.of(pictures)

    def distance(self, ours: Tensor, base: Tensor) -> float:
        return type(self).formula(ours, base)


class MeanDiscrepancy(FeatureDistance):
    """CMMD's formula."""

    formula = staticmethod(mean_discrepancy)
    identity = "CMMD 1"
    said = (
        "Squared maximum mean discrepancy to the base's images x 1000, 0 for equal sets, with a"
        " Gaussian kernel of width 10, of"
    )


class FrechetDistance(FeatureDistance):
    """The Fréchet distance."""

    formula = staticmethod(frechet_distance)
    identity = "Frechet distance 1"
    said = "Fréchet distance to the base's images, 0 for equal means and covariances, of"
