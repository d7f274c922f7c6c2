"""What the training of a method took, and which prompts it saw."""

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
    """The cost of a training, evaluations included. What is not known is None.

    Passes are counted in images. A number that is negative or not finite, a device that is not
    printable text, and hashes that are not of `hnbench.hypernetwork.seen.prompt_hashes` are a
    `PluginError`.
    """

    kind: str = ""
    """Names the training in `run.json` and in the report. Methods that use one training give it the
    same kind; empty for a training of one method alone, which then has the method's name.
    """
    generator_forward: float | None = None
    generator_backward: float | None = None
    reward_forward: float | None = None
    reward_backward: float | None = None
    seconds: float | None = None
    steps: int | None = None
    skipped_steps: int | None = None
    """Steps whose gradient was not finite."""
    images: int | None = None
    """Images trained on."""
    device: str | None = None
    """The name of the device, for people."""
    seen: frozenset[str] | None = None
    """The hashes of the prompts that the training saw (`prompt_hashes` of their texts); None where
    nobody noted them.
    """

    def __post_init__(self) -> None:
        for name in ("kind", "device"):
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
        """The entry of `run.json`: what is known of the cost, and as `"seen_prompts"` which of
        `prompts` (id -> text) the training saw: their ids, or None where nobody noted them.
        """
        known = {name: getattr(self, name) for name in (*AMOUNTS, "device")}
        cost = {name: value for name, value in known.items() if value is not None}
        return {**cost, "seen_prompts": seen_prompts(self.seen, prompts)}


AMOUNTS = tuple(
    item.name for item in fields(Training) if item.name not in ("kind", "device", "seen")
)
"""The fields that are numbers."""
