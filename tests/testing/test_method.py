from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hnbench.generators.base import Generator
from hnbench.methods.adapted import AdapterMethod
from hnbench.methods.amortised import Amortised
from hnbench.methods.base import Method, Outcome, one_each, starting_noise
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.controls import OtherNoise, RandomDirection
from hnbench.methods.finetune import FineTuned
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.methods.rewriting import RewriterCost
from hnbench.methods.training import Training
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.shapes.models import load_clip, load_generator
from hnbench.tasks import Task
from hnbench.testing import BrightnessReward, ContractError, ToyGenerator, check_method
from tests.methods.adapters import adapter_folder


@pytest.mark.parametrize("method", [Random(), BestOfN(n=5), ReNO(iterations=6)])
def test_the_searches_keep_the_contract(method: Method) -> None:
    check_method(method)
    check_method(method, generator=ToyGenerator(), reward=BrightnessReward())


@pytest.mark.parametrize("made", [HyperNoise, Amortised, RandomDirection, OtherNoise, FineTuned])
def test_the_methods_with_an_adapter_keep_the_contract(
    made: type[AdapterMethod], tmp_path: Path
) -> None:
    check_method(made(adapter=adapter_folder(tmp_path / "adapter", made.kind)))


def test_a_method_keeps_the_contract_on_shapes() -> None:
    check_method(
        BestOfN(n=2),
        generator=load_generator(device="cpu", dtype="float32"),
        reward=load_clip(device="cpu", dtype="float32"),
    )


@dataclass(frozen=True)
class Made(Random):
    """The base, and then something else done to each of its outcomes."""

    change: Callable[[Outcome], Outcome] = field(default=lambda outcome: outcome)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        for outcome in super().propose(tasks, generator, reward, noises):
            yield self.change(outcome)


def Costly(cost: Any) -> Made:  # noqa: N802 - as the classes here
    """The base with this cost of a rewriter."""
    return Made(lambda outcome: replace(outcome, rewriter=cost))


WRONG_COSTS = (
    7,
    RewriterCost(calls=1, seconds=-1.0, dropped=0),
    RewriterCost(calls=1, seconds=math.nan, dropped=0),
    RewriterCost(calls=1.5, seconds=0.0, dropped=0),  # type: ignore[arg-type]
    RewriterCost(calls=1, seconds=0.0, dropped=-1),
    RewriterCost(calls=1, seconds=0.0, dropped=0, tokens=-1),
)


class Reversed(Random):
    def propose(self, *given: Any) -> Iterator[Outcome]:
        yield from list(super().propose(*given))[::-1]


class Forgetful(Random):
    def propose(self, *given: Any) -> Iterator[Outcome]:
        yield from list(super().propose(*given))[1:]


class Swapping(Random):
    """Gives each task the next one's image and noise."""

    def propose(self, *given: Any) -> Iterator[Outcome]:
        found = list(super().propose(*given))
        for one, other in zip(found, found[1:] + found[:1], strict=True):
            yield replace(other, task=one.task)


class OwnNoise(Random):
    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        own = NoiseSource(7, noises.shape)
        yield from super().propose(tasks, generator, reward, own)


class Drawing(Random):
    """Adds noise of torch's global state."""

    def propose(self, *given: Any) -> Iterator[Outcome]:
        for one in super().propose(*given):
            yield replace(one, noise=one.noise + torch.rand(()))


class Averaging(Random):
    """Adds what depends on the size of the batch."""

    def propose(self, tasks: Sequence[Task], *given: Any) -> Iterator[Outcome]:
        for one in super().propose(tasks, *given):
            yield replace(one, noise=one.noise + 0.1 * len(tasks))


class Unseeded(Random):
    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        noise = starting_noise(generator, noises, tasks)
        with torch.no_grad():
            text = generator.encode([task.prompt for task in tasks])
            yield from one_each(tasks, self.name, generator.generate(noise, text), noise)


class Attached(Random):
    def propose(self, *given: Any) -> Iterator[Outcome]:
        for one in super().propose(*given):
            yield replace(one, noise=one.noise.requires_grad_())


class Damaging(Random):
    def prepare(self, generator: Generator) -> Training | None:
        with torch.no_grad():
            next(generator.backbone.parameters()).add_(1)
        return None


class Reluctant(Random):
    def skip(self, generator: Generator) -> str | None:
        return "it has one step only"


class Careless(Random):
    def prepare(self, generator: Generator) -> Training | None:
        return {"seconds": 3}  # type: ignore[return-value]


class Pathological(Random):
    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "adapter": Path("adapter")}


class Nameless(Random):
    def identity(self) -> dict[str, Any]:
        return {"weights": 3}


class Twice(Random):
    @property
    def labels(self) -> tuple[str, ...]:
        return ("random", "random")


@dataclass
class Remembering(Method):
    """Not frozen: counts its calls in a field."""

    calls: int = 0
    name = "random"
    labels = ("random",)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name}

    def propose(self, *given: Any) -> Iterator[Outcome]:
        self.calls += 1
        yield from Random().propose(*given)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Made(lambda one: replace(one, image=one.image * 3)), r"in \[0, 1\] is expected"),
        (Made(lambda one: replace(one, image=one.image[:2])), r"\[3, 8, 8\] of floating-point"),
        (Made(lambda one: replace(one, noise=one.noise.half())), "float32 or wider is expected"),
        (Made(lambda one: replace(one, noise=one.noise * torch.nan)), "not finite"),
        (Made(lambda one: replace(one, share=0.0)), r"share has to be in \(0, 1\]; got 0"),
        (Made(lambda one: replace(one, share=2.0)), "share of a task's cost"),
        (Made(lambda one: replace(one, acceptance=1.5)), "share of accepted proposals"),
        (Made(lambda one: replace(one, chosen_prompt="two\nlines")), "as the chosen prompt"),
        (
            Made(lambda one: replace(one, chosen_prompt=7)),  # type: ignore[arg-type]
            "as the chosen prompt",
        ),
        *((Costly(cost), "cost of its rewriter") for cost in WRONG_COSTS),
        (Made(lambda one: replace(one, label="other")), r"each label \(random\) is expected"),
        (Reversed(), "task by task, each with its labels in order"),
        (Forgetful(), "one for each of 3 tasks"),
        (Swapping(), "the noise of another of its batch"),
        (OwnNoise(), "has to begin from the noises it is given"),
        (Drawing(), "the same tasks have to give the same outcome"),
        (Averaging(), "must not depend on the other tasks of its batch"),
        (Unseeded(), "the seeds of the noise between steps"),
        (Attached(), "have to be detached"),
        (Damaging(), "must leave the generator as it was"),
        (Reluctant(), "skip has to return None .* got 'it has one step only'"),
        (Careless(), "prepare has to return a Training, or None"),
        (Pathological(), r"identity\(\) has to be a dictionary of JSON types"),
        (Nameless(), "has to hold the method's name"),
        (Twice(), "labels has to be a tuple of different texts"),
        (Remembering(), "must hold no state of a run"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_broken_rule_is_named(broken: Method, rule: str) -> None:
    with pytest.raises(ContractError, match=rule) as raised:
        check_method(broken)
    assert str(raised.value).startswith("the method random")
