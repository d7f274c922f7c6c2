"""A whole run in miniature: a suite, a judge and methods over the toys, quick enough to be killed
many times.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hnbench.config import RunConfig
from hnbench.generators.base import Conditioning, Generator
from hnbench.methods.base import Method, Outcome
from hnbench.rewards.base import Mixture, Reward
from hnbench.runs.execute import execute
from hnbench.runs.experiment import Experiment
from hnbench.runs.preparation import prepare
from hnbench.runs.record import Record
from hnbench.runs.shards import WHOLE, Shard
from hnbench.runs.store import RunStore, damaged_images, read_run
from hnbench.runs.tally import Tally
from hnbench.runs.workload import Workload
from hnbench.seeds import NoiseSource, digest
from hnbench.suites.base import Judge, Prompt, Suite, Verdict
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, RedReward, ToyGenerator

TAGS = ("dark", "light")


class WorldJudge(Judge):
    """Is the red channel above (tag light) or below (tag dark) a limit? Also notes what it was
    shown.
    """

    name = "world-judge"

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, str]] = []

    @property
    def fingerprint(self) -> str:
        return digest("world-judge")

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        self.seen += [
            (image.tobytes(), about["tag"]) for image, about in zip(images, metadata, strict=True)
        ]
        return [self.verdict(image, about) for image, about in zip(images, metadata, strict=True)]

    @staticmethod
    def verdict(image: Image.Image, about: Mapping[str, Any]) -> Verdict:
        red = sum(image.tobytes()[::3]) / (image.width * image.height)
        correct = (red > about["limit"]) == (about["tag"] == "light")
        return Verdict(correct, "" if correct else f"red is {red:.2f}")


class WorldSuite(Suite):
    name, version, tags = "world", "1", TAGS

    def __init__(self, per_tag: int = 3, samples: Mapping[str, int] | int = 2) -> None:
        self._per_tag = per_tag
        self._samples = dict.fromkeys(TAGS, samples) if isinstance(samples, int) else dict(samples)
        self.one_judge = WorldJudge()

    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(
            Prompt(
                f"{tag}/{index:04d}",
                f"a {tag} thing, number {index}",
                tag,
                {"tag": tag, "limit": 127.5},
            )
            for tag in TAGS
            for index in range(self._per_tag)
        )

    def subset(self) -> tuple[Prompt, ...]:
        return tuple(prompt for prompt in self.prompts() if prompt.id.endswith("0000"))

    def samples(self, prompt: Prompt, *, full: bool) -> int:
        return self._samples[prompt.tag] if full else 1

    def judge(self, *, device: str = "cpu") -> WorldJudge:
        return self.one_judge


class SlowGenerator(ToyGenerator):
    """The toy generator, slow enough to be caught in the act."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        time.sleep(self._seconds)
        return super().generate(noise, conditioning, steps)


@dataclass
class WorldMethod(Method):
    """Common to the methods here: a log of every `propose`, one line per task, that survives a
    kill.
    """

    log: Path | None = None

    def note(self, tasks: Sequence[Task]) -> None:
        if self.log is not None:
            with self.log.open("ab", buffering=0) as file:
                file.write(
                    "".join(
                        f"{self.name} {task.prompt_id} {task.sample}\n" for task in tasks
                    ).encode()
                )

    def identity(self) -> dict[str, Any]:
        return {"name": self.name}


@dataclass
class Base(WorldMethod):
    name = "random"
    labels = ("random",)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        self.note(tasks)
        noise = noises.batch(tasks)
        with torch.no_grad():
            images = generator.generate(noise, generator.encode([task.prompt for task in tasks]))
        for row, task in enumerate(tasks):
            yield Outcome(task, "random", images[row], noise[row])


