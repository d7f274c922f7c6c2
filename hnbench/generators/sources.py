"""Generators from the Hub and from local folders: the published ones by name, any other of a supported family by where it is.

The family is the pipeline class that model_index.json names. Of a repository on the Hub only the files of the parts that are used are
fetched, as safetensors. The commit that was loaded stands in the run's record; repository and commit are what the weights are known by,
and for a local folder the hashes of its files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diffusers
import torch

from hnbench import hub
from hnbench.errors import UsageError
from hnbench.generators.flux import FluxGenerator
from hnbench.generators.pipeline import INDEX, UNUSED, PipelineGenerator
from hnbench.generators.pixart import PixArtGenerator
from hnbench.generators.sana_sprint import SanaSprintGenerator
from hnbench.generators.stable_diffusion import StableDiffusionGenerator
from hnbench.generators.stable_diffusion_xl import StableDiffusionXLGenerator
from hnbench.quiet import quiet_loading
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES: dict[str, type[PipelineGenerator]] = {
    family.pipeline_class: family
    for family in (StableDiffusionGenerator, StableDiffusionXLGenerator, SanaSprintGenerator, PixArtGenerator, FluxGenerator)
}
WEIGHTS = ("diffusion_pytorch_model", "model")
"""What diffusers and transformers call a part's weights."""


@dataclass(frozen=True)
class Published:
    """A generator on the Hub; call it to load it."""

    name: str
    pipeline: str
    """`owner/name` or `owner/name@revision`."""
    half_variant: str | None = None
    """The variant of the files to take where the model computes in 16 bits."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """Part of the pipeline -> the repository whose part of that name takes its place."""

    def __call__(self, *, device: str, dtype: str, **options: Any) -> PipelineGenerator:
        """Fetch what is not cached yet, and load. What cannot be had is a `UsageError` (see `hnbench.hub`)."""
        variant = self._variant(dtype)
        pipeline, *replacing = self.sources(dtype)
        folder = hub.download(pipeline)
        family = family_of(folder, self.pipeline)
        others = {part: hub.download(source) for part, source in zip(self.replaced, replacing, strict=True)}
        commits = {"pipeline": _known_by(hub.Source.parse(self.pipeline), folder)}
        commits |= {part: _known_by(hub.Source.parse(self.replaced[part]), path) for part, path in others.items()}
        return family.from_folder(
            folder,
            name=self.name,
            device=device,
            dtype=getattr(torch, dtype),
            fingerprint=digest(commits),
            variant=variant,
            parts={part: _load_part(path, part, getattr(torch, dtype)) for part, path in others.items()},
            source=commits,
            **options,
        )

    def _variant(self, dtype: str) -> str | None:
        return None if dtype == "float32" else self.half_variant

    def sources(self, dtype: str) -> tuple[hub.Source, ...]:
        """The files that it is loaded from: of the pipeline, then of each part that is replaced. Downloads the pipeline's index."""
        source = hub.Source.parse(self.pipeline)
        index = hub.download(replace(source, patterns=(INDEX,)))
        family_of(index, self.pipeline)
        listed = sorted(part for part, value in _read(index / INDEX).items() if isinstance(value, list) and value[0])
        wanted = [part for part in listed if part not in (*UNUSED, *self.replaced)]
        pinned = replace(source, revision=hub.commit_of(index) or source.revision)
        replacing = [_files(hub.Source.parse(repository), [part]) for part, repository in self.replaced.items()]
        return (_files(pinned, wanted, self._variant(dtype)), *replacing)


def load_folder(folder: Path, *, name: str, device: str, dtype: str, **options: Any) -> PipelineGenerator:
    """A generator from a local folder in diffusers' layout. Another family's, or no pipeline's, is a `UsageError`."""
    return family_of(folder, str(folder)).from_folder(
        folder, name=name, device=device, dtype=getattr(torch, dtype), source={"folder": str(folder)}, **options
    )


def load_by_place(place: str, *, device: str, dtype: str, **options: Any) -> PipelineGenerator:
    """A generator by where it is: a local folder where there is one of that name, else a repository on the Hub."""
    folder = Path(place).expanduser()
    if folder.is_dir():
        return load_folder(folder, name=place, device=device, dtype=dtype, **options)
    return Published(place, place)(device=device, dtype=dtype, **options)


def family_of(folder: Path, shown: str) -> type[PipelineGenerator]:
    """The generator class for a pipeline's folder, which messages call `shown`."""
    if not (folder / INDEX).is_file():
        raise UsageError(f"{shown} holds no diffusers pipeline (there is no {INDEX} in it); give a pipeline's own folder or repository")
    found = _read(folder / INDEX).get("_class_name")
    if found not in FAMILIES:
        raise UsageError(f"{shown} is a {found}, which is not supported; these are: {', '.join(sorted(FAMILIES))}")
    return FAMILIES[found]


def _files(source: hub.Source, parts: list[str], variant: str | None = None) -> hub.Source:
    """The index and these parts of a repository."""
    return replace(source, patterns=(INDEX, *(pattern for part in parts for pattern in _files_of(part, variant))))


def _files_of(part: str, variant: str | None) -> list[str]:
    """Patterns for a part's configuration, vocabulary and weights (whole or in shards), and for no other variant of the weights."""
    ending = f".{variant}" if variant else ""
    weights = [f"{part}/{name}{ending}{shard}.safetensors" for name in WEIGHTS for shard in ("", "-?????-of-?????")]
    return [f"{part}/*.json", f"{part}/*.txt", f"{part}/*.model", *weights]


def _known_by(source: hub.Source, folder: Path) -> str:
    return f"{source.repo}@{hub.commit_of(folder) or source.revision}"


def _load_part(folder: Path, part: str, dtype: torch.dtype) -> Any:
    """One part of a pipeline by itself: a model or a scheduler."""
    if part == "scheduler":
        name = _read(folder / part / "scheduler_config.json").get("_class_name")
        return getattr(diffusers, str(name)).from_pretrained(folder, subfolder=part, local_files_only=True)
    name = _read(folder / part / "config.json").get("_class_name")
    with quiet_loading():
        return getattr(diffusers, str(name)).from_pretrained(
            folder, subfolder=part, torch_dtype=dtype, use_safetensors=True, local_files_only=True
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); fetch or save the pipeline again") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds no JSON object; fetch or save the pipeline again")
    return value


SD_TURBO = Published("sd-turbo", "stabilityai/sd-turbo", half_variant="fp16")
SDXL_TURBO = Published("sdxl-turbo", "stabilityai/sdxl-turbo", half_variant="fp16")
SANA_SPRINT_SMALL = Published("sana-sprint-0.6b", "Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers")
SANA_SPRINT_LARGE = Published("sana-sprint-1.6b", "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers")
FLUX_SCHNELL = Published("flux-schnell", "black-forest-labs/FLUX.1-schnell")
# Text encoder and decoder from the repository that ReNO takes them from; transformer and scheduler are PixArt-DMD's own.
PIXART_DMD = Published(
    "pixart-dmd",
    "PixArt-alpha/PixArt-XL-2-1024-MS",
    replaced=dict.fromkeys(("transformer", "scheduler"), "PixArt-alpha/PixArt-Alpha-DMD-XL-2-512x512"),
)
