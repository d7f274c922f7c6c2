"""Stages 3 and 4: a flow-matching model in latent space, and the one-step generator that begins with its weights.

The interpolation is x_t = (1 - t) x + t z with z ~ N(0, I) (Lipman et al. 2210.02747; Liu et al. 2209.03003). The network
predicts x; its velocity is (x_t - x_hat) / t. The one-step generator is the same network at t = 1, regressed onto images that
the rule of `coupling` draws for the noise. Distilling the flow model's own trajectories instead needs a teacher that is
better than the means used here allow (a few thousand steps on one CPU core).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from hnbench.shapes.captions import TAGS
from hnbench.shapes.drawing import draw
from hnbench.shapes.training import tokenizer as vocabulary
from hnbench.shapes.training.autoencoder import CHANNELS
from hnbench.shapes.training.coupling import background_of, scene_of
from hnbench.shapes.training.examples import Examples, to_tensor
from hnbench.shapes.training.loop import Average, Log, cosine, optimiser, set_rate
from hnbench.shapes.training.questions import QUESTIONS, answer_loss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hnbench.shapes.captions import Caption

SHAPE = (CHANNELS, 8, 8)
SHARES = dict(zip(TAGS, (0.5, 1.0, 1.0, 0.8, 1.2, 1.5), strict=True))


def build_unet(text_width: int) -> UNet2DConditionModel:
    """Two levels of 64 and 128 channels, both with text attention."""
    return UNet2DConditionModel(
        sample_size=SHAPE[1],
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        layers_per_block=1,
        block_out_channels=(64, 128),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=4,
        norm_num_groups=16,
        use_linear_projection=True,
    )


def build_text_encoder(tokenizer: PreTrainedTokenizerFast) -> CLIPTextModel:
    """Three layers of width 64."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=vocabulary.MAX_TOKENS,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


class Denoiser(nn.Module):
    """Text encoder and UNet: (x_t, t, token ids) -> x_hat."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer: PreTrainedTokenizerFast = vocabulary.build()
        self.text = build_text_encoder(self.tokenizer)
        self.unet = build_unet(self.text.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids `[B, 16]`; the empty text is the unconditional one."""
        found: Tensor = self.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt").input_ids
        return found.to(self.device)

    def forward(self, latents: Tensor, times: Tensor, ids: Tensor) -> Tensor:
        """`times` `[B]` in 0..1."""
        found: Tensor = self.unet(latents, times * 999, self.text(ids).last_hidden_state).sample
        return found


def train_text(model: Denoiser, *, steps: int = 500, batch_size: int = 128, learning_rate: float = 2e-3, seed: int = 0) -> None:
    """Teach the text encoder, in place, to tell what a caption says. Starting the teacher from a random text encoder works, later."""
    torch.manual_seed(seed)
    head = nn.Linear(model.text.config.hidden_size, sum(map(len, QUESTIONS.values()))).to(model.device)
    adam, log, examples = optimiser([*model.text.parameters(), *head.parameters()], learning_rate), Log(100, steps), Examples(seed, SHARES)
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
    """A drawn data set: latents `[N, 16, 8, 8]` in float16, and each one's caption."""

    latents: Tensor
    texts: list[str]


