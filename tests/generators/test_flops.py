"""The operations of every family of generators, against sums over its layers' calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from hnbench.catalogue.loading import load_generator
from hnbench.flops import counted
from hnbench.generators.base import Generator
from tests.tiny import FAMILIES, PROMPTS


class Calls(TorchFunctionMode):
    """Adds up the operations of the layers' calls of torch, by the formula of each function, and
    those of their gradients.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total, self.backward, self.functions = 0, 0.0, set[str]()

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if name in _FORMULAS:
            with torch._C.DisableTorchFunction():
                forward = _FORMULAS[name](output, *args, **(kwargs or {}))
                self.total += forward
                self.backward += forward * self._gradients(name, [*args, *(kwargs or {}).values()])
            self.functions.add(name)
        return output

    @staticmethod
    def _gradients(name: str, args: Sequence[Any]) -> float:
        """A gradient costs the forward pass once for each operand that needs it. Attention has two
        products, and five in its fused backward pass.
        """
        needed = sum(isinstance(one, torch.Tensor) and one.requires_grad for one in args[:3])
        return 2.5 * (needed > 0) if name == "scaled_dot_product_attention" else needed


def _linear(output: Any, given: Any, *_: Any, **__: Any) -> int:
    return int(2 * output.numel() * given.shape[-1])


def _convolution(output: Any, _given: Any, weight: Any, *_: Any, **__: Any) -> int:
    return int(2 * output.numel() * prod(weight.shape[1:]))


def _attention(output: Any, query: Any, key: Any, *_: Any, **__: Any) -> int:
    return int(2 * (output.numel() + query.numel()) * key.shape[-2])


_FORMULAS: dict[str, Callable[..., int]] = {
    "linear": _linear,
    "matmul": _linear,
    "conv2d": _convolution,
    "scaled_dot_product_attention": _attention,
}


@pytest.fixture(params=FAMILIES)
def generator(request: pytest.FixtureRequest, tmp_path: Path) -> Generator:
    family = FAMILIES[request.param]
    return load_generator(str(family.save(tmp_path / "model")), "cpu", "float32", **family.options)


def flops_of(generator: Generator, batch: int, work: str = "generate", **options: Any) -> int:
    conditioning = generator.encode(PROMPTS[:batch]).seeded(range(batch))
    noise = torch.randn(batch, *generator.noise_shape)
    with torch.no_grad(), counted() as found:
        getattr(generator, work)(noise, conditioning, **options)
    return found.flops


def test_every_layer_is_counted(generator: Generator) -> None:
    conditioning = generator.encode(PROMPTS[:1]).seeded([1])
    with torch.no_grad(), Calls() as calls:
        generator.generate(torch.randn(1, *generator.noise_shape), conditioning)
    assert {"linear", "conv2d", "scaled_dot_product_attention"} <= calls.functions
    assert flops_of(generator, 1) == calls.total


def test_batches_and_steps_add_up(generator: Generator) -> None:
    single = flops_of(generator, 1)
    assert [flops_of(generator, batch) for batch in (2, 3)] == [2 * single, 3 * single]
    backbone = flops_of(generator, 1, "predict")
    assert 0 < backbone < single
    assert flops_of(generator, 1, steps=3) == single + 2 * backbone


def test_every_gradient_is_counted(generator: Generator) -> None:
    conditioning = generator.encode(PROMPTS[:1]).seeded([1])
    noise = torch.randn(1, *generator.noise_shape, requires_grad=True)
    with Calls() as calls:
        generator.generate(noise, conditioning)
    with counted() as found:
        images = generator.generate(noise, conditioning)
        torch.autograd.grad(images.sum(), noise)
    assert found.flops == calls.total + calls.backward


def test_the_type_of_numbers_does_not_matter(tmp_path: Path) -> None:
    family = FAMILIES["stable-diffusion"]
    folder = str(family.save(tmp_path / "model"))
    wide, narrow = (load_generator(folder, "cpu", dtype) for dtype in ("float32", "bfloat16"))
    assert flops_of(wide, 1) == flops_of(narrow, 1)
