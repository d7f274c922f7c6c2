"""The floating-point operations (FLOPs) of a training, known before any model is loaded.

They are counted as a training counts its own (`hnbench.hypernetwork.work`): the passes of an image,
forward and backward, times the number of images, evaluations included. Encoding texts, the penalty
and the optimizer are in neither. The passes are those of `hnbench.catalogue.operations`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from hnbench.api.operations import (
    UnknownOperationsError,
    generator_operations,
    reward_operations,
)
from hnbench.catalogue.operations import Operations
from hnbench.catalogue.presets import preset_of
from hnbench.hypernetwork.config import OF_NOISE, TrainingConfig
from hnbench.hypernetwork.expected import evaluated_images, evaluations_of, trained_images

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZES = {
    "rank": "rank",
    "target_pattern": "target pattern",
    "dense_convolutions": "LoRA of grouped convolutions",
}
"""The settings on which an adapter's operations depend, and their names in a sentence."""


def operations_of_training(config: TrainingConfig, held_out: int) -> int:
    """The FLOPs of a training with evaluations on `held_out` prompts, as `hnbench.json` then has
    them. `UnknownOperationsError` with the reason if they are not known.
    """
    parts = generator_operations(config, backward=True)
    _require_own_adapter(config)
    reward = _sum(reward_operations(config.rewards))
    decoded = _sum([parts["decoder"], reward])
    adapted = parts["hypernetwork" if config.kind in OF_NOISE else "finetuned"]
    # The change of the noise passes through the plain backbone. The first network of an image has
    # the weights, and its input needs no gradient.
    plain = _sum([parts["backbone"], decoded])
    after = plain if config.kind in OF_NOISE else decoded
    evaluated = adapted.forward + after.forward
    trained = evaluated + (adapted.training or 0) + after.backward
    searched = 0
    if config.kind == "regression":  # its steps make no images, and ReNO made its pairs before
        trained = adapted.forward + (adapted.training or 0)
        iterations = config.reno_iterations or 0
        searched = (config.pairs or 0) * (
            iterations * plain.forward + (iterations - 1) * plain.backward
        )
    if config.image_penalty:  # it needs the base's image of the same noise
        trained += parts["backbone"].forward + parts["decoder"].forward
    each_evaluation = evaluated_images(config, held_out)
    return (
        searched
        + trained_images(config) * trained
        + each_evaluation * (plain.forward + evaluations_of(config) * evaluated)
    )


def _require_own_adapter(config: TrainingConfig) -> None:
    """Refuse an adapter of another shape than the one that was counted."""
    published = next(iter(preset_of(config.generator).trainings.values()), {}).get("hypernoise", {})
    defaults = {field.name: field.default for field in fields(TrainingConfig)}
    for name, words in SIZES.items():
        if getattr(config, name) != published.get(name, defaults[name]):
            raise UnknownOperationsError(
                f"nobody counted those of {config.generator} with another {words} than its own"
            )


def _sum(parts: Iterable[Operations]) -> Operations:
    """The parts one after the other."""
    found = list(parts)
    return Operations(
        sum(one.parameters for one in found),
        sum(one.forward for one in found),
        sum(one.backward for one in found),
    )
