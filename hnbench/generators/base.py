"""The generator contract: a frozen, distilled one- or few-step text-to-image model.

A generator maps (noise, prompt) to an image and is differentiable in the noise. Its parameters
never require a gradient; only a LoRA adapter on its `backbone` is trained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hnbench.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Conditioning:
    """The condition of each image in a batch: its encoded text, as named tensors whose first
    dimension is the image, and its seed.
    """

    tensors: Mapping[str, Tensor]
    step_seeds: tuple[int, ...] | None = None
    """The seed of each image's noise between steps (`NoiseSource.step_seeds`), for samplers that
    draw any; None if none were given.
    """
    text_lengths: tuple[int, ...] | None = None
    """The number of tokens of each image's text, without padding, for networks that take texts of
    different lengths; None if all tokens count. They are no tensor, because the host needs them and
    would have to wait for the device.
    """

    def __len__(self) -> int:
        return next(iter(self.tensors.values())).shape[0]

    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> Conditioning:
        """The conditioning of the chosen images, in the order asked for; repeats are allowed."""
        chosen = index if isinstance(index, (slice, Tensor)) else torch.as_tensor(index)
        return Conditioning(
            {name: tensor[chosen] for name, tensor in self.tensors.items()},
            _chosen(self.step_seeds, chosen),
            _chosen(self.text_lengths, chosen),
        )

    def seeded(self, step_seeds: Sequence[int]) -> Conditioning:
        """The same conditioning with a seed for each image. If the numbers differ, that is a
        `ValueError`.
        """
        if len(step_seeds) != len(self):
            raise ValueError(f"{len(step_seeds)} seeds were given for {len(self)} images")
        return replace(self, step_seeds=tuple(step_seeds))

    @staticmethod
    def cat(parts: Iterable[Conditioning]) -> Conditioning:
        """Join batches end to end. Seeds and lengths are kept if every batch has them."""
        listed = list(parts)
        return Conditioning(
            {
                name: torch.cat([part.tensors[name] for part in listed])
                for name in listed[0].tensors
            },
            _joined([part.step_seeds for part in listed]),
            _joined([part.text_lengths for part in listed]),
        )


def _chosen(values: tuple[int, ...] | None, chosen: slice | Tensor) -> tuple[int, ...] | None:
    if values is None:
        return None
    # Positions are chosen as a tensor, because `chosen` may be anything that indexes one; the
    # values themselves stay Python's integers.
    on_cpu = chosen if isinstance(chosen, slice) else chosen.cpu()
    return tuple(values[place] for place in torch.arange(len(values))[on_cpu].tolist())


def _joined(parts: Sequence[tuple[int, ...] | None]) -> tuple[int, ...] | None:
    known = [part for part in parts if part is not None]
    return tuple(value for part in known for value in part) if len(known) == len(parts) else None


class Generator(ABC):
    """(noise, prompt) -> image. One adapter class per model family implements this."""

    name: str
    """The name that the user gave, for records and messages."""
    noise_shape: tuple[int, ...]
    """The shape of one noise, without the batch dimension."""
    backbone: nn.Module
    """The network that denoises. LoRA adapters are attached to it."""
    last_layer: str
    """The dotted name, within `backbone`, of the layer whose LoRA delta is the hypernetwork's
    output.
    """
    images_at_once: int | None = None
    """For methods: the number of images that one call of `generate` may make, known to fit on the
    device. Only a method that makes several images per task needs it. None, as a rule outside of a
    run, means one image per task.
    """

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """The device that the model is on."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """The type that the model computes in. Noise and its norms stay in float32 (or wider)
        outside.
        """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 over the weights and everything else that decides the image; part of every
        record's identity.
        """

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that `hnbench run --compile` compiles, by name: those that a gradient goes
        through. `generate` and `predict` must call each as a module. Empty: nothing is compiled.
        """
        return {}

    @property
    def details(self) -> dict[str, Any]:
        """The model's origin and the options it was loaded with (JSON types), for people who read
        a run's record.
        """
        return {}

    @abstractmethod
    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """Text conditioning, without gradient; cached, so that no prompt is encoded twice."""

    def encode_ahead(self, prompts: Sequence[str]) -> None:  # noqa: B027
        """Encode the prompts of a run, and take off the device what only `encode` needs. `encode`
        still takes any prompt afterwards.

        A run on a GPU calls this before its first batch. It saves memory and changes no number, so
        a generator need not implement it.
        """

    def with_weights_of(self, folder: Path) -> Generator:
        """A generator with the weights of another checkpoint: a pipeline of the same family, or a
        network like the backbone. It takes the same noises, and has this one's options.

        Loaded the first time, and kept. A generator need not implement it. `UsageError` for a
        checkpoint that does not fit.
        """
        raise UsageError(
            f"the generator {self.name} is no diffusers pipeline, so it does not take the weights"
            f" in {folder}; give a LoRA"
        )

    @abstractmethod
    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        """Images `[B, 3, H, W]` in [0, 1], float32 (or the noise's wider type), differentiable in
        `noise` `[B, *noise_shape]`.

        A sampler that adds noise between its steps draws it from the conditioning's `step_seeds`,
        one random generator per image, and raises a `ValueError` if there are none: noise that it
        draws by itself would be the same for all images, or depend on the batch.
        """

    @abstractmethod
    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        """The raw output of one pass of the backbone at the first timestep, `[B, *noise_shape]`.

        The hypernetwork is built from this pass. The noise goes in unscaled, as it was drawn,
        because the hypernetwork's input is N(0, I).
        """

    def to_grid(self, noise: Tensor) -> Tensor:
        """Noises `[B, *noise_shape]` as `[B, C, H, W]`, in the rows and columns of the image.

        Only a generator whose noise has another form needs its own. `NotImplementedError` if it has
        none.
        """
        if noise.ndim != 4:
            raise NotImplementedError(f"the noise of {self.name} has no rows and columns")
        return noise

    def from_grid(self, grid: Tensor) -> Tensor:
        """The inverse of `to_grid`."""
        return grid
