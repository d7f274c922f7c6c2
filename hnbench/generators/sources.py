"""Generators from the Hub and from local folders: the published ones by name, any other one of a
supported family by its folder or repository, with other weights if need be.

The family is the pipeline class that model_index.json names. From a repository on the Hub, only the
files of the parts in use are fetched, as safetensors if there are any. The commit that was loaded
is in the run's record. The weights are identified by repository and commit, or for a local folder
by the hashes of its files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hnbench.errors import UsageError
from hnbench.generators.flux import FluxGenerator
from hnbench.generators.flux2_klein import Flux2KleinGenerator
from hnbench.generators.parts import (
    INDEX,
    kind_of_part,
    needs_of,
    optional_files,
    pipeline_parts,
    read_json,
)
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.pixart import PixArtGenerator
from hnbench.generators.places import (
    find,
    identity_of,
    is_file,
    origin_of,
    parse_changes,
    source_of,
)
from hnbench.generators.samplers import Sampler
from hnbench.generators.sana_sprint import SanaSprintGenerator
from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.generators.stable_diffusion_3 import StableDiffusion3Generator
from hnbench.generators.stable_diffusion_xl import StableDiffusionXLGenerator
from hnbench.generators.z_image import ZImageGenerator
from hnbench.seeds import digest
from hnbench.weights import hub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hnbench.generators.parts import Kind
    from hnbench.generators.places import Place

LORA = "lora"
"""The key of a LoRA's place among those of the parts."""

FAMILIES: dict[str, type[PipelineGenerator]] = {
    family.pipeline_class: family
    for family in (
        StableDiffusionGenerator,
        StableDiffusionXLGenerator,
        SanaSprintGenerator,
        PixArtGenerator,
        FluxGenerator,
        ZImageGenerator,
        Flux2KleinGenerator,
        StableDiffusion3Generator,
    )
}


