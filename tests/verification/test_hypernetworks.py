"""Checks of adapters: equal as the package is, and different with each fault planted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from hnbench.catalogue.presets import PRESETS, preset_of
from hnbench.hypernetwork import loading
from hnbench.hypernetwork.adapter import LoraAdapter
from hnbench.verification.check import CheckResult, run_check
from hnbench.verification.reference import all_references

KNOWN = {one.name: one for one in all_references() if one.kind == "hypernetwork"}
RELEASED = "hypernoise-sana-sprint-by-hand"


def checked(name: str) -> CheckResult:
    return run_check(KNOWN[name], "cpu", "float32", slow=True)


def test_every_adapter_of_a_preset_has_a_check() -> None:
    published = {
        str(name)
        for preset in PRESETS
        for name in preset_of(preset).adapters.values()
        if isinstance(name, str)
    }
    assert published <= {one.component for one in KNOWN.values()}
    assert {one.component for one in KNOWN.values()} == published | {"shapes"}


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", KNOWN)
def test_the_weights_by_hand_give_the_same(name: str) -> None:
    result = checked(name)
    assert (result.verdict, result.why) == ("equal", ""), result.worst
    assert "adapter" in result.fingerprints


def other_scale(patch: pytest.MonkeyPatch) -> None:
    real = loading._settings
    patch.setattr(
        loading,
        "_settings",
        lambda *given: replace(real(*given), alpha=real(*given).alpha * 0.99),
    )


def lost_layer(patch: pytest.MonkeyPatch) -> None:
    real = LoraAdapter.load_state_dict

    def load(self: LoraAdapter, state: Any) -> None:
        name = next(key for key in state if key.endswith("lora_B.weight"))
        real(self, {**state, name: state[name] * 0})

    patch.setattr(LoraAdapter, "load_state_dict", load)


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "another scale": other_scale,
    "the base's output not removed": lambda patch: patch.setattr(
        LoraAdapter, "delta_only", lambda *_: nullcontext()
    ),
    "a layer without its weights": lost_layer,
    "no adapter at all": lambda patch: patch.setattr(
        LoraAdapter, "active", lambda _: nullcontext()
    ),
}


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", KNOWN)
def test_a_fault_is_found(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "shapes-finetune-by-hand" and fault == "the base's output not removed":
        pytest.skip("a fine-tuned generator's output is taken as it is")
    FAULTS[fault](monkeypatch)
    result = checked(name)
    assert result.verdict == "differs" or (fault == "no adapter at all" and result.crashed), result
