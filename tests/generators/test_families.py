"""Every family against diffusers' own pipeline, and what a hypernetwork, ReNO and a batch need of
it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from hnbench.generators import encoded_texts
from hnbench.generators.base import Conditioning
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.sources import load_folder
from hnbench.hypernetwork.adapter import FinetunedGenerator, Hypernetwork, LoraAdapter, LoraSettings
from hnbench.hypernetwork.checkpoint import save_adapter
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.reno import ReNO
from hnbench.rewards.redness import Redness
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.weights.quiet import quiet_loading
from tests.tiny import FAMILIES, PROMPTS

Folders = dict[str, Path]

CALLS: dict[str, dict[str, Any]] = {
    "stable-diffusion": {"guidance_scale": 0.0},
    "stable-diffusion-xl": {"guidance_scale": 0.0},
    "sana-sprint": {
        "complex_human_instruction": None,
        "use_resolution_binning": False,
        "height": 32,
        "width": 32,
    },
    "pixart": {"guidance_scale": 1.0, "use_resolution_binning": False, "clean_caption": False},
    "pixart-lcm": {"guidance_scale": 1.0, "use_resolution_binning": False, "clean_caption": False},
    "flux": {"height": 16, "width": 16},
    "z-image": {"guidance_scale": 0.0, "height": 16, "width": 16},
    "flux2-klein": {"guidance_scale": 1.0, "height": 16, "width": 16},
    "stable-diffusion-3": {"guidance_scale": 0.0},
}
"""How the stock pipeline of each family is called."""


def load(name: str, folders: Folders, dtype: str = "float32", **options: Any) -> PipelineGenerator:
    return load_folder(
        folders[name], name=name, device="cpu", dtype=dtype, **{**FAMILIES[name].options, **options}
    )


TASKS = [Task(str(index), prompt, index) for index, prompt in enumerate(PROMPTS)]
NOISES = NoiseSource(7, (1,))


def conditioned(generator: PipelineGenerator) -> Conditioning:
    """The conditioning of `TASKS`."""
    return generator.encode(PROMPTS).seeded(NOISES.step_seeds(TASKS))


def noise_for(generator: PipelineGenerator, seed: int = 1) -> Tensor:
    return torch.randn(
        len(PROMPTS), *generator.noise_shape, generator=torch.Generator().manual_seed(seed)
    )


def stock_images(
    name: str,
    folder: Path,
    noise: Tensor,
    steps: int,
    dtype: torch.dtype = torch.float32,
    prompts: Sequence[str] = PROMPTS,
    **changes: Any,
) -> Tensor:
    with quiet_loading():
        stock: Any = DiffusionPipeline.from_pretrained(folder, dtype=dtype)
    stock.set_progress_bar_config(disable=True)
    call = {key: value for key, value in (CALLS[name] | changes).items() if value != "stock"}
    if name == "sana-sprint":
        call["intermediate_timesteps"] = (
            changes.get("intermediate_timesteps", 1.3) if steps == 2 else None
        )
    if name == "pixart":
        call["timesteps"] = {1: [400], 2: [400, 200], 4: [400, 300, 200, 100]}[steps]
    between = [torch.Generator().manual_seed(seed) for seed in NOISES.step_seeds(TASKS)]
    images: Tensor = stock(
        prompt=list(prompts),  # Z-Image's pipeline writes into it
        latents=noise,
        num_inference_steps=steps,
        generator=between,
        output_type="pt",
        **call,
    ).images
    return images


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("name", FAMILIES)
def test_images_equal_the_stock_pipelines(name: str, steps: int, folders: Folders) -> None:
    generator = load(name, folders)
    noise = noise_for(generator)
    with torch.no_grad():
        ours = generator.generate(noise, conditioned(generator), steps)
    torch.testing.assert_close(
        ours, stock_images(name, folders[name], noise, steps), atol=1e-4, rtol=0
    )
    assert ours.std() > 0.05


PUBLISHED_STEPS = {"flux": 4, "z-image": 8, "flux2-klein": 4, "stable-diffusion-3": 4}
"""The steps that the authors of few-step models give."""


@pytest.mark.parametrize("name", PUBLISHED_STEPS)
def test_in_float64_images_of_the_published_steps_are_the_stock_pipelines(
    name: str, folders: Folders
) -> None:
    generator = load(name, folders, dtype="float64")
    noise, steps = noise_for(generator).to(TAKES.get(name, torch.float64)), PUBLISHED_STEPS[name]
    with torch.no_grad():
        ours = generator.generate(noise, conditioned(generator), steps)
    stock = stock_images(name, folders[name], noise, steps, dtype=torch.float64)
    torch.testing.assert_close(ours.double(), stock.double(), atol=1e-6, rtol=0)


TAKES = {"z-image": torch.float32}
"""The type in which a stock pipeline keeps its latents, whatever it computes in."""


@pytest.mark.parametrize("name", FAMILIES)
def test_the_gradient_to_the_noise_is_the_slope(name: str, folders: Folders) -> None:
    generator = load(name, folders, dtype="float64")
    noise, text = noise_for(generator).double().requires_grad_(), conditioned(generator)
    direction = noise_for(generator, seed=2).double()
    (gradient,) = torch.autograd.grad(brightness(generator, noise, text), noise)
    step = 1e-3 * direction
    with torch.no_grad():
        rise = brightness(generator, noise + step, text) - brightness(generator, noise - step, text)
    torch.testing.assert_close((gradient * step).sum() * 2, rise, rtol=0.02, atol=1e-7)


def brightness(generator: PipelineGenerator, noise: Tensor, text: Conditioning) -> Tensor:
    return generator.generate(noise, text, 2).mean()


def test_images_of_another_size_equal_the_stock_pipelines(folders: Folders) -> None:
    sizes = {
        "stable-diffusion-xl": 24,
        "sana-sprint": 64,
        "flux": 24,
        "z-image": 24,
        "flux2-klein": 24,
        "stable-diffusion-3": 24,
    }
    for name, size in sizes.items():
        generator = load(name, folders, image_size=size)
        noise = noise_for(generator)
        with torch.no_grad():
            ours = generator.generate(noise, conditioned(generator), 2)
        assert ours.shape == (3, 3, size, size)
        torch.testing.assert_close(
            ours,
            stock_images(name, folders[name], noise, 2, height=size, width=size),
            atol=1e-4,
            rtol=0,
        )


@pytest.mark.parametrize(("ours", "stock"), [(None, 1.3), (0.5, 0.5), ("even", None)])
def test_sanas_angle_between_two_steps_is_a_choice(ours: Any, stock: Any, folders: Folders) -> None:
    generator = load("sana-sprint", folders, intermediate_timesteps=ours)
    noise = noise_for(generator)
    with torch.no_grad():
        images = generator.generate(noise, conditioned(generator), 2)
    expected = stock_images(
        "sana-sprint", folders["sana-sprint"], noise, 2, intermediate_timesteps=stock
    )
    torch.testing.assert_close(images, expected, atol=1e-4, rtol=0)
    assert generator.fingerprint == load("sana-sprint", folders).fingerprint, (
        "a hypernetwork fits whatever the angle is"
    )


PACKED = ("flux", "flux2-klein")
"""The families whose noise has several latents in each token."""


def test_the_grid_of_fluxs_noise_is_what_its_decoder_takes(folders: Folders) -> None:
    generator = load("flux", folders)
    noise = noise_for(generator)
    grid = generator.to_grid(noise)
    assert grid.shape == (len(PROMPTS), 4, 8, 8)
    assert torch.equal(generator.from_grid(grid), noise)
    # A token holds 2x2 latents of all channels; the tokens go row by row, four in a row.
    assert torch.equal(grid[:, :, 2:4, 4:6].flatten(1), noise[:, 6])


def test_the_grid_of_kleins_noise_has_its_latents_one_by_one(folders: Folders) -> None:
    generator = load("flux2-klein", folders)
    noise = noise_for(generator)
    grid = generator.to_grid(noise)
    assert (noise.shape[1:], grid.shape[1:]) == ((16, 4, 4), (4, 8, 8))
    assert torch.equal(generator.from_grid(grid), noise)
    # A token holds 2x2 latents of all channels.
    assert torch.equal(grid[:, :, 2:4, 4:6].flatten(1), noise[:, :, 1, 2])


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in PACKED])
def test_all_other_noises_are_grids(name: str, folders: Folders) -> None:
    generator = load(name, folders)
    noise = noise_for(generator)
    assert generator.to_grid(noise) is noise


UNLIKE = ["a red ring", "a red ring left of a blue star and above a green heart", "two stars"]
"""Prompts of which Z-Image fills up one to 64 tokens, and the others to 32."""


@pytest.mark.parametrize("steps", [1, 2])
def test_z_images_texts_have_their_own_lengths(steps: int, folders: Folders) -> None:
    generator = load("z-image", folders)
    noise, text = noise_for(generator), generator.encode(UNLIKE)
    assert text.text_lengths == tuple(len(prompt) + 2 for prompt in UNLIKE)
    with torch.no_grad():
        together = generator.generate(noise, text, steps)
        alone = [
            generator.generate(noise[[row]], generator.encode([UNLIKE[row]]), steps)
            for row in range(3)
        ]
        chosen = [
            generator.generate(noise[[2, 1]], part, steps)
            for part in (
                text[[2, 1]],
                text[torch.tensor([2, 1])],
                Conditioning.cat([text[2:], text[1:2]]),
            )
        ]
    stock = stock_images("z-image", folders["z-image"], noise, steps, prompts=UNLIKE)
    torch.testing.assert_close(together, stock, atol=1e-4, rtol=0)
    torch.testing.assert_close(together, torch.cat(alone), atol=2e-5, rtol=0)
    for images in chosen:
        torch.testing.assert_close(images, together[[2, 1]], atol=2e-5, rtol=0)


def test_z_images_longest_text_is_cut(folders: Folders) -> None:
    text = load("z-image", folders).encode(["a red ring " * 100])
    assert text.text_lengths == (512,)


@pytest.mark.parametrize("length", [64, 512])
def test_the_length_of_fluxs_text_is_a_choice(length: int, folders: Folders) -> None:
    generator = load("flux", folders, max_sequence_length=length)
    noise = noise_for(generator)
    with torch.no_grad():
        images = generator.generate(noise, generator.encode(PROMPTS))
    assert generator.encode(PROMPTS).tensors["hidden_states"].shape[1] == length
    torch.testing.assert_close(
        images,
        stock_images("flux", folders["flux"], noise, 1, max_sequence_length=length),
        atol=1e-4,
        rtol=0,
    )
    assert (generator.fingerprint == load("flux", folders).fingerprint) == (length == 512)


def test_sanas_prompt_prefix_is_the_stock_pipelines(folders: Folders) -> None:
    plain, prefixed = (
        load("sana-sprint", folders, prompt_prefix=prefix) for prefix in (False, True)
    )
    noise = noise_for(plain)
    with torch.no_grad():
        images = [
            generator.generate(noise, generator.encode(PROMPTS)) for generator in (plain, prefixed)
        ]
    stock = stock_images(
        "sana-sprint", folders["sana-sprint"], noise, 1, complex_human_instruction="stock"
    )
    torch.testing.assert_close(images[1], stock, atol=1e-4, rtol=0)
    assert not torch.allclose(images[0], images[1], atol=1e-3)


def test_one_step_is_the_closed_form(folders: Folders) -> None:
    firsts = {"sana-sprint": 1.0, "flux": 1.0, "pixart": 400, "z-image": 0.0, "flux2-klein": 1.0}
    firsts |= {"stable-diffusion-3": 1000.0}
    for name, first in firsts.items():
        generator = load(name, folders)
        noise, conditioning, config = (
            noise_for(generator),
            generator.encode(PROMPTS),
            generator.decoder.config,
        )
        with torch.no_grad():
            prediction = raw(name, generator, noise, first)
            torch.testing.assert_close(generator.predict(noise, conditioning), prediction)
            clean = noise + prediction if name == "z-image" else noise - prediction
            if name == "pixart":
                kept = float(
                    torch.cumprod(1 - torch.linspace(0.0001, 0.02, 1000, dtype=torch.float64), 0)[
                        400
                    ]
                )
                clean = (noise - math.sqrt(1 - kept) * prediction) / math.sqrt(kept)
            if name == "flux":  # 16 tokens of 2x2 latents in 4 channels, to 4 channels of 8x8
                clean = clean.view(3, 4, 4, 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(3, 4, 8, 8)
            if name == "flux2-klein":
                latents = denormalised(generator, clean)
            else:
                latents = clean / config.scaling_factor + (config.get("shift_factor") or 0.0)
            expected = (generator.decoder.decode(latents).sample / 2 + 0.5).clamp(0, 1)
            torch.testing.assert_close(
                generator.generate(noise, conditioning), expected, atol=1e-4, rtol=0
            )


def raw(name: str, generator: PipelineGenerator, noise: Tensor, time: float) -> Tensor:
    """One call of the network, by hand."""
    if name == "flux2-klein":
        return by_hand_of_klein(generator, noise, time)
    if name == "z-image":
        return by_hand_of_z_image(generator, noise, time)
    tensors, time_of_each = generator.encode(PROMPTS).tensors, torch.full((3,), time)
    given: dict[str, Any] = {
        "hidden_states": noise,
        "encoder_hidden_states": tensors["hidden_states"],
        "timestep": time_of_each,
    }
    if name == "flux":
        places = torch.tensor([[0.0, row, column] for row in range(4) for column in range(4)])
        words = torch.zeros(tensors["hidden_states"].shape[1], 3)
        given |= {
            "pooled_projections": tensors["pooled"],
            "txt_ids": words,
            "img_ids": places,
            "guidance": None,
        }
    elif name == "stable-diffusion-3":
        given["pooled_projections"] = tensors["pooled"]
    else:
        given["encoder_attention_mask"] = tensors["attention_mask"]
    if name == "sana-sprint":
        given["guidance"] = torch.full((3,), 0.45)
    if name == "pixart":
        given["added_cond_kwargs"] = {"resolution": None, "aspect_ratio": None}
    output: Tensor = generator.backbone(**given).sample
    return output[:, :4] if name == "pixart" else output


def denormalised(generator: PipelineGenerator, clean: Tensor) -> Tensor:
    """16 channels of 4x4, undone the batch norm of each, to 4 channels of 8x8."""
    norm = generator.decoder.bn
    each = zip(clean.unbind(1), norm.running_mean, norm.running_var, strict=True)
    planes = torch.stack([plane * (var + 1e-4).sqrt() + mean for plane, mean, var in each], 1)
    return planes.view(3, 4, 2, 2, 4, 4).permute(0, 1, 4, 2, 5, 3).reshape(3, 4, 8, 8)


def by_hand_of_klein(generator: PipelineGenerator, noise: Tensor, time: float) -> Tensor:
    hidden = generator.encode(PROMPTS).tensors["hidden_states"]
    places = [[0, row, column, 0] for row in range(4) for column in range(4)]
    words = [[0, 0, 0, word] for word in range(hidden.shape[1])]
    output: Tensor = generator.backbone(
        hidden_states=noise.reshape(3, 16, 16).transpose(1, 2),
        encoder_hidden_states=hidden,
        timestep=torch.full((3,), time),
        img_ids=torch.tensor(places),
        txt_ids=torch.tensor(words),
        guidance=None,
    ).sample
    return output.transpose(1, 2).reshape(noise.shape)


def by_hand_of_z_image(generator: PipelineGenerator, noise: Tensor, time: float) -> Tensor:
    hidden, _ = generator.pipeline.encode_prompt(list(PROMPTS), do_classifier_free_guidance=False)
    images = [image[:, None] for image in noise]
    output: list[Tensor] = generator.backbone(images, torch.full((3,), time), hidden).sample
    return torch.cat([image.transpose(0, 1) for image in output])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_is_what_its_samples_are_alone(name: str, folders: Folders) -> None:
    generator = load(name, folders)
    noise = noise_for(generator)
    with torch.no_grad():
        together = generator.generate(noise, conditioned(generator), 2)
        order = [2, 0]
        alone = torch.cat(
            [generator.generate(noise[[row]], conditioned(generator)[[row]], 2) for row in order]
        )
    torch.testing.assert_close(together[order], alone, atol=2e-5, rtol=0)


ADDS_NOISE = ["stable-diffusion-xl", "sana-sprint", "pixart", "pixart-lcm"]
"""The families whose samplers add noise between their steps."""


@pytest.mark.parametrize("name", ADDS_NOISE)
def test_noise_between_steps_is_the_image_s_own(name: str, folders: Folders) -> None:
    generator = load(name, folders)
    noise = noise_for(generator)[:1].expand(2, *generator.noise_shape)
    text = generator.encode([PROMPTS[0]] * 2)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with torch.no_grad():
        first, again, alike = (
            generator.generate(noise, text.seeded(seeds), 3) for seeds in ((1, 2), (1, 2), (2, 2))
        )
        assert torch.equal(torch.get_rng_state(), before), (
            "torch's own random numbers are neither used nor touched"
        )
        assert torch.equal(first, again)
        assert not torch.allclose(first[0], first[1], atol=1e-3), (
            "two samples of a prompt have noises of their own"
        )
        torch.testing.assert_close(alike[0], alike[1], atol=2e-5, rtol=0)
        torch.testing.assert_close(alike[1], first[1], atol=2e-5, rtol=0)
        with pytest.raises(
            ValueError,
            match=rf"{name} adds noise between its steps .*; generate with conditioning.seeded",
        ):
            generator.generate(noise, text, 3)
        generator.generate(noise, text, 1)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - set(ADDS_NOISE)))
def test_a_sampler_without_noise_needs_no_seeds(name: str, folders: Folders) -> None:
    generator = load(name, folders)
    noise = noise_for(generator)
    with torch.no_grad():
        plain = generator.generate(noise, generator.encode(PROMPTS), 3)
        assert torch.equal(plain, generator.generate(noise, conditioned(generator), 3))


def test_the_noise_between_two_steps_is_the_first_draw_of_the_documented_seed(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SANA's sampler: x = cos(1.3) clean + sin(1.3) sigma_data noise, then one more step; by hand
    # with a network that sees nothing
    generator = load("sana-sprint", folders)
    task = Task("any", "a ring", 5)
    seed = int(hashlib.sha256(b'["between steps",7,"a ring",5]').hexdigest()[:16], 16) >> 1
    drawn = torch.randn(1, *generator.noise_shape, generator=torch.Generator().manual_seed(seed))
    seen: list[Tensor] = []

    def nothing(latents: Tensor, *_: Any) -> Tensor:
        seen.append(latents)
        return torch.zeros_like(latents)

    monkeypatch.setattr(generator, "_denoise", nothing)
    with torch.no_grad():
        start = NoiseSource(7, generator.noise_shape).batch([task])
        generator.generate(
            start, generator.encode(["a ring"]).seeded(NoiseSource(7, (1,)).step_seeds([task])), 2
        )

    # with a prediction of zero and time t the velocity is (1 - 2t) x / length, so what the first
    # step finds follows from x alone
    def step(x: Tensor, angle: float) -> Tensor:
        time = math.sin(angle) / (math.cos(angle) + math.sin(angle))
        length = math.hypot(time, 1 - time)
        scaled = x * length
        return math.cos(angle) * x - math.sin(angle) * (1 - 2 * time) * scaled / length

    second = math.cos(1.3) * step(start, math.pi / 2) + math.sin(1.3) * drawn
    time = math.sin(1.3) / (math.cos(1.3) + math.sin(1.3))
    torch.testing.assert_close(seen[1], second * math.hypot(time, 1 - time), atol=1e-3, rtol=0)


@pytest.mark.parametrize("steps", [2, 4])
def test_several_steps_leave_the_spread_that_one_step_has(steps: int, folders: Folders) -> None:
    """What one noise between steps for all samples took away: differing images of a prompt, and an
    honest interval of a mean.
    """
    generator = load("sana-sprint", folders)
    seeds, samples = range(12), range(24)

    def images(count: int) -> Tensor:
        found = []
        for seed in seeds:
            noises = NoiseSource(seed, generator.noise_shape)
            tasks = [Task("p", PROMPTS[0], sample) for sample in samples]
            text = generator.encode([PROMPTS[0]] * len(tasks)).seeded(noises.step_seeds(tasks))
            with torch.no_grad():
                found.append(generator.generate(noises.batch(tasks), text, count))
        return torch.stack(found)

    one, several = images(1), images(steps)
    apart = [torch.pdist(found[0].flatten(1)).mean() for found in (one, several)]
    assert apart[1] > 0.8 * apart[0], "a prompt's images are as different as with one step"
    redness = several[:, :, 0].mean((-1, -2)) - several[:, :, 1:].mean((2, 3, 4))
    between = redness.mean(1).std()
    within = (redness.var(1).mean() / len(samples)).sqrt()
    # the ratio of 12 means' deviation to their standard error: chi with 11 degrees of freedom,
    # within these in 99.9%
    assert 0.4 < between / within < 1.7, (
        "what differs between base seeds is what the interval within one says"
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_hypernetwork_on_it(name: str, folders: Folders) -> None:
    plain, generator = load(name, folders), load(name, folders)
    noise, conditioning = noise_for(generator), conditioned(generator)
    adapter = LoraAdapter(generator.backbone, LoraSettings(rank=2, alpha=4))
    network = Hypernetwork(generator, adapter)
    change = network.displacement(noise, conditioning)
    assert change.shape == noise.shape
    assert torch.count_nonzero(change) == 0
    torch.autograd.backward(generator.generate(noise + change, conditioning).square().sum())
    weights = adapter.named_parameters()
    moved = {
        key
        for key, weight in weights.items()
        if weight.grad is not None and weight.grad.count_nonzero()
    }
    assert moved == {f"{generator.last_layer}.lora_B.weight"}
    shake(adapter)
    assert network.displacement(noise, conditioning).count_nonzero()
    with torch.no_grad():
        base = plain.generate(noise, conditioning, 2)
        assert torch.equal(generator.generate(noise, conditioning, 2), base)
        assert not torch.equal(
            FinetunedGenerator(generator, adapter).generate(noise, conditioning, 2), base
        )


def shake(adapter: LoraAdapter) -> None:
    """Away from the zero initialisation."""
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in adapter.named_parameters().values():
            weight.add_(0.1 * torch.randn(weight.shape, generator=draw))


@pytest.mark.parametrize("name", FAMILIES)
def test_reno_and_hypernoise_run_on_it(name: str, folders: Folders, tmp_path: Path) -> None:
    generator, reward = load(name, folders), Redness()
    tasks, noises = (
        [Task(str(row), prompt, 0) for row, prompt in enumerate(PROMPTS)],
        NoiseSource(0, generator.noise_shape),
    )
    climbed = list(ReNO(iterations=4, learning_rate=2.0).propose(tasks, generator, reward, noises))
    first, best = zip(
        *[
            (outcome.trajectory[0], max(outcome.trajectory))
            for outcome in climbed
            if outcome.trajectory
        ],
        strict=True,
    )
    assert all(high > low for low, high in zip(first, best, strict=True))
    adapter = LoraAdapter(generator.backbone, LoraSettings(rank=2, alpha=4))
    shake(adapter)
    about = {
        "fingerprint": generator.fingerprint,
        "noise_shape": list(generator.noise_shape),
        "name": name,
    }
    save_adapter(
        tmp_path / "adapter",
        adapter,
        generator.backbone,
        {"kind": "hypernoise", "generator": about},
    )
    changed = list(
        HyperNoise(adapter=tmp_path / "adapter").propose(tasks, generator, reward, noises)
    )
    change = (
        Hypernetwork(generator, adapter)
        .displacement(noises.batch(tasks), generator.encode(PROMPTS))
        .detach()
    )
    torch.testing.assert_close(
        torch.stack([outcome.noise for outcome in changed]), noises.batch(tasks) + change
    )


@pytest.mark.parametrize(
    "policies",
    [
        ("checkpoint-decoder",),
        ("checkpoint-all",),
        ("offload-text",),
        ("checkpoint-all", "offload-text"),
        ("offload-blocks",),
        ("offload-blocks", "offload-text", "checkpoint-decoder"),
    ],
)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_memory_policy_changes_no_gradient(
    name: str, policies: tuple[str, ...], folders: Folders
) -> None:
    results = []
    for memory in ((), policies):
        generator = load(name, folders, memory=memory)
        adapter = LoraAdapter(generator.backbone, LoraSettings(rank=2, alpha=4))
        shake(adapter)
        noise, conditioning = noise_for(generator).requires_grad_(), conditioned(generator)
        # The same network once as hypernetwork, once fine-tuned, and twice as the base, in one
        # graph.
        image = generator.generate(
            noise + Hypernetwork(generator, adapter).displacement(noise, conditioning),
            conditioning,
            2,
        )
        image = image + FinetunedGenerator(generator, adapter).generate(noise, conditioning)
        torch.autograd.backward(image.square().sum())
        weights = {key: weight.grad for key, weight in adapter.named_parameters().items()}
        assert (
            generator.backbone.state_dict().keys()
            == load(name, folders).backbone.state_dict().keys()
        )
        results.append((image.detach(), noise.grad, weights))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("policy", "backbone", "decoder"),
    [
        ("none", 1, 1),
        ("checkpoint-decoder", 1, 2),
        ("checkpoint-all", 2, 2),
        ("offload-blocks", 2, 1),
    ],
)
def test_recomputing_really_happens(
    policy: str, backbone: int, decoder: int, folders: Folders
) -> None:
    generator = load("sana-sprint", folders, memory=(policy,))
    passes: list[str] = []
    blocks: Any = {
        "backbone": generator.backbone.transformer_blocks[0],  # type: ignore[index]
        "decoder": generator.decoder.decoder,
    }
    for part, block in blocks.items():
        block.register_forward_pre_hook(lambda *_, part=part: passes.append(part))
    noise = noise_for(generator).requires_grad_()
    torch.autograd.backward(generator.generate(noise, generator.encode(PROMPTS)).sum())
    assert (passes.count("backbone"), passes.count("decoder")) == (backbone, decoder)


@pytest.mark.parametrize("name", FAMILIES)
def test_offloaded_weights_are_there_only_for_their_own_layer(name: str, folders: Folders) -> None:
    generator = load(name, folders, memory=("offload-blocks",))
    adapter = LoraAdapter(generator.backbone, LoraSettings(rank=2, alpha=4))
    assert {weight.device.type for weight in adapter.named_parameters().values()} == {"cpu"}
    assert all(weight.any() for key, weight in adapter.named_parameters().items() if "_A." in key)
    most = 0

    def look(*_: object) -> None:
        nonlocal most
        present = [one for one in generator.backbone.parameters() if not one.is_meta]
        most = max(most, sum(one.numel() for one in present))

    for module in generator.backbone.modules():
        if not list(module.children()):
            module.register_forward_pre_hook(look)
            module.register_forward_hook(look)
    noise = noise_for(generator).requires_grad_()
    image = generator.generate(noise, conditioned(generator))
    torch.autograd.backward(image.sum())
    weights = list(generator.backbone.parameters())
    assert all(weight.is_meta for weight in weights)
    assert most < sum(weight.numel() for weight in weights) / 2


@pytest.mark.parametrize("name", FAMILIES)
def test_in_bfloat16_noise_and_images_stay_float32(name: str, folders: Folders) -> None:
    exact, rough = load(name, folders), load(name, folders, dtype="bfloat16")
    noise = noise_for(exact)
    with torch.no_grad():
        one, other = (
            generator.generate(noise, conditioned(generator), 2) for generator in (exact, rough)
        )
    assert (rough.dtype, other.dtype) == (torch.bfloat16, torch.float32)
    assert (one - other).abs().mean() < 0.05


def test_a_decoder_that_overflows_in_float16_stays_in_float32(folders: Folders) -> None:
    assert load("stable-diffusion-xl", folders, dtype="float16").decoder.dtype == torch.float32
    assert load("stable-diffusion", folders, dtype="float16").decoder.dtype == torch.float16


@pytest.mark.parametrize("name", FAMILIES)
def test_text_is_encoded_once(name: str, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = load(name, folders)
    first = generator.encode(PROMPTS)
    monkeypatch.setattr(generator, "_encode", None)
    again = generator.encode([PROMPTS[2], PROMPTS[0], PROMPTS[2]])
    for key, tensor in first[[2, 0, 2]].tensors.items():
        assert torch.equal(again.tensors[key], tensor)


def test_the_text_that_was_not_asked_for_the_longest_is_forgotten(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load("stable-diffusion", folders)
    one = 40 * 16 * 4  # bytes of a prompt: tokens, width, float32
    monkeypatch.setattr(encoded_texts, "TEXT_CACHE_BYTES", 2 * one)
    assert len(generator.encode(PROMPTS)) == 3
    generator.encode([PROMPTS[1]])
    generator.encode(["new"])
    monkeypatch.setattr(generator, "_encode", None)
    generator.encode([PROMPTS[1], "new"])
    with pytest.raises(TypeError):
        generator.encode([PROMPTS[2]])


def test_text_encoders_lie_on_the_device_only_to_encode(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load("flux", folders, memory=("offload-text",))
    moves: list[str] = []
    for encoder in generator.text_encoders:
        monkeypatch.setattr(encoder, "to", lambda device: moves.append(str(device)))
    monkeypatch.setattr(generator, "_device", torch.device("meta"))

    def encode(_prompts: list[str]) -> dict[str, Tensor]:
        moves.append("encode")
        return {"text": torch.zeros(1, 2)}

    monkeypatch.setattr(generator, "_encode", encode)
    generator.encode([PROMPTS[0]])
    assert moves == ["meta", "meta", "encode", "cpu", "cpu"]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(
    "name", ["stable-diffusion", "sana-sprint", "flux", "z-image", "flux2-klein"]
)
def test_what_a_decoder_overflows_to_is_no_white_pixel(
    name: str, value: float, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load(name, folders)
    real = generator._decoded

    def overflowing(latents: Tensor) -> Tensor:
        image = real(latents).clone()
        image[1, 0] = value
        return image

    monkeypatch.setattr(generator, "_decoded", overflowing)
    noise = noise_for(generator).requires_grad_()
    images = generator.generate(noise, conditioned(generator))
    assert images[1, 0].isnan().all()
    assert images[[0, 2]].isfinite().all()
    images[[0, 2]].sum().backward()  # type: ignore[no-untyped-call]
    assert noise.grad is not None
    assert noise.grad.isfinite().all(), "other samples' gradients are left alone"
