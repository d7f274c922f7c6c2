"""Checkpoints of rewards: read without unpickling, and put into a model only if every key has its place."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch

from hnbench.errors import UsageError
from hnbench.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor, nn
    from transformers import CLIPModel


def existing(folder: Path, *names: str) -> Path:
    """The first of the files that the folder has. None at all is a `UsageError`."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(
        f"{folder} has no {' or '.join(names)}; connect and type `hnbench fetch` with the same options, or give a folder that has it"
    )


def read_weights(path: Path) -> Any:
    """What `torch.save` wrote to a file, as far as it is tensors and plain containers. Anything else is a `UsageError`."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0] or "it ends too early"
        raise UsageError(
            f"{path} cannot be read as a file of weights alone ({reason}); it is damaged or holds something else: download it again"
        ) from error


def fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Make `weights` (read from `path`) the module's own. A key that is missing, left over or of another shape is a `UsageError`."""
    own = module.state_dict()
    refuse_differences(
        path,
        missing=own.keys() - weights.keys(),
        unexpected=weights.keys() - own.keys(),
        reshaped=[name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape],
    )
    module.load_state_dict(weights, assign=True)


def refuse_differences(path: Path, *, missing: Iterable[str], unexpected: Iterable[str], reshaped: Iterable[str]) -> None:
    """A `UsageError` that counts and names the differing keys, where there are any."""
    groups = {"missing": sorted(missing), "unexpected": sorted(unexpected), "of another shape": sorted(reshaped)}
    found = [f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" for what, names in groups.items() if names]
    if found:
        raise UsageError(f"{path} is a checkpoint of another architecture; keys: {'; '.join(found)}. Give one of the right architecture")


def load_clip(folder: Path, dtype: torch.dtype) -> CLIPModel:
    """A folder with `config.json` and `model.safetensors` of transformers' CLIPModel, every key in its place."""
    from transformers import CLIPModel

    existing(folder, "config.json")
    path = existing(folder, "model.safetensors")
    with quiet_loading():
        model, found = CLIPModel.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    # what transformers before 4.31 saved beside the weights: a range of whole numbers
    unexpected = [name for name in found["unexpected_keys"] if not name.endswith("embeddings.position_ids")]
    reshaped = [name for name, *_ in found["mismatched_keys"]]
    refuse_differences(path, missing=set(found["missing_keys"]) - set(reshaped), unexpected=unexpected, reshaped=reshaped)
    return model
