"""Prompt search: other words for the same image, from the same noise (MILS, arXiv 2501.18096, as
HyperNoise's Table 1 compares with it).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from hnbench.errors import UsageError
from hnbench.files.digits import to_digits
from hnbench.generators.base import Generator
from hnbench.methods.base import Method, Outcome, Passes, starting_noise, without_gradient
from hnbench.methods.rewriting import Request, Rewriter, RewriterCost, Tried, usable
from hnbench.methods.rewriting_command import CommandRewriter
from hnbench.methods.rewriting_model import ModelRewriter
from hnbench.methods.rewriting_rules import Rules
from hnbench.methods.search import require_whole
from hnbench.rewards.base import Reward
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

SCORE_DIGITS = 4
"""The significant digits of a score that a rewriter reads."""


@dataclass(frozen=True, kw_only=True)
class PromptSearch(Method):
    """Renders the original prompt, then in each round the proposals of a rewriter that knows the
    scores so far, and returns the image of the highest reward for the **original** prompt.

    All images of a sample are generated from its own starting noise. What a rewriter does for one
    sample does not depend on the others.
    """

    proposals: int = 5
    """The number of prompts that a rewriter is asked for in each round."""
    rounds: int = 10
    """With the original prompt, `proposals * rounds` prompts are rendered at most, so the last
    round asks for one less.
    """
    keep: int = 20
    """The number of prompts, the best ones, that a language model or a command is told."""
    model: str | None = None
    """The language model that rewrites: a local folder, or `owner/name[@revision]` on the Hub."""
    command: str | None = None
    """The program that rewrites, with its arguments; see `rewriting_command`. Without a model and a
    command, the built-in rules rewrite.
    """

    name = "prompt-search"

    def __post_init__(self) -> None:
        require_whole(self.name, 1, proposals=self.proposals, rounds=self.rounds, keep=self.keep)
        if self.model is not None and self.command is not None:
            raise UsageError(f"{self.name}: give a model or a command, not both")

    @property
    def evaluations(self) -> int:
        """The most prompts that are rendered for one task, the original included."""
        return self.proposals * self.rounds

    @property
    def rewriter(self) -> Rewriter:
        """The rewriter that the parameters choose."""
        if self.model is not None:
            return ModelRewriter(self.model, self.keep)
        if self.command is not None:
            return CommandRewriter(self.command, self.keep)
        return Rules()

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def identity(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "proposals": self.proposals,
            "rounds": self.rounds,
            "keep": self.keep,
            **self.rewriter.identity,
        }

    def prepare(self, generator: Generator) -> None:
        self.rewriter.check(str(generator.device))

    def passes(self, steps: int) -> Passes:
        return Passes(self.evaluations * steps, reward_forward=self.evaluations)

    @without_gradient()
    def _search(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> list[_Course]:
        rendering = _Rendering(tasks, generator, reward, noises)
        courses = [_Course(task) for task in tasks]
        rendering.add(courses, [[task.prompt] for task in tasks])
        rewriter, device, left = self.rewriter, str(generator.device), self.evaluations - 1
        for number in range(self.rounds):
            asked = min(self.proposals, left)
            if not asked:
                break
            seeds = noises.seeds(tasks, "rewriting", number)
            proposed = [
                course.asked(rewriter, asked, seed, device)
                for course, seed in zip(courses, seeds, strict=True)
            ]
            rendering.add(courses, proposed)
            left -= asked
        return courses

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        noise = starting_noise(generator, noises, tasks)
        for row, course in enumerate(self._search(tasks, generator, reward, noises)):
            yield Outcome(
                course.task,
                self.name,
                course.image,
                noise[row],
                trajectory=tuple(score for _, score in course.rendered),
                chosen_prompt=course.chosen,
                rewriter=course.cost,
            )


class _Course:
    """The search for one task: its rendered prompts with their scores, in order, and the best."""

    image: Tensor
    """The image of the best prompt, `[3, H, W]`; there is one after the first prompt."""

    def __init__(self, task: Task) -> None:
        self.task, self.chosen = task, task.prompt
        self.rendered: list[tuple[str, float]] = []
        self.cost = RewriterCost(calls=0, seconds=0.0, dropped=0)
        self._best = -math.inf

    def took(self, prompt: str, image: Tensor, score: float) -> None:
        """Take in a rendered prompt. A score that is not finite never wins."""
        if not self.rendered or (math.isfinite(score) and score > self._best):
            # A copy, because the image is a part of its whole batch.
            self.chosen, self.image = prompt, image.clone()
            self._best = score if math.isfinite(score) else -math.inf
        self.rendered.append((prompt, score))

    def asked(self, rewriter: Rewriter, proposals: int, seed: int, device: str) -> list[str]:
        """The usable prompts, at most `proposals`, of one call to the rewriter."""
        tried = [
            Tried(prompt, to_digits(score, SCORE_DIGITS))
            for prompt, score in self.rendered
            if math.isfinite(score)
        ]
        tried.sort(key=lambda one: -one.score)  # stable: the earlier one first
        started = time.perf_counter()
        answer = rewriter.answer(Request(self.task.prompt, tuple(tried), proposals, seed), device)
        seconds = time.perf_counter() - started
        known = {prompt for prompt, _ in self.rendered}
        found = list(usable(answer.texts, known))[:proposals]
        before = self.cost
        self.cost = RewriterCost(
            calls=before.calls + 1,
            seconds=before.seconds + seconds,
            dropped=before.dropped + proposals - len(found),
            tokens=before.tokens if answer.tokens is None else (before.tokens or 0) + answer.tokens,
        )
        return found


class _Rendering:
    """Images of any prompts for tasks, from the tasks' own noises, `images_at_once` in a pass."""

    def __init__(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> None:
        self._generator, self._reward = generator, reward
        self._noise = starting_noise(generator, noises, tasks)
        self._step_seeds = noises.step_seeds(tasks)
        self._size = max(len(tasks), generator.images_at_once or 0)

    def add(self, courses: Sequence[_Course], prompts: Sequence[Sequence[str]]) -> None:
        """Render each course's prompts, and let it take them in."""
        places = [(row, text) for row, texts in enumerate(prompts) for text in texts]
        for start in range(0, len(places), self._size):
            chunk = places[start : start + self._size]
            rows, texts = [row for row, _ in chunk], [text for _, text in chunk]
            conditioning = self._generator.encode(texts).seeded(
                [self._step_seeds[row] for row in rows]
            )
            images = self._generator.generate(self._noise[rows], conditioning)
            scores = self._reward.score(images, [courses[row].task.prompt for row in rows])
            for row, text, image, score in zip(rows, texts, images, scores.tolist(), strict=True):
                courses[row].took(text, image, score)
