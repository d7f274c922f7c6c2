"""What stays in float32 or wider when all models compute in bfloat16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hnbench.catalogue.loading import load_generator
from hnbench.generators.base import Conditioning, Generator
from hnbench.hypernetwork.adapter import Hypernetwork, LoraAdapter, LoraSettings
from hnbench.hypernetwork.divergence import exact_divergence
from hnbench.hypernetwork.objective import NoiseObjective
from hnbench.hypernetwork.trainer import Trainer
from hnbench.metering import Meter, MeteredGenerator
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Mixture, Reward
from hnbench.seeds import NoiseSource, digest
from hnbench.tasks import Task
from tests.hypernetwork.tiny import PROMPTS, UNetGenerator, config
from tests.tiny import FAMILIES


class HalfReward(Reward):
    """A plug-in that answers in bfloat16."""

    name = "half"
    fingerprint = digest("half")

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return images.bfloat16().mean(dim=(1, 2, 3)) * 100


class Iterates(MeteredGenerator):
    """Notes every noise that it gets, and the gradient of it."""

    def __init__(self, generator: Generator) -> None:
        super().__init__(generator, Meter())
        self.noises: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        self.noises.append(noise.detach().clone())
        # A copy, so that the gradient of the regulariser is not a part of it.
        copied = noise * 1
        if copied.requires_grad:
            copied.register_hook(self.gradients.append)  # type: ignore[no-untyped-call]
        return super().generate(copied, conditioning, steps)


def test_totals_of_rewards_have_the_digits_of_float32() -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    scores = HalfReward().score(images, PROMPTS[:4])
    total = Mixture({"half": (HalfReward(), 0.3), "other": (HalfReward(), 1.0)}).score(
        images, PROMPTS[:4]
    )
    assert total.dtype == torch.float32
    torch.testing.assert_close(total.double(), 1.3 * scores.double(), rtol=1e-6, atol=0)


def test_reno_moves_the_noise_as_torchs_own_optimizer_in_float32(tmp_path: Path) -> None:
    folder = str(FAMILIES["stable-diffusion"].save(tmp_path / "model"))
    generator = Iterates(load_generator(folder, "cpu", "bfloat16"))
    seen: list[torch.dtype] = []
    generator.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    method = ReNO(iterations=5, learning_rate=0.7, gradient_clip=1e9, regulariser_weight=0.0)
    reward = Mixture({"half": (HalfReward(), 1.0)})
    noises = NoiseSource(0, generator.noise_shape)
    (outcome,) = method.propose([Task("a", PROMPTS[0], 0)], generator, reward, noises)

    assert set(seen) == {torch.bfloat16}  # the network does compute in bfloat16
    assert {one.dtype for one in (*generator.noises, *generator.gradients)} == {torch.float32}
    assert (outcome.noise.dtype, outcome.image.dtype) == (torch.float32, torch.float32)
    expected = generator.noises[0].clone().requires_grad_(True)
    optimizer = torch.optim.SGD([expected], 0.7, momentum=0.9, nesterov=True)
    for iterate, gradient in zip(generator.noises[1:], generator.gradients, strict=True):
        expected.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(iterate, expected.detach(), rtol=1e-6, atol=1e-7)
    assert not torch.equal(generator.noises[-1], generator.noises[0])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_training_keeps_weights_gradients_and_losses_in_float32(
    optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = config(
        steps=2, optimizer=optimizer, learning_rate=1e-4, eval_every=2, rewards={"half": 1.0}
    )
    reward = Mixture({"half": (HalfReward(), 1.0)})
    trainer = Trainer(plan, UNetGenerator(torch.bfloat16), reward, PROMPTS, tmp_path / "training")
    found: set[torch.dtype] = set()
    gradients: set[torch.dtype] = set()
    layers: set[torch.dtype] = set()
    for weight in trainer.parameters:
        weight.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
            lambda one: gradients.add(one.grad.dtype)
        )
    for layer in trainer.adapter.layers.values():
        base: Any = layer.base_layer
        assert isinstance(base, nn.Module)
        base.register_forward_hook(lambda _one, _given, output: layers.add(output.dtype))
    objective = NoiseObjective.__call__

    def watched(self: NoiseObjective, change: Tensor, rewards: Tensor) -> Tensor:
        loss = objective(self, change, rewards)
        found.update({change.dtype, rewards.dtype, self.penalty(change).dtype, loss.dtype})
        return loss

    monkeypatch.setattr(NoiseObjective, "__call__", watched)
    trainer.train()
    assert layers == {torch.bfloat16}  # the base does compute in bfloat16
    assert found == gradients == {torch.float32}
    assert {weight.dtype for weight in trainer.parameters} == {torch.float32}
    kept = [
        value
        for state in trainer.optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    assert kept
    assert {value.dtype for value in kept} == {torch.float32}


def test_the_divergence_is_wider_than_the_model() -> None:
    generator = UNetGenerator(torch.bfloat16)
    adapter = LoraAdapter(generator.backbone, LoraSettings(2, 2.0))
    for name, weight in adapter.named_parameters().items():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.1)
    change = Hypernetwork(generator, adapter).as_map(generator.encode(PROMPTS[:1]))
    noise = torch.randn(1, *generator.noise_shape)
    found = exact_divergence(change, noise)
    assert found.kl.dtype == torch.float64
    half = 0.5 * change(noise).detach().double().square().sum()
    torch.testing.assert_close(found.half_squared_norm, half[None])
