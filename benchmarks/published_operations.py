"""The floating-point operations of the published models' passes, which `hnbench plan` shows without
loading a model. Prints or writes `hnbench/catalogue/operations.csv`.

    python -m benchmarks.published_operations --write
    python -m benchmarks.published_operations --model sd-turbo --model hpsv2.1

Networks of the published sizes are made on torch's meta device, where tensors have shapes and no
values, so nothing is downloaded and no memory is needed. The embedded world's models are loaded.
Each pass is for one image of the default size, and is counted by `hnbench.flops`, as in a run. The
backward pass is that to the noise, or to the image in a reward; that of a training is to the
weights of the adapter.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, replace
from types import SimpleNamespace
from typing import Any, TextIO
from unittest import mock

import open_clip
import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Qwen2VLConfig

from benchmarks.published_networks import MODELS, build
from hnbench.catalogue.loading import load_generator, load_reward
from hnbench.catalogue.operations import COLUMNS, FILE, Operations, Part
from hnbench.catalogue.presets import preset_of
from hnbench.flops import counted
from hnbench.generators.base import Generator
from hnbench.hypernetwork.adapter import (
    FinetunedGenerator,
    Hypernetwork,
    LoraAdapter,
    LoraSettings,
    find_targets,
)
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.rewards.hpsv2 import ARCHITECTURE
from hnbench.rewards.hpsv3_network import HPSv3Network
from hnbench.rewards.imagereward import TOKENS, ImageRewardNetwork, published_text, published_vision
from hnbench.rewards.linear_head import linear_head
from hnbench.rewards.open_clip import build as build_open_clip

PIXELS = (3, 224, 224)
"""The input of the published rewards' networks."""
VIT_L = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
VIT_H = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32}
"""The image towers of CLIP that have 16 heads and patches of 14 pixels."""

Rows = dict[Part, Operations]


def generator_rows(name: str) -> Rows:
    """The passes of a generator: backbone, decoder, and the backbone with an adapter of the
    generator's training, as a hypernetwork and as a fine-tuned backbone.
    """
    if name == "shapes":
        generator: Any = load_generator(name, "cpu", "float32")
    else:
        generator = build(name, "meta", torch.bfloat16, (), full=True)
    text = generator.encode(["a prompt"])
    side = generator.image_size // generator.pipeline.vae_scale_factor
    latents = (generator.decoder.config.latent_channels, side, side)
    adapter = adapter_on(generator, name)
    tuned = FinetunedGenerator(generator, adapter)

    def decoded(given: Tensor) -> Tensor:
        images: Tensor = generator.decoder.decode(given, return_dict=False)[0]
        return images

    def backbone(given: Tensor) -> Tensor:
        with tuned.adapter.active():
            found: Tensor = generator.predict(given, text)
        return found

    weights = list(adapter.named_parameters().values())
    noise = generator.noise_shape
    place = (generator.device, generator.dtype)
    plain: dict[Part, tuple[Callable[[Tensor], Tensor], Sequence[int], int]] = {
        "backbone": (lambda given: generator.predict(given, text), noise, size(generator.backbone)),
        "decoder": (decoded, latents, size(generator.decoder)),
    }
    adapted: dict[Part, Callable[[Tensor], Tensor]] = {
        "hypernetwork": lambda given: Hypernetwork(generator, adapter).displacement(given, text),
        "finetuned": backbone,
    }
    return {
        part: operations_of(work, shape, parameters, *place)
        for part, (work, shape, parameters) in plain.items()
    } | {
        part: replace(
            operations_of(work, noise, sum(one.numel() for one in weights), *place),
            training=training_of(work, noise, weights, *place),
        )
        for part, work in adapted.items()
    }


def adapter_on(generator: Generator, name: str) -> LoraAdapter:
    """An adapter as the generator's first training preset makes it, or the default training."""
    training = next(iter(preset_of(name).trainings.values()), {}).get("hypernoise", {})
    config = TrainingConfig(
        **{"kind": "hypernoise", "rewards": {"any": 1.0}, "prompts": "any", **training},
        generator=name,
    )
    settings = LoraSettings(
        rank=config.rank,
        alpha=config.lora_alpha,
        pattern=config.target_pattern,
        dense=config.dense_convolutions,
    )
    for target in find_targets(generator.backbone, settings):
        layer: Any = generator.backbone.get_submodule(target)
        # An adapter asks a layer without values where it computes.
        layer._hf_hook = SimpleNamespace(execution_device=generator.device)  # noqa: SLF001
    with torch.device(generator.device):
        return LoraAdapter(generator.backbone, settings)


