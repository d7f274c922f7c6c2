"""The projection of a vector onto those whose spectrum is that of white Gaussian noise.

"Gradient Preconditioning for Efficient and Reliable Reward-Guided Generation" (GPER), arXiv
2602.08646. White noise of N numbers has N / 2 independent complex frequencies with a mean size of
sqrt(pi) / 2 and a mean square of 1. The projection gives each block of `BLOCK` neighbouring
frequencies exactly these means, and keeps their phases.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 16
"""The number of frequencies in a block."""
NUMBERS = 2 * BLOCK
"""The size of a noise must be a multiple of this."""
MEAN_SIZE = math.sqrt(math.pi) / 2
"""The mean size of a frequency of white noise, whose mean square is 1."""
_TIE = 1e-6
"""Equal sizes are told apart by this share of the largest."""


def white(noise: Tensor) -> Tensor:
    """Each sample of `[B, *shape]`, projected onto the spectra of white noise.

    The result has a squared norm of N, the size of a sample, which must be a multiple of `NUMBERS`.
    It does not depend on the sample's length. A sample of zeros stays zero.
    """
    flat = noise.flatten(1)
    found = frequencies(flat)
    size = found.abs()
    phase = torch.where(size > 0, found / size, torch.ones_like(found))
    wanted = _sizes(size.view(len(flat), -1, BLOCK)).flatten(1)
    projected = from_frequencies(wanted * phase)
    some = (flat != 0).any(dim=1, keepdim=True)
    return torch.where(some, projected, torch.zeros_like(flat)).view_as(noise)


def frequencies(flat: Tensor) -> Tensor:
    """The complex frequencies `[B, N / 2]` of real vectors `[B, N]`, N even, by the orthonormal
    Fourier transform. The real frequencies 0 and N / 2 are the two parts of the first.

    It is a bijection that halves the squared norm.
    """
    found = torch.fft.rfft(flat, norm="ortho")
    ends = torch.complex(found[:, :1].real, found[:, -1:].real) / math.sqrt(2)
    return torch.cat([ends, found[:, 1:-1]], dim=1)


def from_frequencies(values: Tensor) -> Tensor:
    """The inverse of `frequencies`: `[B, N / 2]` to `[B, N]`."""
    ends = values[:, :1] * math.sqrt(2)
    lowest, highest = (torch.complex(one, torch.zeros_like(one)) for one in (ends.real, ends.imag))
    whole = torch.cat([lowest, values[:, 1:], highest], dim=1)
    flat: Tensor = torch.fft.irfft(whole, n=2 * values.shape[1], norm="ortho")
    return flat


def _sizes(sizes: Tensor) -> Tensor:
    """The nearest sizes to `[..., BLOCK]` that have the means of white noise: a soft threshold,
    scaled.

    Of the vectors with these two means, it has the largest inner product with the sizes.
    """
    peak = sizes.amax(dim=-1, keepdim=True)
    # Relative to the largest size, differences of nearly equal sizes keep their digits.
    ramp = torch.linspace(0, -_TIE, BLOCK, dtype=sizes.dtype, device=sizes.device)
    height = torch.where(peak > 0, sizes / peak, torch.ones_like(sizes)) - 1 + ramp
    kept = (height - _threshold(height)).relu()
    return kept * (MEAN_SIZE * BLOCK / kept.sum(dim=-1, keepdim=True))


def _threshold(height: Tensor) -> Tensor:
    """The threshold `[..., 1]` above which the remainders of `[..., BLOCK]` have the ratio of white
    noise between the square of their sum and the sum of their squares.
    """
    ratio = MEAN_SIZE**2 * BLOCK
    most = math.floor(ratio)
    falling = height.sort(dim=-1, descending=True).values
    # With j remainders the ratio is at most j, so there are more than `ratio` of them.
    count = torch.arange(most + 1, BLOCK + 1, dtype=height.dtype, device=height.device)
    total = falling.cumsum(dim=-1)[..., most:]
    spread = (count * falling.square().cumsum(dim=-1)[..., most:] - total.square()).clamp(min=0)
    thresholds = (total - (ratio / (count - ratio) * spread).sqrt()) / count
    # Exactly one of them lies between the last remainder and the next size; rounding can hide it.
    lowest = torch.full_like(falling[..., :1], -torch.inf)
    following = torch.cat([falling[..., most + 1 :], lowest], dim=-1)
    missed = torch.maximum(thresholds - falling[..., most:], following - thresholds)
    return thresholds.gather(-1, missed.argmin(dim=-1, keepdim=True))
