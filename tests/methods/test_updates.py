"""The rules of the updates against torch's optimisers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hnbench.methods.updates import SGD, Adam, Update

RATE = 0.3


@pytest.mark.parametrize(
    ("rule", "optimiser", "settings"),
    [
        (SGD(0.9, nesterov=True), torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        (SGD(0.5, nesterov=False), torch.optim.SGD, {"momentum": 0.5}),
        (Adam(0.0), torch.optim.Adam, {}),
        (Adam(0.1), torch.optim.AdamW, {"weight_decay": 0.1}),
    ],
    ids=["nesterov", "momentum", "adam", "adamw"],
)
def test_it_goes_where_torchs_optimiser_goes(
    rule: Update, optimiser: Any, settings: dict[str, Any]
) -> None:
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(3, 2, 4, dtype=torch.float64, generator=random)
    theirs = torch.nn.Parameter(noise.clone())
    torchs = optimiser([theirs], lr=RATE, **settings)
    for number in range(30):
        gradient = torch.randn(3, 2, 4, dtype=torch.float64, generator=random) * 10.0 ** -(
            number % 9
        )
        theirs.grad = gradient.clone()
        torchs.step()
        noise = noise - RATE * rule.step(gradient, noise)
        torch.testing.assert_close(noise, theirs.detach(), rtol=1e-12, atol=1e-12)
