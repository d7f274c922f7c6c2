"""A trained noise hypernetwork on a diffusers pipeline that its user has loaded: from noise and
prompt to the `latents` of the pipeline's own call.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError, as_kind
from hnbench.generators.samplers import Sampler
from hnbench.generators.shared import around, possible_weights
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.checkpoint import DESCRIPTION, describe_adapter, is_described
from hnbench.hypernetwork.loading import load_adapter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from hnbench.generators.pipeline import PipelineGenerator


class _Options(msgspec.Struct):
    """The options of the generator that an adapter was trained on."""

    image_size: int | None = None
    prompt_prefix: bool | None = None
    max_sequence_length: int | None = None


class _Trained(msgspec.Struct):
    """The part of a generator's description that decides its first timestep."""

    sampler: Sampler | None = None


class PipelineHypernetwork:
    """A noise hypernetwork that shares a pipeline's parts. The pipeline itself is not changed: its
    call without these latents gives the same images as before.

        latents = hypernetwork(noise, prompt)
        pipe(prompt=prompt, latents=latents, **hypernetwork.arguments).images
    """

    def __init__(self, generator: PipelineGenerator, hypernetwork: Hypernetwork) -> None:
        """Use a hypernetwork on a generator that shares the pipeline's parts."""
        self._generator, self._hypernetwork = generator, hypernetwork
        self.noise_shape = tuple(generator.noise_shape)
        """The shape of one noise, without the batch: `[C, h, w]`, or packed `[tokens, channels]`
        for FLUX.
        """
        self.arguments: dict[str, Any] = generator.stock_arguments
        """The other arguments of the pipeline's call, for the one-step image that the hypernetwork
        was trained for: steps, guidance, height and width, and what else the family needs.
        """

    @torch.no_grad()
    def __call__(self, noise: Tensor, prompt: str | Sequence[str]) -> Tensor:
        """The changed noise, `[B, *noise_shape]`, in the type that the pipeline takes as `latents`.

        `noise` `[B, *noise_shape]` is drawn from N(0, I), on any device; the pipeline scales it by
        itself. `prompt` is one for all noises, or one for each. Another shape or number is a
        `UsageError`.
        """
        prompts = [prompt] * len(noise) if isinstance(prompt, str) else list(prompt)
        wanted = (len(prompts), *self.noise_shape)
        if tuple(noise.shape) != wanted or not prompts or not noise.is_floating_point():
            raise UsageError(
                f"`noise` was {noise.dtype} of shape {list(noise.shape)}; for {len(prompts)}"
                f" prompts, give torch.randn({', '.join(map(str, wanted))})"
            )
        generator = self._generator
        # Small changes of a noise need float32, also if the pipeline computes in less.
        start = noise.to(generator.device, torch.promote_types(noise.dtype, torch.float32))
        change = self._hypernetwork.displacement(start, generator.encode(prompts))
        return generator.stock_latents(start + change)


def on_pipeline(folder: Path, pipeline: Any) -> PipelineHypernetwork:
    """The hypernetwork of an adapter's folder on a pipeline.

    Raises `UsageError` if the pipeline is not the one that the adapter was trained for. If the
    origin of the pipeline's weights is not known, that is a warning, and names and shapes alone are
    checked.
    """
    described = is_described(folder)
    description = describe_adapter(folder) if described else {}
    options = _options(folder, description)
    if sampler := options.get("sampler"):
        _check_scheduler(folder, pipeline, sampler)
    generators = [around(pipeline, weights, **options) for weights in possible_weights(pipeline)]
    known = bool(generators)
    if not known:
        generators = [around(pipeline, "", **options)]
    trained = description.get("generator", {})
    generator = next(
        (one for one in generators if one.fingerprint == trained.get("fingerprint")), generators[0]
    )
    kind = "regression" if description.get("kind") == "regression" else "hypernoise"
    adapter = load_adapter(folder, generator, kind, weights_known=known)
    if described and not known:
        warnings.warn(
            f"the pipeline's parts are not all as one folder or repository has them, so only names"
            f" and shapes say that {folder} was trained for it ({trained['name'][:60]!r})",
            stacklevel=3,
        )
    return PipelineHypernetwork(generator, Hypernetwork(generator, adapter))


def _options(folder: Path, description: dict[str, Any]) -> dict[str, Any]:
    """The options that the adapter's generator had, without those that had their default."""
    try:
        read = as_kind(description.get("config", {}), _Options)
        sampler = as_kind(description.get("generator", {}), _Trained).sampler
    except MalformedError as error:
        raise UsageError(
            f"{folder / DESCRIPTION} cannot be used: {error}; get the adapter again"
        ) from error
    found = {**msgspec.structs.asdict(read), "sampler": sampler}
    return {name: value for name, value in found.items() if value is not None}


def _check_scheduler(folder: Path, pipeline: Any, sampler: Sampler) -> None:
    """Raise a `UsageError` for a pipeline with another scheduler than the adapter's generator."""
    found, wanted = type(pipeline.scheduler).__name__, sampler.scheduler_class
    if found != wanted:
        raise UsageError(
            f"{folder} was trained with a {wanted}, and the pipeline has a {found}; set"
            f" pipe.scheduler = {wanted}.from_config(pipe.scheduler.config, ...) as the generator's"
            " page says"
        )
