"""Checkpoints: read without unpickling, and loaded into a model only if every key has its place."""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.weights.files import WEIGHTS
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

_COUNTERS = re.compile(r"(.*\.)?(position_ids|num_batches_tracked)")
"""Integers that older versions of transformers saved with the weights. The model makes them itself,
or does not use them.
"""
UNREADABLE = (
    OSError,
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    ImportError,
    EOFError,
    SafetensorError,
    StrictDataclassError,
)
"""The errors that diffusers and transformers raise for a folder that they cannot load."""


def existing(folder: Path, *names: str) -> Path:
    """The first of these files that the folder has. A folder with none of them is a
    `UsageError`.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(
        f"{folder} has no {' or '.join(names)}; connect and type `hnbench fetch` with the same"
        " options, or give a folder that has it"
    )


def read_weights(path: Path) -> Any:
    """The content of a `torch.save` file of tensors and plain containers. Anything else is a
    `UsageError`.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0] or "it ends too early"
        raise UsageError(
            f"{path} cannot be read as a file of weights alone ({reason}); it is damaged or holds"
            " something else: download it again"
        ) from error


def fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Make `weights` (read from `path`) the module's own. A key that is missing, left over or of
    another shape is a `UsageError`.

    The module takes the tensors themselves, not copies, so it may have been made without memory for
    weights (accelerate's `init_empty_weights`).
    """
    own = module.state_dict()
    refuse_differences(
        path,
        missing=own.keys() - weights.keys(),
        unexpected=weights.keys() - own.keys(),
        reshaped=[
            name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape
        ],
    )
    module.load_state_dict(weights, assign=True)


def refuse_differences(
    path: Path | str, *, missing: Iterable[str], unexpected: Iterable[str], reshaped: Iterable[str]
) -> None:
    """Raise a `UsageError` that counts and names the differing keys, if there are any."""
    groups = {
        "missing": sorted(missing),
        "unexpected": sorted(unexpected),
        "of another shape": sorted(reshaped),
    }
    found = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in groups.items()
        if names
    ]
    if found:
        raise UsageError(
            f"{path} is a checkpoint of another architecture; keys: {'; '.join(found)}. Give one of"
            " the right architecture"
        )


def load_pretrained(
    kind: Any,
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
    unneeded: str = "",
    left_over: str = "",
    name: str = "",
    variant: str | None = None,
) -> Any:
    """A model of transformers from a folder, ready for inference, with every key in its place;
    anything else is a `UsageError`.

    `kind` is its class, or one of the `AutoModel...` classes. Nothing is unpickled, and no code
    from the folder is run. Two regular expressions match whole names of keys: `unneeded` matches
    keys of the class that inference does not use, so that the checkpoint may lack them; `left_over`
    matches keys that the checkpoint may have in addition. `name` is the checkpoint's name in
    errors, by default its path. `variant` is that of its files, such as `fp16` for
    `model.fp16.safetensors`.
    """
    existing(folder, "config.json")
    path = folder if variant else _weights(folder)
    safe = any(folder.glob("*.safetensors")) if variant else ".safetensors" in path.name
    options = {
        "local_files_only": True,
        "trust_remote_code": False,
        "weights_only": True,
        "use_safetensors": safe,
        "variant": variant,
    }
    try:
        with quiet_loading():
            model, found = kind.from_pretrained(
                folder,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, together with all other differences
                **options,
            )
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{name or path} cannot be read as weights alone; it is damaged or holds something"
            " else: download it again"
        ) from error
    except UNREADABLE as error:
        raise UsageError(
            f"{name or path} cannot be loaded as {kind.__name__}: {first_line(error)}"
        ) from error
    reshaped = {key for key, *_ in found["mismatched_keys"]}
    refuse_differences(
        name or path,
        missing=[
            key for key in set(found["missing_keys"]) - reshaped if not re.fullmatch(unneeded, key)
        ],
        unexpected=[
            key
            for key in found["unexpected_keys"]
            if not (re.fullmatch(left_over, key) or _COUNTERS.fullmatch(key))
        ],
        reshaped=reshaped,
    )
    return model.requires_grad_(False).eval()


def _weights(folder: Path) -> Path:
    """The first of `WEIGHTS` that the folder has, as one file or as the index of its shards."""
    for file in WEIGHTS:
        for path in (folder / file, folder / f"{file}.index.json"):
            if path.is_file():
                return path
    return existing(folder, *WEIGHTS)
