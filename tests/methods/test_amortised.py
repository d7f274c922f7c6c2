from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hnbench.errors import UsageError
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.checkpoint import adapter_sha256
from hnbench.methods.adapted import AdapterMethod
from hnbench.methods.amortised import Amortised
from hnbench.methods.finetune import FineTuned
from hnbench.methods.hypernoise import HyperNoise
from hnbench.seeds import NoiseSource
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.adapters import TASKS, adapter_folder

NOISES = NoiseSource(0, ToyGenerator.noise_shape)
METHODS: dict[str, type[AdapterMethod]] = {
    "hypernoise": HyperNoise,
    "finetune": FineTuned,
    "regression": Amortised,
}


def test_it_adds_the_networks_change_to_the_noise_in_one_pass(tmp_path: Path) -> None:
    adapter, generator = adapter_folder(tmp_path / "adapter", "regression"), ToyGenerator()
    method = Amortised(adapter=adapter)
    outcomes = list(method.propose(TASKS, generator, BrightnessReward(), NOISES))
    assert [(one.task, one.label) for one in outcomes] == [(task, "amortised") for task in TASKS]
    network = Hypernetwork(generator, attach(generator, adapter, "regression"))
    conditioning = generator.encode([task.prompt for task in TASKS])
    noise = NOISES.batch(TASKS)
    with torch.no_grad():
        chosen = noise + network.displacement(noise, conditioning)
        images = generator.generate(chosen, conditioning)
    assert torch.equal(torch.stack([one.noise for one in outcomes]), chosen)
    assert torch.equal(torch.stack([one.image for one in outcomes]), images)
    assert not torch.equal(chosen, noise)


def test_its_identity_is_its_own(tmp_path: Path) -> None:
    """The same weights, trained by the reward, would be another row."""
    adapter = adapter_folder(tmp_path / "adapter", "regression")
    assert Amortised(adapter=adapter).identity() == {
        "name": "amortised",
        "adapter": adapter_sha256(adapter),
    }
    assert Amortised(adapter=adapter).prepare(ToyGenerator()).kind == "regression"


@pytest.mark.parametrize("given", METHODS)
@pytest.mark.parametrize("needed", METHODS)
def test_an_adapter_of_another_kind_is_refused_with_its_own_option(
    given: str, needed: str, tmp_path: Path
) -> None:
    method = METHODS[needed](adapter=adapter_folder(tmp_path / "adapter", given))
    if given == needed:
        assert method.prepare(ToyGenerator())
        return
    option = {"hypernoise": "hypernetwork", "finetune": "finetuned", "regression": "amortised"}
    with pytest.raises(
        UsageError,
        match=rf"kind '{given}'; '{needed}' is needed here \(.* as `{option[given]}`\)",
    ):
        method.prepare(ToyGenerator())


def test_weights_without_a_description_are_no_regression(tmp_path: Path) -> None:
    adapter = adapter_folder(tmp_path / "adapter", "regression")
    (adapter / "hnbench.json").unlink()
    with pytest.raises(UsageError, match="counts as a noise hypernetwork and not as regression"):
        Amortised(adapter=adapter).prepare(ToyGenerator())
