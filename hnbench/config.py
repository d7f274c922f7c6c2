"""The configuration of a run: frozen, validated; every field is identity, plan or runtime.

Identity fields decide what a record *is*: they enter the run's and every record's SHA-256. Plan
fields decide which records the run should have. Runtime fields (batch size, device, ...) decide
neither, and never enter a hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from hnbench.errors import UsageError
from hnbench.files.names import OF_MODELS, plain_name
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import DataclassInstance

Kind = Literal["identity", "plan", "runtime"]
MEMORY = ("checkpoint-decoder", "checkpoint-all", "offload-text", "offload-blocks")
"""The memory policies; `hnbench.generators.memory` explains them."""


def of_kind(kind: Kind, *, added: bool = False, **keywords: Any) -> Any:
    """A dataclass field of this kind. `added` marks a field that came in a later version:
    `values_of` leaves it out while it has its default, None.
    """
    return field(metadata={"kind": kind, "added": added}, **keywords)


def values_of(config: DataclassInstance, kind: Kind) -> dict[str, Any]:
    """The values of one kind, by field name, as JSON types.

    A field that was added later is included only if it is not None, so that configurations from
    before it existed keep their identity.
    """
    chosen = {
        item: getattr(config, item.name)
        for item in fields(config)
        if item.metadata.get("kind") == kind
    }
    return {
        item.name: _plain(value)
        for item, value in chosen.items()
        if value is not None or not item.metadata.get("added")
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def memory_policies(text: str) -> tuple[str, ...]:
    """The memory policies in a text: `"none"`, or one or several names separated by commas. An
    unknown name is a `UsageError`.

    >>> memory_policies("none")
    ()
    >>> memory_policies("offload-text,checkpoint-decoder")
    ('offload-text', 'checkpoint-decoder')
    """
    policies = () if text == "none" else tuple(dict.fromkeys(text.split(",")))
    for name in policies:
        if name not in MEMORY:
            raise UsageError(
                f"the memory policy {name!r} is unknown; choose none, or one or several of"
                f" {', '.join(MEMORY)}, separated by commas"
            )
    return policies


def check_held_out(held_out: Iterable[str], optimised: Iterable[str]) -> None:
    """Raise a `UsageError` if a reward is both optimised and held out: it would look like
    independent evidence.
    """
    if both := set(optimised) & set(held_out):
        raise UsageError(
            f"{', '.join(sorted(both))} cannot be optimised and held out in one run; leave"
            " it out of `optimise` or of `hold_out`"
        )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One suite, generator and set of rewards under one base seed, and the methods to run."""

    suite: str = of_kind("identity")
    """A suite's specification, or a prompt file's own name without its folder."""
    suite_version: str | None = of_kind("identity", default=None, added=True)
    """For a prompt file, the version of its prompts, because its name does not identify them; None
    for a suite given by name.
    """
    generator: str = of_kind("identity")
    optimised: dict[str, float] = of_kind("identity")
    """Reward name -> weight: what the methods optimise."""
    held_out: tuple[str, ...] = of_kind("identity", default=())
    """Rewards that are reported and never optimised."""
    base_seed: int = of_kind("identity", default=0)
    noise_policy: str = of_kind("identity", default="per-prompt")
    steps: int = of_kind("identity", default=1)
    render_steps: int | None = of_kind("identity", default=None, added=True)
    """The steps of the saved images, if they are others than those of the searches; None: `steps`.
    """
    dtype: str = of_kind("identity", default="float32")
    image_size: int | None = of_kind("identity", default=None)
    """Width and height in pixels; None: the generator's own."""
    prompt_prefix: bool | None = of_kind("identity", default=None)
    """Whether the generator's prompt prefix is on; None: the generator's default."""
    max_sequence_length: int | None = of_kind("identity", default=None, added=True)
    """The number of text tokens, for generators that offer a choice; None: the generator's default.
    """
    intermediate_timesteps: float | Literal["even"] | None = of_kind(
        "identity", default=None, added=True
    )
    """SANA-Sprint's angle between two steps, or `even`; None: the generator's default."""
    methods: tuple[str, ...] = of_kind("plan")
    """Method specifications as typed, e.g. `"reno"` or `"best-of-n:n=16"`."""
    full: bool = of_kind("plan", default=False)
    limit: int | None = of_kind("plan", default=None)
    """The largest number of prompts (spread evenly over the tags); None for the whole protocol."""
    batch_size: int = of_kind("runtime", default=32)
    gradient_batch_size: int | None = of_kind("runtime", default=None, added=True)
    """The batch size of methods that need the gradient; None: `batch_size`."""
    device: str = of_kind("runtime", default="cpu")
    memory: str = of_kind("runtime", default="none")
    """Memory policies of the generator, as `memory_policies` reads them."""
    compile: bool = of_kind("runtime", default=False)
    """Whether the networks are compiled (`hnbench.devices.compilation`)."""

    def __post_init__(self) -> None:
        if self.noise_policy not in ("per-prompt", "shared"):
            raise UsageError(
                f"`noise_policy` was {self.noise_policy!r}; choose 'per-prompt' or 'shared'"
            )
        for name, value in (
            ("steps", self.steps),
            ("render_steps", 1 if self.render_steps is None else self.render_steps),
            ("batch_size", self.batch_size),
            ("gradient_batch_size", self.gradient_batch_size or 1),
            ("limit", 1 if self.limit is None else self.limit),
        ):
            if value < 1:
                raise UsageError(f"`{name}` was {value}; it must be at least 1")
        memory_policies(self.memory)
        if self.intermediate_timesteps is not None and 2 not in (self.steps, self.render_steps):
            raise UsageError(
                f"the intermediate timestep lies between two steps, but `steps` was {self.steps};"
                " set it to 2, or leave out `intermediate_timesteps`"
            )
        check_held_out(self.held_out, self.optimised)

    @property
    def identity(self) -> str:
        """The SHA-256 over the identity fields (models enter it by name here, by fingerprint in
        each record).
        """
        return digest(values_of(self, "identity"))

    @property
    def folder_name(self) -> str:
        """The default name of the run's folder."""
        suite = self.suite if self.suite_version is None else plain_name(self.suite)
        return plain_name(
            f"{suite}-{self.generator}",
            ending=f"-seed{self.base_seed}-{self.identity[:8]}",
            also=OF_MODELS,
        )
