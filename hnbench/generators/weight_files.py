"""Weights in one file, as the repositories of distilled models have them: a network's, for which
another folder has the configuration, and a LoRA's.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from accelerate import init_empty_weights
from safetensors.torch import load_file

from hnbench.errors import UsageError
from hnbench.files.escaping import first_line
from hnbench.weights.checkpoint import UNREADABLE, fill, read_weights
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor

SAFE = ".safetensors"


def load_network_file(kind: Any, config: Path, path: Path, dtype: torch.dtype) -> Any:
    """A network of diffusers with the weights of a file: safetensors, or `torch.save`'s, of which
    only tensors are read. `config` is the folder of its configuration.

    A file that cannot be read, or has other tensors than the network, is a `UsageError`.
    """
    weights = _weights_of(path)
    try:
        with quiet_loading(), init_empty_weights():
            network = kind.from_config(kind.load_config(config, local_files_only=True))
    except UNREADABLE as error:
        raise UsageError(
            f"{config} cannot be loaded as a {kind.__name__}: {first_line(error)}"
        ) from error
    fill(network, weights, path)
    return network.to(dtype)


def _weights_of(path: Path) -> Mapping[str, Tensor]:
    if path.suffix != SAFE:
        found = read_weights(path)
        if not isinstance(found, dict):
            raise UsageError(f"{path} holds no tensors by name; give a network's file of weights")
        return found
    try:
        return load_file(path)
    except UNREADABLE as error:
        raise UsageError(f"{path} cannot be read: {first_line(error)}") from error


def fuse_lora(pipeline: Any, path: Path) -> None:
    """Add a LoRA's weights to those of a pipeline's networks, in their own type. diffusers' loader
    reads the file: its own format, peft's or kohya's.

    A file that cannot be read, or of which a tensor has no place in the networks, is a
    `UsageError`.
    """
    if not hasattr(pipeline, "load_lora_weights"):
        raise UsageError(f"a {type(pipeline).__name__} takes no LoRA; leave out `lora`")
    place = {"weight_name": path.name, "local_files_only": True}
    try:
        with quiet_loading():
            read, _ = pipeline.lora_state_dict(
                path.parent, unet_config=pipeline.unet.config, **place
            )
            pipeline.load_lora_weights(path.parent, **place)
    except (*UNREADABLE, pickle.UnpicklingError) as error:
        raise UsageError(f"{path} cannot be loaded as a LoRA: {first_line(error)}") from error
    given, taken = sum("alpha" not in name for name in read), _lora_tensors(pipeline)
    if given != taken:
        raise UsageError(
            f"{path} is a LoRA of another architecture: {given} tensors are in it, and {taken} of"
            " them belong to the pipeline's networks. Give one of the right architecture"
        )
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()


def _lora_tensors(pipeline: Any) -> int:
    """The number of tensors in the LoRA layers of all networks."""
    networks = [getattr(pipeline, part, None) for part in pipeline._lora_loadable_modules]  # noqa: SLF001
    return sum(
        ".lora_A." in name or ".lora_B." in name
        for network in networks
        if network is not None
        for name in network.state_dict()
    )
