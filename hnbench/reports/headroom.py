"""How much the choice of the noise can change for a generator, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hnbench.runs.frame import REWARD
from hnbench.runs.plan import BASE
from hnbench.stats.spread import within_and_between

if TYPE_CHECKING:
    from hnbench.reports.pool import Pool

SMALL = 0.1
"""The share of a reward's variance within prompts below which a report says that it is small."""


@dataclass(frozen=True)
class Headroom:
    """The spread of one reward of random noise's images."""

    within: float
    """The standard deviation over the noises of one prompt."""
    between: float
    """The standard deviation of the prompts' means."""

    @property
    def share(self) -> float:
        """The share of the variance that is within prompts, from 0 to 1; NaN without a spread."""
        total = self.within**2 + self.between**2
        return self.within**2 / total if total > 0 else float("nan")


def headroom(pool: Pool) -> dict[str, Headroom]:
    """Reward -> its spread: the optimised total and the held-out rewards. Without those of which
    no prompt has two images.
    """
    base = pool.labels.index(BASE)
    found = {
        name: Headroom(
            *within_and_between(
                pool.values(f"{REWARD}{name}")[:, base], pool.clusters, len(pool.prompts)
            )
        )
        for name in ("optimised", *pool.held_out)
    }
    return {name: one for name, one in found.items() if not np.isnan(one.within)}
