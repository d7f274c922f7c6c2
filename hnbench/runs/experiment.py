"""All that a run works with, loaded: one argument instead of six."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.config import RunConfig
    from hnbench.generators.base import Generator
    from hnbench.rewards.base import Mixture, Reward
    from hnbench.runs.preparation import Prepared
    from hnbench.suites.base import Suite


@dataclass(frozen=True)
class Experiment:
    """Methods, and what they are compared on."""

    config: RunConfig
    suite: Suite
    generator: Generator
    rewards: Mixture
    """The optimised rewards and their weights."""
    held_out: Sequence[Reward]
    """Rewards that are reported and never optimised."""
    prepared: Prepared
    """The methods, the base first, ready for the generator."""
