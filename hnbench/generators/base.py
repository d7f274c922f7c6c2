"""The generator contract: a frozen, distilled one- or few-step text-to-image model.

A generator maps (noise, prompt) to an image and is differentiable in the noise. Its parameters never
require a gradient; what is trained is a LoRA adapter on its `backbone`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Conditioning:
    """The text conditioning of a batch of prompts: named tensors whose first dimension is the prompt."""

    tensors: Mapping[str, Tensor]

    def __len__(self) -> int:
        return next(iter(self.tensors.values())).shape[0]

    def __getitem__(self, index: slice | Sequence[int] | Tensor) -> Conditioning:
        """The conditioning of the chosen prompts, in the order asked for; repeats are allowed."""
        chosen = index if isinstance(index, (slice, Tensor)) else torch.as_tensor(index)
        return Conditioning({name: tensor[chosen] for name, tensor in self.tensors.items()})

    @staticmethod
    def cat(parts: Iterable[Conditioning]) -> Conditioning:
        """Join batches end to end."""
        listed = list(parts)
        return Conditioning({name: torch.cat([part.tensors[name] for part in listed]) for name in listed[0].tensors})


class Generator(ABC):
    """(noise, prompt) -> image. One adapter class per model family implements this."""

    name: str
    """The name that it was asked for by, for records and messages."""
    noise_shape: tuple[int, ...]
    """The shape of one noise, without the batch dimension."""
    backbone: nn.Module
    """The network that denoises, and that LoRA is put on."""
    last_layer: str
    """The dotted name, within `backbone`, of the layer whose LoRA delta is the hypernetwork's output."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the model lies."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """The type that the model computes in. Noise and its norms stay in float32 (or wider) outside."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A SHA-256 over the weights and what else decides the image; part of every record's identity."""

    @property
    def details(self) -> dict[str, Any]:
        """Where the model came from and the options it was loaded with (JSON types), for people who read a run's record."""
        return {}

    @abstractmethod
    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """Text conditioning, without gradient. Cached per prompt: the text is not encoded again."""

    @abstractmethod
    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        """Images `[B, 3, H, W]` in [0, 1], float32 (or the noise's wider type), differentiable in `noise` `[B, *noise_shape]`."""

    @abstractmethod
    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        """One raw pass of the backbone at the first timestep, `[B, *noise_shape]`: what the hypernetwork is built from.

        The noise goes in unscaled, as it was drawn (the hypernetwork's input is N(0, I)).
        """