@dataclass(frozen=True)
class PublishedGenerator:
    """A generator on the Hub, or put together from places there and on this machine; call it to
    load it.
    """

    name: str
    pipeline: Place
    """The repository or folder of the pipeline."""
    replaced: Mapping[str, Place] = field(default_factory=dict)
    """Part of the pipeline -> the repository or folder that it is taken from instead, or the file
    of its weights.
    """
    lora: Place | None = None
    """The file of a LoRA that is added to the weights."""
    sampler: Sampler | None = None
    """The way it is sampled; None: as the pipeline's own scheduler says."""

    def __call__(self, *, device: str, dtype: str, **options: Any) -> PipelineGenerator:
        """Fetch the files that are not cached yet, and load the pipeline. A failed download is a
        `UsageError` (see `hnbench.weights.hub`).
        """
        folder, others = self.folders(dtype)
        family = family_of(folder, str(self.pipeline))
        places = {"pipeline": (self.pipeline, folder)} | {
            part: (place, others[part]) for part, place in self._others().items()
        }
        sampled = {"sampler": self.sampler.described()} if self.sampler else {}
        known = {part: identity_of(*place) for part, place in places.items()}
        return family.from_folder(
            folder,
            name=self.name,
            device=device,
            dtype=getattr(torch, dtype),
            fingerprint=digest({**known, **sampled}),
            lora=others.pop(LORA, None),
            replaced=others,
            source={**{part: origin_of(*place) for part, place in places.items()}, **sampled},
            **({"sampler": self.sampler} if self.sampler else {}),
            **options,
        )

    def folders(self, dtype: str) -> tuple[Path, dict[str, Path]]:
        """The pipeline's folder on this machine, and the folder or file of each replaced part, and
        of the LoRA as `"lora"`. Files that are not cached yet are fetched.
        """
        wanted = self._wanted(dtype)
        others = {part: find(place, wanted.get(part)) for part, place in self._others().items()}
        return find(self.pipeline, wanted.get("pipeline")), others

    def sources(self, dtype: str) -> tuple[hub.Source, ...]:
        """The files on the Hub that it is loaded from: the pipeline's, then those of each replaced
        part, then the LoRA's. The pipeline's index is downloaded to find them.
        """
        return tuple(self._wanted(dtype).values())

    def _others(self) -> dict[str, Place]:
        """The places of the replaced parts and of the LoRA."""
        return {**self.replaced, **({LORA: self.lora} if self.lora is not None else {})}

    def _wanted(self, dtype: str) -> dict[str, hub.Source]:
        """The files on the Hub of the pipeline, of each replaced part, and of the LoRA."""
        index = find(self.pipeline, self.index())
        family_of(index, str(self.pipeline))
        kinds = {
            part: kind_of_part(part, name)
            for part, (_, name) in pipeline_parts(read_json(index / INDEX)).items()
        }
        if unknown := sorted(self.replaced.keys() - kinds.keys()):
            raise UsageError(f"{self.pipeline} has no {unknown[0]}; leave out `{unknown[0]}`")
        own = self._own(index, kinds, dtype)
        found = {} if own is None else {"pipeline": own}
        for part, place in self._others().items():
            if isinstance(place, str):
                source = source_of(place)
                found[part] = (
                    source if is_file(place) else _files(source, {part: kinds[part]}, dtype)
                )
        return found

    def _own(self, index: Path, kinds: Mapping[str, Kind], dtype: str) -> hub.Source | None:
        """The files of the pipeline's own repository; None if it is on this machine."""
        if isinstance(self.pipeline, Path):
            return None
        source = hub.Source.parse(self.pipeline)
        # All files of one commit, even if the branch moves meanwhile.
        pinned = replace(source, revision=hub.commit_of(index) or source.revision)
        own = {part: kind for part, kind in kinds.items() if part not in self.replaced}
        made = _files(pinned, own, dtype)
        # A file of weights says nothing of the network, so the pipeline's own configuration does.
        configurations = [
            ((f"{part}/config.json",),) for part, place in self.replaced.items() if is_file(place)
        ]
        return replace(made, needs=(((INDEX,),), *made.needs, *configurations))

    def index(self) -> hub.Source | None:
        """The pipeline's index alone; None if it is on this machine."""
        if isinstance(self.pipeline, Path):
            return None
        return replace(hub.Source.parse(self.pipeline), needs=(((INDEX,),),))


def load_folder(
    folder: Path, *, name: str, device: str, dtype: str, **options: Any
) -> PipelineGenerator:
    """A generator from a local folder in diffusers' layout. A folder without a pipeline of a
    supported family is a `UsageError`.
    """
    return family_of(folder, str(folder)).from_folder(
        folder,
        name=name,
        device=device,
        dtype=getattr(torch, dtype),
        source={"folder": str(folder)},
        **options,
    )


