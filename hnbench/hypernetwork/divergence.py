"""The distance from N(0, I) of noise after a change: the exact KL divergence, its estimate, and the
change's Lipschitz constant.

For T(x) = x + f(x) with Jacobian J of f (HyperNoise, arXiv 2508.09968, Eq. 8):

    KL(T#p0 || p0) = E[ 1/2 ||f||^2 + Tr J - log|det(I + J)| ]

The paper trains with the first term alone; the rest, E(J), is at most d (-log(1 - L) - L) if f is
L-Lipschitz with L < 1.

A map is a function from noises `[B, *shape]` to changes `[B, *shape]` that treats samples
independently. All results are per sample `[B]`. Only reverse-mode derivatives are used, because
some operators in real backbones have no forward mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Divergence:
    """The terms of the KL divergence for each sample; the mean over samples is the divergence."""

    half_squared_norm: Tensor
    """1/2 ||f||^2 `[B]`."""
    jacobian_term: Tensor
    """E(J) = Tr J - log|det(I + J)| `[B]`."""

    @property
    def kl(self) -> Tensor:
        """The sum of both `[B]`."""
        return self.half_squared_norm + self.jacobian_term


def exact_divergence(change: Map, noise: Tensor) -> Divergence:
    """The divergence from the full Jacobian, by one backward pass for each entry of a noise. The
    determinant is computed in float64.
    """
    value, jacobian = _jacobian(change, noise)
    identity = torch.eye(jacobian.shape[-1], dtype=jacobian.dtype, device=jacobian.device)
    term = (
        jacobian.diagonal(dim1=1, dim2=2).sum(1)
        - torch.linalg.slogdet(identity + jacobian).logabsdet
    )
    return Divergence(_half_squared_norm(value), term)


def estimated_divergence(
    change: Map, noise: Tensor, *, probes: int = 4, terms: int = 6, seed: int = 0
) -> Divergence:
    """The divergence by Hutchinson's estimator on the power series E(J) = sum over k >= 2 of
    (-1)^k Tr(J^k) / k, cut after k = `terms`.

    With a random sign vector v, v^T J^k v has mean Tr(J^k); every further power costs one backward
    pass. The result is the mean over `probes` sign vectors. The series converges if the spectral
    radius of J is below 1; `truncation_bound` bounds what the cut leaves out.
    """
    if probes < 1 or terms < 2:
        raise ValueError(
            f"probes must be at least 1 and terms at least 2, not {probes} and {terms}"
        )
    source, value = _evaluate(change, noise)
    signs = torch.Generator("cpu").manual_seed(seed)  # the CPU's draws are the same everywhere
    total = torch.zeros(noise.shape[0], dtype=torch.float64, device=noise.device)
    for _ in range(probes):
        probe = (torch.randint(0, 2, noise.shape, generator=signs) * 2 - 1).to(value)
        vector = probe
        for power in range(1, terms + 1):
            vector = _transposed_product(value, source, vector)
            if power >= 2:
                total += (-1) ** power / power * _inner(vector, probe)
    return Divergence(_half_squared_norm(value), total / probes)


def truncation_bound(lipschitz: float, dimension: int, terms: int) -> float:
    """A bound on the terms that the cut leaves out: d * sum over k > `terms` of L^k / k; infinite
    for L >= 1.
    """
    if lipschitz >= 1:
        return math.inf
    if lipschitz == 0:
        return 0.0
    # 1 / k <= 1 / (terms + 1) turns the sum into a geometric series.
    return dimension * lipschitz ** (terms + 1) / ((terms + 1) * (1 - lipschitz))


def error_bound(lipschitz: float, dimension: int) -> float:
    """The paper's Theorem 1: |E(J)| <= d (-log(1 - L) - L); infinite for L >= 1."""
    return dimension * (-math.log1p(-lipschitz) - lipschitz) if lipschitz < 1 else math.inf


@sdpa_kernel(SDPBackend.MATH)
def lipschitz_constants(
    change: Map, noise: Tensor, *, iterations: int = 20, seed: int = 0
) -> Tensor:
    """The spectral norm of f's Jacobian at each noise `[B]`, by power iteration on J^T J, from
    below (`spectral_norm_bound`: from above).

    J v comes from differentiating the backward pass, which is linear in its argument. Attention
    runs in its plain form meanwhile, because the fused kernels have no second derivative.
    """
    source, value = _evaluate(change, noise)
    dual = torch.zeros_like(value, requires_grad=True)
    (pullback,) = torch.autograd.grad(
        value, source, dual, create_graph=True, materialize_grads=True
    )
    start = torch.randn(noise.shape, generator=torch.Generator("cpu").manual_seed(seed)).to(source)
    vector, norm = (
        _normalised(start)[0],
        torch.zeros(noise.shape[0], dtype=value.dtype, device=noise.device),
    )
    if not pullback.requires_grad:  # the change does not depend on the noise
        return norm
    for _ in range(iterations):
        (image,) = torch.autograd.grad(
            pullback, dual, vector, retain_graph=True, materialize_grads=True
        )
        image = image.detach()
        norm = image.flatten(1).norm(dim=1)
        vector = _normalised(_transposed_product(value, source, image))[0]
    return norm


def spectral_norm_bound(found: float, dimension: int, iterations: int, failure: float) -> float:
    """An upper bound on a spectral norm for which power iteration `found` this value; it is wrong
    with a probability of at most `failure`.

    Over the random start, the Rayleigh quotient of k iterations on a d x d matrix J^T J falls short
    of its largest eigenvalue by more than a factor 1 - e with a probability of at most
    0.824 sqrt(d) (1 - e)^(k - 1/2), whatever the matrix is (Kuczynski and Wozniakowski, SIAM J.
    Matrix Anal. Appl. 13(4), 1992, Theorem 4.1). This is solved for e; a norm is the root of an
    eigenvalue.
    """
    if not 0 < failure < 1 or iterations < 1:
        raise ValueError(
            f"failure must be between 0 and 1 and iterations at least 1, not {failure} and"
            f" {iterations}"
        )
    share = (failure / (0.824 * math.sqrt(dimension))) ** (1 / (iterations - 0.5))
    return found / math.sqrt(min(1.0, share))


def _evaluate(change: Map, noise: Tensor) -> tuple[Tensor, Tensor]:
    source = noise.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        value = change(source)
    return source, value


def _transposed_product(value: Tensor, source: Tensor, vector: Tensor) -> Tensor:
    """J^T vector, per sample."""
    (product,) = torch.autograd.grad(
        value, source, vector.to(value), retain_graph=True, materialize_grads=True
    )
    return product.detach()


def _jacobian(change: Map, noise: Tensor) -> tuple[Tensor, Tensor]:
    source, value = _evaluate(change, noise)
    rows = []
    for index in range(value[0].numel()):
        unit = torch.zeros_like(value).flatten(1)
        unit[:, index] = 1
        rows.append(_transposed_product(value, source, unit.view_as(value)).flatten(1))
    return value, torch.stack(rows, dim=1).double()


def _inner(left: Tensor, right: Tensor) -> Tensor:
    return (left.double() * right.double()).flatten(1).sum(1)


def _half_squared_norm(value: Tensor) -> Tensor:
    return 0.5 * _inner(value.detach(), value.detach())


def _normalised(vector: Tensor) -> tuple[Tensor, Tensor]:
    norm = vector.flatten(1).norm(dim=1)
    return (
        vector / norm.clamp_min(torch.finfo(vector.dtype).tiny).view(-1, *[1] * (vector.dim() - 1)),
        norm,
    )