@torch.no_grad()
def encode_data(autoencoder: AutoencoderTiny, count: int, seed: int) -> Encoded:
    """Draw and encode `count` images."""
    examples = Examples(seed, SHARES)
    latents: list[Tensor] = []
    texts: list[str] = []
    for _ in range(count // 100):
        drawn = [examples.example() for _ in range(100)]
        images = to_tensor([each.image for each in drawn]).to(autoencoder.device, memory_format=torch.channels_last)
        latents.append(autoencoder.encode(images * 2 - 1).latents.half().cpu().contiguous())
        texts.extend(each.caption.text for each in drawn)
    return Encoded(torch.cat(latents), texts)


def flow_loss(model: Denoiser, clean: Tensor, ids: Tensor) -> Tensor:
    """Squared error of the velocity, that is of x_hat over t squared; t is logit-normal, shifted to the noisy side."""
    times = torch.sigmoid(torch.randn(len(clean), device=clean.device) * 1.1 + 0.5)
    shaped = times[:, None, None, None]
    noisy = (1 - shaped) * clean + shaped * torch.randn_like(clean)
    error = model(noisy, times, ids).float() - clean
    weighted: Tensor = error.square().mean((1, 2, 3)) / times.clamp(min=0.2).square()
    return weighted.mean()


def train_teacher(
    model: Denoiser, data: Encoded, *, steps: int, batch_size: int = 64, learning_rate: float = 1.2e-3, seed: int = 0
) -> None:
    """Train in place; the averaged weights remain."""
    torch.manual_seed(seed)
    choices = torch.Generator().manual_seed(seed)
    ids = model.tokens(data.texts)
    unconditional = model.tokens([""])[0]
    adam = optimiser(model.parameters(), learning_rate)
    average, log = Average(model), Log(100, steps)
    for step in range(steps):
        set_rate(adam, learning_rate * cosine(step, steps))
        rows = torch.randint(len(data.texts), (batch_size,), generator=choices)
        dropped = torch.rand(batch_size, generator=choices) < 0.1
        shown = torch.where(dropped[:, None].to(model.device), unconditional, ids[rows])
        with torch.autocast(model.device.type, torch.bfloat16):
            loss = flow_loss(model, data.latents[rows].float().to(model.device), shown)
        adam.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        average.update()
        log(step, loss=float(loss.detach()))
    model.load_state_dict(average.state)


@torch.inference_mode()
def sample(model: Denoiser, noise: Tensor, texts: Sequence[str], *, steps: int = 8, guidance: float = 2.0, guided: int = 5) -> Tensor:
    """Euler along the teacher's ODE from t = 1 to 0.

    Classifier-free guidance acts on the first `guided` steps, where the layout is decided.
    """
    times = torch.linspace(1, 0, steps + 1)
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


class CoupledExamples:
    """Endless pairs of noise and latents under the rule of `coupling`; half of each batch is drawn afresh, half seen before."""

    def __init__(self, autoencoder: AutoencoderTiny, seed: int) -> None:
        self.autoencoder, self.examples = autoencoder, Examples(seed, SHARES)
        self.noises = torch.Generator().manual_seed(seed)
        self._pool: list[tuple[Tensor, Tensor, Caption]] = []

    def next(self, size: int) -> tuple[Tensor, Tensor, list[Caption]]:
        """(noise `[B, 16, 8, 8]`, latents of what the rule draws for it, captions)."""
        fresh = self._draw(size if len(self._pool) < size else size // 2)
        old = [self.examples.choices.choice(self._pool) for _ in range(size - len(fresh))]
        self._pool += fresh
        noise, latents, captions = zip(*(fresh + old), strict=True)
        return torch.stack(noise), torch.stack(latents).float(), list(captions)

    @torch.no_grad()
    def _draw(self, size: int) -> list[tuple[Tensor, Tensor, Caption]]:
        noise = torch.randn((size, *SHAPE), generator=self.noises)
        captions = [self.examples.caption() for _ in range(size)]
        images = [
            draw(scene_of(caption, each), self.examples.pixels, background_of(each))
            for caption, each in zip(captions, noise.double().numpy(), strict=True)
        ]
        shown = to_tensor(images).to(self.autoencoder.device, memory_format=torch.channels_last)
        latents = self.autoencoder.encode(shown * 2 - 1).latents.half().cpu()
        return list(zip(noise, latents, captions, strict=True))


def train_one_step(model: Denoiser, examples: CoupledExamples, *, steps: int, batch_size: int = 32, learning_rate: float = 1e-3) -> None:
    """Regress the latents from the noise, at t = 1, in place, beginning with the teacher's weights; the averaged ones remain."""
    adam = optimiser(model.parameters(), learning_rate)
    average, log = Average(model), Log(100, steps)
    ones = torch.ones(batch_size, device=model.device)
    for step in range(steps):
        set_rate(adam, learning_rate * cosine(step, steps))
        noise, latents, captions = examples.next(batch_size)
        noise, latents = noise.to(model.device), latents.to(model.device)
        error = model(noise, ones, model.tokens([caption.text for caption in captions])) - latents
        busy = 1 + 2 * (latents.abs().amax(1, keepdim=True) > 2).float()
        loss = (busy * ((error.square() + 0.01).sqrt() - 0.1)).mean()
        adam.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        average.update()
        log(step, loss=float(loss.detach()), mse=float(error.detach().square().mean()))
    model.load_state_dict(average.state)


def scheduler() -> DDIMScheduler:
    """One trailing step at t = 999 that returns the network's prediction of x unchanged."""
    return DDIMScheduler(prediction_type="sample", timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=True, steps_offset=1)


def save_pipeline(model: Denoiser, autoencoder: AutoencoderTiny, folder: Path) -> None:
    """Save in the layout of diffusers' StableDiffusionPipeline, float16 safetensors."""
    StableDiffusionPipeline(
        vae=autoencoder.half(),
        text_encoder=model.text.half(),
        tokenizer=model.tokenizer,
        unet=model.unet.half(),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)
    for path in folder.rglob("*.json"):  # diffusers notes where a part was loaded from, which is nobody else's business
        content = json.loads(path.read_text("utf-8"))
        if content.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
