"""Adapters on disk: a folder that peft and diffusers can load, with a description for hnbench.
`hnbench.hypernetwork.loading` loads one onto a backbone.

    adapter_model.safetensors   the LoRA weights, named as peft names them:
                                base_model.model.<layer>.lora_A.weight;
                                its header has rank, alpha and layers, where diffusers looks for
                                them
    adapter_config.json         peft's LoraConfig
    hnbench.json                kind, generator, training configuration and cost, last evaluation
    README.md                   the model card: the same for people
    prompts.sha256              hashes of the prompts that the training saw

Reading the description and the weights' hash needs no torch. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from hnbench.errors import StoreError, UsageError
from hnbench.files.decoding import MalformedError, as_kind, check_schema
from hnbench.files.escaping import printable
from hnbench.files.hashing import sha256_of_file
from hnbench.files.reading import json_of
from hnbench.files.writing import replace_folder
from hnbench.generators.samplers import Sampler
from hnbench.hypernetwork.card import CARD, model_card
from hnbench.hypernetwork.config import Count
from hnbench.hypernetwork.seen import write_hashes
from hnbench.weights.fingerprint import FileVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import nn

    from hnbench.hypernetwork.adapter import LoraAdapter

T = TypeVar("T")
SCHEMA = 3
"""The version of hnbench.json. Since version 2, a training can have floating-point operations;
since version 3, a generator has its base, its pipeline and, if it is not the pipeline's, its
sampler.
"""
WEIGHTS, CONFIG, DESCRIPTION = "adapter_model.safetensors", "adapter_config.json", "hnbench.json"
OFFICIAL_WEIGHTS = "adapter_model.bin"
"""The file that the official training code writes instead of safetensors. Its layer names lack
peft's prefix.
"""
FILES = (DESCRIPTION, CARD, "prompts.sha256")
"""Files that an adapter on the Hub may have in addition to `NEEDS`."""
NEEDS = ((CONFIG,),), ((WEIGHTS,), (OFFICIAL_WEIGHTS,))
"""Files that an adapter on the Hub must have (`hnbench.weights.hub.Source.needs`)."""
PREFIX = "base_model.model."
"""peft's prefix of all layer names in a file of weights."""
PLACES = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")
"""The fields of a `LoraConfig` that decide which layers are adapted."""
ALLOWED: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        (
            "r",
            "lora_alpha",
            *PLACES,
            "peft_version",
            "base_model_name_or_path",
            "revision",
            "auto_mapping",
        ),
        lambda _: True,
    ),
    "task_type": lambda value: value is None or isinstance(value, str),
    "peft_type": lambda value: value == "LORA",
    "inference_mode": lambda value: isinstance(value, bool),
    "lora_dropout": lambda value: isinstance(value, (int, float)),  # only acts in training
    # Only initialisations that leave the base weights as they are. PiSSA, OLoRA, LoftQ, CorDA and
    # others subtract something from the base, and their adapter is right only on that changed base.
    "init_lora_weights": lambda value: (
        isinstance(value, bool) or value in (None, "gaussian", "orthogonal", "mica")
    ),
    "bias": lambda value: value == "none",
    "megatron_core": lambda value: isinstance(value, str),  # of no effect without megatron_config
    "qalora_group_size": lambda value: isinstance(value, int),  # of no effect without use_qalora
}
"""Fields that a `LoraConfig` may set, with a check of the value: they are read here, or change
nothing that a trained LoRA computes. Anything else that is switched on (DoRA, other scalings,
biases, ranks per layer, future options) would be computed wrongly, and is refused.
"""


AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Layers = str | list[str]
"""A regular expression, or full names or ends of names."""


class LoraOptions(msgspec.Struct):
    """The fields of peft's configuration that are read here; it has others."""

    r: AtLeastOne
    lora_alpha: float
    target_modules: (
        Annotated[str, msgspec.Meta(min_length=1)]
        | Annotated[list[str], msgspec.Meta(min_length=1)]
    )
    exclude_modules: Layers | None = None
    layers_to_transform: int | list[int] | None = None
    layers_pattern: Layers | None = None
    peft_type: str | None = "LORA"