class Scored(nn.Module):
    """A published reward's network for one image: the tower, then whatever follows it."""

    def __init__(self, tower: nn.Module, work: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.tower, self._work = tower, work

    def forward(self, pixels: Tensor) -> Tensor:
        return self._work(self.tower, pixels)


def clip_tower(sizes: dict[str, int], projection: int) -> Scored:
    """An image tower of transformers' CLIP."""
    config = CLIPVisionConfig(
        image_size=224,
        patch_size=14,
        num_attention_heads=16,
        projection_dim=projection,
        **sizes,
    )
    return Scored(
        CLIPVisionModelWithProjection(config), lambda tower, pixels: tower(pixels).image_embeds
    )


def aesthetic() -> Scored:
    """The tower of CLIP ViT-L/14 with the head on its features."""
    layers = nn.Sequential(clip_tower(VIT_L, 768), linear_head(768))
    return Scored(layers, lambda tower, pixels: tower(pixels))


def hpsv2() -> Scored:
    """open_clip's image tower of ViT-H-14."""
    model = build_open_clip(open_clip.get_model_config(ARCHITECTURE))
    return Scored(model.visual, lambda tower, pixels: tower(pixels))


def imagereward() -> Scored:
    """BLIP's image tower, its text encoder (which reads the image) and the head."""
    tokens, mask = torch.ones(1, TOKENS, dtype=torch.long), torch.ones(1, TOKENS)
    return Scored(
        ImageRewardNetwork(published_vision(), published_text()),
        lambda network, pixels: network(pixels, tokens, mask),
    )


def hpsv3() -> Scored:
    """Qwen2-VL 7B with the head, for an image of 448 pixels and `TEXT_OF_HPSV3` tokens."""
    config = Qwen2VLConfig(
        text_config={
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 151658,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1000000.0,
                "mrope_section": [16, 24, 24],
            },
        },
        vision_config={"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16},
    )
    tokens = torch.ones(TEXT_OF_HPSV3, dtype=torch.long)
    return Scored(
        HPSv3Network(config),
        lambda network, pixels: network(pixels[0].repeat(1, 2, 2), tokens, 15, TEXT_OF_HPSV3 - 10)[
            :1
        ],
    )


REWARDS: dict[str, Callable[[], Scored]] = {
    "hpsv2.1": hpsv2,
    "hpsv2.0": hpsv2,
    "imagereward": imagereward,
    "pickscore": lambda: clip_tower(VIT_H, 1024),
    "clip": lambda: clip_tower(VIT_H, 1024),
    "aesthetic": aesthetic,
    "hpsv3": hpsv3,
}
TEXT_OF_HPSV3 = 600
"""About the number of tokens of HPSv3's text with a short prompt."""
OWN_REWARDS = ("shapes-clip", "shapes-resnet", "shapes-byobnet", "shapes-efficientnet", "redness")
"""The rewards that come with hnbench, with their weights."""
GENERATORS = ("shapes", *MODELS)


def reward_rows(name: str) -> Rows:
    """The pass of a reward for one image. A prompt's features are cached, unless they depend on the
    image.
    """
    if name in OWN_REWARDS:
        reward = load_reward(name, "cpu", "float32")
        prompts = ["a red circle"]
        reward.score(torch.rand(1, 3, 64, 64), prompts)
        network = getattr(reward, "model", nn.Module())
        return {
            "reward": operations_of(
                lambda images: reward.score(images, prompts), (3, 64, 64), size(network)
            )
        }
    with torch.device("meta"):
        scored = REWARDS[name]().requires_grad_(False).eval()
    return {"reward": operations_of(scored, PIXELS, size(scored), torch.device("meta"))}


def size(network: nn.Module) -> int:
    """The number of a network's parameters."""
    return sum(one.numel() for one in network.parameters())


def operations_of(
    work: Callable[[Tensor], Tensor],
    shape: Sequence[int],
    parameters: int,
    device: torch.device = torch.device("cpu"),  # noqa: B008 - immutable
    dtype: torch.dtype = torch.float32,
) -> Operations:
    """The operations of `work` on one tensor of this shape, and of its gradient."""
    given = torch.rand(1, *shape, device=device, dtype=dtype).requires_grad_()
    with fused_attention() if device.type == "meta" else nullcontext():
        with counted() as forward:
            made = work(given)
        with counted() as backward:
            torch.autograd.grad(made.sum(), given)
    return Operations(parameters, forward.flops, backward.flops)


def training_of(
    work: Callable[[Tensor], Tensor],
    shape: Sequence[int],
    weights: Sequence[Tensor],
    device: torch.device,
    dtype: torch.dtype,
) -> int:
    """The operations of the gradient of `work` to these weights, without that to its input."""
    given = torch.rand(1, *shape, device=device, dtype=dtype)
    with fused_attention() if device.type == "meta" else nullcontext():
        made = work(given)
        with counted() as backward:
            torch.autograd.grad(made.sum(), weights)
    return backward.flops


@contextmanager
def fused_attention() -> Iterator[None]:
    """Within the block attention is one fused operator, as on real devices. On the meta device
    torch would split it into products, whose backward pass does not compute the weights again.
    """

    def fused(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **_: Any,
    ) -> Tensor:
        found: Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(  # noqa: SLF001
            query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
        )[0]
        return found

    with mock.patch.object(nn.functional, "scaled_dot_product_attention", fused):
        yield


def rows_of(name: str) -> Rows:
    """The passes of a generator or reward."""
    return generator_rows(name) if name in GENERATORS else reward_rows(name)


def write(names: Sequence[str], file: TextIO) -> None:
    """Write the rows of these models as CSV."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name in names:
        for part, found in rows_of(name).items():
            writer.writerow([name, part, *astuple(found)])  # None is written as nothing


def main() -> None:
    """Count, and print or write the file."""
    every = (*GENERATORS, *OWN_REWARDS, *REWARDS)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=every, action="append", help="repeatable; all of them")
    parser.add_argument("--write", action="store_true", help="write the file of the package")
    chosen = parser.parse_args()
    if chosen.write:
        with FILE.open("w", encoding="utf-8", newline="") as file:
            write(every, file)
    else:
        write(chosen.model or every, sys.stdout)


if __name__ == "__main__":
    main()
