"""The cost of each method at full size on a GPU, with random weights: seconds, memory, the share of
the GPU's rate that is used, and the published loops for comparison.

    python -m benchmarks.cuda --model sd-turbo --batch-size 4 --json
    python -m benchmarks.cuda --size miniature

Nothing is downloaded: networks of the published sizes are made on the device, and text features are
random. The reward has the four parts of the mixture human-preference: three image towers of
ViT-H/14 (HPSv2, PickScore, CLIP) and ImageReward's BLIP. Time and memory do not depend on the
values of the weights. torch counts floating-point operations (multiplications and additions) while
a method runs. The share is relative to the rate of a large matrix product, which is measured here
too.

The rows "published" are those of the published loops: one image at a time, the reward read by the
host in every iteration. Their text is encoded once, because it is random here.
`reno_over_published` is the ratio of ReNO's images per second, ours in a batch over theirs; 15 on
an H100 is the target for SD-Turbo. Without CUDA, the same code runs at miniature size; this shows
that it runs, but says nothing about speed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn
from transformers import (
    BlipTextConfig,
    BlipVisionConfig,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from benchmarks.pairs import timed
from benchmarks.published.loops import best_of_n, reno
from benchmarks.published_networks import MODELS, build
from hnbench.config import memory_policies
from hnbench.flops import counted
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.hypernetwork.adapter import LoraAdapter, LoraSettings
from hnbench.hypernetwork.checkpoint import save_adapter
from hnbench.methods.base import Method, conditioning_of, starting_noise
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.finetune import FineTuned
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Mixture, Reward
from hnbench.rewards.dual_encoder import DualEncoder
from hnbench.rewards.imagereward import TOKENS, ImageRewardNetwork, published_text, published_vision
from hnbench.rewards.network import NetworkReward
from hnbench.rewards.open_clip import build as build_open_clip
from hnbench.rewards.sources import HUMAN_PREFERENCE
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.weights.pixels import OPENAI_MEAN, OPENAI_STD, Pixels


class Tower(DualEncoder):
    """An image tower of a preference model. The text features, which are cached in a run, are
    random.
    """

    def __init__(self, name: str, network: nn.Module, device: str, dtype: torch.dtype) -> None:
        size = 224
        super().__init__(
            name=name,
            fingerprint=name,
            source="",
            pixels=Pixels(size, OPENAI_MEAN, OPENAI_STD, device),
            published=None,
        )
        self._network = network.to(dtype).requires_grad_(False).eval()
        self._device, self._dtype = device, dtype

    def encode_image(self, pixels: Tensor) -> Tensor:
        output = self._network(pixels.to(self._dtype))
        features: Tensor = output if isinstance(output, Tensor) else output.image_embeds
        return features

    def encode_text(self, prompts: list[str]) -> Tensor:
        return torch.randn(len(prompts), WIDTH, device=self._device)

    def scale(self) -> float:
        return 1.0


class Blip(NetworkReward):
    """ImageReward's network, which reads random tokens of full length next to the image."""

    def __init__(self, device: str, dtype: torch.dtype, *, full: bool) -> None:
        vision, text = (published_vision(), published_text()) if full else miniature_blip()
        with torch.device(device):
            network = ImageRewardNetwork(vision, text)
        self._network = network.to(dtype).requires_grad_(False).eval()
        self._network.head.float()
        self._tokens = torch.randint(text.vocab_size, (1, TOKENS), device=device)
        self._dtype = dtype
        super().__init__(
            name="imagereward",
            fingerprint="imagereward",
            source="",
            pixels=Pixels(224, OPENAI_MEAN, OPENAI_STD, device),
            published=None,
        )

    def score_pixels(self, pixels: Tensor, prompts: Sequence[str]) -> Tensor:
        ids = self._tokens.expand(len(prompts), -1)
        scores: Tensor = self._network(pixels.to(self._dtype), ids, torch.ones_like(ids))
        return scores


