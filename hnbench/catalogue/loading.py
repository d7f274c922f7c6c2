"""Turns names into loaded models; `run`, `train` and `diagnose` share this code."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hnbench.catalogue import registry
from hnbench.catalogue.specifications import given_label, make_method, parse_method
from hnbench.config import memory_policies
from hnbench.errors import UsageError
from hnbench.hypernetwork.config import PARAMETER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hnbench.catalogue.presets import Preset
    from hnbench.generators.base import Generator
    from hnbench.methods.base import Method
    from hnbench.rewards.base import Mixture, Reward

Dtype = Literal["float32", "bfloat16", "float16"]


def check_device(name: str) -> None:
    """Raise a `UsageError` for a name that is none of a device, before torch is imported."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        raise UsageError(
            f"`device` was {name!r}; choose auto, cpu, cuda or, for one of several GPUs, its number"
            " as in cuda:1"
        )


def choose_device(name: str, local_rank: int | None = None) -> str:
    """The torch device of a name; `"auto"` is CUDA if available, else the CPU. An unknown or
    missing device is a `UsageError`.

    `local_rank` is the number of this process among those that a launcher started on this machine.
    If there are several GPUs, it chooses one for `"auto"`; some launchers show each process only
    its own GPU, and then there is no choice.
    """
    check_device(name)
    import torch

    if name == "auto":
        if not torch.cuda.is_available():
            return "cpu"
        count = torch.cuda.device_count()
        return "cuda" if local_rank is None or count == 1 else f"cuda:{local_rank % count}"
    kind, _, index = name.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"`device` was {name!r}, but torch finds {torch.cuda.device_count()} CUDA devices;"
            " choose cpu or auto"
        )
    return name


def choose_gpus(text: str) -> list[str]:
    """The torch devices of `"all"` GPUs, or of numbers such as `"0,1"`. `UsageError` for anything
    else, for a number that appears twice, and for GPUs that are not there.
    """
    import torch

    count = torch.cuda.device_count()
    numbers = [str(number) for number in range(count)] if text == "all" else text.split(",")
    if not all(re.fullmatch(r"[0-9]{1,4}", number) for number in numbers):
        raise UsageError(f"`gpus` was {text!r}; give all, or numbers as in 0,1")
    if len({int(number) for number in numbers}) < len(numbers):
        raise UsageError(f"`gpus` was {text!r}; give each number once")
    if not numbers or max(map(int, numbers)) >= count:
        raise UsageError(
            f"`gpus` was {text!r}, but torch finds {count} CUDA devices; start the processes"
            " yourself, each with its own `shard`"
        )
    return [f"cuda:{int(number)}" for number in numbers]


def parse_weights(
    typed: Sequence[str], default: Mapping[str, float], generator: str
) -> dict[str, float]:
    """Reward -> weight, to optimise: from `NAME=WEIGHT` as typed, or the preset's if nothing was
    typed.

    A mixture becomes its parts; it may be typed without a weight. An unknown name, a weight that is
    zero or not a number, a reward given twice, and no reward at all are `UsageError`s.
    """
    pairs = [_name_and_weight(text) for text in typed] or list(default.items())
    if not pairs:
        raise UsageError(
            f"the generator {generator!r} has no preset; name the rewards to optimise, for example"
            " `optimise` redness=1.0"
        )
    weights: dict[str, float] = {}
    for name, factor in pairs:
        for part, weight in parts_of(name).items():
            if part in weights:
                raise UsageError(
                    f"the reward {part!r} is given twice; give it once, with the weight that you"
                    " want"
                )
            weights[part] = factor * weight
    return weights


def parse_angle(typed: float | str | None) -> float | Literal["even"] | None:
    """SANA-Sprint's angle between two steps, as typed: a number above 0 and below pi / 2, or
    `"even"`; None stays None. Anything else is a `UsageError`.

    >>> parse_angle("1.3")
    1.3
    >>> parse_angle("even")
    'even'
    """
    if typed is None:
        return None
    if typed == "even":
        return "even"
    try:
        angle = float(typed)
    except ValueError:
        angle = math.nan
    if not 0 < angle < math.pi / 2:
        raise UsageError(
            f"`intermediate_timesteps` was {typed!r}; it must be a number between 0 and 1.5708, or"
            " even"
        )
    return angle


