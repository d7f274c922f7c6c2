"""Passes that are filled with several candidates of each task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from hnbench.generators.base import Conditioning, Generator
from hnbench.methods.base import conditioning_of
from hnbench.methods.candidates import Candidates, joined
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task


class FilledPasses:
    """Images and rewards of any number of candidates of the same tasks, `images_at_once` in a pass,
    so that a small batch with many candidates fills the device.
    """

    def __init__(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> None:
        self._prompts = [task.prompt for task in tasks]
        self._generator, self._reward = generator, reward
        self._texts = Repeated(conditioning_of(generator, noises, tasks))

    @property
    def size(self) -> int:
        """The number of images in a pass: those that fit, but at least one for every task."""
        return max(len(self._prompts), self._generator.images_at_once or 0)

    def evaluated(self, noise: Tensor, start: int = 0) -> Candidates:
        """The candidates of noises `[P, *noise_shape]`, at most `size` of them. The noise in row
        `k` is one of task `(start + k) % B`, for B tasks.
        """
        places = range(start, start + len(noise))
        image = self._generator.generate(noise, self._texts.at(places))
        prompts = [self._prompts[place % len(self._prompts)] for place in places]
        return Candidates(noise, image, self._reward.score(image, prompts))

    def one_by_one(self, noises: Tensor) -> Iterator[Candidates]:
        """The candidates of noises `[K, B, *noise_shape]`: those of all tasks for the first of K
        noises, then for the second, and so on.
        """
        count = len(self._prompts)
        flat, made = noises.flatten(0, 1), None
        for start in range(0, len(flat), self.size):
            made = joined(made, self.evaluated(flat[start : start + self.size], start))
            while len(made.score) >= count:
                yield made[:count]
                made = made[count:]


class Repeated:
    """The conditioning of tasks, repeated without end: place `k` has that of task `k % count`."""

    def __init__(self, conditioning: Conditioning) -> None:
        self._once = conditioning
        self._latest: tuple[tuple[int, int], Conditioning] = (0, len(conditioning)), conditioning

    def at(self, places: range) -> Conditioning:
        """The conditioning of consecutive places."""
        count = len(self._once)
        key = (places.start % count, len(places))
        # Most often every pass has the same places.
        if self._latest[0] != key:
            # Slices, because an index would be copied to the device.
            parts = [self._once[part] for part in rounds(*key, count)]
            self._latest = key, Conditioning.cat(parts)
        return self._latest[1]


def rounds(start: int, length: int, count: int) -> Iterator[slice]:
    """The slices of `count` rows that `length` places from row `start` on go through, round by
    round.

    >>> list(rounds(1, 4, 3))
    [slice(1, 3, None), slice(0, 2, None)]
    """
    while length > 0:
        stop = min(start + length, count)
        yield slice(start, stop)
        start, length = 0, length - (stop - start)
