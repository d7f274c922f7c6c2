"""The check of a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass

import torch
from torch import Tensor

from hnbench.generators.base import Conditioning, Generator
from hnbench.guards.answers import shown
from hnbench.metering import Meter, MeteredGenerator, MeteredReward
from hnbench.methods.base import (
    Method,
    Outcome,
    Passes,
    conditioning_of,
    starting_noise,
    without_gradient,
)
from hnbench.methods.training import Training
from hnbench.rewards.base import Reward
from hnbench.runs.outcomes import Expectation
from hnbench.runs.record import Failure
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from hnbench.testing.contract import (
    ContractError,
    as_a_run_checks,
    name_of,
    require,
    require_close,
    require_json,
    require_text,
)
from hnbench.testing.toys import RedReward, ToyGenerator

TASKS = (Task("0", "a red circle", 0), Task("0", "a red circle", 1), Task("1", "two cats", 0))


def check_method(
    method: Method, *, generator: Generator | None = None, reward: Reward | None = None
) -> None:
    """Check a method on three samples of two prompts, prepared and called as in a run.
    `ContractError` if it breaks its contract.

    Without a generator or a reward, the toys are used (the generator in float64).
    """
    who = name_of("method", method)
    model = ToyGenerator(torch.float64) if generator is None else generator
    _check_description(who, method)
    before = repr(method)
    images = _images(model)
    _check_preparation(who, method, model)
    _Asked(who, method, model, RedReward() if reward is None else reward).check()
    require(repr(method) == before, who, "a method must hold no state of a run", repr(method))
    require_close(
        who, "prepare and propose must leave the generator as it was", _images(model), images
    )


def _images(generator: Generator) -> Tensor:
    noises = NoiseSource(2, generator.noise_shape)
    with without_gradient():
        return generator.generate(
            starting_noise(generator, noises, TASKS), conditioning_of(generator, noises, TASKS)
        )


def _check_description(who: str, method: Method) -> None:
    require_text(who, "name", method.name)
    require(is_dataclass(method), who, "a method has to be a dataclass: its fields are parameters")
    labels = method.labels
    require(
        isinstance(labels, tuple) and labels and len(set(labels)) == len(labels),
        who,
        "labels has to be a tuple of different texts that is not empty",
        f"got {labels!r}"[:200],
    )
    for label in labels:
        require_text(who, "a label", label)
    identity = method.identity()
    require_json(who, "identity()", identity)
    require(
        identity.get("name") == method.name,
        who,
        "identity() has to hold the method's name as 'name'",
        f"got {shown(identity.get('name'))}",
    )
    require(method.identity() == identity, who, "identity() has to stay the same")


def _check_preparation(who: str, method: Method, generator: Generator) -> None:
    reason = method.skip(generator)
    require(
        reason is None,
        who,
        "skip has to return None for the generator of this check, or a reason as text; give a"
        " generator that the method can work on",
        f"got {shown(reason)}",
    )
    training = method.prepare(generator)
    require(
        training is None or isinstance(training, Training),
        who,
        "prepare has to return a Training, or None",
        f"got {shown(training)}",
    )


class _Watched(MeteredGenerator):
    """A generator as in a run, which notes whether it was called without seeds."""

    def __init__(self, generator: Generator) -> None:
        super().__init__(generator, Meter(), steps=1)
        self.unseeded = False

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        self.unseeded |= conditioning.step_seeds is None
        return super().generate(noise, conditioning, steps)


class _Asked:
    """A prepared method with its generator and reward, and the rules of its outcomes."""

    def __init__(self, who: str, method: Method, generator: Generator, reward: Reward) -> None:
        self.who, self.method, self.reward = who, method, reward
        self.generator, self.model = _Watched(generator), generator
        self.image_shape = tuple(_images(generator).shape[1:])

    def check(self) -> None:
        first = self._propose(TASKS)
        require(
            not self.generator.unseeded,
            self.who,
            "images have to be generated for conditioning_of(generator, noises, tasks), which has"
            " the seeds of the noise between steps",
        )
        self._require_same(
            self._propose(TASKS), first, "the same tasks have to give the same outcome"
        )
        rule = "an outcome must not depend on the other tasks of its batch"
        for task in TASKS:
            self._require_same(self._propose([task]), first, rule)
        self.generator.images_at_once = 2 * len(TASKS) + 1
        self._require_same(
            self._propose(TASKS),
            first,
            "an outcome must not depend on how many images are generated at once (images_at_once)",
        )
        self.generator.images_at_once = None
        self._require_same(self._propose(TASKS[::-1]), first, f"{rule}, or on their order")
        self._check_seed(first)
        self._check_passes()

    def _propose(self, tasks: Sequence[Task], base_seed: int = 0) -> list[Outcome]:
        noises = NoiseSource(base_seed, self.generator.noise_shape)
        reward = MeteredReward(self.reward, Meter())
        listed = list(self.method.propose(tasks, self.generator, reward, noises))
        self._check_outcomes(tasks, listed, noises)
        return listed

    def _check_outcomes(
        self, tasks: Sequence[Task], listed: list[Outcome], noises: NoiseSource
    ) -> None:
        labels = self.method.labels
        expected = Expectation(self.who, tasks, labels, self.image_shape, noises.batch(tasks))
        with as_a_run_checks():
            checked = expected.check(listed)
        for found in checked.values():
            if isinstance(found, Failure):
                raise ContractError(found.message)
        require(
            [(one.task, one.label) for one in listed]
            == [(task, label) for task in tasks for label in labels],
            self.who,
            f"propose has to yield the outcomes task by task, each with its labels in order"
            f" ({', '.join(labels)})",
            f"got {[(one.task.prompt_id, one.task.sample, one.label) for one in listed]}",
        )
        for one in listed:
            require(
                not (one.image.requires_grad or one.noise.requires_grad),
                self.who,
                "image and noise have to be detached",
            )
            require(
                0 < one.share <= 1, self.who, "share has to be in (0, 1]", f"got {one.share:.3g}"
            )

    def _require_same(
        self, ours: Sequence[Outcome], expected: Sequence[Outcome], rule: str
    ) -> None:
        known = {(one.task, one.label): one for one in expected}
        for one in ours:
            other = known[one.task, one.label]
            require_close(self.who, rule, one.image, other.image)
            require_close(self.who, rule, one.noise, other.noise)

    def _check_seed(self, first: Sequence[Outcome]) -> None:
        """Require that another base seed gives other noises. If it does not, the method draws its
        own noises, and cannot be paired with the others.
        """
        for one, other in zip(first, self._propose(TASKS, base_seed=1), strict=True):
            require(
                not torch.equal(one.noise, other.noise),
                self.who,
                "a method has to begin from the noises it is given (starting_noise)",
                "another base seed gives the same noise",
            )

    def _check_passes(self) -> None:
        """Require that the passes which the method announces are those that it makes."""
        said = self.method.passes(1)
        require(
            said is None or isinstance(said, Passes),
            self.who,
            "passes() has to return Passes, or None if they cannot be known in advance",
            f"got {shown(said)}",
        )
        if said is None:
            return
        meter = Meter()
        generator = MeteredGenerator(self.model, meter, steps=1)
        noises = NoiseSource(0, self.model.noise_shape)
        made = list(
            self.method.propose(TASKS, generator, MeteredReward(self.reward, meter), noises)
        )
        counted = {name: count / len(TASKS) for name, count in asdict(meter).items()}
        dropped = any(one.rewriter is not None and one.rewriter.dropped for one in made)
        require(
            all(
                counted[name] <= passes if dropped else counted[name] == passes
                for name, passes in asdict(said).items()
            ),
            self.who,
            "passes() has to announce the passes that propose makes for one task",
            f"announced {asdict(said)}, counted {counted}",
        )