@dataclass
class Best(WorldMethod):
    """Best of 2 and of 4 candidates."""

    name = "best-of-n"
    labels = ("best-of-2", "best-of-4")

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        self.note(tasks)
        prompts = [task.prompt for task in tasks]
        noise = torch.stack([noises.batch(tasks, candidate) for candidate in range(4)])
        with torch.no_grad():
            images = torch.stack(
                [generator.generate(part, generator.encode(prompts)) for part in noise]
            )
            scores = torch.stack([reward.score(part, prompts) for part in images])
        for row, task in enumerate(tasks):
            for size in (2, 4):
                best = int(scores[:size, row].argmax())
                trajectory = tuple(scores[:size, row].tolist())
                yield Outcome(
                    task,
                    f"best-of-{size}",
                    images[best, row],
                    noise[best, row],
                    size / 4,
                    trajectory,
                )


@dataclass
class Climb(WorldMethod):
    """Three steps of gradient ascent: 3 generator and 3 reward passes, forward and backward;
    returns the last image of the three.
    """

    name = "climb"
    labels = ("climb",)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        self.note(tasks)
        prompts = [task.prompt for task in tasks]
        noise = noises.batch(tasks).requires_grad_()
        for _ in range(3):
            image = generator.generate(noise, generator.encode(prompts))
            (gradient,) = torch.autograd.grad(reward.score(image, prompts).sum(), noise)
            used, noise = noise.detach(), (noise + gradient).detach().requires_grad_()
        for row, task in enumerate(tasks):
            yield Outcome(task, "climb", image[row].detach(), used[row])


@dataclass
class Count:
    """A `Progress` that counts."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    """The passes within each batch; a negative number ends it, and is its tasks."""

    def expect(self, work: Workload) -> None:
        self.work = work

    def start(self, total: int) -> None:
        self.calls.append(("start", total))

    def label(self, name: str) -> None:
        self.calls.append(("label", name))

    def passes(self, count: int) -> None:
        self.made.append(count)

    def proposed(self, tasks: int, seconds: float) -> None:
        self.made.append(-tasks)

    def advance(self, count: int) -> None:
        self.calls.append(("advance", count))

    def done(self) -> None:
        self.calls.append(("done", None))


CONFIG = RunConfig(
    suite="world",
    generator="toy",
    optimised={"brightness": 2.0},
    held_out=("red",),
    methods=("random", "best-of-n", "climb"),
    full=True,
    batch_size=4,
)


def run(
    folder: Path,
    methods: Sequence[Method] | None = None,
    *,
    suite: Suite | None = None,
    generator: Generator | None = None,
    reward: Reward | None = None,
    held_out: Reward | None = None,
    progress: Count | None = None,
    shard: Shard = WHOLE,
    **changes: Any,
) -> Tally:
    """Run or continue the world's run in a folder, or a shard of it."""
    suite, generator = suite or WorldSuite(), generator or ToyGenerator()
    asked = [Base(), Best(), Climb()] if methods is None else methods
    texts = {prompt.id: prompt.text for prompt in suite.prompts()}
    with RunStore(folder, shard) as store:
        experiment = Experiment(
            replace(CONFIG, **changes),
            suite,
            generator,
            Mixture({"brightness": (reward or BrightnessReward(), 2.0)}),
            [held_out or RedReward()],
            prepare(asked, generator, texts),
        )
        return execute(experiment, store, progress or Count())


def run_slowly(folder: Path, log: Path, seconds: float, shard: Shard = WHOLE) -> None:
    """What the killed processes do."""
    torch.set_num_threads(1)
    run(folder, [Base(log), Best(log), Climb(log)], generator=SlowGenerator(seconds), shard=shard)


def damaged(folder: Path) -> list[str]:
    """The images that are not what was written."""
    return list(damaged_images(folder, read_run(folder).records))


def timeless(record: Record) -> dict[str, Any]:
    """A record without what may differ between two equal runs: time and how tasks were
    batched.
    """
    value = record.to_json()
    for name in ("seconds", "batch_size"):
        del value["cost"][name]
    del value["written"]
    return value


def is_close(one: Any, other: Any) -> bool:
    """Equality of two JSON values, with numbers compared to 1e-5: the order of a batch's sums may
    differ.
    """
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-5 * max(1.0, abs(one))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_close(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(is_close, one, other))
    return bool(one == other)
