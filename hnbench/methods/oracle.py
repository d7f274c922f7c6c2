"""An oracle: ascent by the judge's own grades, which no method sees.

It says how much of the score is out of reach for a noise on this generator, and how much only for
the reward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hnbench.generators.base import Generator
from hnbench.methods.base import Outcome
from hnbench.methods.hybrid import Hybrid
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Oracle(Hybrid):
    """DNO's hybrid gradient, with the judge's grade in place of the reward.

    Its row is no method's: what is optimised is what is reported. A report marks it, and compares
    nothing with it.
    """

    name = "oracle"
    sees_judge = True

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        for outcome in super().propose(tasks, generator, reward, noises):
            # Its course is one of grades, and a record's is one of rewards.
            yield replace(outcome, trajectory=None)
