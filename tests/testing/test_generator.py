from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from hnbench.generators.base import Conditioning
from hnbench.shapes.models import load_generator
from hnbench.testing import ContractError, ToyGenerator, check_generator


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_toy_keeps_the_contract(dtype: torch.dtype) -> None:
    check_generator(ToyGenerator(dtype))


@pytest.mark.parametrize("steps", [1, 2])
def test_shapes_keeps_the_contract(steps: int) -> None:
    check_generator(load_generator(device="cpu", dtype="float32"), steps=steps)


class Counting(ToyGenerator):
    """Another image at each call."""

    calls = 0

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        self.calls += 1
        return super().generate(noise, conditioning, steps) * (1 - 0.1 * (self.calls % 2))


class Normalising(ToyGenerator):
    """Divides by the batch's largest value."""

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        images = super().generate(noise, conditioning, steps)
        return images / images.amax()


class Moving(ToyGenerator):
    """Works in place."""

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        images = super().generate(noise, conditioning, steps)
        if not noise.requires_grad:
            noise.mul_(0.5)
        return images


class Padding(ToyGenerator):
    """A text that the longest prompt of the batch decides."""

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        text = super().encode(prompts).tensors["text"]
        return Conditioning({"text": text / max(map(len, prompts))})


class Through(ToyGenerator):
    """What is done to the image, and whether to cut the graph."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        changed: Tensor = self.change(super().generate(noise, conditioning, steps))
        return changed


class Lossy(ToyGenerator):
    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        return super().predict(noise, conditioning).mean(dim=1, keepdim=True).expand(-1, 1, -1, -1)


def with_attribute(name: str, value: Any) -> ToyGenerator:
    generator = ToyGenerator()
    setattr(generator, name, value)
    return generator


def trainable() -> ToyGenerator:
    generator = ToyGenerator()
    generator.backbone.requires_grad_(True)
    return generator


class Unstable(ToyGenerator):
    @property
    def fingerprint(self) -> str:
        return "0" * 63 + "z"


class Gridless(ToyGenerator):
    """A noise without rows and columns."""

    def to_grid(self, noise: Tensor) -> Tensor:
        raise NotImplementedError


class Scaling(ToyGenerator):
    """A grid of other numbers."""

    def to_grid(self, noise: Tensor) -> Tensor:
        return 2 * noise

    def from_grid(self, grid: Tensor) -> Tensor:
        return grid / 2


class Turning(ToyGenerator):
    """A grid that is not turned back."""

    def to_grid(self, noise: Tensor) -> Tensor:
        return noise.transpose(2, 3)


def test_a_noise_needs_no_grid() -> None:
    check_generator(Gridless())


class Described(ToyGenerator):
    @property
    def details(self) -> dict[str, Any]:
        return {"size": (64, 64)}


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Counting(), "the same noise and prompt have to give the same image"),
        (Normalising(), "an image must not depend on the batch"),
        (Moving(), "generate must not change the noise"),
        (Padding(), "must not depend on the other prompts"),
        (Through(lambda images: images * 2), r"in \[0, 1\]; got"),
        (Through(lambda images: images * torch.nan), r"finite and in \[0, 1\]; got nan"),
        (Through(lambda images: images.half()), "float32 or wider; got torch.float16"),
        (Through(lambda images: images[:, :1]), r"images \[B, 3, H, W\]; got a tensor"),
        (Through(lambda images: images.detach()), "differentiable in the noise; the image has no"),
        (Through(lambda images: images.round()), "differentiable in the noise; the gradient has"),
        (Lossy(), "predict has to return finite numbers"),
        (with_attribute("last_layer", "conv_in.nothing"), "last_layer has to name a layer"),
        (with_attribute("noise_shape", [2, 4, 4]), "noise_shape has to be a tuple"),
        (with_attribute("name", ""), "name has to be printable text"),
        (trainable(), "no parameter of backbone may require a gradient"),
        (Unstable(), "a SHA-256"),
        (Scaling(), "to_grid has to return noises"),
        (Turning(), "from_grid gave a tensor"),
        (Described(), "details has to be a dictionary of JSON types"),
    ],
)
def test_a_broken_rule_is_named(broken: ToyGenerator, rule: str) -> None:
    with pytest.raises(ContractError, match=rule) as raised:
        check_generator(broken)
    assert str(raised.value).startswith("the generator ")


def test_a_gradient_of_another_image_is_found() -> None:
    class Leaking(ToyGenerator):
        """The value of an image is its own, its gradient is not."""

        def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
            images = super().generate(noise, conditioning, steps)
            other = images.roll(1, 0)
            return images + 0.1 * (other - other.detach())

    with pytest.raises(ContractError, match="another image's noise; its gradient"):
        check_generator(Leaking())
