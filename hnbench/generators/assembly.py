"""Assembles a diffusers pipeline from the parts in a folder. Parts may come from other folders."""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import diffusers

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.generators.parts import (
    INDEX,
    UNUSED,
    kind_of_part,
    load_part,
    load_part_file,
    load_parts,
    load_scheduler,
    pipeline_parts,
    read_json,
)
from hnbench.weights.checkpoint import UNREADABLE
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

_TOKENIZER_NEEDS = ("tiktoken", "sentencepiece", "protobuf")
"""Words in the error of a tokenizer whose packages are missing."""


def load_all(
    folder: Path,
    replaced: Mapping[str, Path],
    dtype: torch.dtype,
    others: Mapping[str, torch.dtype],
) -> tuple[dict[str, Any], dict[str, str]]:
    """The models of a pipeline's folder by part, and the variants of their files by part, for the
    parts that have one.

    `replaced` maps a part (or the scheduler) to the folder that it is taken from instead, or a part
    to the file of its weights, with the configuration of the pipeline's own. `others` maps a part
    to its type, if that is not `dtype`.
    """
    index = pipeline_parts(read_json(folder / INDEX))
    models: dict[str, Any] = {}
    loaded = dict(load_parts(folder, dtype, others, leave=tuple(replaced)))
    for part, place in replaced.items():
        library, class_name = index[part]
        if kind_of_part(part, class_name) == "scheduler":
            models[part] = load_scheduler(place, part)
        elif place.is_file():
            loaded[part] = load_part_file(
                place, folder / part, library, class_name, others.get(part, dtype)
            )
        else:
            loaded[part] = load_part(place, part, library, class_name, others.get(part, dtype))
    models |= {part: one.model for part, one in loaded.items()}
    return models, {part: one.variant for part, one in loaded.items() if one.variant}


def assemble(
    folder: Path, pipeline_class: str, parts: Mapping[str, Any], loading: Mapping[str, Any]
) -> Any:
    """The pipeline of these parts, with tokenizers and scheduler from the folder.

    `loading` are arguments of the class's own `from_pretrained`. A folder that cannot be loaded is
    a `UsageError`.
    """
    stock = getattr(diffusers, pipeline_class)
    taken = inspect.signature(stock.__init__).parameters
    # A part that is None is not loaded.
    arguments = {**dict.fromkeys(part for part in UNUSED if part in taken), **loading, **parts}
    try:
        with quiet_loading():
            return stock.from_pretrained(folder, local_files_only=True, **arguments)
    except (*UNREADABLE, AttributeError) as error:
        raise UsageError(
            f"{folder} cannot be loaded as a {pipeline_class}: {_why(error)}"
        ) from error


def _why(error: BaseException) -> str:
    """The reason in an error of loading. If packages for the tokenizer are missing, their names.

    Without them, transformers falls back to another kind of file, and its error names that file.
    """
    lines = str(error).lower()
    missing = [
        name
        for name, module in (("sentencepiece", "sentencepiece"), ("protobuf", "google.protobuf"))
        if not _importable(module)
    ]
    if missing and any(name in lines for name in _TOKENIZER_NEEDS):
        return (
            f"its tokenizer needs the packages {' and '.join(missing)}; type pip install"
            f" {' '.join(missing)}"
        )
    return first_line(error)


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
