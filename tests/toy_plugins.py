"""The toys as registries would name them, and a suite and broken parts to run them with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from hnbench.catalogue.entries import (
    Entry,
    GeneratorEntry,
    MeasureEntry,
    MethodEntry,
    RewardEntry,
    SuiteEntry,
)
from hnbench.catalogue.registry import METHODS, Registry
from hnbench.generators.base import Generator
from hnbench.measures.base import PromptMeasure, SetMeasure
from hnbench.methods.base import Method, Outcome
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource, digest
from hnbench.suites.base import Judge, Prompt, Suite, Verdict
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, RedReward, ToyGenerator


def load_generator(*, device: str, dtype: str) -> ToyGenerator:
    assert device == "cpu"
    return ToyGenerator(getattr(torch, dtype))


def load_other_generator(*, device: str, dtype: str) -> ToyGenerator:
    assert device == "cpu"
    return ToyGenerator(getattr(torch, dtype), seed=1)


def load_reward(*, device: str, dtype: str) -> BrightnessReward:
    del device, dtype
    return BrightnessReward()


def load_red(*, device: str, dtype: str) -> RedReward:
    del device, dtype
    return RedReward()


class RedJudge(Judge):
    """Right when there is more red than the metadata's limit."""

    name = "red"

    @property
    def fingerprint(self) -> str:
        return digest("red judge")

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        reds = [
            sum(image.getchannel(0).tobytes()) / (image.width * image.height * 255)
            for image in images
        ]
        return [
            Verdict(red > about["limit"], "" if red > about["limit"] else "too little red")
            for red, about in zip(reds, metadata, strict=True)
        ]


class ToySuite(Suite):
    """Six prompts in two tags, two images each."""

    name = "toy-suite"
    version = "1"
    tags = ("low", "high")

    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(
            Prompt(f"{tag}/{number}", f"{tag} {number}", tag, {"limit": 0.5})
            for tag in self.tags
            for number in range(3)
        )

    def subset(self) -> tuple[Prompt, ...]:
        return tuple(prompt for prompt in self.prompts() if not prompt.id.endswith("2"))

    def samples(self, prompt: Prompt, *, full: bool) -> int:
        return 2

    def judge(self, *, device: str = "cpu") -> RedJudge:
        return RedJudge()


@dataclass(frozen=True, kw_only=True)
class Failing(Method):
    """Fails for the prompts that contain a word; on request it is stopped by Ctrl-C instead."""

    word: str = "high"
    interrupt: bool = False
    name = "failing"

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {"name": self.name}

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        for task in tasks:
            if self.word in task.prompt:
                raise KeyboardInterrupt if self.interrupt else RuntimeError(f"no {self.word} today")
        noise = noises.batch(tasks)
        images = generator.generate(noise, generator.encode([task.prompt for task in tasks]))
        for task, image, chosen in zip(tasks, images.detach(), noise, strict=True):
            yield Outcome(task, self.name, image, chosen)


def _red(picture: Image.Image) -> float:
    return float(np.asarray(picture)[..., 0].mean()) / 255


class RedRange(PromptMeasure):
    """How far a prompt's images differ in redness."""

    name, about, higher_is_better = "lpips", "The range of redness", True
    fingerprint = "8" * 64

    def values(self, groups: Sequence[Sequence[Image.Image]]) -> list[float]:
        return [max(map(_red, group)) - min(map(_red, group)) for group in groups]


def load_range(device: str) -> RedRange:
    assert device == "cpu"
    return RedRange()


class Shift(SetMeasure):
    """How much redder the images are."""

    name, about, higher_is_better = "shift", "The difference of mean redness", None
    fingerprint = "9" * 64

    def features(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        return torch.tensor([[_red(picture)] for picture in pictures])

    def distance(self, ours: torch.Tensor, base: torch.Tensor) -> float:
        return float((ours.mean() - base.mean()).abs())


def load_shift(device: str) -> Shift:
    assert device == "cpu"
    return Shift()


def toy_registries() -> dict[str, Registry[Any]]:
    """What `hnbench.catalogue.registry` has under these names where the toys are all there is,
    beside the built-in methods.
    """
    here = __name__
    entries: dict[str, Sequence[Entry]] = {
        "GENERATORS": [
            GeneratorEntry("toy", f"{here}:load_generator", ""),
            GeneratorEntry("other-toy", f"{here}:load_other_generator", ""),
        ],
        "REWARDS": [
            RewardEntry("brightness", f"{here}:load_reward", ""),
            RewardEntry("red", f"{here}:load_red", ""),
        ],
        "METHODS": [*METHODS.built_in, MethodEntry("failing", f"{here}:Failing", "")],
        "SUITES": [SuiteEntry("toy-suite", f"{here}:ToySuite", "")],
        "MEASURES": [
            MeasureEntry("lpips", f"{here}:load_range", ""),
            MeasureEntry("shift", f"{here}:load_shift", ""),
        ],
    }
    return {
        name: Registry(name.lower()[:-1], "hnbench.none", type(found[0]), *found)
        for name, found in entries.items()
    }
