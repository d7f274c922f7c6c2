"""The check of a generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hnbench.generators.base import Conditioning, Generator
from hnbench.guards.answers import is_usable, shown
from hnbench.methods.base import conditioning_of, starting_noise, without_gradient
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.testing.contract import (
    name_of,
    require,
    require_close,
    require_fingerprint,
    require_json,
    require_text,
)

TASKS = (Task("0", "a red circle above a blue square", 0), Task("1", "two green triangles", 1))


def check_generator(generator: Generator, *, steps: int = 1) -> None:
    """Check a loaded generator on its own device, with two images in a batch. `ContractError` if it
    breaks its contract.

    `steps` is the number of steps of an image. Check each number that the model is made for.
    """
    who = name_of("generator", generator)
    _check_description(who, generator)
    _check_text(who, generator)
    noise = starting_noise(generator, NoiseSource(0, generator.noise_shape), TASKS)
    text = conditioning_of(generator, NoiseSource(0, generator.noise_shape), TASKS)
    with without_gradient():
        _check_images(who, generator, noise, text, steps)
        _check_prediction(who, generator, noise, text)
        _check_grid(who, generator, noise)
    _check_gradient(who, generator, noise, text, steps)


def _check_description(who: str, generator: Generator) -> None:
    require_text(who, "name", generator.name)
    require_fingerprint(who, lambda: generator.fingerprint)
    require_json(who, "details", generator.details)
    shape = generator.noise_shape
    require(
        isinstance(shape, tuple) and shape and all(type(n) is int and n > 0 for n in shape),
        who,
        "noise_shape has to be a tuple of whole numbers above 0, without the batch",
        f"got {shape!r}"[:200],
    )
    require(
        isinstance(generator.device, torch.device)
        and isinstance(generator.dtype, torch.dtype)
        and generator.dtype.is_floating_point,
        who,
        "device and dtype have to be torch's, and dtype a floating-point type",
        f"got {generator.device!r} and {generator.dtype!r}",
    )
    require(
        isinstance(generator.backbone, nn.Module)
        and generator.last_layer in dict(generator.backbone.named_modules()),
        who,
        "last_layer has to name a layer within backbone",
        f"got {generator.last_layer!r}",
    )
    trained = [name for name, one in generator.backbone.named_parameters() if one.requires_grad]
    require(not trained, who, "no parameter of backbone may require a gradient", f"{trained} do")


def _check_text(who: str, generator: Generator) -> None:
    first, second = (task.prompt for task in TASKS)
    both = generator.encode([first, second])
    require(
        isinstance(both, Conditioning) and both.tensors,
        who,
        "encode has to return a Conditioning with tensors",
        f"got {shown(both)}",
    )
    lengths = {name: len(tensor) for name, tensor in both.tensors.items()}
    require(
        set(lengths.values()) == {2},
        who,
        "the first dimension of every tensor that encode returns has to be the prompt",
        f"got {lengths} for two prompts",
    )
    require(
        not any(tensor.requires_grad for tensor in both.tensors.values()),
        who,
        "encode has to return tensors without gradient",
    )
    alone, swapped = generator.encode([second]), generator.encode([second, first])
    for name, tensor in both.tensors.items():
        rule = f"the text of a prompt ({name}) must not depend on the other prompts"
        require_close(who, rule, alone.tensors[name], tensor[1:])
        require_close(who, rule, swapped.tensors[name], tensor.flip(0))


def _check_images(
    who: str, generator: Generator, noise: Tensor, text: Conditioning, steps: int
) -> None:
    before = noise.clone()
    images = generator.generate(noise, text, steps)
    require(
        is_usable(images) and images.ndim == 4 and images.shape[:2] == (2, 3),
        who,
        "generate has to return images [B, 3, H, W]",
        f"got {shown(images)} for two noises",
    )
    require(
        images.dtype in (torch.float32, torch.float64),
        who,
        "images have to be float32 or wider",
        f"got {images.dtype}",
    )
    low, high = float(images.min()), float(images.max())
    require(
        low >= 0 and high <= 1,
        who,
        "pixels have to be finite and in [0, 1]",
        f"got {low:.3g} to {high:.3g}",
    )
    require(torch.equal(noise, before), who, "generate must not change the noise it is given")
    again = generator.generate(noise, text, steps)
    require_close(who, "the same noise and prompt have to give the same image", again, images)
    rule = "an image must not depend on the batch that it is made in"
    require_close(who, rule, generator.generate(noise[1:], text[1:], steps), images[1:])
    swapped = generator.generate(noise.flip(0), text[[1, 0]], steps)
    require_close(who, f"{rule}, or on its order", swapped, images.flip(0))


def _check_prediction(who: str, generator: Generator, noise: Tensor, text: Conditioning) -> None:
    output = generator.predict(noise, text)
    require(
        is_usable(output) and output.shape == noise.shape and bool(output.isfinite().all()),
        who,
        f"predict has to return finite numbers {list(noise.shape)}, the shape of the noise",
        f"got {shown(output)}",
    )
    rule = "a prediction must not depend on the batch that it is made in"
    require_close(who, rule, generator.predict(noise[1:], text[1:]), output[1:])


def _check_grid(who: str, generator: Generator, noise: Tensor) -> None:
    try:
        grid = generator.to_grid(noise)
    except NotImplementedError:  # not every noise has rows and columns
        return
    rule = (
        "to_grid has to return noises [B, C, H, W] with the same numbers, and from_grid the noise"
    )
    require(
        is_usable(grid)
        and grid.ndim == 4
        and torch.equal(grid.flatten(1).sort(dim=1).values, noise.flatten(1).sort(dim=1).values),
        who,
        rule,
        f"got {shown(grid)} for noises {list(noise.shape)}",
    )
    back = generator.from_grid(grid)
    require(
        is_usable(back) and torch.equal(back, noise), who, rule, f"from_grid gave {shown(back)}"
    )


def _check_gradient(
    who: str, generator: Generator, noise: Tensor, text: Conditioning, steps: int
) -> None:
    leaf = noise.clone().requires_grad_()
    images = generator.generate(leaf, text, steps)
    rule = "images have to be differentiable in the noise"
    require(images.requires_grad, who, rule, "the image has no graph")
    # The pixels get random weights, because a plain sum could have a zero gradient by symmetry.
    weights = torch.rand(images[0].shape, generator=torch.Generator().manual_seed(0)).to(images)
    (gradient,) = torch.autograd.grad((images[0] * weights).sum(), leaf, allow_unused=True)
    require(gradient is not None, who, rule, "no gradient reaches the noise")
    size = [float(row.norm()) for row in gradient]
    require(0 < size[0] < torch.inf, who, rule, f"the gradient has norm {size[0]}")
    require(
        size[1] == 0,
        who,
        "an image must not depend on another image's noise",
        f"its gradient with respect to that has norm {size[1]:.3g}",
    )
