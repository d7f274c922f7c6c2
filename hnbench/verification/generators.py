"""Checks of generators: they are compared with diffusers' stock pipeline (same files, same noise),
or with published pixels.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diffusers
import torch
from safetensors.torch import load_file

from hnbench.catalogue import registry
from hnbench.catalogue.loading import load_generator
from hnbench.generators.base import Conditioning
from hnbench.generators.sources import PublishedGenerator
from hnbench.seeds import NoiseSource
from hnbench.shapes.models import WEIGHTS
from hnbench.tasks import Task
from hnbench.verification.check import CannotRun
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from hnbench.generators.pipeline import PipelineGenerator
    from hnbench.verification.check import CheckContext

CALLS: dict[str, dict[str, Any]] = {
    "StableDiffusionPipeline": {"guidance_scale": 0.0},
    "StableDiffusionXLPipeline": {"guidance_scale": 0.0},
    "SanaSprintPipeline": {"complex_human_instruction": None, "use_resolution_binning": False},
    "PixArtAlphaPipeline": {
        "guidance_scale": 1.0,
        "use_resolution_binning": False,
        "clean_caption": False,
    },
    "FluxPipeline": {"max_sequence_length": 512},
    "ZImagePipeline": {"guidance_scale": 0.0},
    "Flux2KleinPipeline": {"guidance_scale": 1.0},
    "StableDiffusion3Pipeline": {"guidance_scale": 0.0},
}
"""Stock pipeline of each family -> the arguments that make it do the same as a run by default."""


def stock_pipeline(check: CheckContext) -> None:
    """Compare images of the given prompts and numbers of steps with those of the stock pipeline
    from the same noise. `scheduler` (with `settings`), `timesteps` and `eta` are given as a model's
    card says, if they are not the pipeline's own.
    """
    given = check.reference.given
    tasks = [Task(str(index), prompt, index) for index, prompt in enumerate(given["prompts"])]
    generator = _loaded(check)
    noises = NoiseSource(0, generator.noise_shape)
    # The stock pipeline takes noise in the model's dtype, so both get values that are exact in it.
    noise = noises.batch(tasks).to(generator.dtype).float()
    seeds = noises.step_seeds(tasks)
    ours = [_ours(generator, noise, given["prompts"], seeds, steps) for steps in given["steps"]]
    size, latents = generator.image_size, generator.stock_latents(noise)
    del generator  # both pipelines together might not fit the memory
    pipeline = _stock(check)
    for steps, images in zip(given["steps"], ours, strict=True):
        call = {"height": size, "width": size, "num_inference_steps": steps}
        call |= {name: given[name] for name in ("timesteps", "eta") if name in given}
        expected = _theirs(pipeline, latents, given["prompts"], seeds, call)
        check.compare(
            f"largest difference in {steps} steps", float((images - expected).abs().max()), 0.0
        )
        # Two images without any structure would be equal although neither model works.
        check.compare(
            f"flat images in {steps} steps",
            float((images.flatten(1).std(1) < FLAT).sum()),
            0.0,
            tolerance=0.5,
        )


FLAT = 0.01
"""An image whose values have a smaller standard deviation than this shows nothing."""


def published_pixels(check: CheckContext) -> None:
    """Compare some values of one image with published ones, for a published prompt and seed: those
    of one channel in the lower right corner.
    """
    given = check.reference.given
    generator = _loaded(check)
    drawn = torch.randn(
        1,
        *generator.noise_shape,
        generator=torch.Generator().manual_seed(given["seed"]),
        dtype=generator.dtype,
    )
    image = _ours(generator, drawn.float(), [given["prompt"]], (0,), given["steps"])[0]
    rows, columns = given["rows"], given["columns"]
    corner = image[given["channel"], -rows:, -columns:].flatten()
    for place, value in enumerate(corner.tolist()):
        check.compare(str(place), value)


def published_flux_pixels(check: CheckContext) -> None:
    """Compare the first row of one image with published values, for published text embeddings and a
    published seed.
    """
    from diffusers import FluxPipeline

    given = check.reference.given
    generator = _loaded(check)
    hidden, pooled = (
        _embedding(check, name) for name in ("prompt_embeds.pt", "pooled_prompt_embeds.pt")
    )
    text = Conditioning(
        {
            "hidden_states": hidden.to(generator.device, generator.dtype),
            "pooled": pooled.to(generator.device, generator.dtype),
        }
    )
    side = generator.image_size // int(generator.pipeline.vae_scale_factor)
    channels = generator.noise_shape[1] // 4
    drawn = torch.randn(
        1,
        channels,
        side,
        side,
        generator=torch.Generator().manual_seed(given["seed"]),
        dtype=generator.dtype,
    )
    packed = FluxPipeline._pack_latents(drawn, 1, channels, side, side).float()  # noqa: SLF001
    with torch.no_grad():
        image = (
            generator.generate(packed.to(generator.device), text.seeded((0,)), given["steps"])[0]
            .float()
            .cpu()
        )
    for place, value in enumerate(image[:, 0, : given["columns"]].T.flatten().tolist()):
        check.compare(str(place), value)


def _embedding(check: CheckContext, name: str) -> Tensor:
    found: Any = torch.load(check.input(name), map_location="cpu", weights_only=True)
    if not isinstance(found, torch.Tensor):
        raise CannotRun(f"{name} of the published embeddings holds no tensor")
    return found


def _loaded(check: CheckContext) -> PipelineGenerator:
    options = {name: value for name, value in check.reference.given.items() if name == "image_size"}
    generator: Any = load_generator(check.reference.component, check.device, check.dtype, **options)
    check.uses(generator.name, generator.fingerprint)
    return generator  # type: ignore[no-any-return]


@torch.no_grad()
def _ours(
    generator: PipelineGenerator,
    noise: Tensor,
    prompts: Sequence[str],
    seeds: Sequence[int],
    steps: int,
) -> Tensor:
    conditioning = generator.encode(prompts).seeded(seeds)
    return generator.generate(noise.to(generator.device), conditioning, steps).float().cpu()


def _stock(check: CheckContext) -> Any:
    """The stock pipeline, loaded by diffusers alone from the same files."""
    dtype: torch.dtype = getattr(torch, check.dtype)
    folder, replaced = _folders(check)
    options: dict[str, Any] = {
        "local_files_only": True,
        "dtype": dtype,
        "variant": _variant(folder, check.dtype),
    }
    lora = replaced.pop("lora", None)
    with quiet_loading():
        parts = {
            part: _stock_unet(folder, place, dtype)
            if place.is_file()
            else _stock_part(place, part, dtype)
            for part, place in replaced.items()
        }
        kind = diffusers.DiffusionPipeline.from_pretrained
        pipeline = kind(folder, **options, **parts, **_without(folder)).to(check.device)
        if lora is not None:
            pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
            pipeline.fuse_lora()
    given = check.reference.given
    if "scheduler" in given:
        scheduler = getattr(diffusers, given["scheduler"])
        pipeline.scheduler = scheduler.from_config(
            pipeline.scheduler.config, **given.get("settings", {})
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _folders(check: CheckContext) -> tuple[Path, dict[str, Path]]:
    name = check.reference.component
    if name == "shapes":
        return WEIGHTS / "generator", {}
    published = registry.GENERATORS.get(name)
    if not isinstance(published, PublishedGenerator):
        raise CannotRun(f"{name} is not a pipeline of diffusers")
    return published.folders(check.dtype)


def _variant(folder: Path, dtype: str) -> str | None:
    """The variant "fp16" if the folder has such files and they are wanted, else None."""
    return "fp16" if dtype != "float32" and any(folder.glob("*/*.fp16*.safetensors")) else None


def _without(folder: Path) -> dict[str, None]:
    """Optional part of the pipeline -> None, which tells diffusers not to load it. These parts are
    not downloaded.
    """
    found = diffusers.DiffusionPipeline.load_config(folder, local_files_only=True)
    return {
        part: None
        for part in ("safety_checker", "feature_extractor", "image_encoder")
        if part in found
    }


def _stock_part(place: Path, part: str, dtype: torch.dtype) -> Any:
    if part == "scheduler":
        return diffusers.DDPMScheduler.from_pretrained(place, subfolder=part, local_files_only=True)
    safe = any((place / part).glob("*.safetensors"))
    kind = diffusers.PixArtTransformer2DModel
    return kind.from_pretrained(
        place, subfolder=part, local_files_only=True, dtype=dtype, use_safetensors=safe
    )


def _stock_unet(folder: Path, file: Path, dtype: torch.dtype) -> Any:
    """A UNet with the pipeline's own configuration and the weights of a file."""
    kind = diffusers.UNet2DConditionModel
    unet = kind.from_config(kind.load_config(folder, subfolder="unet", local_files_only=True))
    unet.to(dtype).load_state_dict(
        load_file(file)
        if file.suffix == ".safetensors"
        else torch.load(file, map_location="cpu", weights_only=True)
    )
    return unet


def _theirs(
    pipeline: Any,
    latents: Tensor,
    prompts: Sequence[str],
    seeds: Sequence[int],
    arguments: Mapping[str, Any],
) -> Tensor:
    name, steps = type(pipeline).__name__, arguments["num_inference_steps"]
    call = {**arguments, **CALLS[name]}
    if name == "SanaSprintPipeline":
        call["intermediate_timesteps"] = 1.3 if steps == 2 else None
    if name == "PixArtAlphaPipeline":
        call["timesteps"] = [400 * (steps - index) // steps for index in range(steps)]
    between = [torch.Generator().manual_seed(seed) for seed in seeds]
    taken = inspect.signature(pipeline.__call__).parameters
    known = {key: value for key, value in call.items() if key in taken}
    with quiet_loading():
        images: Tensor = pipeline(
            prompt=list(prompts),
            latents=latents.to(pipeline.device),
            generator=between,
            output_type="pt",
            **known,
        ).images
    return images.float().cpu()
