"""The shared base of all generators that are a diffusers pipeline: parts, text cache, options,
memory, decoding.

From noise to image, the code follows the pipeline step by step, but with the noise as an argument
and the gradient kept. Noise, and the latents between steps, stay in the noise's own type (float32);
only the inputs of a network are cast to the model's type.
"""

from __future__ import annotations

import copy
import inspect
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import diffusers
import torch
from torch.utils.checkpoint import checkpoint

from hnbench.devices.transfers import generator_on
from hnbench.errors import UsageError
from hnbench.generators.assembly import assemble, load_all
from hnbench.generators.base import Conditioning, Generator
from hnbench.generators.encoded_texts import EncodedTexts
from hnbench.generators.memory import checkpoint_blocks, offload_blocks
from hnbench.generators.other_weights import load_network_like, require_pipeline
from hnbench.generators.parts import INDEX
from hnbench.generators.weight_files import fuse_lora
from hnbench.seeds import digest
from hnbench.weights.fingerprint import FileVersion, fingerprint_of, versions_in
from hnbench.weights.quiet import quiet_loading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from hnbench.generators.samplers import Sampler


class PipelineGenerator(Generator):
    """A frozen diffusers pipeline in which the noise is an argument.

    `image_size` is the width and height in pixels; None takes the model's own. `prompt_prefix`,
    `max_sequence_length`, `intermediate_timesteps` and `sampler` are for families that offer a
    choice there; for any other family they are a `UsageError`. `memory` names the policies of
    `hnbench.generators.memory`. `source` says where the pipeline came from.

    `shared` is for a pipeline that is used elsewhere too: its parts stay as and where they are, so
    there is no choice of `memory`.

    A sampler that adds noise between its steps draws it from the image's own seed
    (`Conditioning.step_seeds`), so images do not depend on the batch, and methods differ only in
    the starting noise.
    """

    pipeline_class: ClassVar[str]
    """The diffusers class, as model_index.json names it."""
    backbone_part: ClassVar[str] = "transformer"
    text_parts: ClassVar[tuple[str, ...]] = ("text_encoder",)
    beside_float16: ClassVar[Mapping[str, torch.dtype]] = {}
    """Part -> the type it computes in, if the model is float16 and the part cannot be: its
    activations exceed the largest number of float16.
    """
    upcast_decoder: ClassVar[bool] = False
    """Whether the decoder of a float16 model computes in float32 if its configuration asks for that
    (`force_upcast`), as in the stock pipeline.
    """
    first_time: ClassVar[float | None] = None
    """The time of pure noise in the network's own units; None: the scheduler's first timestep."""
    loading: ClassVar[Mapping[str, Any]] = {}
    """Arguments of the family's `from_pretrained`."""
    _eta: float = 0.0
    """The scheduler's share of new noise in a step, if it has a choice there; the default is that
    of the stock pipelines.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        name: str,
        fingerprint: str,
        device: str = "cpu",
        image_size: int | None = None,
        prompt_prefix: bool | None = None,
        max_sequence_length: int | None = None,
        intermediate_timesteps: float | Literal["even"] | None = None,
        sampler: Sampler | None = None,
        memory: Sequence[str] = (),
        source: Mapping[str, Any] | None = None,
        shared: bool = False,
    ) -> None:
        self.name, self._weights, self._source = name, fingerprint, dict(source or {})
        self._device: torch.device = torch.device(device)
        self.pipeline, self.scheduler = pipeline, pipeline.scheduler
        self.text_encoders = [getattr(pipeline, part) for part in self.text_parts]
        self.backbone, self.decoder = getattr(pipeline, self.backbone_part), pipeline.vae
        self._dtype: torch.dtype = getattr(pipeline, self.backbone_part).dtype
        self.architecture: Any = self.backbone.config
        """The backbone's configuration."""
        self._offload = self._checkpoint_decoder = False
        self._options_given: dict[str, Any] = {
            "prompt_prefix": prompt_prefix,
            "max_sequence_length": max_sequence_length,
            "intermediate_timesteps": intermediate_timesteps,
            "memory": tuple(memory),
        }
        self._others: dict[tuple[FileVersion, ...], PipelineGenerator] = {}
        self._texts_of: PipelineGenerator | None = None
        if not shared:
            self._prepare_parts()
            self._set_memory(memory)
        self._set_size(image_size)
        self._set_prefix(prompt_prefix)
        self._set_text_length(max_sequence_length)
        self._set_intermediate(intermediate_timesteps)
        self._set_sampler(sampler)
        self._encoded = EncodedTexts()
        self._schedules: dict[int, Any] = {}
        self._constants: dict[tuple[tuple[float, ...], torch.dtype], Tensor] = {}

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        name: str,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        fingerprint: str | None = None,
        replaced: Mapping[str, Path] | None = None,
        lora: Path | None = None,
        source: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Load a local folder; nothing is fetched, nothing is unpickled. A folder without a usable
        pipeline is a `UsageError`.

        `fingerprint` identifies the weights (None: the files are hashed). `replaced` maps a part to
        the folder that it is taken from instead, or to the file of its weights; `lora` is the file
        of a LoRA that is added to the weights. `source` describes the origin for people; `options`
        are those of the class.
        """
        if not (folder / INDEX).is_file():
            raise UsageError(
                f"{folder} holds no diffusers pipeline (there is no {INDEX} in it); give the folder"
                " that save_pretrained wrote"
            )
        others = cls.beside_float16 if dtype == torch.float16 else {}
        models, variants = load_all(folder, replaced or {}, dtype, others)
        pipeline = assemble(folder, cls.pipeline_class, models, cls.loading)
        if lora is not None:
            fuse_lora(pipeline, lora)
        known = fingerprint or fingerprint_of(folder)
        # The variants say which of the folder's files were loaded, so they are identity too.
        return cls(
            pipeline,
            name=name,
            fingerprint=digest([known, variants]) if variants else known,
            device=device,
            source={**(source or {}), **({"variants": variants} if variants else {})},
            **options,
        )

    def _prepare_parts(self) -> None:
        """Freeze all parts, and put the decoder in its place."""
        for part in (*self.text_encoders, self.backbone, self.decoder):
            part.requires_grad_(False).eval()
        self.decoder.to(self._device)
        if (
            self.upcast_decoder
            and self._dtype == torch.float16
            and self.decoder.config.force_upcast
        ):
            self.decoder.float()

    # Options.

    def _set_memory(self, policies: Sequence[str]) -> None:
        self._memory, self._offload = tuple(policies), "offload-text" in policies
        for encoder in self.text_encoders:
            encoder.to("cpu" if self._offload else self._device)
        self._place_backbone()
        self._checkpoint_decoder = bool({"checkpoint-all", "checkpoint-decoder"} & set(policies))

    def _place_backbone(self) -> None:
        if "offload-blocks" in self._memory:
            offload_blocks(self.backbone, self._device)
        else:
            self.backbone.to(self._device)
        if {"checkpoint-all", "offload-blocks"} & set(self._memory):
            checkpoint_blocks(self.backbone)

    def _set_size(self, size: int | None) -> None:
        multiple = self.pipeline.vae_scale_factor * self._patch()
        if size is not None and (size < multiple or size % multiple):
            raise UsageError(
                f"`image_size` was {size}; {self.name} needs a multiple of {multiple}, for example"
                f" {self._default_size()}"
            )
        self.image_size = size or self._default_size()
        self.noise_shape = self._shape_of_noise(self.image_size // self.pipeline.vae_scale_factor)

    def _set_prefix(self, prefix: bool | None) -> None:
        if prefix is not None:
            raise UsageError(f"{self.name} has no prompt prefix; leave out `prompt_prefix`")

    def _set_text_length(self, tokens: int | None) -> None:
        if tokens is not None:
            raise UsageError(
                f"{self.name} has only one text length; leave out `max_sequence_length`"
            )

    def _set_intermediate(self, angle: float | Literal["even"] | None) -> None:
        if angle is not None:
            raise UsageError(
                f"{self.name} has no choice of intermediate timesteps; leave out"
                " `intermediate_timesteps`"
            )

    def _set_sampler(self, sampler: Sampler | None) -> None:
        if sampler is not None:
            raise UsageError(f"{self.name} has no choice of a scheduler; leave out `scheduler`")

    def _default_size(self) -> int:
        """Width and height in pixels."""
        return int(self.architecture.sample_size) * int(self.pipeline.vae_scale_factor)

    def _patch(self) -> int:
        """Width and height, in latents, of what the backbone takes as one token."""
        return int(self.architecture.get("patch_size") or 1)

    def _shape_of_noise(self, side: int) -> tuple[int, ...]:
        """The shape of the noise for latents of this width and height."""
        return (int(self.architecture.in_channels), side, side)

    def _options(self) -> dict[str, Any]:
        """Settings other than the weights that change the image, if not the family's default."""
        size = {} if self.image_size == self._default_size() else {"image_size": self.image_size}
        others = self.beside_float16 if self._dtype == torch.float16 else {}
        return {
            **size,
            **({"computes": {part: str(kind) for part, kind in others.items()}} if others else {}),
        }

    # The contract.

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    @property
    def fingerprint(self) -> str:
        options = self._options()
        return digest({"weights": self._weights, **options}) if options else self._weights

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        found = {"backbone": self.backbone, "image decoder": self.decoder.decoder}
        for number, other in enumerate(self._others.values(), 1):
            own = {name: one for name, one in other.networks.items() if one not in found.values()}
            found |= {f"{name} of fine-tuned weights {number}": one for name, one in own.items()}
        return found

    @property
    def details(self) -> dict[str, Any]:
        return {**self._source, "image_size": self.image_size, **self._options()}

    # Other weights.

    def with_weights_of(self, folder: Path) -> PipelineGenerator:
        version = versions_in(folder)
        if version not in self._others:
            whole = (folder / INDEX).is_file()
            self._others[version] = self._like(folder) if whole else self._around(folder)
        return self._others[version]

    def _like(self, folder: Path) -> PipelineGenerator:
        """Another pipeline of the family, all of whose parts are its own."""
        require_pipeline(folder, self.name, self.pipeline_class)
        other = type(self).from_folder(
            folder,
            name=self.name,
            device=str(self._device),
            dtype=self._dtype,
            image_size=self.image_size,
            **self._options_given,
        )
        if other.noise_shape != self.noise_shape:
            raise UsageError(
                f"{folder} takes noise of shape {list(other.noise_shape)}, and the generator"
                f" {self.name} {list(self.noise_shape)}; give a pipeline with the same noise"
            )
        return other

    def _around(self, folder: Path) -> PipelineGenerator:
        """This generator with another backbone of the same class and configuration."""
        network = load_network_like(folder, self.name, self.backbone, self._dtype)
        other = copy.copy(self)
        other._replace_backbone(network, fingerprint_of(folder), self)  # noqa: SLF001
        return other

    def _replace_backbone(self, network: Any, weights: str, texts_of: PipelineGenerator) -> None:
        """Take another backbone, whose weights have this fingerprint, and let the generator that
        this one is a copy of encode the texts.
        """
        self.backbone, self.architecture = network, network.config
        self._weights = digest([self._weights, weights])
        self._others, self._texts_of = {}, texts_of
        self._place_backbone()

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Conditioning:
        if self._texts_of is not None:
            return self._texts_of.encode(prompts)
        # Those with text encoders of their own too, because a run counts no encoding as a method's
        # work: whoever asks first encodes for all.
        for one in (self, *self._others.values()):
            one._keep_missing(prompts)  # noqa: SLF001
        lengths = self._encoded.lengths(prompts)  # `batch` may drop texts from the cache
        return Conditioning(self._encoded.batch(prompts, self._device), text_lengths=lengths)

    @torch.no_grad()
    def encode_ahead(self, prompts: Sequence[str]) -> None:
        """Fill the cache, and move the text encoders to the CPU. From then on they are on the
        device only while `encode` needs them. If the cache is too small for the prompts, nothing
        more than the first of them is encoded, and the encoders are where the memory policy says.
        """
        for other in self._others.values():
            other.encode_ahead(prompts)
        if self._texts_of is not None:
            return
        fits = True
        if new := self._encoded.missing(prompts):
            with self._text_encoders_in_place():
                self._keep(new[:1])
                fits = self._encoded.has_room_for(len(set(prompts)), like=new[0])
                self._keep(new[1:] if fits else [])
        self._offload = fits or "offload-text" in self._memory
        for encoder in self.text_encoders:
            encoder.to("cpu" if self._offload else self._device)

    def _keep_missing(self, prompts: Sequence[str]) -> None:
        if self._texts_of is None and (new := self._encoded.missing(prompts)):
            with self._text_encoders_in_place():
                self._keep(new)

    def _keep(self, prompts: Sequence[str]) -> None:
        """Encode prompts into the cache."""
        with quiet_loading():
            # One by one: the last digits depend on which prompts are encoded together, and in a
            # continued run these would be others.
            for prompt in prompts:
                row = {name: tensor[0] for name, tensor in self._encode([prompt]).items()}
                self._encoded.keep(prompt, row)

    @contextmanager
    def _text_encoders_in_place(self) -> Iterator[None]:
        """Within the block the text encoders lie on the device."""
        if self._offload:
            for encoder in self.text_encoders:
                encoder.to(self._device)
        try:
            yield
        finally:
            if self._offload:
                for encoder in self.text_encoders:
                    encoder.to("cpu")

    def predict(self, noise: Tensor, conditioning: Conditioning) -> Tensor:
        first = (
            self._started(1).timesteps[0]
            if self.first_time is None
            else torch.tensor(self.first_time)
        )
        return self._denoise(noise, first, conditioning)

    # The same image by diffusers' own pipeline.

    @property
    def stock_arguments(self) -> dict[str, Any]:
        """The arguments of the stock pipeline's call for which it makes the image of `generate` in
        one step.
        """
        size = {"height": self.image_size, "width": self.image_size}
        return {"num_inference_steps": 1, "guidance_scale": 0.0, **size}

    def stock_latents(self, noise: Tensor) -> Tensor:
        """The `latents` of the stock pipeline's call for noises `[B, *noise_shape]`.

        The pipeline scales them itself. Most pipelines do not cast them.
        """
        return noise.to(self._dtype)

    # Each family's own part.

    @abstractmethod
    def _encode(self, prompts: list[str]) -> dict[str, Tensor]:
        """The named tensors of these prompts, on any device, in the backbone's type."""

    @abstractmethod
    def _denoise(self, latents: Tensor, time: Tensor, conditioning: Conditioning) -> Tensor:
        """One pass of the backbone over latents `[B, ...]` at one time, a number on the CPU in the
        network's units of time.
        """

    # Helpers for the families.

    def _constant(self, values: Sequence[float], dtype: torch.dtype) -> Tensor:
        """The values `[n]` on the device. They are copied there only the first time, because the
        host waits for a copy from ordinary memory.
        """
        key = (tuple(values), dtype)
        if key not in self._constants:
            self._constants[key] = torch.tensor(values, dtype=dtype).to(self._device)
        return self._constants[key]

    def _on_device(self, time: Tensor) -> Tensor:
        """A time, which is a number on the CPU, as a number on the device."""
        return self._constant((time.item(),), time.dtype)[0]

    def _started(self, steps: int, **arguments: Any) -> Any:
        """A new copy of the scheduler, with its timesteps set: schedulers count the steps taken.

        `arguments` must follow from `steps`. The timesteps are on the CPU, where a scheduler can
        look them up in its tables without waiting for the device.
        """
        if steps not in self._schedules:
            unused = copy.copy(self.scheduler)
            unused.set_timesteps(**{"num_inference_steps": steps, "device": "cpu", **arguments})
            self._schedules[steps] = unused
        scheduler = copy.copy(self._schedules[steps])
        for name, value in vars(scheduler).items():
            if isinstance(value, list):  # for example the outputs of earlier steps
                setattr(scheduler, name, list(value))
        if hasattr(scheduler, "set_begin_index"):
            # Otherwise the scheduler looks for the first timestep in each step.
            scheduler.set_begin_index(0)
        return scheduler

    def _step_noise(self, scheduler: Any, conditioning: Conditioning, steps: int) -> dict[str, Any]:
        """The arguments of `scheduler.step` beside those of every step: its share of new noise, if
        it has a choice there, and one random generator per image, if it draws any.
        """
        eta = {"eta": self._eta} if "eta" in _step_takes(scheduler) else {}
        if not _draws_noise(scheduler, **eta):
            return eta
        seeds = conditioning.step_seeds
        if steps == 1:
            # No noise is added, but some schedulers draw all the same: on the device, so that
            # nothing is copied there, and not from torch's global random numbers.
            return {**eta, "generator": generator_on(self._device)}
        if seeds is None:
            raise ValueError(
                f"{self.name} adds noise between its steps ({type(scheduler).__name__}), and the"
                " conditioning has no seeds for it; generate with"
                " conditioning.seeded(noises.step_seeds(tasks))"
            )
        return {**eta, "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds]}

    def _sampled(self, noise: Tensor, conditioning: Conditioning, steps: int) -> Tensor:
        """The latents `[B, C, h, w]` after all steps from this noise, for schedulers that scale
        noise and input themselves.
        """
        scheduler = self._started(steps)
        latents: Tensor = noise.to(self._device) * scheduler.init_noise_sigma
        step_noise = self._step_noise(scheduler, conditioning, steps)
        for timestep in scheduler.timesteps:
            prediction = self._denoise(
                scheduler.scale_model_input(latents, timestep), timestep, conditioning
            )
            stepped = scheduler.step(
                prediction.to(latents.dtype), timestep, latents, **step_noise, return_dict=False
            )
            latents = self._after_step(stepped, steps)
        return latents

    def _after_step(self, stepped: tuple[Tensor, ...], steps: int) -> Tensor:  # noqa: ARG002
        """The latents after a step, from the tuple that the scheduler returned."""
        return stepped[0]

    def _decode(self, latents: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` in [0, 1], in the latents' type, from latents `[B, C, h, w]` as the
        decoder takes them.

        A value that is not finite becomes NaN, whichever infinity it was.
        """
        scaled = latents.to(self.decoder.dtype)
        if self._checkpoint_decoder and torch.is_grad_enabled():
            decoded = checkpoint(
                self._decoded, scaled, use_reentrant=False, preserve_rng_state=False
            )
        else:
            decoded = self._decoded(scaled)
        image = decoded.to(latents.dtype) / 2 + 0.5
        # Clamping would turn an overflow into a white pixel; as NaN it stays visible.
        return torch.where(image.isfinite(), image.clamp(0, 1), torch.nan)

    def _decoded(self, latents: Tensor) -> Tensor:
        image: Tensor = self.decoder.decode(latents, return_dict=False)[0]
        # In one layout, so that a compiled reward needs no second graph for a decoder whose
        # channels are last.
        return image.contiguous()


def _step_takes(scheduler: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(scheduler.step).parameters


def _draws_noise(scheduler: Any, eta: float | None = None) -> bool:
    """Whether a scheduler's steps add noise. `eta` is its share of new noise, if it has a choice
    there; another scheduler counts as adding noise if its `step` takes a random generator.
    """
    if eta is not None:
        return eta > 0
    if isinstance(scheduler, diffusers.FlowMatchEulerDiscreteScheduler):
        return bool(scheduler.config.get("stochastic_sampling"))
    if isinstance(scheduler, diffusers.EulerDiscreteScheduler):
        return False
    return "generator" in _step_takes(scheduler)
