"""Tests of noises against standard Gaussian noise, by statistics with a known distribution under
N(0, I).

Every z is (observed - expected) / standard error under N(0, I); for white noise, |z| is about 1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def gaussianity(noise: Tensor, bins: int = 8) -> dict[str, Any]:
    """Statistics of noises `[N, *shape]`, as JSON types.

    `norm`: the mean norm of a noise, against the chi distribution with d degrees of freedom.
    `moments`: those of all entries. `position_mean`: the variance of the N-sample mean over
    positions, times N (1 for independent noises; more if all noises share a pattern). `spectrum`
    and `lag_one`, only for noises `[N, C, H, W]` (None otherwise): power by spatial frequency, and
    correlation of neighbours along each axis.

    Raises `ValueError` for any other shape, or no noise.
    """
    if noise.dim() < 2 or noise.shape[0] < 1 or noise[0].numel() < 1:
        raise ValueError(f"noises must be [N, *shape] and not empty, not {tuple(noise.shape)}")
    values = noise.detach().double()
    spatial = values.dim() == 4 and min(values.shape[2:]) > 1
    return {
        "samples": values.shape[0],
        "dimension": values[0].numel(),
        "norm": _norm(values.flatten(1)),
        "moments": _moments(values.flatten()),
        "position_mean": _position_mean(values.flatten(1)),
        "spectrum": _spectrum(values, bins) if spatial else None,
        "lag_one": (
            {"vertical": _lag_one(values, 2), "horizontal": _lag_one(values, 3)}
            if spatial
            else None
        ),
    }


def _against(observed: float, expected: float, error: float) -> dict[str, float]:
    return {
        "observed": observed,
        "expected": expected,
        "standard_error": error,
        "z": (observed - expected) / error,
    }


def _norm(flat: Tensor) -> dict[str, float]:
    count, dimension = flat.shape
    expected = math.sqrt(2) * math.exp(
        math.lgamma((dimension + 1) / 2) - math.lgamma(dimension / 2)
    )
    # For large d, d - E[chi]^2 cancels all digits; there the variance tends to 1/2.
    variance = dimension - expected**2 if dimension < 10_000 else 0.5
    return _against(float(flat.norm(dim=1).mean()), expected, math.sqrt(variance / count))


def _moments(entries: Tensor) -> dict[str, dict[str, float]]:
    count = entries.numel()
    mean, variance = float(entries.mean()), float(entries.var(correction=0))
    standard = (entries - mean) / math.sqrt(variance) if variance > 0 else torch.zeros_like(entries)
    return {
        "mean": _against(mean, 0.0, math.sqrt(1 / count)),
        "variance": _against(variance, 1.0, math.sqrt(2 / count)),
        "skewness": _against(float((standard**3).mean()), 0.0, math.sqrt(6 / count)),
        "excess_kurtosis": _against(float((standard**4).mean()) - 3, 0.0, math.sqrt(24 / count)),
    }


def _position_mean(flat: Tensor) -> dict[str, float]:
    count, dimension = flat.shape
    return _against(float(count * flat.mean(0).square().mean()), 1.0, math.sqrt(2 / dimension))


def _spectrum(values: Tensor, bins: int) -> list[dict[str, float]]:
    """Mean power in rings of spatial frequency of equal width; frequencies are in units of the
    Nyquist frequency. White noise has power 1 everywhere.
    """
    height, width = values.shape[2:]
    power = torch.fft.fft2(values, norm="ortho").abs().square().mean(dim=(0, 1))
    rows, columns = (
        torch.fft.fftfreq(height, device=values.device),
        torch.fft.fftfreq(width, device=values.device),
    )
    radius = 2 * torch.hypot(rows[:, None], columns[None, :])
    ring = (radius / math.sqrt(2) * bins).long().clamp_max(bins - 1)
    found = []
    for index in range(bins):
        chosen = ring == index
        if chosen.any():
            # A frequency and its negative carry the same power, hence the variance 2 per pair of
            # squared Gaussians.
            error = math.sqrt(2 / (int(chosen.sum()) * values.shape[0] * values.shape[1]))
            found.append(
                {
                    "frequency": float(radius[chosen].mean()),
                    **_against(float(power[chosen].mean()), 1.0, error),
                }
            )
    return found


def _lag_one(values: Tensor, axis: int) -> dict[str, float]:
    length = values.shape[axis]
    products = values.narrow(axis, 0, length - 1) * values.narrow(axis, 1, length - 1)
    return _against(float(products.mean()), 0.0, math.sqrt(1 / products.numel()))
