"""Plug-ins and a suite that name everything with the texts of `tests.hostile`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from hnbench.generators.base import Generator
from hnbench.measures.base import PromptMeasure
from hnbench.methods.base import Method, Outcome
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource, digest
from hnbench.suites.base import Judge, Prompt, Suite, Verdict
from hnbench.tasks import Task
from hnbench.testing.toys import ToyGenerator
from tests.hostile import TEXTS

STORABLE = [text for text in TEXTS if "\ud800" not in text]
"""JSON of UTF-8 holds no lone surrogates."""
ALL = " ".join(STORABLE)
REWARD = "**<b>|[x](y)[red]$\\frac{$\x1b[1m"
LABELS = (
    "=1+1",
    "\x1b]0;title\x07",
    "<script>alert(1)</script>",
    "| a | table | row |",
    "[red]markup[/red]",
    "two\nlines",
)


class HostileGenerator(ToyGenerator):
    """Has a name that is no name."""

    name = ALL


def load_generator(*, device: str, dtype: str) -> HostileGenerator:
    del device
    return HostileGenerator(getattr(torch, dtype))


class HostileReward(Reward):
    """The mean of all channels."""

    name = REWARD

    @property
    def fingerprint(self) -> str:
        return digest("hostile")

    def score(self, images: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
        return images.mean(dim=(1, 2, 3))


def load_reward(*, device: str, dtype: str) -> HostileReward:
    del device, dtype
    return HostileReward()


class HostileJudge(Judge):
    """Gives the prompt as its reason."""

    name = ALL
    fingerprint = "7" * 64

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        return [Verdict(False, about["text"]) for about in metadata]


class HostileSuite(Suite):
    """Each text is a prompt and its tag."""

    name = ALL
    version = ALL
    tags = tuple(STORABLE)

    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(Prompt(text, text, text, {"text": text, "include": []}) for text in STORABLE)

    def subset(self) -> tuple[Prompt, ...]:
        return self.prompts()

    def samples(self, prompt: Prompt, *, full: bool) -> int:
        return 2

    def judge(self, *, device: str = "cpu") -> HostileJudge:
        return HostileJudge()


@dataclass(frozen=True, kw_only=True)
class HostileMethod(Method):
    """The start's image under many labels; for some prompts an error that says the prompt."""

    name = "hostile"

    @property
    def labels(self) -> tuple[str, ...]:
        return LABELS

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "texts": STORABLE}

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        for task in tasks:
            if task.prompt in STORABLE[8:18]:
                raise RuntimeError(task.prompt)
            noise = noises.batch([task])
            image = generator.generate(noise, generator.encode([task.prompt])).detach()[0]
            for label in LABELS:
                yield Outcome(task, label, image, noise[0])


class HostileMeasure(PromptMeasure):
    """Says much of itself."""

    name, about, higher_is_better = "<i>|*x*", ALL, True
    fingerprint = "8" * 64

    def values(self, groups: Sequence[Sequence[Image.Image]]) -> list[float]:
        return [float(number) for number, _ in enumerate(groups)]


def load_measure(device: str) -> HostileMeasure:
    del device
    return HostileMeasure()
