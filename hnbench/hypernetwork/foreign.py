"""Fine-tuned checkpoints of other programs: what a folder or file holds, recognised by its content.

    peft LoRA        adapter_config.json and adapter_model.safetensors, as peft saves them
    diffusers LoRA   one .safetensors file, as diffusers' save_lora_weights writes it
    network          a backbone alone: config.json and diffusion_pytorch_model.safetensors
    pipeline         a whole pipeline: model_index.json and the folders of its parts

A folder with hnbench.json is hnbench's own adapter. Needs no torch, and nothing is unpickled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError, decode
from hnbench.files.escaping import printable
from hnbench.files.hashing import sha256_of_file
from hnbench.hypernetwork.checkpoint import (
    CONFIG,
    DESCRIPTION,
    FILES,
    WEIGHTS,
    adapter_sha256,
    is_described,
)
from hnbench.seeds import digest
from hnbench.weights import hub
from hnbench.weights.fingerprint import FileVersion, fingerprint_of, versions_in

if TYPE_CHECKING:
    from pathlib import Path

Form = Literal["own", "peft LoRA", "diffusers LoRA", "network", "pipeline"]
"""The kind of a checkpoint; `"own"` is an adapter that hnbench trained."""
INDEX, NETWORK_CONFIG = "model_index.json", "config.json"
PARTS = ("unet", "transformer")
"""The folders in which a repository may have a backbone alone."""
_NETWORK = "diffusion_pytorch_model*.safetensors"
HUB_FILES = (*FILES, CONFIG, NETWORK_CONFIG, *(f"{part}/{NETWORK_CONFIG}" for part in PARTS))
"""Files that a checkpoint on the Hub may have in addition to `HUB_NEEDS`."""
HUB_NEEDS = (
    (
        (WEIGHTS,),
        ("pytorch_lora_weights.safetensors",),
        (INDEX,),
        ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model-*.safetensors"),
        (_NETWORK,),
        *((f"{part}/{_NETWORK}",) for part in PARTS),
    ),
)
"""One of these is what a checkpoint on the Hub must have (`hnbench.weights.hub.Source.needs`). Of a
pipeline, this is only the index, which names the other files.
"""
LONGEST_HEADER = 100_000_000
"""The most bytes of the header of a safetensors file, as the format has it."""
_LORA = re.compile(r"lora_(A|B|down|up|unet|te)|[._]lora[._]")
WANTED = (
    "give the folder of a peft LoRA, the folder or file of a diffusers LoRA, a diffusers pipeline,"
    " a network's folder, or an adapter of `hnbench train`"
)


@dataclass(frozen=True)
class Checkpoint:
    """A fine-tuned checkpoint, and where its files are."""

    form: Form
    place: Path
    """The file of a diffusers LoRA; for any other form a folder."""

    @property
    def is_own(self) -> bool:
        """Whether hnbench trained it, so that its training is known."""
        return self.form == "own"

    @property
    def is_lora(self) -> bool:
        """Whether it changes a backbone instead of replacing it."""
        return self.form not in ("network", "pipeline")

    @property
    def fingerprint(self) -> str:
        """A SHA-256 that decides the images: of the file of weights, or over those of all files of
        weights and configuration. A pipeline from the Hub is identified by its repository and
        commit. Hashed once per version of the files.
        """
        if self.is_own:
            return adapter_sha256(self.place)
        return _fingerprint(self, self.version)

    @property
    def version(self) -> tuple[FileVersion, ...]:
        """The present versions of its files, which show a change without reading them."""
        return versions_in(self.place)


def recognise(path: Path) -> Checkpoint:
    """The checkpoint at a path. One that is not known, or that could be several, is a
    `UsageError`.
    """
    if path.is_file():
        return _in_file(path)
    if not path.is_dir():
        raise UsageError(f"there is no folder or file {path}; {WANTED}")
    if is_described(path):
        return Checkpoint("own", path)
    found = [*_whole(path), *_loras(path)]
    if len(found) > 1:
        several = " and ".join(f"a {one.form} ({one.place.name})" for one in found)
        raise UsageError(
            f"{path} holds {printable(several)}; give the one that you mean in a folder of its own,"
            " or the file of a LoRA"
        )
    if not found:
        raise UsageError(
            f"{path} holds no fine-tuned checkpoint that is known here (there is"
            f" {_listed(path)}); {WANTED}"
        )
    return found[0]


def _whole(folder: Path) -> list[Checkpoint]:
    """The pipeline or the networks in a folder."""
    if (folder / INDEX).is_file():
        return [Checkpoint("pipeline", folder)]
    places = (folder, *(folder / part for part in PARTS))
    return [
        Checkpoint("network", place)
        for place in places
        if (place / NETWORK_CONFIG).is_file() and any(place.glob(_NETWORK))
    ]


def _loras(folder: Path) -> list[Checkpoint]:
    """The LoRAs in a folder."""
    if (folder / CONFIG).is_file():
        if not (folder / WEIGHTS).is_file():
            raise UsageError(
                f"{folder} has {CONFIG} and no {WEIGHTS} (there is {_listed(folder)}); save the"
                " adapter as safetensors, with peft's save_pretrained"
            )
        _require_lora(folder / WEIGHTS)
        return [Checkpoint("peft LoRA", folder)]
    files = sorted(folder.glob("*.safetensors"))
    return [Checkpoint("diffusers LoRA", file) for file in files if _is_lora(tensor_names(file))]


def _in_file(path: Path) -> Checkpoint:
    if path.suffix != ".safetensors":
        raise UsageError(
            f"{path} is no .safetensors file; other files can hold programs and are not read. Save"
            " the weights as safetensors"
        )
    _require_lora(path)
    if path.name == WEIGHTS and (path.parent / DESCRIPTION).exists():
        return Checkpoint("own", path.parent)
    if path.name == WEIGHTS and (path.parent / CONFIG).is_file():
        return Checkpoint("peft LoRA", path.parent)
    return Checkpoint("diffusers LoRA", path)


def _require_lora(path: Path) -> None:
    names = tensor_names(path)
    if not _is_lora(names):
        first = printable(next(iter(names), "nothing"))[:100]
        raise UsageError(
            f"{path} holds no LoRA (its first tensor is {first}); for a whole network, give its"
            f" folder with {NETWORK_CONFIG}, or that of its pipeline"
        )


def _is_lora(names: tuple[str, ...]) -> bool:
    return any(_LORA.search(name) for name in names)


def tensor_names(path: Path) -> tuple[str, ...]:
    """The names of the tensors in a safetensors file, from its header alone. A file that is
    damaged, or another kind of file, is a `UsageError`.
    """
    return _names_in(path, versions_in(path))


@lru_cache
def _names_in(path: Path, _version: tuple[FileVersion, ...]) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            # Decoding refuses what a header of an impossible length is cut to.
            header = decode(file.read(min(length, LONGEST_HEADER)), dict[str, Any])
    except (OSError, MalformedError) as error:
        raise UsageError(
            f"{path} cannot be read as safetensors ({printable(str(error))[:200]}); get it again"
        ) from error
    return tuple(sorted(header.keys() - {"__metadata__"}))


def _listed(folder: Path) -> str:
    names = sorted(item.name for item in folder.iterdir())
    shown = ", ".join(printable(name)[:60] for name in names[:5])
    return (f"{shown}, ..." if len(names) > 5 else shown) or "nothing"


@lru_cache
def _fingerprint(checkpoint: Checkpoint, _version: tuple[FileVersion, ...]) -> str:
    place = checkpoint.place
    try:
        if checkpoint.form == "diffusers LoRA":
            return sha256_of_file(place)
        if checkpoint.form == "peft LoRA":
            return fingerprint_of(place, (WEIGHTS, CONFIG))
        if checkpoint.form == "network":
            return fingerprint_of(place, (NETWORK_CONFIG, "diffusion_pytorch_model*"))
        # As of generators: files of other types may join those of a snapshot later.
        if repo := hub.repo_of(place):
            return digest({"pipeline": f"{repo}@{hub.commit_of(place)}"})
        return fingerprint_of(place)
    except OSError as error:
        raise UsageError(
            f"{place} cannot be read ({error.strerror}); make it readable, or get it again"
        ) from error
