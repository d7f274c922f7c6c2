"""The head from features to one number that ImageReward and LAION's aesthetic predictor share."""

from __future__ import annotations

from torch import nn


def linear_head(width: int) -> nn.Sequential:
    """Linear layers without activations: `[..., width]` -> `[..., 1]`.

    Identities take the places of dropout in the published heads, so that the layers have the same
    numbers as there.
    """
    return nn.Sequential(
        nn.Linear(width, 1024),
        nn.Identity(),
        nn.Linear(1024, 128),
        nn.Identity(),
        nn.Linear(128, 64),
        nn.Identity(),
        nn.Linear(64, 16),
        nn.Linear(16, 1),
    )
