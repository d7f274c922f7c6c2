"""Distances between a method's images and the base's, as sets of features.

CMMD (Jayasumana et al., arXiv 2401.09603) is the squared maximum mean discrepancy with a Gaussian
kernel. The Fréchet distance of DINOv2's features is from Stein et al., arXiv 2306.04675. Neither
says which of the two sets is better.
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
"""The width of the kernel exp(-|x - y|^2 / (2 BANDWIDTH^2)), as published for unit vectors."""
SCALE = 1000.0
"""The factor the discrepancy is multiplied by, as published."""
_ROWS = 1024
"""Rows of a kernel that are computed at a time, so that memory does not grow with the square of the
sets' sizes.
"""


def mean_discrepancy(ours: Tensor, base: Tensor) -> float:
    """CMMD: 1000 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y)) of `[N, D]` and `[M, D]`.

    The means include the diagonals, as published, so it is biased and never negative.
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
    and `[M, D]`. `UsageError` if a set has fewer than two rows.

    With C = A^T A and C' = B^T B, the trace of (C C')^(1/2) is the sum of the singular values of A
    B^T. This avoids the root of a product that is nearly singular, as it always is if N < D.
    """
    if min(len(ours), len(base)) < 2:
        raise UsageError(
            f"a Fréchet distance needs at least two images in each set; these have {len(ours)} and"
            f" {len(base)}"
        )
    x, y = ours.double(), base.double()
    a, b = (_root_of_covariance(features) for features in (x, y))
    means = (x.mean(0) - y.mean(0)).square().sum()
    return float(
        means + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    )


def _root_of_covariance(features: Tensor) -> Tensor:
    """A matrix A `[min(N, D), D]` such that A^T A is the covariance."""
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