WIDTH = 1024
"""The length of the features of ViT-H/14."""


def open_clip_tower(*, full: bool) -> nn.Module:
    """The image tower of HPSv2."""
    if full:
        config: Any = open_clip.get_model_config("ViT-H-14")
    else:
        config = {
            "embed_dim": WIDTH,
            "vision_cfg": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 32},
            "text_cfg": {"width": 32, "heads": 2, "layers": 1},
        }
    tower: nn.Module = build_open_clip(config).visual
    return tower


def clip_tower(*, full: bool) -> nn.Module:
    """The image tower of PickScore and CLIP."""
    large = {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "patch_size": 14,
    }
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 32,
    }
    sizes = large if full else small
    tower: nn.Module = CLIPVisionModelWithProjection(
        CLIPVisionConfig(image_size=224, projection_dim=WIDTH, hidden_act="gelu", **sizes)
    )
    return tower


def miniature_blip() -> tuple[BlipVisionConfig, BlipTextConfig]:
    """ImageReward's two networks with few layers."""
    vision = BlipVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=224,
        patch_size=32,
    )
    text = BlipTextConfig(
        vocab_size=100,
        hidden_size=32,
        encoder_hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        is_decoder=True,
    )
    return vision, text


def human_preference(device: str, dtype: torch.dtype, *, full: bool) -> Mixture:
    """The mixture of four rewards that the papers optimise, with random weights."""
    towers = {"hpsv2.1": open_clip_tower, "clip": clip_tower, "pickscore": clip_tower}
    parts: dict[str, Reward] = {"imagereward": Blip(device, dtype, full=full)}
    for name, make in towers.items():
        with torch.device(device):
            network = make(full=full)
        parts[name] = Tower(name, network, device, dtype)
    return Mixture({name: (parts[name], weight) for name, weight in HUMAN_PREFERENCE.items()})


def methods_for(generator: PipelineGenerator, folder: Path, *, full: bool) -> list[Method]:
    """Every method, with adapters of the published rank (miniature: 2)."""
    adapters = {kind: folder / kind for kind in ("hypernoise", "finetune")}
    adapter = LoraAdapter(generator.backbone, LoraSettings(rank=128 if full else 2, alpha=128))
    about = {
        "fingerprint": generator.fingerprint,
        "noise_shape": list(generator.noise_shape),
        "name": generator.name,
    }
    for kind, path in adapters.items():
        save_adapter(path, adapter, generator.backbone, {"kind": kind, "generator": about})
    many = 50 if full else 2
    trained = [HyperNoise(adapter=adapters["hypernoise"]), FineTuned(adapter=adapters["finetune"])]
    return [Random(), BestOfN(n=many), ReNO(iterations=many), *trained]


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """The operations per second of a large matrix product, the best of five."""
    size = 8192 if device.startswith("cuda") else 512
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    usages = [timed(lambda: left @ right, torch.device(device)) for _ in range(5)]
    return 2 * size**3 / min(usage.seconds for usage in usages)


def measure(
    generator: PipelineGenerator,
    reward: Reward,
    methods: Sequence[Method],
    batch_size: int,
    rate: float,
) -> list[dict[str, Any]]:
    """One row per method, and one per published loop: seconds per image, the GPU's peak memory for
    the whole batch, and operations per image, also as a share of `rate`.
    """
    tasks = [Task(str(index), f"prompt {index}", 0) for index in range(batch_size)]
    noises, rows = NoiseSource(0, generator.noise_shape), []
    works: dict[str, tuple[int, Callable[[], object]]] = {}
    for method in methods:
        works[method.name] = (
            batch_size,
            lambda method=method: list(method.propose(tasks, generator, reward, noises)),  # type: ignore[misc]
        )
        if isinstance(method, (BestOfN, ReNO)):
            works[f"{method.name}, published"] = (
                1,
                lambda method=method: published(generator, reward, method, tasks),  # type: ignore[misc]
            )
    for name, (images, work) in works.items():
        # Operations are counted in a first call, which is also the warm-up of the timed one.
        with counted() as found:
            work()
        usage = timed(work, generator.device)
        operations, peak = found.flops, usage.peak_memory_bytes
        rows.append(
            {
                "method": name,
                "seconds_per_image": usage.seconds / images,
                "peak_gib": None if peak is None else peak / 2**30,
                "teraflop_per_image": operations / images / 1e12,
                "share_of_matrix_rate": operations / usage.seconds / rate,
            }
        )
    return rows


