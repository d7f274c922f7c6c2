from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from hnbench.hypernetwork import diagnose as module
from hnbench.hypernetwork.adapter import Hypernetwork, LoraAdapter, LoraSettings
from hnbench.hypernetwork.diagnose import diagnose
from hnbench.seeds import NoiseSource
from hnbench.testing.toys import ToyGenerator
from tests.hypernetwork.test_adapter import shaken
from tests.hypernetwork.tiny import PROMPTS

NOISES = NoiseSource(0, ToyGenerator.noise_shape)


def network(size: float = 0.3) -> Hypernetwork:
    generator = ToyGenerator()
    adapter = shaken(LoraAdapter(generator.backbone, LoraSettings(4, 8)))
    with torch.no_grad():
        adapter.named_parameters()["conv_out.lora_B.weight"].mul_(size)
    return Hypernetwork(generator, adapter)


def look(hypernetwork: Hypernetwork, **options: Any) -> dict[str, Any]:
    return diagnose(hypernetwork, PROMPTS[:2], NOISES, samples=6, **options)


def test_an_untrained_hypernetwork_changes_nothing() -> None:
    found = look(network(size=0))
    assert (
        found["kl"]
        == found["jacobian_term"]
        == found["half_squared_norm"]
        == {
            "mean": 0,
            "standard_error": 0,
        }
    )
    assert found["lipschitz"]["max"] == 0
    assert found["gaussianity"]["before"] == found["gaussianity"]["after"]


def test_the_estimate_agrees_with_the_exact_value_and_all_is_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = look(network())
    assert exact["jacobian"] == {"exact": True, "probes": None, "terms": None}
    assert exact["kl"]["mean"] == pytest.approx(
        exact["half_squared_norm"]["mean"] + exact["jacobian_term"]["mean"]
    )
    assert exact["kl"]["mean"] > 0
    assert 0 < exact["relative_change"]["mean"] < 1
    assert exact["lipschitz"]["max"] < 1
    assert abs(exact["jacobian_term"]["mean"]) <= exact["lipschitz"]["jacobian_term_bound"]
    monkeypatch.setattr(module, "EXACT_UP_TO", 0)
    estimate = look(network(), probes=8, terms=8)
    assert estimate["jacobian"] == {"exact": False, "probes": 8, "terms": 8}
    assert estimate["half_squared_norm"] == pytest.approx(exact["half_squared_norm"])
    error = (
        4 * estimate["jacobian_term"]["standard_error"] + estimate["lipschitz"]["truncation_bound"]
    )
    assert abs(estimate["jacobian_term"]["mean"] - exact["jacobian_term"]["mean"]) < error
    json.dumps([exact, estimate], allow_nan=False)


def test_the_batch_size_does_not_matter() -> None:
    one, many = look(network(), batch_size=1), look(network(), batch_size=12)
    for name in ("kl", "relative_change"):
        assert one[name] == pytest.approx(many[name], rel=1e-4)


def test_bounds_are_left_out_where_the_map_is_no_contraction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = look(network(size=30))
    assert found["lipschitz"]["max"] > 1
    assert found["lipschitz"]["jacobian_term_bound"] is None
    assert found["kl"]["mean"] > 0
    monkeypatch.setattr(module, "EXACT_UP_TO", 0)
    estimated = look(network(size=30))
    assert estimated["kl"] is None
    assert estimated["jacobian_term"] is None
    assert estimated["half_squared_norm"] == pytest.approx(found["half_squared_norm"])
    json.dumps([found, estimated], allow_nan=False)


def test_a_constant_that_may_be_above_one_leaves_the_series_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "EXACT_UP_TO", 0)
    monkeypatch.setattr(
        module, "lipschitz_constants", lambda _, noise, **__: torch.full((len(noise),), 0.995)
    )
    found = look(network(), iterations=20)
    assert found["lipschitz"]["max"] < 1 < found["lipschitz"]["bound"]
    assert found["kl"] is None
    assert found["jacobian_term"] is None
    monkeypatch.setattr(
        module, "lipschitz_constants", lambda _, noise, **__: torch.full((len(noise),), 0.5)
    )
    assert look(network(), iterations=20)["kl"] is not None


def test_no_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        diagnose(network(), [], NOISES)
