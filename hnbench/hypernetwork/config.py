"""The configuration of a training: frozen, validated; every field is identity or runtime."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import msgspec

from hnbench.config import memory_policies, of_kind, values_of
from hnbench.errors import UsageError
from hnbench.seeds import digest

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A count in a file. A float holds every whole number up to the limit exactly."""
CHOICES = {
    "kind": ("hypernoise", "finetune", "regression"),
    "optimizer": ("sgd", "adamw"),
    "schedule": ("constant", "cosine"),
    "regulariser_reduction": ("sum", "mean"),
    "noise": ("fresh", "batch"),
    "lora_dtype": ("float32", "bfloat16"),
}
PARAMETER = {"hypernoise": "hypernetwork", "finetune": "finetuned", "regression": "amortised"}
"""Kind of training -> the parameter of a run that takes its adapter."""
OF_NOISE = ("hypernoise", "regression")
"""The kinds whose adapter changes the noise, and not the generator."""
OF_REGRESSION: dict[str, float] = {"pairs": 4096, "reno_iterations": 50, "reno_learning_rate": 5.0}
"""The fields that only a regression has, and their values where no preset has others: ReNO's own
are those for images of 512 pixels.
"""
AT_LEAST_ONE = (
    "steps",
    "batch_size",
    "accumulation",
    "rank",
    "eval_every",
    "eval_prompts",
    "eval_samples",
    "save_every",
    "pairs",
)
NOT_NEGATIVE = ("momentum", "weight_decay", "warmup_steps", "regulariser_weight", "image_penalty")
POSITIVE = ("learning_rate", "gradient_clip", "lora_alpha", "reno_learning_rate")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One adapter to be trained on one generator for one mixture of rewards.

    `kind="hypernoise"` trains the noise hypernetwork; `kind="finetune"` trains the same LoRA to
    change the generator itself; `kind="regression"` trains the hypernetwork to predict what ReNO
    adds to a noise. The fields of the evaluation are identity too, because a
    fine-tuning keeps the adapter that was best in its evaluations.
    """

    kind: Literal["hypernoise", "finetune", "regression"] = of_kind("identity")
    generator: str = of_kind("identity")
    image_size: int | None = of_kind("identity", default=None)
    """Width and height in pixels; None: the generator's own."""
    prompt_prefix: bool | None = of_kind("identity", default=None)
    """Whether the generator's prompt prefix is on; None: the generator's default."""
    max_sequence_length: int | None = of_kind("identity", default=None, added=True)
    """The number of text tokens, for generators that offer a choice; None: the generator's default.
    """
    memory: str = of_kind("runtime", default="none")
    """Memory policies of the generator, as `memory_policies` reads them."""
    compile: bool = of_kind("runtime", default=False)
    """Whether the networks are compiled (`hnbench.devices.compilation`)."""
    rewards: dict[str, float] = of_kind("identity")
    """Reward name -> weight."""
    prompts: str = of_kind("identity")
    """The source of the prompts, as the user named it. The training's folder identifies their texts
    by a hash.
    """
    steps: int = of_kind("identity", default=1000)
    """Optimizer steps."""
    batch_size: int = of_kind("identity", default=32)
    """Images per batch, in all processes together; the number of processes divides it."""
    accumulation: int = of_kind("identity", default=1)
    """Batches per optimizer step, one after the other."""
    optimizer: Literal["sgd", "adamw"] = of_kind("identity", default="sgd")
    learning_rate: float = of_kind("identity", default=1e-3)
    momentum: float = of_kind("identity", default=0.9)
    """For sgd."""
    weight_decay: float = of_kind("identity", default=0.0)
    warmup_steps: int = of_kind("identity", default=0)
    """Steps over which the rate grows linearly: step 0 has the rate 0, step `warmup_steps` is the
    first with the full rate.
    """
    schedule: Literal["constant", "cosine"] = of_kind("identity", default="constant")
    gradient_clip: float = of_kind("identity", default=1.0)
    """The largest L2 norm of the whole gradient."""
    rank: int = of_kind("identity", default=128)
    lora_alpha: float = of_kind("identity", default=128.0)
    target_pattern: str | None = of_kind("identity", default=None)
    """A regular expression on full layer names; None: every linear and 2-d convolution layer."""
    dense_convolutions: bool = of_kind("identity", default=False)
    """Whether grouped convolutions get a LoRA that ignores the groups (as in HyperNoise) instead of
    a grouped one, which exists only if the rank is divisible by the number of groups.
    """
    lora_dtype: Literal["float32", "bfloat16"] = of_kind("identity", default="float32")
    """The type that the LoRA's weights are stored and updated in."""
    regulariser_reduction: Literal["sum", "mean"] = of_kind("identity", default="mean")
    """For hypernoise: 1/2 of the sum (the paper's Eq. 11) or of the mean (its official code) of the
    squared change.
    """
    regulariser_weight: float = of_kind("identity", default=1.0)
    image_penalty: float = of_kind("identity", default=0.0)
    """For finetune: the weight of the mean squared distance to the base's image of the same noise.
    """
    pairs: int | None = of_kind("identity", default=None, added=True)
    """For regression: the number of pairs of a noise and what ReNO finds from it."""
    reno_iterations: int | None = of_kind("identity", default=None, added=True)
    """For regression: ReNO's iterations for each pair, at least 2: the first is the noise itself.
    """
    reno_learning_rate: float | None = of_kind("identity", default=None, added=True)
    """For regression: ReNO's learning rate. Its other parameters have their defaults."""
    noise: Literal["fresh", "batch"] = of_kind("identity", default="fresh")
    """A fresh noise per sample, or one noise shared by all samples of an optimizer step (as the
    official scripts do). In a regression each pair has its own.
    """
    seed: int = of_kind("identity", default=0)
    eval_every: int = of_kind("identity", default=100)
    eval_prompts: int = of_kind("identity", default=32)
    """The largest number of held-out prompts."""
    eval_samples: int = of_kind("identity", default=4)
    """Noises per held-out prompt."""
    save_every: int = of_kind("runtime", default=100)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"`{name}` was {getattr(self, name)!r}; choose one of {', '.join(choices)}"
                )
        self._check_numbers()
        if not self.rewards:
            raise UsageError(
                "no reward was given; a training needs at least one by `optimise`, as NAME=WEIGHT"
            )
        self._check_pattern()
        self._check_kind()
        memory_policies(self.memory)

    def _check_numbers(self) -> None:
        limits = [(name, 1.0, "at least 1") for name in AT_LEAST_ONE]
        limits += [(name, 0.0, "at least 0") for name in NOT_NEGATIVE]
        # ulp(0) is the smallest number above 0; NaN fails the comparison below, whatever the limit.
        limits += [(name, math.ulp(0.0), "above 0") for name in POSITIVE]
        limits += [("reno_iterations", 2.0, "at least 2, because ReNO's first changes nothing")]
        for name, least, wanted in limits:
            given = getattr(self, name)
            if given is not None and not least <= given < math.inf:
                raise UsageError(f"`{name}` was {given}; it must be {wanted}")

    def _check_pattern(self) -> None:
        try:
            re.compile(self.target_pattern or "")
        except re.error as error:
            raise UsageError(
                f"`target_pattern` was {self.target_pattern!r}, which is not a regular expression"
                f" ({error}); for example, '.*attn.*' matches the layers with attn in their names"
            ) from error

    def _check_kind(self) -> None:
        if self.kind in OF_NOISE and self.image_penalty:
            other = (
                "hypernoise has `regulariser_weight`"
                if self.kind == "hypernoise"
                else "regression has no penalty"
            )
            raise UsageError(f"`image_penalty` is for the `kind` finetune; {other}")
        for name in OF_REGRESSION:
            if self.kind != "regression" and getattr(self, name) is not None:
                raise UsageError(f"`{name}` is for the `kind` regression; leave it out")
            if self.kind == "regression" and getattr(self, name) is None:
                raise UsageError(f"the `kind` regression needs `{name}`, a number")
        if self.kind == "regression" and self.noise != "fresh":
            raise UsageError(
                f"`noise` was {self.noise!r}; in a regression each pair has its own, so it must be"
                " 'fresh'"
            )

    @property
    def identity_values(self) -> dict[str, Any]:
        """The values that make two trainings the same: the identity fields, and a mark for how the
        warm-up counts, because the first version began it one step later.
        """
        values = values_of(self, "identity")
        return {**values, "warmup": "from zero"} if self.warmup_steps else values

    @property
    def identity(self) -> str:
        """The SHA-256 over the identity values."""
        return digest(self.identity_values)

    def as_dict(self) -> dict[str, Any]:
        """All fields as JSON types."""
        return asdict(self)
