"""Adapters on disk: a folder that peft and diffusers can load, with what hnbench has to know of it
beside the weights.

    adapter_model.safetensors   the LoRA weights, named as peft names them:
                                base_model.model.<layer>.lora_A.weight;
                                its header has rank, alpha and layers, where diffusers looks for
                                them
    adapter_config.json         peft's LoraConfig
    hnbench.json                kind, generator, training configuration and cost, last evaluation
    README.md                   the same for people
    prompts.sha256              hashes of the prompts that the training saw

Reading the description and the weights' hash needs no torch. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError  # what torch raises when it refuses to unpickle
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from hnbench.errors import StoreError, UsageError
from hnbench.files.decoding import MalformedError, as_kind, check_schema
from hnbench.files.escaping import markdown, printable
from hnbench.files.reading import json_of
from hnbench.hypernetwork.config import PARAMETER, Count
from hnbench.hypernetwork.seen import write_hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from hnbench.generators.base import Generator
    from hnbench.hypernetwork.adapter import LoraAdapter

T = TypeVar("T")

SCHEMA = 1
LONGEST = 200
"""Characters of another program's message."""
WEIGHTS, CONFIG, DESCRIPTION, CARD = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "hnbench.json",
    "README.md",
)
OFFICIAL_WEIGHTS = "adapter_model.bin"
"""What the official training code writes instead of safetensors, with layer names that lack peft's
prefix.
"""
FILES = (DESCRIPTION, CARD, "prompts.sha256")
"""What an adapter may have on the Hub beside its weights and their configuration."""
NEEDS = ((CONFIG,),), ((WEIGHTS,), (OFFICIAL_WEIGHTS,))
"""What it has to have there (`hnbench.weights.hub.Source.needs`)."""
PREFIX = "base_model.model."
PLACES = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")
"""What a `LoraConfig` says of which layers are adapted."""
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
    "lora_dropout": lambda value: isinstance(value, (int, float)),  # in training alone
    # Ways that leave the base weights as they are. PiSSA, OLoRA, LoftQ, CorDA and others take
    # something out of the base: their adapter is
    # right only on that changed base.
    "init_lora_weights": lambda value: (
        isinstance(value, bool) or value in (None, "gaussian", "orthogonal", "mica")
    ),
    "bias": lambda value: value == "none",
    "megatron_core": lambda value: isinstance(value, str),  # of no effect without megatron_config
    "qalora_group_size": lambda value: isinstance(value, int),  # of no effect without use_qalora
}
"""What a `LoraConfig` may say, by value: it is read here, or changes nothing of what a trained LoRA
computes. Anything else that is switched on (DoRA, other scalings, biases, ranks per layer, options
to come) would be computed wrongly, and is refused.
"""


AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Layers = str | list[str]
"""A regular expression, or names or their ends."""


class _Lora(msgspec.Struct):
    """What is read of peft's configuration, which has other fields too."""

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


class TrainingCost(msgspec.Struct):
    """What a training took, evaluations included; passes are counted in images."""

    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    steps: Count = 0
    skipped_steps: Count = 0
    """Steps whose gradient was not finite."""
    images: Count = 0
    """Images trained on."""
    generator_forward: Count = 0
    generator_backward: Count = 0
    reward_forward: Count = 0
    reward_backward: Count = 0


class _Training(TrainingCost, forbid_unknown_fields=True):
    device: str = ""


class Evaluation(msgspec.Struct, forbid_unknown_fields=True):
    """An evaluation in a training; None is a number that was not finite, or that there is none
    of.
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
    """What hnbench.json holds."""

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
    """Write an adapter's folder whole or not at all; one that is there is replaced. `prompts` are
    those that the training saw.
    """
    from safetensors.torch import save_file

    from hnbench.hypernetwork.adapter import lora_config

    working = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    config = lora_config(backbone, adapter.settings, adapter.targets)
    # One entry only: safetensors writes several in an order that changes from file to file, and so
    # does the file's hash.
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
    dense = adapter.settings.dense and bool(_grouped(backbone, adapter.targets))
    (working / CARD).write_text(
        _card(written, dense=dense, by_diffusers=hasattr(backbone, "load_lora_adapter")),
        encoding="utf-8",
        newline="\n",
    )
    if prompts:
        write_hashes(working, prompts)
    for path in working.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    working.replace(folder)


def _for_diffusers(config: Any) -> str:
    """What diffusers builds its `LoraConfig` of; without it alpha would count as equal to the
    rank.
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
            f"{folder} is no trained adapter: it has no {DESCRIPTION}; give the folder 'adapter' of"
            " a training"
        )
    description = _read_json(path)
    try:
        check_schema(description, SCHEMA)
    except MalformedError as error:
        raise StoreError(f"{path} cannot be used: {error}") from error
    _as_kind(path, description, _Description)
    return description


