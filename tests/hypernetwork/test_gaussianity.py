from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from hnbench.hypernetwork.gaussianity import gaussianity

SHAPE = (64, 4, 16, 16)


def white(seed: int = 0) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def scores(found: dict[str, Any]) -> list[float]:
    """Every z of a result."""
    single = [
        found["norm"],
        found["position_mean"],
        *found["moments"].values(),
        *found["lag_one"].values(),
        *found["spectrum"],
    ]
    return [entry["z"] for entry in single]


def test_white_noise_is_white_within_sampling_error() -> None:
    found = [scores(gaussianity(white(seed))) for seed in range(60)]
    values = torch.tensor(found, dtype=torch.float64)
    assert values.shape == (60, 16)
    # Each z is standard normal: its mean square over independent noises is chi^2_60 / 60.
    mean_squares = values.square().mean(0)
    low, high = (float(stats.chi2(60).ppf(p)) / 60 for p in (1e-5, 1 - 1e-5))
    assert bool(((mean_squares > low) & (mean_squares < high)).all()), mean_squares


def test_known_departures_are_found_with_their_size() -> None:
    shifted = gaussianity(white() + 0.1)
    assert shifted["moments"]["mean"]["observed"] == pytest.approx(0.1, abs=0.02)
    assert shifted["moments"]["mean"]["z"] > 10
    assert shifted["position_mean"]["observed"] == pytest.approx(1 + 64 * 0.01, rel=0.15)
    scaled = gaussianity(white() * 1.1)
    assert scaled["norm"]["observed"] / scaled["norm"]["expected"] == pytest.approx(1.1, rel=0.01)
    assert scaled["moments"]["variance"]["observed"] == pytest.approx(1.21, rel=0.02)
    skewed = gaussianity(torch.distributions.Gamma(4.0, 1.0).sample(SHAPE))
    assert skewed["moments"]["skewness"]["observed"] == pytest.approx(1.0, abs=0.1)
    assert skewed["moments"]["excess_kurtosis"]["observed"] == pytest.approx(1.5, abs=0.4)


def test_coloured_noise_has_its_known_spectrum_and_correlation() -> None:
    noise = white()
    coloured = (noise + noise.roll(1, dims=3)) / 2**0.5
    found = gaussianity(coloured, bins=4)
    assert found["lag_one"]["horizontal"]["observed"] == pytest.approx(0.5, abs=0.02)
    assert abs(found["lag_one"]["vertical"]["z"]) < 4
    assert abs(found["moments"]["variance"]["observed"] - 1) < 0.05
    # Power 1 + cos(w) along the columns, averaged over each ring.
    rows, columns = torch.fft.fftfreq(16)[:, None], torch.fft.fftfreq(16)[None, :]
    power, radius = (
        1 + torch.cos(2 * torch.pi * columns).expand(16, 16),
        2 * torch.hypot(rows, columns),
    )
    for index, entry in enumerate(found["spectrum"]):
        ring = (radius / 2**0.5 * 4).long().clamp_max(3) == index
        assert entry["observed"] == pytest.approx(float(power[ring].mean()), abs=0.06)
    assert found["spectrum"][0]["observed"] > 1.5
    assert found["spectrum"][-1]["observed"] < 0.7


def test_noise_without_two_spatial_axes_has_no_spectrum_and_all_is_json() -> None:
    found = gaussianity(torch.randn(8, 16, 4))
    assert found["spectrum"] is None
    assert found["lag_one"] is None
    assert found["dimension"] == 64
    json.dumps(found, allow_nan=False)
    json.dumps(gaussianity(torch.zeros(2, 1, 4, 4)), allow_nan=False)


def test_large_noises_have_the_chi_mean() -> None:
    for dimension in (3, 16384):
        expected = float(stats.chi(dimension).mean())
        error = float(stats.chi(dimension).std())
        found = gaussianity(torch.ones(1, dimension))["norm"]
        assert found["expected"] == pytest.approx(expected, rel=1e-9)
        assert found["standard_error"] == pytest.approx(error, rel=1e-4)


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="not empty"):
        gaussianity(torch.zeros(0, 3))