def load_by_place(place: str, *, device: str, dtype: str, **options: Any) -> PipelineGenerator:
    """A generator by its place: a local folder, if there is one of that name, else what `at_place`
    describes.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return load_folder(folder, name=place, device=device, dtype=dtype, **options)
    return at_place(place)(device=device, dtype=dtype, **options)


def at_place(place: str) -> PublishedGenerator:
    """The generator of a repository on the Hub, or of `BASE:KEY=VALUE`
    (`hnbench.generators.places.parse_changes`).
    """
    changed = parse_changes(place)
    return PublishedGenerator(place, changed.base, changed.replaced, changed.lora, changed.sampler)


def family_of(folder: Path, shown: str) -> type[PipelineGenerator]:
    """The generator class for a pipeline's folder, which error messages call `shown`."""
    if not (folder / INDEX).is_file():
        raise UsageError(
            f"{shown} holds no diffusers pipeline (there is no {INDEX} in it); give a pipeline's"
            " own folder or repository"
        )
    found = read_json(folder / INDEX).get("_class_name")
    if found not in FAMILIES:
        raise UsageError(
            f"{shown} is a {found}, which is not supported; give one of:"
            f" {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[found]


def _files(source: hub.Source, parts: Mapping[str, Kind], dtype: str) -> hub.Source:
    """The files of these parts of a repository."""
    patterns = [pattern for part in parts for pattern in optional_files(part)]
    needs = [need for part, kind in parts.items() for need in needs_of(part, kind, dtype)]
    return replace(source, patterns=tuple(patterns), needs=tuple(needs))


SD_TURBO = PublishedGenerator("sd-turbo", "stabilityai/sd-turbo")
SDXL_TURBO = PublishedGenerator("sdxl-turbo", "stabilityai/sdxl-turbo")

_SDXL = "stabilityai/stable-diffusion-xl-base-1.0"


def _distilled(
    name: str, sampler: Sampler, *, unet: str = "", lora: str = ""
) -> PublishedGenerator:
    """A model that others distilled from SDXL base, put together as its card says."""
    return PublishedGenerator(name, _SDXL, {"unet": unet} if unet else {}, lora or None, sampler)


SDXL_DMD2 = _distilled(
    "sdxl-dmd2",
    Sampler("lcm", first_timestep=399),
    unet="tianweiy/DMD2/dmd2_sdxl_1step_unet_fp16.bin",
)
SDXL_DMD2_FOUR = _distilled(
    "sdxl-dmd2-4step",
    Sampler("lcm", first_timestep=999),
    unet="tianweiy/DMD2/dmd2_sdxl_4step_unet_fp16.safetensors",
)
SDXL_LIGHTNING = _distilled(
    "sdxl-lightning",
    Sampler("euler"),
    unet="ByteDance/SDXL-Lightning/sdxl_lightning_4step_unet.safetensors",
)
SDXL_HYPER = _distilled(
    "sdxl-hyper",
    Sampler("lcm", first_timestep=800),
    unet="ByteDance/Hyper-SD/Hyper-SDXL-1step-Unet.safetensors",
)
SDXL_HYPER_LORA = _distilled(
    "sdxl-hyper-lora",
    Sampler("tcd", eta=1.0),
    lora="ByteDance/Hyper-SD/Hyper-SDXL-1step-lora.safetensors",
)
SDXL_LCM = _distilled(
    "sdxl-lcm",
    Sampler("lcm"),
    lora="latent-consistency/lcm-lora-sdxl/pytorch_lora_weights.safetensors",
)
SDXL_TCD = _distilled(
    "sdxl-tcd",
    Sampler("tcd", eta=0.3),
    lora="h1t/TCD-SDXL-LoRA/pytorch_lora_weights.safetensors",
)
SANA_SPRINT_SMALL = PublishedGenerator(
    "sana-sprint-0.6b", "Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers"
)
SANA_SPRINT_LARGE = PublishedGenerator(
    "sana-sprint-1.6b", "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers"
)
FLUX_SCHNELL = PublishedGenerator("flux-schnell", "black-forest-labs/FLUX.1-schnell")
Z_IMAGE_TURBO = PublishedGenerator("z-image-turbo", "Tongyi-MAI/Z-Image-Turbo")
FLUX2_KLEIN = PublishedGenerator("flux2-klein", "black-forest-labs/FLUX.2-klein-4B")
SD3_5_LARGE_TURBO = PublishedGenerator(
    "sd3.5-large-turbo", "stabilityai/stable-diffusion-3.5-large-turbo"
)
# Text encoder and decoder from the repository that ReNO takes them from; transformer and scheduler
# are PixArt-DMD's own.
PIXART_DMD = PublishedGenerator(
    "pixart-dmd",
    "PixArt-alpha/PixArt-XL-2-1024-MS",
    replaced=dict.fromkeys(
        ("transformer", "scheduler"), "PixArt-alpha/PixArt-Alpha-DMD-XL-2-512x512"
    ),
)