class _Generator(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    fingerprint: str
    noise_shape: list[AtLeastOne]
    dtype: str = ""
    last_layer: str = ""
    backbone: str = ""
    base: str = ""
    """The repository `owner/name@commit` of the backbone's weights; empty if not on the Hub."""
    pipeline: str = ""
    """The class of the diffusers pipeline; empty for any other generator."""
    changed: bool = False
    """Whether the pipeline was put together from several places."""
    sampler: Sampler | None = None
    """The way it is sampled, if its scheduler is not the pipeline's own."""


class TrainingCost(msgspec.Struct):
    """The cost of a training, evaluations included; passes are counted in images."""

    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Summed over the processes: two devices for an hour are two hours."""
    steps: Count = 0
    skipped_steps: Count = 0
    """Steps whose gradient was not finite."""
    images: Count = 0
    """Images trained on."""
    generator_forward: Count = 0
    generator_backward: Count = 0
    reward_forward: Count = 0
    reward_backward: Count = 0
    flops: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Floating-point operations (`hnbench.flops`); None if they were not counted, as before hnbench
    counted them.
    """


class _Training(TrainingCost, forbid_unknown_fields=True):
    device: str = ""


class Evaluation(msgspec.Struct, forbid_unknown_fields=True):
    """An evaluation in a training. None stands for a number that was not finite, or does not exist
    (a standard error of one value, a change of the noise in a fine-tuning).
    """

    gain: float | None
    step: Count = 0
    prompts: Count = 0
    samples: Count = 0
    reward: float | None = None
    base_reward: float | None = None
    gain_standard_error: float | None = None
    half_squared_norm: float | None = None
    relative_change: float | None = None


class _Description(msgspec.Struct, forbid_unknown_fields=True):
    """The content of hnbench.json."""

    kind: str
    generator: _Generator
    schema: int = 0
    config: dict[str, Any] = {}
    temperature: float | None = None
    parameters: Count = 0
    training: _Training = msgspec.field(default_factory=_Training)
    evaluation: Evaluation | None = None
    prompts: str = ""


def save_adapter(
    folder: Path,
    adapter: LoraAdapter,
    backbone: nn.Module,
    description: Mapping[str, Any],
    prompts: Sequence[str] = (),
) -> None:
    """Write an adapter's folder, whole or not at all; an existing one is replaced. `prompts` are
    all that the training saw.
    """
    from safetensors.torch import save_file

    from hnbench.hypernetwork.adapter import lora_config

    working = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    config = lora_config(backbone, adapter.settings, adapter.targets)
    # One entry only: safetensors writes several entries in a random order, and the file's hash
    # would change with it.
    header = {"lora_adapter_metadata": _for_diffusers(config)}
    save_file(
        {PREFIX + name: tensor for name, tensor in adapter.state_dict().items()},
        working / WEIGHTS,
        metadata=header,
    )
    config.base_model_name_or_path = description.get("generator", {}).get("name")
    config.save_pretrained(str(working))
    written = {"schema": SCHEMA, **description}
    (working / DESCRIPTION).write_text(
        json.dumps(written, indent=2, sort_keys=True, allow_nan=False) + "\n",
        encoding="utf-8",
        newline="\n",
    )
    dense = adapter.settings.dense and bool(grouped_convolutions(backbone, adapter.targets))
    call = {"prefix": PREFIX.rstrip("."), "weight_name": WEIGHTS}
    (working / CARD).write_text(
        model_card(
            written,
            dense=dense,
            by_diffusers=call if hasattr(backbone, "load_lora_adapter") else None,
        ),
        encoding="utf-8",
        newline="\n",
    )
    if prompts:
        write_hashes(working, prompts)
    replace_folder(working, folder)


def _for_diffusers(config: Any) -> str:
    """The JSON that diffusers makes its `LoraConfig` from. Without it, diffusers would take alpha
    to be equal to the rank.
    """
    values = {
        "r": config.r,
        "lora_alpha": float(config.lora_alpha),
        "target_modules": sorted(config.target_modules),
        "exclude_modules": config.exclude_modules,
    }
    return json.dumps({PREFIX + name: value for name, value in values.items()}, sort_keys=True)


def describe_adapter(folder: Path) -> dict[str, Any]:
    """The contents of hnbench.json. A missing or damaged one is a `UsageError`, a newer one a
    `StoreError`.
    """
    path = folder / DESCRIPTION
    if not is_described(folder):
        raise UsageError(
            f"{folder} is not a trained adapter: it has no {DESCRIPTION}; give the folder 'adapter'"
            " of a training"
        )
    description = _read_json(path)
    try:
        check_schema(description, SCHEMA)
    except MalformedError as error:
        raise StoreError(f"{path} cannot be used: {error}") from error
    _as_kind(path, description, _Description)
    return description


def is_described(folder: Path) -> bool:
    """Whether a folder has a hnbench.json, readable or not. A folder without one was written by
    another program.
    """
    return os.path.lexists(folder / DESCRIPTION)


def training_cost(folder: Path) -> dict[str, Any]:
    """The training's cost: seconds, steps, images, floating-point operations, passes of generator
    and reward, device. Empty for an adapter of another program.
    """
    cost: dict[str, Any] = (
        describe_adapter(folder).get("training", {}) if is_described(folder) else {}
    )
    return cost


def check_whole(folder: Path) -> None:
    """Raise a `UsageError` unless the folder is a complete adapter trained with hnbench."""
    describe_adapter(folder)
    lora_options(folder)
    for name in (WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder} is not whole: it has no {name}; give the folder 'adapter' of a training"
            )


