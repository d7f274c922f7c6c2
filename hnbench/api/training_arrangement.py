"""A training that was asked for: its configuration, prompts and folder, without its models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.api.arguments import RESULTS, prompts_of, weights_of
from hnbench.catalogue.loading import check_generator, dtype_of, training_settings
from hnbench.catalogue.presets import preset_of
from hnbench.catalogue.training_prompts import is_set
from hnbench.errors import UsageError
from hnbench.files.names import OF_MODELS, plain_name
from hnbench.hypernetwork.config import OF_REGRESSION, TrainingConfig
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.api.arguments import Weights
    from hnbench.catalogue.loading import Dtype
    from hnbench.catalogue.presets import Preset
    from hnbench.display.screen import Screen

OF_HYPERNOISE = ("regulariser_weight", "regulariser_reduction")
"""The settings that only a hypernetwork's training by the reward has."""
_PENALTY_OF = {
    "finetune": "finetune has `image_penalty`",
    "regression": "regression has no penalty",
}


@dataclass(frozen=True)
class TrainingArrangement:
    """One training, ready for its models."""

    config: TrainingConfig
    prompts: tuple[str, ...]
    """Empty if they have to be downloaded first, and that was not allowed."""
    folder: Path
    dtype: str
    """The type that the generator computes in."""
    preset: str
    """The name of the training preset; empty if the generator has none."""
    published: Mapping[str, Any]
    """The preset's values."""


def arrange_training(
    screen: Screen,
    *,
    kind: str,
    generator: str,
    preset: str | None,
    optimise: Weights,
    prompts: str | Path | None,
    data_dir: str | Path | None,
    seed: int,
    dtype: Dtype | None,
    out: str | Path | None,
    **settings: Any,
) -> TrainingArrangement:
    """The training of `hnbench.train` with these parameters. `settings` are fields of its
    configuration; None takes the preset's value. Raises `UsageError` as `hnbench.train`.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if kind in _PENALTY_OF and (unused := sorted(given.keys() & set(OF_HYPERNOISE))):
        raise UsageError(f"`{unused[0]}` is for the `kind` hypernoise; {_PENALTY_OF[kind]}")
    defaults = preset_of(generator)
    published = training_settings(defaults, kind, preset, generator)
    if kind == "regression":
        published = {**_of_regression(defaults), **published}
    check_generator(generator)
    weights = weights_of(optimise, defaults, generator)
    texts, source = prompts_of(prompts, defaults, generator, data_dir, screen)
    config = TrainingConfig(
        kind=kind,  # type: ignore[arg-type]  # the configuration checks it
        generator=generator,
        rewards=weights,
        prompts=source,
        seed=seed,
        **{**published, **given},
    )
    precision = dtype_of(generator, dtype)
    return TrainingArrangement(
        config,
        texts,
        RESULTS / _name_of(config, texts, precision) if out is None else Path(out),
        precision,
        preset or next(iter(defaults.trainings), ""),
        published,
    )


def _of_regression(defaults: Preset) -> dict[str, Any]:
    """The settings that only a regression has. ReNO is that of a run on this generator."""
    own = {
        f"reno_{name}": value
        for name, value in defaults.parameters.get("reno", {}).items()
        if f"reno_{name}" in OF_REGRESSION
    }
    return {**OF_REGRESSION, **own}


def _name_of(config: TrainingConfig, prompts: Sequence[str], dtype: str) -> str:
    """The default name of a training's folder. It differs for everything that `Trainer` requires to
    be the same within one training.
    """
    identity = [config.identity]
    if not is_set(config.prompts):
        identity.append(list(prompts))  # type: ignore[arg-type]
    if dtype != dtype_of(config.generator, None):
        identity.append(dtype)
    short = (digest(identity) if len(identity) > 1 else config.identity)[:8]
    return plain_name(
        f"train-{config.kind}-{config.generator}",
        ending=f"-seed{config.seed}-{short}",
        also=OF_MODELS,
    )
