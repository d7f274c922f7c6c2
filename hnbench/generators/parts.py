"""The parts of a diffusers pipeline: the files that each needs, and loading it strictly.

If some weights of a part are missing, diffusers and transformers only warn, and the part runs with
random numbers in their place. So parts are loaded one by one here, and handed to the pipeline.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Literal

import diffusers
import torch
import transformers

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.generators.weight_files import load_network_file
from hnbench.weights.checkpoint import UNREADABLE, load_pretrained, refuse_differences
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from hnbench.weights.hub import Alternatives

INDEX = "model_index.json"
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")
"""Optional parts of pipelines that nothing here needs."""
_SAFE, _PICKLED = ("diffusion_pytorch_model", "model"), ("diffusion_pytorch_model", "pytorch_model")
"""Names of a part's weights in diffusers and transformers: as safetensors, and pickled. Of pickled
files only the tensors are read.
"""
_WORDS = tuple(
    ("tokenizer.json", second, "spiece.model", "tokenizer.model", "vocab.txt")
    for second in ("vocab.json", "merges.txt")
)
"""A tokenizer's vocabulary, in the order of preference. If it is in two files, both are needed."""
_BEYOND = r"(decoder|lm_head|vision_model|visual_projection|text_projection|logit_scale)(\..*)?"
"""Keys that a text encoder's checkpoint may have from the larger model that it was taken from."""

Kind = Literal["weights", "tokenizer", "scheduler"]


