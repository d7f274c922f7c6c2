"""The work of a training, from its configuration alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.hypernetwork.config import OF_NOISE

if TYPE_CHECKING:
    from hnbench.hypernetwork.config import TrainingConfig

Passes = dict[str, int]
"""Passes in images, by the names of `hnbench.metering.Meter`'s fields."""


def held_out_of(distinct: int) -> int:
    """The number of held-out prompts among `distinct` ones: a tenth, at least one."""
    return max(1, distinct // 10)


def evaluations_of(config: TrainingConfig) -> int:
    """The number of evaluations: at step 0, every `eval_every` steps and at the end."""
    return 1 + -(-config.steps // config.eval_every)


def trained_images(config: TrainingConfig) -> int:
    """The number of images in all steps."""
    return config.steps * config.batch_size * config.accumulation


def evaluated_images(config: TrainingConfig, held_out: int) -> int:
    """The number of images in an evaluation on `held_out` prompts."""
    return min(config.eval_prompts, held_out) * config.eval_samples


def expected_passes(config: TrainingConfig, held_out: int) -> Passes:
    """The passes of a training without skipped steps, evaluations on `held_out` prompts included.

    The base is evaluated once, the adapter each time.
    """
    trained = trained_images(config)
    tasks = evaluated_images(config, held_out)
    evaluated = tasks * evaluations_of(config)
    # The hypernetwork is one more pass of the generator, in both directions.
    each = 2 if config.kind in OF_NOISE else 1
    if config.kind == "regression":  # its steps make no images, and ReNO made its pairs before
        pairs, iterations = config.pairs or 0, config.reno_iterations or 0
        searched, back = pairs * iterations, pairs * (iterations - 1)
        return {
            "generator_forward": searched + trained + each * evaluated + tasks,
            "generator_backward": back + trained,
            "reward_forward": searched + evaluated + tasks,
            "reward_backward": back,
        }
    forward = trained if config.image_penalty else 0  # the base's image of the same noise
    return {
        "generator_forward": each * (trained + evaluated) + forward + tasks,
        "generator_backward": each * trained,
        "reward_forward": trained + evaluated + tasks,
        "reward_backward": trained,
    }
