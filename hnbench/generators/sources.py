"""Generators from the Hub and from local folders: the published ones by name, any other one of a
supported family by its folder or repository.

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
    """A generator on the Hub; call it to load it."""

    name: str
    pipeline: str
    """`owner/name` or `owner/name@revision`."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """Part of the pipeline -> the repository that it is taken from instead."""

    def __call__(self, *, device: str, dtype: str, **options: Any) -> PipelineGenerator:
        """Fetch the files that are not cached yet, and load the pipeline. A failed download is a
        `UsageError` (see `hnbench.weights.hub`).
        """
        folder, others = self.folders(dtype)
        family = family_of(folder, self.pipeline)
        commits = {"pipeline": _known_by(hub.Source.parse(self.pipeline), folder)}
        commits |= {
            part: _known_by(hub.Source.parse(self.replaced[part]), path)
            for part, path in others.items()
        }
        return family.from_folder(
            folder,
            name=self.name,
            device=device,
            dtype=getattr(torch, dtype),
            fingerprint=digest(commits),
            replaced=others,
            source=commits,
            **options,
        )

    def folders(self, dtype: str) -> tuple[Path, dict[str, Path]]:
        """The pipeline's folder on this machine, and those of the replaced parts. Files that are
        not cached yet are fetched.
        """
        pipeline, *replacing = self.sources(dtype)
        others = {
            part: hub.download(source)
            for part, source in zip(self.replaced, replacing, strict=True)
        }
        return hub.download(pipeline), others

    def sources(self, dtype: str) -> tuple[hub.Source, ...]:
        """The files that it is loaded from: the pipeline's, then those of each replaced part. The
        pipeline's index is downloaded to find them.
        """
        source = hub.Source.parse(self.pipeline)
        index = hub.download(replace(source, needs=(((INDEX,),),)))
        family_of(index, self.pipeline)
        kinds = {
            part: kind_of_part(part, name)
            for part, (_, name) in pipeline_parts(read_json(index / INDEX)).items()
        }
        # All files of one commit, even if the branch moves meanwhile.
        pinned = replace(source, revision=hub.commit_of(index) or source.revision)
        own = {part: kind for part, kind in kinds.items() if part not in self.replaced}
        replacing = [
            _files(hub.Source.parse(place), {part: kinds[part]}, dtype)
            for part, place in self.replaced.items()
        ]
        return (
            replace(made := _files(pinned, own, dtype), needs=(((INDEX,),), *made.needs)),
            *replacing,
        )


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
    """A generator by its place: a local folder, if there is one of that name, else a repository on
    the Hub.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return load_folder(folder, name=place, device=device, dtype=dtype, **options)
    return PublishedGenerator(place, place)(device=device, dtype=dtype, **options)


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


def _known_by(source: hub.Source, folder: Path) -> str:
    return f"{source.repo}@{hub.commit_of(folder) or source.revision}"


SD_TURBO = PublishedGenerator("sd-turbo", "stabilityai/sd-turbo")
SDXL_TURBO = PublishedGenerator("sdxl-turbo", "stabilityai/sdxl-turbo")
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