def is_described(folder: Path) -> bool:
    """Whether a folder has a hnbench.json, be it one that cannot be read; one without is of another
    program.
    """
    return os.path.lexists(folder / DESCRIPTION)


def training_cost(folder: Path) -> dict[str, Any]:
    """What the training took: seconds, steps, images, passes of generator and reward, device; empty
    for a foreign adapter.
    """
    cost: dict[str, Any] = (
        describe_adapter(folder).get("training", {}) if is_described(folder) else {}
    )
    return cost


def check_whole(folder: Path) -> None:
    """Refuse a folder that is not all of an adapter trained with hnbench."""
    describe_adapter(folder)
    _lora_options(folder)
    for name in (WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder} is not whole: it has no {name}; give the folder 'adapter' of a training"
            )


def adapter_sha256(folder: Path) -> str:
    """The SHA-256 of the file with the weights; hashed once per version of the file."""
    return _hash(*_version(_weights_file(folder)))


def load_adapter(folder: Path, generator: Generator, kind: str) -> LoraAdapter:
    """An adapter of this kind (`"hypernoise"`, `"finetune"`), strictly.

    Every layer that its configuration names has its weights, and no weight is left over; their
    names may have peft's prefix or not. An adapter of another kind, generator or shape is a
    `UsageError`. A folder without hnbench.json (the published hypernetworks) counts as
    `"hypernoise"`, and is checked by names and shapes alone.
    """
    from hnbench.hypernetwork.adapter import LoraAdapter

    weights = _weights_file(folder)
    if is_described(folder):
        _check(folder, describe_adapter(folder), generator, kind)
    elif kind != "hypernoise":
        raise UsageError(
            f"{folder} has no {DESCRIPTION}, so it counts as a noise hypernetwork and not as {kind}"
        )
    state = _read_weights(weights)
    config = _lora_options(folder)
    targets = _targets(folder, config, state, generator)
    try:
        settings = _settings(config, targets, state, generator)
        adapter = LoraAdapter(generator.backbone, settings, targets)
        adapter.load_state_dict(state)
    except UsageError as error:
        raise UsageError(f"{folder}: {error}") from error
    return adapter


_attached: WeakKeyDictionary[nn.Module, dict[tuple[str, tuple[str, int, int]], LoraAdapter]] = (
    WeakKeyDictionary()
)


def attach(generator: Generator, folder: Path, kind: str) -> LoraAdapter:
    """`load_adapter`, once per backbone and version of the weights: asking again costs a look at
    the file's time and size.
    """
    known = _attached.setdefault(generator.backbone, {})
    key = (kind, _version(_weights_file(folder)))
    if key not in known:
        known[key] = load_adapter(folder, generator, kind)
    return known[key]


def release(generator: Generator) -> None:
    """Forget the adapters attached to a generator, and with them their memory. Its backbone is as
    it was in any case.
    """
    _attached.pop(generator.backbone, None)


def _version(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return str(path.resolve()), stat.st_mtime_ns, stat.st_size


@lru_cache
def _hash(path: str, _time: int, _size: int) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); make it readable, or get the adapter again"
        ) from error


def _weights_file(folder: Path) -> Path:
    for name in (WEIGHTS, OFFICIAL_WEIGHTS):
        if (folder / name).is_file():
            return folder / name
    raise UsageError(
        f"{folder} holds no adapter: {WEIGHTS} is missing; give the folder 'adapter' of a training"
    )


def _read_weights(path: Path) -> dict[str, Tensor]:
    """The weights by their names without peft's prefix."""
    import torch

    found = _read_tensors(path)
    state = (
        {str(name).removeprefix(PREFIX): tensor for name, tensor in found.items()}
        if isinstance(found, dict)
        else {}
    )
    if (
        not state
        or len(state) < len(found)
        or not all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    ):
        raise UsageError(
            f"{path} holds no LoRA weights by name, or one of them twice; give an adapter as peft"
            " saves it"
        )
    for name, tensor in state.items():
        if why := _unusable(tensor):
            raise UsageError(f"{path}: {printable(name)[:100]} {why}")
    return state


def _unusable(weight: Tensor) -> str:
    """Why a tensor is no weight of a LoRA; empty for one that is."""
    import torch

    kind = str(weight.dtype).removeprefix("torch.")
    if kind not in ("float64", "float32", "float16", "bfloat16"):
        return f"is of type {kind}, and not of floating point with 16 bits or more; save it again"
    if (
        weight.layout != torch.strided
        or weight.device.type != "cpu"
        or weight.nbytes > weight.untyped_storage().nbytes()
    ):
        return "is no plain tensor with a value for each of its places; save it again"
    return (
        ""
        if bool(weight.isfinite().all())
        else "has values that are not finite; the training diverged"
    )


