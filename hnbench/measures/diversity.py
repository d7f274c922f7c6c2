"""Diversity of the images of one prompt, by the cosines between their features.

The Vendi score is by Friedman and Dieng, arXiv 2210.02410. HyperNoise (arXiv 2508.09968, Table 7)
reports the mean similarity with DINOv2; which model, tokens and resolution it used is not
published, and there is no standard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from hnbench.measures.base import PromptMeasure
from hnbench.measures.features import FeatureMeasure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image
    from torch import Tensor


def mean_similarity(features: Tensor) -> float:
    """The mean cosine over all pairs of rows of `[N, D]`, in [-1, 1]; N is at least 2."""
    cosines = _cosines(features)
    count = len(cosines)
    return float((cosines.sum() - cosines.trace()) / (count * (count - 1)))


def vendi_score(features: Tensor) -> float:
    """The exponential of the entropy of the eigenvalues of K / N, where K are the cosines between
    the rows of `[N, D]`; in [1, N].

    It is N if all rows are orthogonal, and 1 if all are the same.

    >>> round(vendi_score(torch.eye(3)), 6)
    3.0
    """
    values = torch.linalg.eigvalsh(_cosines(features) / len(features))
    # 0 log 0 is 0; rounding can also make a zero eigenvalue negative.
    values = values[values > 0]
    return float(torch.exp(-(values * values.log()).sum()))


def _cosines(features: Tensor) -> Tensor:
    unit = functional.normalize(features.double(), dim=-1)
    return unit @ unit.T


class FeatureDiversity(FeatureMeasure, PromptMeasure):
    """A number computed from the features of a prompt's images."""

    formula: Callable[[Tensor], float]

    def values(self, groups: Sequence[Sequence[Image]]) -> list[float]:
        features = self._features.of([picture for group in groups for picture in group])
        return [
            type(self).formula(part)
            for part in torch.split(features, [len(group) for group in groups])
        ]


class Similarity(FeatureDiversity):
    """The mean cosine; the higher, the less diverse."""

    higher_is_better = False
    formula = staticmethod(mean_similarity)
    identity = "mean similarity 1"
    said = (
        "Mean cosine over all pairs of a prompt's images, in [-1, 1], lower for more diverse"
        " ones, of"
    )


class Vendi(FeatureDiversity):
    """The Vendi score; the higher, the more diverse."""

    higher_is_better = True
    formula = staticmethod(vendi_score)
    identity = "Vendi score 1"
    said = (
        "Vendi score, the effective number of different images among a prompt's n, in [1, n], by"
        " the cosines of"
    )
