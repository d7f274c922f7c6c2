"""Stage 4: the teacher, a flow-matching model in latent space.

The interpolation is x_t = (1 - t) x + t z with z ~ N(0, I) (Lipman et al., arXiv 2210.02747; Liu et
al., arXiv 2209.03003). The network predicts x; its velocity is (x_t - x_hat) / t.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hnbench.shapes.captions import TAGS
from hnbench.shapes_training.denoiser import Denoiser
from hnbench.shapes_training.examples import Examples, to_tensor
from hnbench.shapes_training.loop import LossLog, cosine, minimise, optimiser, set_rate
from hnbench.shapes_training.questions import QUESTIONS, answer_loss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from diffusers import AutoencoderTiny

SHARES = dict(zip(TAGS, (0.5, 1.0, 1.0, 0.8, 1.2, 1.5), strict=True))
"""Task -> its share of the training, relative to the others."""


def train_text(
    model: Denoiser,
    *,
    steps: int = 500,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> None:
    """Train the text encoder in place to answer questions about a caption. The teacher also learns
    with a random text encoder, but later.
    """
    torch.manual_seed(seed)
    head = nn.Linear(model.text.config.hidden_size, sum(map(len, QUESTIONS.values()))).to(
        model.device
    )
    adam, log, examples = (
        optimiser([*model.text.parameters(), *head.parameters()], learning_rate),
        LossLog(100, steps),
        Examples(seed, SHARES),
    )
    for step in range(steps):
        set_rate(adam, learning_rate * cosine(step, steps))
        captions = [examples.caption() for _ in range(batch_size)]
        pooled = model.text(model.tokens([caption.text for caption in captions])).pooler_output
        loss = answer_loss(head(pooled), captions)
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
        log(step, loss=float(loss.detach()))


@dataclass(frozen=True)
class Encoded:
    """A drawn data set: latents, float16 `[N, 16, 8, 8]`, and their captions."""

    latents: Tensor
    texts: list[str]

    def save(self, path: Path) -> None:
        """Write it to one safetensors file, with the captions in its header."""
        save_file({"latents": self.latents}, path, {"texts": json.dumps(self.texts)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `save` wrote."""
        with safe_open(path, "pt") as file:
            return cls(file.get_tensor("latents"), json.loads(file.metadata()["texts"]))


@torch.no_grad()
def encode_data(autoencoder: AutoencoderTiny, count: int, seed: int) -> Encoded:
    """Draw and encode `count` images; `count` is a multiple of 100."""
    examples = Examples(seed, SHARES)
    latents: list[Tensor] = []
    texts: list[str] = []
    for _ in range(count // 100):
        drawn = [examples.example() for _ in range(100)]
        images = to_tensor([each.image for each in drawn]).to(
            autoencoder.device, memory_format=torch.channels_last
        )
        latents.append(autoencoder.encode(images * 2 - 1).latents.half().cpu().contiguous())
        texts.extend(each.caption.text for each in drawn)
    return Encoded(torch.cat(latents), texts)


def flow_loss(model: Denoiser, clean: Tensor, ids: Tensor) -> Tensor:
    """The mean squared error of the velocity, which is that of x_hat divided by t squared, for
    latents `clean` `[B, 16, 8, 8]`. Times are logit-normal, shifted to the noisy side.
    """
    times = torch.sigmoid(torch.randn(len(clean), device=clean.device) * 1.1 + 0.5)
    shaped = times[:, None, None, None]
    noisy = (1 - shaped) * clean + shaped * torch.randn_like(clean)
    error = model(noisy, times, ids).float() - clean
    # The clamp keeps small times, where the division is large, from dominating the loss.
    weighted: Tensor = error.square().mean((1, 2, 3)) / times.clamp(min=0.2).square()
    return weighted.mean()


def train_teacher(
    model: Denoiser,
    data: Encoded,
    *,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 1.2e-3,
    seed: int = 0,
) -> None:
    """Train the model in place by flow matching; the averaged weights remain."""
    torch.manual_seed(seed)
    choices = torch.Generator().manual_seed(seed)
    ids = model.tokens(data.texts)
    unconditional = model.tokens([""])[0]

    def next_loss() -> tuple[Tensor, dict[str, float]]:
        rows = torch.randint(len(data.texts), (batch_size,), generator=choices)
        # Classifier-free guidance needs a model that also knows the empty text.
        dropped = torch.rand(batch_size, generator=choices) < 0.1
        shown = torch.where(dropped[:, None].to(model.device), unconditional, ids[rows])
        with torch.autocast(model.device.type, torch.bfloat16):
            loss = flow_loss(model, data.latents[rows].float().to(model.device), shown)
        return loss, {"loss": float(loss.detach())}

    minimise(model, next_loss, steps=steps, learning_rate=learning_rate)


@torch.inference_mode()
def sample(
    model: Denoiser,
    noise: Tensor,
    texts: Sequence[str],
    *,
    steps: int = 8,
    guidance: float = 2.0,
    guided: int = 5,
) -> Tensor:
    """The ends of the teacher's ODE, by Euler steps from t = 1 to 0: latents of the shape of
    `noise`, `[B, 16, 8, 8]`.

    Only the first `guided` steps have classifier-free guidance, because they decide the layout.
    """
    times = torch.linspace(1, 0, steps + 1)
    # Shifted towards t = 1, so that more of the steps are at high noise.
    times = times * 1.5 / (1 + 0.5 * times)
    ids, empty = model.tokens(texts), model.tokens([""] * len(texts))
    latents = noise.to(model.device)
    with torch.autocast(model.device.type, torch.bfloat16):
        for index in range(steps):
            now, after = times[index].item(), times[index + 1].item()
            here = torch.full((len(latents),), now, device=model.device)
            clean = model(latents, here, ids).float()
            if index < guided and guidance != 1:
                plain = model(latents, here, empty).float()
                clean = plain + guidance * (clean - plain)
            latents = clean + (after / now) * (latents - clean)
    return latents.to(noise.device)