def _read_tensors(path: Path) -> Any:
    """What a file of weights holds. A file that was made to do harm can make its reader fail in any
    way, and each is one line.
    """
    import torch
    from safetensors.torch import load_file

    try:
        if path.name == WEIGHTS:
            return load_file(path)
        _refuse_compressed(path)
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise UsageError(
            f"{path} cannot be read as weights: it is damaged, or holds more than tensors; nothing"
            f" of it was run. Get it as {WEIGHTS}, which cannot hold anything else"
        ) from error
    except Exception as error:
        why = printable(str(error).strip().partition("\n")[0])[:LONGEST]
        raise UsageError(
            f"{path} cannot be read as weights ({why or type(error).__name__}); get the adapter"
            " again"
        ) from error


def _refuse_compressed(path: Path) -> None:
    """An archive of torch is not compressed; one that is compressed may become far larger than it
    is.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise MalformedError("it is compressed, as torch never writes it")


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


def _check(folder: Path, description: Mapping[str, Any], generator: Generator, kind: str) -> None:
    if description["kind"] != kind:
        raise UsageError(
            f"{folder} is an adapter of kind {description['kind'][:60]!r}; {kind!r} is needed here"
        )
    trained = description["generator"]
    name, fingerprint = trained["name"][:60], printable(trained["fingerprint"][:12])
    if tuple(trained["noise_shape"]) != tuple(generator.noise_shape):
        raise UsageError(
            f"{folder} was trained for the generator {name!r} with noise"
            f" {str(trained['noise_shape'])[:60]}; {generator.name!r} has noise"
            f" {list(generator.noise_shape)}"
        )
    if trained["fingerprint"] != generator.fingerprint:
        raise UsageError(
            f"{folder} was trained for the generator {name!r} with fingerprint {fingerprint}; this"
            f" {generator.name!r} has fingerprint {generator.fingerprint[:12]}; train an adapter"
            " for it"
        )


def _lora_options(folder: Path) -> _Lora:
    """What adapter_config.json says, if it is a plain LoRA."""
    path = folder / CONFIG
    if not os.path.lexists(path):
        raise UsageError(
            f"{path} is missing; an adapter needs peft's configuration with r, lora_alpha and"
            " target_modules"
        )
    config = _read_json(path)
    lora = _as_kind(path, config, _Lora)
    if lora.peft_type != "LORA":
        raise UsageError(
            f"{path} is of an adapter of type {printable(str(lora.peft_type)[:40])}; only LORA is"
            " supported"
        )
    used = sorted(
        name
        for name, value in config.items()
        if not (ALLOWED[name](value) if name in ALLOWED else not value)
    )
    if used:
        shown = ", ".join(f"{name[:40]} = {str(config[name])[:40]!r}" for name in used[:3])
        raise UsageError(
            f"{path} uses {printable(shown)}, which is not supported; train with plain LoRA"
        )
    return lora


def _targets(
    folder: Path, config: _Lora, state: Mapping[str, Tensor], generator: Generator
) -> list[str]:
    """The layers that the configuration means, in the backbone's order, by peft's own rule for
    names that are given in part.
    """
    from peft import LoraConfig
    from peft.tuners.tuners_utils import check_target_module_exists
    from torch import nn

    modules = dict(generator.backbone.named_modules())
    unknown = sorted({name.rpartition(".lora_")[0] for name in state} - modules.keys())
    if unknown:
        raise UsageError(
            f"{folder}: the backbone of {generator.name!r} has no layer {unknown[0][:100]!r}"
            f" ({len(unknown)} such); take its own generator"
        )
    try:
        places = LoraConfig(
            **{name: value for name in PLACES if (value := getattr(config, name)) is not None}
        )
        adaptable = [
            name for name, module in modules.items() if isinstance(module, (nn.Linear, nn.Conv2d))
        ]
        found = [name for name in adaptable if check_target_module_exists(places, name)]
    except (TypeError, ValueError, re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"{folder / CONFIG} cannot be used: {printable(str(error))[:LONGEST]}; get the adapter"
            " again"
        ) from error
    if not found:
        raise UsageError(
            f"{folder}: the backbone of {generator.name!r} has none of the layers that {CONFIG}"
            " names; take its own generator"
        )
    return found


def _settings(
    config: _Lora, targets: Sequence[str], state: Mapping[str, Tensor], generator: Generator
) -> Any:
    """Rank and scale, and of which of the two kinds the LoRA beside grouped convolutions is, by the
    shape of its second half.

    What does not fit the backbone is a `UsageError` before anything of that size is made.
    """
    from hnbench.hypernetwork.adapter import LoraSettings, refuse_other_names, require_shape

    rank = config.r
    other = next(
        (name for name, half in state.items() if ".lora_A." in name and half.shape[:1] != (rank,)),
        None,
    )
    if other:
        raise UsageError(
            f"{CONFIG} says rank {rank}, and {other} has {list(state[other].shape)}; take the"
            " configuration of these weights"
        )
    refuse_other_names(targets, state)
    for name in targets:
        half = f"{name}.lora_A.weight"
        require_shape(half, state[half], _first_half(generator.backbone.get_submodule(name), rank))
    grouped = [f"{name}.lora_B.weight" for name in _grouped(generator.backbone, targets)]
    dense = any(state[name].ndim > 1 and state[name].shape[1] == rank for name in grouped)
    return LoraSettings(rank=rank, alpha=config.lora_alpha, dense=dense)


def _first_half(layer: nn.Module, rank: int) -> tuple[int, ...]:
    """The shape of lora_A of a layer, which has no groups."""
    from torch import nn

    if isinstance(layer, nn.Conv2d):
        return (rank, layer.in_channels, *layer.kernel_size)
    width: int = getattr(layer, "in_features")  # noqa: B009
    return rank, width


def _grouped(backbone: nn.Module, targets: Sequence[str]) -> list[str]:
    """Those of the layers that are grouped convolutions."""
    return [name for name in targets if getattr(backbone.get_submodule(name), "groups", 1) > 1]


def _card(description: Mapping[str, Any], *, dense: bool, by_diffusers: bool) -> str:
    """The model card. `by_diffusers`: whether the backbone has diffusers' own way to load an
    adapter, which PixArt's has not.

    Its front matter holds nothing of the description, and everything else is `markdown`.
    """
    generator, training = description.get("generator", {}), description.get("training", {})
    length = (
        f"{training.get('steps')} steps, {training.get('images')} images,"
        f" {training.get('seconds', 0):.0f} s"
    )
    gain, error = (
        _figure(description.get("evaluation", {}).get(name))
        for name in ("gain", "gain_standard_error")
    )
    config = description.get("config", {})
    rewards = ", ".join(
        f"{markdown(reward)} x {weight:g}" for reward, weight in config.get("rewards", {}).items()
    )
    kind, name = str(description.get("kind")), markdown(str(generator.get("name", "unknown")))
    lines = [
        "---",
        "library_name: peft",
        "tags: [lora, text-to-image]",
        "---",
        f"# {markdown(kind)} for {name}",
        "",
        PURPOSES.get(kind, ""),
        "",
        "| | |",
        "|---|---|",
        f"| generator | {name} ({markdown(str(generator.get('fingerprint'))[:12])}) |",
        f"| rewards | {rewards} |",
        f"| LoRA | rank {config.get('rank')}, alpha {config.get('lora_alpha')} |",
        f"| training | {length} on {markdown(str(training.get('device')))} |",
        f"| gain in held-out reward | {gain} +- {error} (standard error) |",
        "",
        *_how_to_load(kind, generator, dense=dense, by_diffusers=by_diffusers),
        "",
    ]
    return "\n".join(lines)


PURPOSES = {
    "hypernoise": (
        "A noise hypernetwork (HyperNoise, arXiv 2508.09968): it predicts a change of a frozen"
        " generator's initial noise."
    ),
    "finetune": (
        "A directly fine-tuned generator, the comparison for a noise hypernetwork: the same LoRA on"
        " the generator itself."
    ),
}


def _how_to_load(
    kind: str, generator: Mapping[str, Any], *, dense: bool, by_diffusers: bool
) -> list[str]:
    """The end of the model card."""
    option = "--" + PARAMETER[kind] if kind in PARAMETER else ""
    name = shlex.quote(printable(str(generator.get("name", "unknown"))))
    lines = [
        "Try it against its base:",
        "",
        f"    hnbench run --suite SUITE --generator {name} {option} THIS",
        "",
    ]
    if dense:
        note = (
            "The LoRA of grouped convolutions is dense, as peft before 0.16 made it; newer versions"
            " of peft and diffusers refuse it."
        )
        return [*lines, note]
    lines.append(
        "THIS is this folder, or its name on the Hub. In Python,"
        " `peft.PeftModel.from_pretrained(backbone, THIS)` loads it,"
    )
    if by_diffusers:
        call = (
            f'    backbone.load_lora_adapter(THIS, prefix="{PREFIX.rstrip(".")}",'
            f' weight_name="{WEIGHTS}")'
        )
        lines += ["and so does", "", call, "", "of diffusers,"]
    lines.append(
        "where `backbone` is the pipeline's"
        f" {markdown(str(generator.get('backbone', 'denoising network')))}."
    )
    if kind == "hypernoise":
        layer = markdown(str(generator.get("last_layer", "see hnbench.json")))
        lines.append(
            f"For the change of the noise, its last layer ({layer}) must then give its low-rank"
            " delta only, without base output and bias."
        )
    return lines


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
