"""The optimizers of the published trainings have the published settings, unstated ones included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hnbench.catalogue.presets import preset_of
from hnbench.hypernetwork.trainer import Trainer
from hnbench.testing.toys import ToyGenerator
from tests.hypernetwork.tiny import PROMPTS, config, mixture

SGD = {"momentum": 0.9, "nesterov": False, "dampening": 0, "weight_decay": 0.0}
"""ExplainableML/HyperNoise, optim.py."""
ADAMW = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-4, "amsgrad": False}
"""As above: torch's defaults but for the decay."""


@pytest.mark.parametrize("kind", ["hypernoise", "finetune"])
@pytest.mark.parametrize("version", ["code", "paper"])
@pytest.mark.parametrize(
    ("generator", "name", "rate", "expected"),
    [
        ("sd-turbo", "SGD", 1e-3, SGD),
        ("sana-sprint-0.6b", "SGD", 1e-3, SGD),
        ("flux-schnell", "AdamW", 2e-5, ADAMW),
    ],
)
def test_the_optimizer_is_the_published_one(
    generator: str,
    name: str,
    rate: float,
    expected: dict[str, Any],
    version: str,
    kind: str,
    tmp_path: Path,
) -> None:
    published = preset_of(generator).trainings[version][kind]
    settings = {
        key: published[key]
        for key in ("optimizer", "learning_rate", "momentum", "weight_decay")
        if key in published
    }
    plan = config(kind=kind, **settings)
    optimizer = Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path).optimizer
    (group,) = optimizer.param_groups
    assert type(optimizer).__name__ == name
    assert group["lr"] == rate
    assert {key: group[key] for key in expected} == expected