def adapter_sha256(folder: Path) -> str:
    """The SHA-256 of the file with the weights; hashed once per version of the file."""
    return _hash(*version_of(folder))


def version_of(folder: Path) -> FileVersion:
    """The present version of an adapter's weights, which shows a change without reading the
    file.
    """
    path = weights_file(folder)
    stat = path.stat()
    return str(path.resolve()), stat.st_mtime_ns, stat.st_size


@lru_cache
def _hash(path: str, _time: int, _size: int) -> str:
    try:
        return sha256_of_file(Path(path))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); make it readable, or get the adapter again"
        ) from error


def weights_file(folder: Path) -> Path:
    """The file with the weights in a folder. A folder without one is a `UsageError`."""
    for name in (WEIGHTS, OFFICIAL_WEIGHTS):
        if (folder / name).is_file():
            return folder / name
    raise UsageError(
        f"{folder} holds no adapter: {WEIGHTS} is missing; give the folder 'adapter' of a training"
    )


def lora_options(folder: Path, more: Collection[str] = ()) -> LoraOptions:
    """The options in adapter_config.json. Anything but a plain LoRA is a `UsageError`. `more` are
    fields that may have any value, because the caller computes with them.
    """
    path = folder / CONFIG
    if not os.path.lexists(path):
        raise UsageError(
            f"{path} is missing; an adapter needs peft's configuration with r, lora_alpha and"
            " target_modules"
        )
    config = _read_json(path)
    lora = _as_kind(path, config, LoraOptions)
    if lora.peft_type != "LORA":
        raise UsageError(
            f"{path} is for an adapter of type {printable(str(lora.peft_type)[:40])}; only LORA is"
            " supported"
        )
    used = sorted(
        name
        for name, value in config.items()
        if name not in more and not (ALLOWED[name](value) if name in ALLOWED else not value)
    )
    if used:
        shown = ", ".join(f"{name[:40]} = {str(config[name])[:40]!r}" for name in used[:3])
        raise UsageError(
            f"{path} uses {printable(shown)}, which is not supported; train with plain LoRA"
        )
    return lora


def grouped_convolutions(backbone: nn.Module, targets: Sequence[str]) -> list[str]:
    """The target layers that are grouped convolutions."""
    return [name for name in targets if getattr(backbone.get_submodule(name), "groups", 1) > 1]


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        return json_of(path, dict[str, Any])
    except MalformedError as error:
        raise UsageError(f"{path} cannot be read: {error}; get the adapter again") from error


def _as_kind(path: Path, value: Any, kind: type[T]) -> T:
    try:
        return as_kind(value, kind)
    except MalformedError as error:
        raise UsageError(f"{path} cannot be used: {error}; get the adapter again") from error
