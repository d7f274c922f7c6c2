"""The cost of a method's training, and the prompts that it saw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hnbench.errors import PluginError
from hnbench.guards.answers import real, shown
from hnbench.hypernetwork.seen import is_hash, seen_prompts


@dataclass(frozen=True, kw_only=True)
class Training:
    """The cost of a training, including evaluations; None for a number that is not known.

    Passes are counted in images. `PluginError` for a number that is negative or not finite, for a
    kind, device or checkpoint that is not printable text, and for hashes that
    `hnbench.hypernetwork.seen.prompt_hashes` cannot have made.
    """

    kind: str = ""
    """The training's name in `run.json` and in the report. Methods that share a training give it
    the same kind. If it is empty, the training has the method's name.
    """
    generator_forward: float | None = None
    generator_backward: float | None = None
    reward_forward: float | None = None
    reward_backward: float | None = None
    flops: float | None = None
    """Floating-point operations of generator, trained network and reward."""
    seconds: float | None = None
    steps: int | None = None
    skipped_steps: int | None = None
    """The number of steps that were skipped because their gradient was not finite."""
    images: int | None = None
    """The number of images trained on."""
    device: str | None = None
    """The name of the device, for people."""
    checkpoint: str | None = None
    """The form of a checkpoint of another program (`"peft LoRA"`), of whose training nothing is
    known; None for a training of hnbench.
    """
    seen: frozenset[str] | None = None
    """The hashes of the prompts that the training saw (`prompt_hashes` of their texts); None if
    they were not noted.
    """

    def __post_init__(self) -> None:
        for name in ("kind", "device", "checkpoint"):
            text = getattr(self, name)
            if text is not None and not (isinstance(text, str) and text.isprintable()):
                self._refuse(name, text, "printable text")
        for name in AMOUNTS:
            self._require_amount(name, getattr(self, name))
        if self.seen is not None and not (
            isinstance(self.seen, frozenset) and all(map(is_hash, self.seen))
        ):
            self._refuse("seen", self.seen, "a frozenset of hashes by prompt_hashes, or None,")

    def _require_amount(self, name: str, given: Any) -> None:
        number = real(given)
        if given is not None and (number is None or not 0 <= number < math.inf):
            self._refuse(name, given, "a finite number of at least 0, or None where it is unknown,")

    def _refuse(self, name: str, given: Any, wanted: str) -> None:
        raise PluginError(f"a Training's {name} was {shown(given)}; {wanted} is expected")

    def to_json(self, prompts: Mapping[str, str]) -> dict[str, Any]:
        """The entry of `run.json`: the known numbers, the device and the checkpoint, and as
        `"seen_prompts"` the ids of those of `prompts` (id -> text) that the training saw, or None
        if they were not noted.
        """
        known = {name: getattr(self, name) for name in (*AMOUNTS, "device", "checkpoint")}
        cost = {name: value for name, value in known.items() if value is not None}
        return {**cost, "seen_prompts": seen_prompts(self.seen, prompts)}


AMOUNTS = tuple(
    item.name
    for item in fields(Training)
    if item.name not in ("kind", "device", "checkpoint", "seen")
)
"""The fields that are numbers."""
