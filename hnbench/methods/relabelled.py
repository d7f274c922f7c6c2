"""A method whose rows have other labels, so that two settings of one method fit into one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hnbench.generators.base import Generator
from hnbench.methods.base import Method, Outcome, Passes
from hnbench.methods.training import Training
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


@dataclass(frozen=True)
class Relabelled(Method):
    """A method under other labels. It proposes what `method` proposes, at the same cost."""

    method: Method
    label_of: Mapping[str, str]
    """The method's own label -> its label in the run, in the method's order."""
    identities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Label in the run -> identity of its records, for rows that another method began."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """The only label, or the method's name if all labels are its own; else the name with what
        the first label adds.
        """
        (own, label), *others = self.label_of.items()
        if own == label:
            return self.method.name
        return f"{self.method.name}{label.removeprefix(own)}" if others else label

    @property
    def sees_judge(self) -> bool:  # type: ignore[override]
        return self.method.sees_judge

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.label_of.values())

    def identity(self) -> dict[str, Any]:
        return self.method.identity()

    def identity_of(self, label: str) -> dict[str, Any]:
        return dict(self.identities.get(label, self.method.identity()))

    def among(self, prompts: Sequence[str]) -> Method:
        return replace(self, method=self.method.among(prompts))

    def skip(self, generator: Generator) -> str | None:
        return self.method.skip(generator)

    def prepare(self, generator: Generator) -> Training | None:
        """Prepare the method. Its training gets a name of its own, as its rows have."""
        training = self.method.prepare(generator)
        own, label = next(iter(self.label_of.items()))
        if not isinstance(training, Training) or own == label:
            return training
        kind = training.kind or self.method.name
        added = label.startswith(f"{own}:")
        return replace(training, kind=f"{kind}{label.removeprefix(own)}" if added else label)

    def passes(self, steps: int) -> Passes | None:
        return self.method.passes(steps)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        for outcome in self.method.propose(tasks, generator, reward, noises):
            # An outcome with an unknown label is refused by the run, which names it.
            label = self.label_of.get(outcome.label, outcome.label)
            yield replace(outcome, label=label)
