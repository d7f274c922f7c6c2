from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from hnbench.errors import UsageError
from hnbench.hypernetwork.config import TrainingConfig
from tests.hypernetwork.tiny import REGRESSION, config


def test_every_field_is_declared_identity_or_runtime() -> None:
    assert {
        item.name: item.metadata.get("kind")
        for item in fields(TrainingConfig)
        if item.metadata.get("kind") not in {"identity", "runtime"}
    } == {}


def test_identity_follows_the_identity_fields_alone() -> None:
    first = config()
    assert replace(first, save_every=77, memory="checkpoint-all").identity == first.identity
    assert replace(first, image_size=64).identity != first.identity
    assert replace(first, prompt_prefix=True).identity != first.identity
    assert replace(first, seed=1).identity != first.identity
    assert replace(first, rewards={"brightness": 2.0}).identity != first.identity


def test_fields_of_a_regression_do_not_change_other_identities() -> None:
    """The value was computed before these fields existed."""
    assert config().identity.startswith("0ea1ebc13c4d")
    pairs = config(**REGRESSION)
    for name in ("pairs", "reno_iterations", "reno_learning_rate"):
        assert config(**(REGRESSION | {name: 7})).identity != pairs.identity


def test_it_is_json_and_comes_back() -> None:
    written = json.loads(json.dumps(config().as_dict()))
    assert TrainingConfig(**written) == config()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "distil"}, "`kind` was 'distil'; choose one of hypernoise, finetune, regression"),
        ({"optimizer": "lion"}, "choose one of sgd, adamw"),
        ({"steps": 0}, "`steps` was 0; it must be at least 1"),
        ({"learning_rate": 0.0}, "`learning_rate` was 0.0; it must be above 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` was nan"),
        ({"momentum": -0.1}, "`momentum` was -0.1; it must be at least 0"),
        ({"rewards": {}}, "no reward was given"),
        ({"target_pattern": "("}, "is not a regular expression"),
        ({"image_penalty": 1.0}, "`image_penalty` is for the `kind` finetune; hypernoise has"),
        (REGRESSION | {"image_penalty": 1.0}, "for the `kind` finetune; regression has no penalty"),
        ({"pairs": 3}, "`pairs` is for the `kind` regression; leave it out"),
        (REGRESSION | {"pairs": 0}, "`pairs` was 0; it must be at least 1"),
        (REGRESSION | {"reno_iterations": 1}, "`reno_iterations` was 1; it must be at least 2"),
        (REGRESSION | {"reno_learning_rate": 0.0}, "`reno_learning_rate` was 0.0"),
        (REGRESSION | {"reno_learning_rate": None}, "regression needs `reno_learning_rate`"),
        (REGRESSION | {"noise": "batch"}, "`noise` was 'batch'; in a regression each pair"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        config(**changes)