def parts_of(name: str) -> Mapping[str, float]:
    """Reward -> weight of a mixture; for any other reward, itself with weight 1."""
    return registry.REWARDS.entry(name).weights or {name: 1.0}


def _name_and_weight(text: str) -> tuple[str, float]:
    name, equals, weight = text.partition("=")
    if not equals and name in registry.REWARDS.entries and registry.REWARDS.entry(name).weights:
        return name, 1.0
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value == 0:
        raise UsageError(
            f"`optimise` was {text!r}; it must be NAME=WEIGHT with a weight that is not zero, for"
            " example redness=1.0"
        )
    return name, value


def training_settings(
    preset: Preset, kind: str, name: str | None, generator: str
) -> dict[str, Any]:
    """The fields of a training's configuration from the generator's training preset of this `name`,
    or from its first one. An unknown name is a `UsageError`.
    """
    if name is None:
        name = next(iter(preset.trainings), None)
    elif name not in preset.trainings:
        known = f"it has {', '.join(preset.trainings)}" if preset.trainings else "it has none"
        raise UsageError(f"the generator {generator!r} has no training preset {name!r}; {known}")
    return dict(preset.trainings[name].get(kind, {})) if name else {}


def is_place(generator: str) -> bool:
    """Whether a generator is given by its place, a folder or a repository on the Hub, or by
    `BASE:KEY=VALUE`, instead of by a registered name.
    """
    from hnbench.generators.places import has_changes

    return generator not in registry.GENERATORS.entries and (
        "/" in generator or Path(generator).is_dir() or has_changes(generator)
    )


def check_generator(generator: str) -> None:
    """Raise a `UsageError` for an unknown name, a missing folder, and a text that cannot be a
    repository, before anything is loaded.
    """
    if not is_place(generator):
        registry.GENERATORS.entry(generator)
    elif not Path(generator).expanduser().is_dir():
        from hnbench.generators.places import parse_changes

        parse_changes(generator)


def dtype_of(generator: str, asked: Dtype | None) -> str:
    """The type that a generator computes in: as asked, else its default, which is float32 for a
    folder or a repository.
    """
    return asked or (
        "float32" if is_place(generator) else registry.GENERATORS.entry(generator).dtype
    )


def steps_of(generator: str, asked: int | None) -> int:
    """The steps per image: as asked, else the generator's default, which is 1 for a folder or a
    repository.
    """
    if asked is not None:
        return asked
    return 1 if is_place(generator) else registry.GENERATORS.entry(generator).steps


def load_generator(name: str, device: str, dtype: str, **options: Any) -> Generator:
    """Load a generator, by name or by place, onto a device.

    `options` are `image_size`, `prompt_prefix`, `max_sequence_length`, `intermediate_timesteps` and
    `memory` (as `memory_policies` reads it); for None, the generator takes its default. An option
    that the generator does not have is a `UsageError`.
    """
    check_generator(name)
    policies = memory_policies(options.pop("memory", "none"))
    given = {
        option: value
        for option, value in {**options, "memory": policies or None}.items()
        if value is not None
    }
    if is_place(name):
        from hnbench.generators.sources import load_by_place

        return load_by_place(name, device=device, dtype=dtype, **given)
    factory = registry.GENERATORS.get(name)
    # A factory that takes any keyword checks the options itself.
    taken = inspect.signature(factory).parameters
    for option in given:
        if option not in taken and not any(
            item.kind is item.VAR_KEYWORD for item in taken.values()
        ):
            raise UsageError(
                f"the generator {name!r} has no option {option.replace('_', ' ')}; leave"
                f" out `{option}`"
            )
    generator: Generator = factory(device=device, dtype=dtype, **given)
    return generator


def load_reward(name: str, device: str, dtype: str) -> Reward:
    """Load a reward onto a device; the name of a mixture loads the whole mixture."""
    weights = registry.REWARDS.entry(name).weights
    if weights:
        return load_mixture(weights, device, dtype, name)
    reward: Reward = registry.REWARDS.get(name)(device=device, dtype=dtype)
    return reward


def load_mixture(
    weights: Mapping[str, float], device: str, dtype: str, name: str = "mixture"
) -> Mixture:
    """Load rewards, with their weights, as one mixture."""
    from hnbench.rewards.base import Mixture

    return Mixture(
        {part: (load_reward(part, device, dtype), weight) for part, weight in weights.items()}, name
    )