def published(
    generator: PipelineGenerator, reward: Reward, method: Method, tasks: Sequence[Task]
) -> None:
    """The published loop of best-of-N or ReNO for the first of the tasks."""
    task, noises = tasks[0], NoiseSource(0, generator.noise_shape)
    conditioning = conditioning_of(generator, noises, [task])

    def generate(latents: Tensor, _prompts: Sequence[str]) -> Tensor:
        return generator.generate(latents, conditioning)

    if isinstance(method, ReNO):
        reno(generate, reward.score, starting_noise(generator, noises, [task]), task.prompt, method)
    elif isinstance(method, BestOfN):
        candidates = (
            starting_noise(generator, noises, [task], number) for number in range(method.n)
        )
        best_of_n(generate, reward.score, candidates, task.prompt)


def reno_over_published(rows: Sequence[Mapping[str, Any]]) -> float:
    """ReNO's images per second, ours over those of the published loop."""
    seconds = {row["method"]: row["seconds_per_image"] for row in rows}
    return float(seconds["reno, published"] / seconds["reno"])


def main() -> None:
    """Build the models, measure the methods, and print a table or JSON."""
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", choices=MODELS, action="append", help="repeatable; all of them by default"
    )
    parser.add_argument(
        "--size", choices=("full", "miniature"), default="full" if cuda else "miniature"
    )
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument(
        "--memory", default="none", help="memory policies of the generator, with commas"
    )
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    device, full = "cuda" if cuda else "cpu", chosen.size == "full"
    dtype = torch.bfloat16 if cuda else torch.float32
    rate = matrix_rate(device, dtype)
    reward = human_preference(device, dtype, full=full)
    results: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "size": chosen.size,
        "dtype": str(dtype).removeprefix("torch."),
        "batch_size": chosen.batch_size,
        "memory": chosen.memory,
        "matrix_teraflops": rate / 1e12,
        "models": {},
        "reno_over_published": {},
    }
    for name in chosen.model or MODELS:
        generator = build(name, device, dtype, memory_policies(chosen.memory), full=full)
        with tempfile.TemporaryDirectory() as folder:
            methods = methods_for(generator, Path(folder), full=full)
            rows = measure(generator, reward, methods, chosen.batch_size, rate)
        results["models"][name] = rows
        results["reno_over_published"][name] = reno_over_published(rows)
    print(json.dumps(results, indent=2) if chosen.json else table(results))


def table(results: dict[str, Any]) -> str:
    """The results as a table for people."""
    told = ("device", "size", "dtype", "batch_size", "memory")
    known = ", ".join(f"{key} {results[key]}" for key in told)
    lines = [f"{known}; matrix product {results['matrix_teraflops']:.2f} TFLOP/s"]
    for name, rows in results["models"].items():
        lines += [
            "",
            f"{name:<24}{'s/image':>12}{'peak GiB':>12}{'TFLOP/image':>14}{'of matrix rate':>16}",
        ]
        for row in rows:
            peak = "" if row["peak_gib"] is None else f"{row['peak_gib']:.2f}"
            lines.append(
                f"{row['method']:<24}{row['seconds_per_image']:>12.4f}{peak:>12}"
                f"{row['teraflop_per_image']:>14.4f}{row['share_of_matrix_rate']:>16.1%}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
