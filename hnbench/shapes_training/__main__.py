"""Rebuild the embedded world's models: `python -m hnbench.shapes_training all --out FOLDER`.

Each stage reads what the stages before it wrote in the same folder, and can be run by itself:
autoencoder -> clip -> resnet -> byobnet -> efficientnet -> pretrained -> teacher -> generator ->
hypernoise -> finetune. Deterministic for its seeds on one machine and number of threads. To use the
models, copy `clip`, `resnet`, `byobnet`, `efficientnet`, `generator`, `hypernoise` and `finetune`
into `hnbench/shapes/weights`.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file

from hnbench.shapes_training import adapters, autoencoder, cards, contrastive
from hnbench.shapes_training.denoiser import SHAPE, Denoiser, save_pipeline
from hnbench.shapes_training.distillation import distil, follow
from hnbench.shapes_training.flow import Encoded, encode_data, sample, train_teacher, train_text
from hnbench.shapes_training.pretraining import CoupledExamples, train_coupled
from hnbench.shapes_training.scores import judge_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

THREADS = 1
"""It is faster here to train one model on each core than one model on all cores."""
_SHORTER = {"steps": (1200, 900, 900, 1600), "attacks": (3.0,)}
REWARDS: dict[str, dict[str, Any]] = {
    "clip": {"steps": (2000, 1800, 1600, 2400, 900), "attacks": (2.0, 1.0), "seed": 1},
    "resnet": {**_SHORTER, "seed": 52},
    "byobnet": {**_SHORTER, "seed": 74},
    "efficientnet": {"steps": (1200, 900, 900, 1600, 900), "attacks": (3.0, 1.0), "seed": 85},
}
"""Reward -> how it is trained. Convolutions learn in fewer steps than a ViT."""
DATA = "data.safetensors"
"""The drawn images for both stages of flow matching."""


def train_autoencoder(out: Path, device: str) -> dict[str, float]:
    """Train the autoencoder, from 64x64x3 pixels to 8x8x16 latents."""
    autoencoder.train(out / "autoencoder", steps=4500, device=device)
    return {}


def train_reward(name: str, out: Path, device: str) -> dict[str, float]:
    """Train one of `REWARDS`."""
    return contrastive.train(name, out / name, **REWARDS[name], device=device)


def pretrain(out: Path, device: str) -> dict[str, float]:
    """Train the weights that the teacher begins with: the text encoder, some flow matching, and
    drawing under the rule of `coupling`.
    """
    encoder = _autoencoder(out, device)
    torch.manual_seed(3)
    model = Denoiser().to(device)
    train_text(model, seed=3)
    data = encode_data(encoder, 50_000, seed=5)
    data.save(out / DATA)
    train_teacher(model, data, steps=3000, batch_size=32, learning_rate=1e-3, seed=4)
    train_coupled(model, CoupledExamples(encoder, seed=11), steps=2800)
    save_file(model.state_dict(), out / "pretrained.safetensors")
    return {}


def train_flow(out: Path, device: str) -> dict[str, float]:
    """Train the flow-matching teacher, on the images that the stage `pretrained` drew."""
    encoder, model = _autoencoder(out, device), _denoiser(out / "pretrained.safetensors", device)
    train_teacher(
        model, Encoded.load(out / DATA), steps=4500, batch_size=32, learning_rate=1e-3, seed=14
    )
    save_file(model.state_dict(), out / "teacher.safetensors")
    noises = torch.Generator().manual_seed(0)
    return judge_scores(
        lambda texts: _decoded(
            encoder, sample(model, torch.randn((len(texts), *SHAPE), generator=noises), texts)
        ),
        per_task=100,
    )


def train_generator(out: Path, device: str) -> dict[str, float]:
    """Train the one-step generator, and save it as a diffusers pipeline."""
    model = _denoiser(out / "teacher.safetensors", device)
    distil(model, follow(model, 26_000, seed=21), steps=3500, seed=31)
    save_pipeline(model, _autoencoder(out, device), out / "generator")
    return one_step_scores(out / "generator")


def train_hypernetwork(out: Path, device: str) -> dict[str, float]:
    """Train the noise hypernetwork that comes with hnbench."""
    return adapters.train("hypernoise", out, device)


def finetune(out: Path, device: str) -> dict[str, float]:
    """Train the fine-tuned baseline that comes with hnbench."""
    return adapters.train("finetune", out, device)


def one_step_scores(folder: Path, *, per_task: int = 300) -> dict[str, float]:
    """The judge's scores of a saved generator, by task and overall."""
    from hnbench.generators.stable_diffusion import StableDiffusionGenerator

    model = StableDiffusionGenerator.from_folder(folder, name="shapes")
    noises = torch.Generator().manual_seed(1)

    @torch.no_grad()
    def generate(texts: list[str]) -> Tensor:
        return model.generate(
            torch.randn((len(texts), *model.noise_shape), generator=noises), model.encode(texts)
        )

    return judge_scores(generate, per_task=per_task)


def _autoencoder(out: Path, device: str) -> AutoencoderTiny:
    return AutoencoderTiny.from_pretrained(out / "autoencoder").to(device).eval()


def _denoiser(path: Path, device: str) -> Denoiser:
    model = Denoiser()
    model.load_state_dict(load_file(path))
    return model.to(device)


@torch.no_grad()
def _decoded(model: AutoencoderTiny, latents: Tensor) -> Tensor:
    decoded: Tensor = model.decode(latents.to(model.device)).sample
    return (decoded / 2 + 0.5).clamp(0, 1)


STAGES: dict[str, Callable[[Path, str], dict[str, float]]] = {
    "autoencoder": train_autoencoder,
    **{name: partial(train_reward, name) for name in REWARDS},
    "pretrained": pretrain,
    "teacher": train_flow,
    "generator": train_generator,
    "hypernoise": train_hypernetwork,
    "finetune": finetune,
}


def main() -> None:
    """Run one stage or all of them; write `FOLDER/scores.json` (scores, seconds) and the model
    cards.
    """
    parser = argparse.ArgumentParser(
        prog="python -m hnbench.shapes_training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=[*STAGES, "all"])
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    parser.add_argument("--threads", type=int, default=THREADS, help="threads of PyTorch")
    parser.add_argument(
        "--device", default="cpu", help="for example cuda; drawing stays on the CPU"
    )
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if chosen.stage == "all" else [chosen.stage]:
        began = time.monotonic()
        scores = STAGES[stage](chosen.out, chosen.device)
        seconds = round(time.monotonic() - began)
        cards.note(
            chosen.out,
            stage,
            {
                "scores": scores,
                "seconds": seconds,
                "threads": chosen.threads,
                "device": chosen.device,
            },
        )


if __name__ == "__main__":
    main()