def load_held_out(names: Sequence[str], rewards: Mixture, device: str, dtype: str) -> list[Reward]:
    """Load the rewards that are reported and not optimised, none of them a mixture. One that is a
    part of `rewards` under another name is a `UsageError`: it would look like independent evidence.
    """
    optimised = {reward.fingerprint: name for name, (reward, _) in rewards.parts.items()}
    loaded = [load_reward(name, device, dtype) for name in names]
    for name, reward in zip(names, loaded, strict=True):
        if same := optimised.get(reward.fingerprint):
            raise UsageError(
                f"{name} scores with the model that {same} is, so it cannot be held out while"
                f" {same} is optimised; leave one of them out of `optimise` or of `hold_out`"
            )
    return loaded


def compile_models(generator: Generator, rewards: Mixture, note: Callable[[str], None]) -> None:
    """Compile the networks of a generator and of the rewards to optimise. `note` gets a sentence
    for each part that is not compiled, also later, when it is first used.
    """
    from hnbench.devices.compilation import compile_networks

    compile_networks(f"the generator {generator.name}", generator.networks, note)
    for name, (reward, _) in rewards.parts.items():
        compile_networks(f"the reward {name}", reward.networks, note)


def find_adapter(given: str | Path, kind: str) -> Path:
    """The folder of an adapter of this kind; for `"finetune"`, of any fine-tuned checkpoint, or its
    file. A text is a path, or `owner/name[@revision]` on the Hub, which is downloaded; a `Path` was
    found before, and is returned as it is.

    A text that is neither, and a folder or repository without an adapter, are `UsageError`s.
    """
    if isinstance(given, Path):
        return given
    folder = Path(given)
    if not folder.exists():
        try:
            folder = _downloaded_adapter(given, kind)
        except UsageError as error:
            raise UsageError(
                f"there is no folder {given}; as a name on the Hub: {error}"
            ) from error
    try:
        fingerprint_of_adapter(folder, kind)
    except UsageError as error:
        raise UsageError(f"{given} cannot be used: {error}") from error
    return folder


def _downloaded_adapter(name: str, kind: str) -> Path:
    """The folder of an adapter on the Hub. A whole pipeline is downloaded in the widest type that
    it is there in, which serves every type of a run.
    """
    from hnbench.hypernetwork.checkpoint import FILES, NEEDS
    from hnbench.weights import hub

    if kind != "finetune":
        return hub.download(hub.Source.parse(name, FILES, NEEDS))

    from hnbench.hypernetwork.foreign import HUB_FILES, HUB_NEEDS, recognise

    folder = hub.download(hub.Source.parse(name, HUB_FILES, HUB_NEEDS))
    if recognise(folder).form != "pipeline":
        return folder

    from hnbench.generators.sources import PublishedGenerator

    return PublishedGenerator(name, name).folders("float32")[0]


def fingerprint_of_adapter(place: Path, kind: str) -> str:
    """The SHA-256 that an adapter of this kind has in a method's identity. A place without one is a
    `UsageError`.
    """
    from hnbench.hypernetwork.checkpoint import adapter_sha256
    from hnbench.hypernetwork.foreign import recognise

    return recognise(place).fingerprint if kind == "finetune" else adapter_sha256(place)


def make_methods(
    specifications: Sequence[str],
    preset: Preset,
    adapters: Mapping[str, str | Path],
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Method, ...]:
    """The methods of these specifications, labelled so that they differ from each other and from
    the `known` rows of a folder (label -> identity of its method). `adapters` maps a kind of
    training to the folder of an adapter, or to its name on the Hub.
    """
    from hnbench.methods.labelling import labelled

    made = [
        (make_method(text, _defaults(text, preset, adapters)), given_label(text))
        for text in specifications
    ]
    return labelled(made, known)


def _defaults(
    specification: str, preset: Preset, adapters: Mapping[str, str | Path]
) -> dict[str, Any]:
    name, typed = parse_method(specification)
    kind = registry.METHODS.entry(name).adapter
    defaults = dict(preset.parameters.get(name, {}))
    if kind and "adapter" not in typed:
        if kind not in adapters:
            raise UsageError(
                f"the method {name!r} needs an adapter; give `{PARAMETER[kind]}` FOLDER or"
                f" OWNER/NAME, or train one (`hnbench train`, `kind` {kind})"
            )
        defaults["adapter"] = find_adapter(adapters[kind], kind)
    return defaults
