"""The effect of a trained hypernetwork on the noise: divergence, Lipschitz constant and
Gaussianity, with standard errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.divergence import (
    Divergence,
    error_bound,
    estimated_divergence,
    exact_divergence,
    lipschitz_constants,
    spectral_norm_bound,
    truncation_bound,
)
from hnbench.hypernetwork.gaussianity import gaussianity
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

EXACT_UP_TO = 512
"""Noises of at most this many entries get the exact Jacobian."""
FAILURE = 0.01
"""The largest probability that any spectral norm of a diagnosis is above the reported bound."""


def diagnose(
    hypernetwork: Hypernetwork,
    prompts: Sequence[str],
    noises: NoiseSource,
    *,
    samples: int = 4,
    batch_size: int = 8,
    probes: int = 4,
    terms: int = 6,
    iterations: int = 40,
    done: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Examine `samples` noises for each prompt; the result has JSON types. After each batch, `done`
    is called with its number of noises.

    The KL divergence is exact for noises of at most `EXACT_UP_TO` entries, and otherwise estimated
    (`estimated_divergence`). The estimate's truncation bound is computed from the upper bound on
    the largest Lipschitz constant; it is None if infinite. The estimate is a power series in the
    Jacobian, which need not converge if a sample's Lipschitz constant reaches 1. So `kl` and
    `jacobian_term` are None unless the upper bound is below 1: power iteration approaches a
    constant from below, and would take 1.01 for 0.99.

    Raises `ValueError` without prompts.
    """
    if not prompts:
        raise ValueError("diagnose needs at least one prompt")
    tasks = [
        Task(str(index), prompt, sample)
        for index, prompt in enumerate(prompts)
        for sample in range(samples)
    ]
    exact = torch.Size(noises.shape).numel() <= EXACT_UP_TO
    divergences, constants, before, after = [], [], [], []
    for start in range(0, len(tasks), batch_size):
        chosen = tasks[start : start + batch_size]
        noise = noises.batch(chosen).to(hypernetwork.generator.device)
        change = hypernetwork.as_map(
            hypernetwork.generator.encode([task.prompt for task in chosen])
        )
        with torch.no_grad():
            after.append((noise + change(noise)).cpu())
        before.append(noise.cpu())
        # `start` is the seed, so that every batch has other probes.
        parts = (
            exact_divergence(change, noise)
            if exact
            else estimated_divergence(change, noise, probes=probes, terms=terms, seed=start)
        )
        divergences.append(Divergence(parts.half_squared_norm.cpu(), parts.jacobian_term.cpu()))
        constants.append(
            lipschitz_constants(change, noise, iterations=iterations, seed=start).cpu()
        )
        done(len(chosen))
    lipschitz = _lipschitz(
        torch.cat(constants), torch.Size(noises.shape).numel(), None if exact else terms, iterations
    )
    return {
        "prompts": len(prompts),
        "samples": samples,
        **_divergence(divergences, known=exact or lipschitz["bound"] < 1),
        "jacobian": {
            "exact": exact,
            "probes": None if exact else probes,
            "terms": None if exact else terms,
        },
        "lipschitz": lipschitz,
        "relative_change": _relative(torch.cat(before), torch.cat(after)),
        "gaussianity": {
            "before": gaussianity(torch.cat(before)),
            "after": gaussianity(torch.cat(after)),
        },
    }


def _divergence(parts: Sequence[Divergence], *, known: bool) -> dict[str, Any]:
    half, term = (
        torch.cat([part.half_squared_norm for part in parts]),
        torch.cat([part.jacobian_term for part in parts]),
    )
    if not known:
        return {"half_squared_norm": _mean(half), "jacobian_term": None, "kl": None}
    return {
        "half_squared_norm": _mean(half),
        "jacobian_term": _mean(term),
        "kl": _mean(half + term),
    }


def _mean(values: Tensor) -> dict[str, float | None]:
    error = float(values.double().std() / len(values) ** 0.5) if len(values) > 1 else None
    return {"mean": float(values.double().mean()), "standard_error": error}


def _lipschitz(
    constants: Tensor, dimension: int, terms: int | None, iterations: int
) -> dict[str, Any]:
    """Quantiles over samples, an upper bound on the largest constant, and the bounds that follow if
    that one holds for all noises.
    """
    largest = float(constants.max())
    # The failures of all samples together (union bound) stay below FAILURE.
    bound = spectral_norm_bound(largest, dimension, iterations, FAILURE / len(constants))
    tail = truncation_bound(bound, dimension, terms) if terms else 0.0
    return {
        "median": float(constants.quantile(0.5)),
        "quantile_90": float(constants.quantile(0.9)),
        "max": largest,
        "bound": bound,
        "bound_confidence": 1 - FAILURE,
        "iterations": iterations,
        "jacobian_term_bound": error_bound(bound, dimension) if bound < 1 else None,
        "truncation_bound": tail if bound < 1 or not terms else None,
    }


def _relative(before: Tensor, after: Tensor) -> dict[str, float | None]:
    return _mean((after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1))
