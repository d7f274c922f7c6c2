"""A noise hypernetwork's training step as published, with peft's adapter inside of the network.

arXiv 2508.09968. The adapter is switched on for the hypernetwork and off for the generator, whose
gradient reaches it through the noise. Texts are encoded in every step, and the host reads the loss,
the rewards and every gradient's finiteness.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.published.loops import Score
from benchmarks.published.models import Pipeline
from hnbench.hypernetwork.config import TrainingConfig

ADAPTER = "hypernetwork"


class NoiseTrainer:
    """The training of one adapter on a pipeline's network, which it changes.

    `weights` are the adapter's first weights: `<layer>.lora_A.weight` and `<layer>.lora_B.weight`.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        score: Score,
        config: TrainingConfig,
        last_layer: str,
        weights: Mapping[str, Tensor],
    ) -> None:
        from peft import LoraConfig

        self.generate, self.score, self.config = pipeline, score, config
        self.network: Any = pipeline.pipeline.unet
        targets = sorted({name.rsplit(".", 2)[0] for name in weights})
        self.network.add_adapter(
            LoraConfig(r=config.rank, lora_alpha=config.lora_alpha, target_modules=targets),
            adapter_name=ADAPTER,
        )
        self.parameters: list[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            if f".{ADAPTER}." in name:
                with torch.no_grad():
                    parameter.copy_(weights[name.replace(f".{ADAPTER}.", ".")])
                self.parameters.append(parameter)
        layer = self.network.get_submodule(last_layer)
        layer.forward = types.MethodType(_delta_or_base, layer)
        self.optimizer = torch.optim.SGD(
            self.parameters, lr=config.learning_rate, momentum=config.momentum
        )

    def step(self, batches: Sequence[tuple[Sequence[str], Tensor]]) -> list[float]:
        """One optimizer step over batches of (prompts, noises `[B, ...]`); returns the loss of each
        batch.
        """
        losses = []
        for prompts, noise in batches:
            loss = self._loss(prompts, noise)
            losses.append(loss.item())
            self._switch(self.network.enable_adapters)
            (loss / len(batches)).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        finite = all(
            bool(each.grad.isfinite().all()) for each in self.parameters if each.grad is not None
        )
        if finite and norm.item() >= 0:
            self.optimizer.step()
        self.optimizer.zero_grad()
        return losses

    def _loss(self, prompts: Sequence[str], noise: Tensor) -> Tensor:
        self._switch(self.network.enable_adapters)
        hidden = self.generate.texts(prompts)
        scheduler = self.generate.pipeline.scheduler
        scheduler.set_timesteps(1)
        change = self.network(
            noise, scheduler.timesteps[0], encoder_hidden_states=hidden, return_dict=False
        )[0]
        self._switch(self.network.disable_adapters)
        images = self.generate(noise + change, prompts)
        rewards = self.score(images, prompts)
        loss: Tensor = (
            self.config.regulariser_weight * 0.5 * change.square().mean() - rewards.mean()
        )
        return loss

    def _switch(self, switch: Callable[[], None]) -> None:
        switch()
        # peft freezes the weights of an adapter that is off, and the backward pass needs them.
        for parameter in self.parameters:
            parameter.requires_grad_(True)


def _delta_or_base(layer: Any, x: Tensor) -> Tensor:
    """The last layer: only its low-rank part while the adapter is on."""
    if layer.disable_adapters:
        base: Tensor = layer.base_layer(x)
        return base
    delta: Tensor = layer.lora_B[ADAPTER](layer.lora_A[ADAPTER](x)) * layer.scaling[ADAPTER]
    return delta
