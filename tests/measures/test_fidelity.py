"""Distances between sets, against a golden pair, closed forms, SciPy and torchmetrics."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from hnbench.errors import UsageError
from hnbench.measures import fidelity
from hnbench.measures.fidelity import frechet_distance, mean_discrepancy
from tests.measures.pictures import GOLDEN

Array = npt.NDArray[np.float64]


@pytest.mark.parametrize("rows", [1024, 4, 1])
def test_cmmd_of_the_golden_pair(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(fidelity, "_ROWS", rows)
    pair = GOLDEN["cmmd"]
    x, y = (torch.tensor(pair[name], dtype=torch.float64) for name in ("x", "y"))
    assert mean_discrepancy(x, y) == pytest.approx(pair["cmmd"], abs=1e-12)
    assert mean_discrepancy(y, x) == pytest.approx(pair["cmmd"], abs=1e-12)


def test_cmmd_of_equal_sets_is_zero_whatever_their_order() -> None:
    x = torch.tensor(np.random.default_rng(0).normal(size=(9, 4)))
    assert mean_discrepancy(x, x.flip(0)) == pytest.approx(0, abs=1e-10)


def with_moments(mean: Array, covariance: Array, count: int, seed: int) -> Array:
    """Points that have exactly this mean and unbiased covariance."""
    raw = np.random.default_rng(seed).normal(size=(count, len(mean)))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    points: Array = white @ np.linalg.cholesky(covariance).T + mean
    return points


def test_the_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    """Of commuting covariances: the squared distance of the means and of the standard deviations
    along the common axes.
    """
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    first, second = np.array([1.0, 4.0, 9.0]), np.array([4.0, 0.25, 1.0])
    x = with_moments(np.array([1.0, 2.0, 3.0]), axes @ np.diag(first) @ axes.T, 40, 1)
    y = with_moments(np.array([0.0, 2.0, 5.0]), axes @ np.diag(second) @ axes.T, 25, 2)
    expected = 1 + 4 + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum()
    assert frechet_distance(torch.tensor(x), torch.tensor(y)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "others"), [(60, 60), (60, 31)])
def test_the_frechet_distance_of_any_sets_is_that_of_scipy(count: int, others: int) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(count, 6)) @ rng.normal(size=(6, 6)), rng.exponential(size=(others, 6))
    c, d = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(
        c + d - 2 * np.asarray(sqrtm(c @ d)).real
    )
    assert frechet_distance(torch.tensor(x), torch.tensor(y)) == pytest.approx(expected, rel=1e-8)


def test_the_frechet_distance_is_that_of_torchmetrics_on_the_same_features() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Flat(nn.Module):
        num_features = 12

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1).double()

    rng = torch.Generator().manual_seed(0)
    x, y = torch.rand(50, 3, 2, 2, generator=rng), torch.rand(40, 3, 2, 2, generator=rng) ** 2
    metric = FrechetInceptionDistance(
        feature=Flat(), normalize=True, input_img_size=(3, 2, 2), antialias=False
    )
    metric.set_dtype(torch.float64)
    metric.update(x, real=True)
    metric.update(y, real=False)
    assert frechet_distance(x.flatten(1), y.flatten(1)) == pytest.approx(
        float(metric.compute()), rel=1e-6
    )


def test_fewer_images_than_features_are_no_numerical_trouble() -> None:
    """With N points in D > N dimensions, the same points rotated into N - 1 dimensions have the
    same distance.
    """
    rng = np.random.default_rng(4)
    points = rng.normal(size=(5, 3)), rng.normal(size=(7, 3)) + 1
    embedding = np.linalg.qr(rng.normal(size=(200, 3)))[0].T
    low = frechet_distance(*(torch.tensor(part) for part in points))
    high = frechet_distance(*(torch.tensor(part @ embedding) for part in points))
    assert high == pytest.approx(low, rel=1e-9)
    assert frechet_distance(
        torch.tensor(points[0] @ embedding), torch.tensor(points[0] @ embedding)
    ) == pytest.approx(0, abs=1e-9)


def test_a_single_image_has_no_covariance() -> None:
    with pytest.raises(UsageError, match=r"at least two images in each set; these have 1 and 5"):
        frechet_distance(torch.ones(1, 3), torch.ones(5, 3))
