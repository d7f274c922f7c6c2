"""The regulariser of DNO: how improbable the mean and the covariance of a noise's numbers are.

Tang et al., "Inference-Time Alignment of Diffusion Models with Direct Noise Optimization" (PRNO),
arXiv 2405.18881. Concentration inequalities bound the probability that N(0, I) deviates so far. The
bounds are flat for typical noise, so the penalty is a barrier around it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

COLUMNS = 4
"""The numbers of a noise are rows of this many; the size of a noise must be a multiple of it."""
_SQUARINGS = 16
_TINY = 1e-12


def concentration_penalty(noise: Tensor, orders: Tensor) -> Tensor:
    """The improbability of noises `[B, *shape]`, plus its mean over P random orders `[B, P, N]` of
    their N numbers: `[B]`.
    """
    flat = noise.flatten(1)
    shuffled = flat[:, None].expand(-1, orders.shape[1], -1).gather(2, orders)
    return improbability(flat) + improbability(shuffled).mean(dim=1)


def improbability(values: Tensor) -> Tensor:
    """Minus the logarithms of the two bounds, for values `[..., N]`: `[...]`. It is 2 log 2, with
    gradient 0, for typical noise.
    """
    rows = values.reshape(*values.shape[:-1], -1, COLUMNS)
    number = rows.shape[-2]
    mean = rows.mean(dim=-2)
    by_mean = -number * mean.square().sum(dim=-1) / (2 * COLUMNS)
    unit = torch.eye(COLUMNS, dtype=values.dtype, device=values.device)
    deviation = spectral_norm(rows.mT @ rows / number - unit)
    excess = ((1 + deviation).sqrt() - 1 - math.sqrt(COLUMNS / number)).clamp(min=0)
    by_covariance = -number * excess.square() / 2
    return -(by_mean.clamp(max=-math.log(2)) + by_covariance.clamp(max=-math.log(2)))


def spectral_norm(matrices: Tensor) -> Tensor:
    """The largest absolute eigenvalue of symmetric matrices `[..., m, m]`, differentiable."""
    # A solver of torch would make the host wait. The powers of the square tend to the projection
    # onto its first eigenvectors, and the gradient is that of the quotient for a fixed projection.
    square = matrices @ matrices
    power = square.detach()
    for _ in range(_SQUARINGS):
        power = power / (torch.linalg.matrix_norm(power, keepdim=True) + _TINY**2)
        power = power @ power
    total = power.diagonal(dim1=-2, dim2=-1).sum(dim=-1) + _TINY**2
    return ((power * square).sum(dim=(-2, -1)) / total).clamp(min=_TINY).sqrt()