def pipeline_parts(index: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The parts of a pipeline's index that are used here: name -> library and class.

    An index also has entries that are not parts, and `[null, null]` for a part that is left out.
    """
    listed = {
        part: value
        for part, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[0]
    }
    return {
        part: (str(value[0]), str(value[1]))
        for part, value in sorted(listed.items())
        if part not in UNUSED
    }


def kind_of_part(part: str, class_name: str) -> Kind:
    """The kind of a part: everything except tokenizers and schedulers has weights."""
    if part.startswith("tokenizer"):
        return "tokenizer"
    return "scheduler" if part == "scheduler" or class_name.endswith("Scheduler") else "weights"


def needs_of(part: str, kind: Kind, dtype: str) -> tuple[Alternatives, ...]:
    """The files that a part cannot be loaded without (`hnbench.weights.hub.Source.needs`)."""
    if kind == "scheduler":
        return (((f"{part}/scheduler_config.json",),),)
    if kind == "tokenizer":
        return tuple(tuple((f"{part}/{name}",) for name in names) for names in _WORDS)
    return ((f"{part}/config.json",),), tuple(tuple(_patterns(part, way)) for way in _ways(dtype))


@dataclass(frozen=True)
class _Way:
    """One way in which weights are saved: the files' names, ending and variant, such as `fp16`."""

    names: tuple[str, ...]
    ending: str
    variant: str | None


def _ways(dtype: str) -> list[_Way]:
    """The ways in the order of preference: safetensors before pickled files, then the variant that
    was made for the type.
    """
    variants = {"float16": ("fp16", None, "bf16"), "bfloat16": ("bf16", "fp16", None)}.get(
        dtype, (None, "bf16", "fp16")
    )
    return [
        _Way(names, ending, one)
        for names, ending in ((_SAFE, "safetensors"), (_PICKLED, "bin"))
        for one in variants
    ]


def _patterns(part: str, way: _Way) -> list[str]:
    """Patterns of a file of weights and of its shards, numbered before or after the variant."""
    dotted = f".{way.variant}" if way.variant else ""
    middles = dict.fromkeys((dotted, f"{dotted}-?????-of-?????", f"-?????-of-?????{dotted}"))
    return [f"{part}/{name}{middle}.{way.ending}" for name in way.names for middle in middles]


def optional_files(part: str) -> tuple[str, ...]:
    """Patterns of a part's configuration, vocabulary and chat template."""
    return f"{part}/*.json", f"{part}/*.txt", f"{part}/*.model", f"{part}/*.jinja"


@dataclass(frozen=True)
class LoadedPart:
    """A model of a pipeline, and the variant of its files of weights (None if they have none)."""

    model: Any
    variant: str | None


def load_parts(
    folder: Path,
    dtype: torch.dtype,
    other_dtypes: Mapping[str, torch.dtype],
    leave: Collection[str] = (),
) -> dict[str, LoadedPart]:
    """The models of a pipeline's folder by part, except those in `leave`. `other_dtypes` maps a
    part to its type, if that is not `dtype`.
    """
    return {
        part: load_part(folder, part, library, class_name, other_dtypes.get(part, dtype))
        for part, (library, class_name) in pipeline_parts(read_json(folder / INDEX)).items()
        if part not in leave and kind_of_part(part, class_name) == "weights"
    }


def load_part(
    folder: Path, part: str, library: str, class_name: str, dtype: torch.dtype
) -> LoadedPart:
    """One model of a pipeline, with every tensor from the folder. Missing or unknown tensors, and
    an unknown class, are a `UsageError`.
    """
    way = _way_there(folder, part, str(dtype).removeprefix("torch."))
    kind = _class_of(folder / part, library, class_name)
    if library == "transformers":
        return LoadedPart(
            load_pretrained(
                kind, folder / part, dtype=dtype, left_over=_BEYOND, variant=way.variant
            ),
            way.variant,
        )
    return LoadedPart(_load_network(kind, folder, part, dtype, way), way.variant)


def load_part_file(
    path: Path, config: Path, library: str, class_name: str, dtype: torch.dtype
) -> LoadedPart:
    """One network of a pipeline from a file of its weights; `config` is the folder of its
    configuration. Raises `UsageError` as `load_part`, and for a part that is not of diffusers.
    """
    if library != "diffusers":
        raise UsageError(
            f"{path} cannot be taken for a {class_name}: only diffusers' networks can be loaded"
            " from one file; give a folder"
        )
    return LoadedPart(
        load_network_file(_class_of(config, library, class_name), config, path, dtype), None
    )


def _class_of(place: Path, library: str, class_name: str) -> Any:
    """The class of a part. One that is not known here is a `UsageError`."""
    kind = getattr(transformers if library == "transformers" else diffusers, class_name, None)
    if kind is None:
        raise UsageError(
            f"{place} is a {class_name} of {library}, which is not known here; update {library}"
        )
    return kind


def _load_network(kind: Any, folder: Path, part: str, dtype: torch.dtype, way: _Way) -> Any:
    """A network of diffusers, which reads pickled files as tensors only (`weights_only`)."""
    options = {
        "local_files_only": True,
        "use_safetensors": way.ending == "safetensors",
        "variant": way.variant,
    }
    try:
        with quiet_loading():
            model, found = kind.from_pretrained(
                folder, subfolder=part, dtype=dtype, output_loading_info=True, **options
            )
    except (*UNREADABLE, pickle.UnpicklingError) as error:
        raise UsageError(
            f"{folder / part} cannot be loaded as a {kind.__name__}: {first_line(error)}"
        ) from error
    # An entry is a key, or a tuple of a key and its two shapes.
    reshaped = {
        str(key[0] if isinstance(key, (tuple, list)) else key) for key in found["mismatched_keys"]
    }
    refuse_differences(
        folder / part,
        missing=set(found["missing_keys"]) - reshaped,
        unexpected=found["unexpected_keys"],
        reshaped=reshaped,
    )
    return model


def _way_there(folder: Path, part: str, dtype: str) -> _Way:
    """The preferred one of the ways in which the folder has a part's weights."""
    names = [path.relative_to(folder).as_posix() for path in (folder / part).glob("*")]
    for way in _ways(dtype):
        if any(fnmatch(name, pattern) for name in names for pattern in _patterns(part, way)):
            return way
    there = ", ".join(name.removeprefix(f"{part}/") for name in sorted(names)) or "nothing"
    raise UsageError(
        f"{folder / part} has no weights (there is {there}); save or fetch the pipeline again"
    )


def load_scheduler(folder: Path, part: str = "scheduler") -> Any:
    """The scheduler of a pipeline's folder. An unknown class is a `UsageError`."""
    name = str(read_json(folder / part / "scheduler_config.json").get("_class_name"))
    if not hasattr(diffusers, name):
        raise UsageError(
            f"{folder / part} is a {name}, which diffusers does not have; update diffusers"
        )
    return getattr(diffusers, name).from_pretrained(folder, subfolder=part, local_files_only=True)


def read_json(path: Path) -> dict[str, Any]:
    """The object of a JSON file; anything else is a `UsageError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}); fetch or save the pipeline again"
        ) from error
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds no JSON object; fetch or save the pipeline again")
    return value
