"""The paired evaluation during training: adapted against base on the same held-out prompts and the
same noises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hnbench.generators.base import Conditioning, Generator
from hnbench.hypernetwork.expected import held_out_of
from hnbench.hypernetwork.processes import Processes
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource, seed_of
from hnbench.tasks import Task

Draw = Callable[[Tensor, Conditioning], tuple[Tensor, Tensor | None]]
"""A function of noise and conditioning. It returns images `[B, 3, H, W]` and the change of the
noise `[B, *noise_shape]`, or None instead of a change.
"""


@dataclass(frozen=True)
class Sample:
    """Two images of one prompt from the same noise, float32 `[3, H, W]` on the CPU."""

    prompt: str
    base: Tensor | None
    """None if a training goes on that was interrupted: the base is rendered only once."""
    trained: Tensor


def split_prompts(prompts: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """The prompts to train on, and the held-out ones: a tenth of the distinct prompts, at least
    one, chosen by the seed.

    A single prompt serves as both; the noises of its evaluation are held out all the same.
    """
    distinct = list(dict.fromkeys(prompts))
    if len(distinct) == 1:
        return distinct, distinct
    order = torch.randperm(
        len(distinct), generator=torch.Generator("cpu").manual_seed(seed_of("held out", seed))
    ).tolist()
    cut = held_out_of(len(distinct))
    return [distinct[index] for index in sorted(order[cut:])], [
        distinct[index] for index in order[:cut]
    ]


class PairedEvaluation:
    """Fixed held-out tasks. `base_rewards` are the base's rewards `[prompts * samples]`, or None
    before the first evaluation. `shown` are images of the last evaluation: of the first
    `most_shown` prompts that this process rendered, one each.
    """

    def __init__(
        self,
        generator: Generator,
        reward: Reward,
        prompts: Sequence[str],
        samples: int,
        seed: int,
        batch_size: int,
        processes: Processes | None = None,
    ) -> None:
        """Evaluate `samples` noises for each prompt, `batch_size` images at a time in all
        `processes` together.
        """
        self.generator, self.reward, self.batch_size = generator, reward, batch_size
        self.processes = processes or Processes()
        self.prompts, self.samples = list(prompts), samples
        self.tasks = [
            Task(str(index), prompt, sample)
            for index, prompt in enumerate(prompts)
            for sample in range(samples)
        ]
        self.noises = NoiseSource(seed_of("evaluation", seed), tuple(generator.noise_shape))
        self.base_rewards: list[float] | None = None
        self.most_shown = 0
        self.shown: list[Sample] = []
        self._base_images: Mapping[str, Tensor] = {}

    @torch.no_grad()
    def measure(self, draw: Draw) -> dict[str, Any]:
        """The mean gain in reward over the base, with its standard error, and the size of the
        change of the noise, as JSON types.
        """
        if self.base_rewards is None:
            base, _, self._base_images = self._run(self.base)
            self.base_rewards = base.tolist()
        rewards, sizes, images = self._run(draw)
        self.shown = [
            Sample(prompt, self._base_images.get(prompt), image) for prompt, image in images.items()
        ]
        gain, error = self._gain(rewards - torch.tensor(self.base_rewards, dtype=rewards.dtype))
        return {
            "gain": gain,
            "gain_standard_error": error,
            "reward": float(rewards.mean()),
            "base_reward": sum(self.base_rewards) / len(self.base_rewards),
            "half_squared_norm": (
                None if sizes is None else float(0.5 * sizes[:, 0].square().mean())
            ),
            "relative_change": None if sizes is None else float((sizes[:, 0] / sizes[:, 1]).mean()),
            "prompts": len(self.prompts),
            "samples": self.samples,
        }

    def base(self, noise: Tensor, conditioning: Conditioning) -> tuple[Tensor, None]:
        """The base's images, as a `Draw`."""
        return self.generator.generate(noise, conditioning), None

    @torch.no_grad()
    def make_one(self, draw: Draw) -> None:
        """Make and score the first image in this process alone, and throw it away."""
        self._score(draw, self.tasks[:1])

    def _run(self, draw: Draw) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Rewards `[N]`, and the norms of change and noise `[N, 2]`, in float64 on the CPU; and the
        images to keep, by prompt. Each process makes its part of every batch.
        """
        found = torch.zeros(len(self.tasks), 3, dtype=torch.float64)
        changed, kept = 0, dict[str, Tensor]()
        first, every = self.processes.launch.index, self.processes.count
        for start in range(0, len(self.tasks), self.batch_size):
            batch = range(start, min(start + self.batch_size, len(self.tasks)))[first::every]
            if not batch:  # fewer tasks than processes
                continue
            tasks = [self.tasks[number] for number in batch]
            images, columns = self._score(draw, tasks)
            for task, image in zip(tasks, images, strict=True):
                if task.prompt not in kept and len(kept) < self.most_shown:
                    kept[task.prompt] = image.float().cpu()
            changed = int(len(columns) > 1)
            found[list(batch), : len(columns)] = torch.stack(columns, dim=1)
        found = self.processes.sums(found)
        return found[:, 0], found[:, 1:] if self.processes.largest(changed) else None, kept

    def _score(self, draw: Draw, tasks: Sequence[Task]) -> tuple[Tensor, list[Tensor]]:
        """The images of a batch, and their rewards `[B]` and, if the noise was changed, the norms
        of change and noise.
        """
        prompts = [task.prompt for task in tasks]
        noise = self.noises.batch(tasks).to(
            self.generator.device, torch.promote_types(self.generator.dtype, torch.float32)
        )
        images, change = draw(
            noise, self.generator.encode(prompts).seeded(self.noises.step_seeds(tasks))
        )
        columns = [self.reward.score(images, prompts)]
        if change is not None:
            columns += [change.flatten(1).norm(dim=1), noise.flatten(1).norm(dim=1)]
        return images, [column.double().cpu() for column in columns]

    def _gain(self, gains: Tensor) -> tuple[float, float | None]:
        """The mean and its standard error. Samples of one prompt are not independent, so the error
        is computed between prompts if there are several.
        """
        units = gains.view(len(self.prompts), self.samples)
        independent = units.mean(1) if len(units) > 1 else units[0]
        error = float(independent.std() / len(independent) ** 0.5) if len(independent) > 1 else None
        return float(gains.mean()), error
