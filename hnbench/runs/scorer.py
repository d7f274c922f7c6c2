"""The rewards of saved pictures, each with its published preprocessing, if it has one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from hnbench.files.digits import to_digits
from hnbench.guards.answers import as_scores
from hnbench.runs.attempt import attempted
from hnbench.runs.plan import OPTIMISED
from hnbench.runs.record import RECORD_DIGITS, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from hnbench.rewards.base import Mixture, Reward


class Scorer:
    """Scores pictures with the optimised and the held-out rewards, which lie on `device`."""

    def __init__(self, rewards: Mixture, held_out: Sequence[Reward], device: torch.device) -> None:
        self._rewards, self._device = rewards, device
        self._scorers = {name: reward for name, (reward, _) in rewards.parts.items()} | {
            reward.name: reward for reward in held_out
        }

    def score(
        self, shown: Sequence[tuple[Image.Image, str]], batch_size: int
    ) -> list[dict[str, float] | Failure]:
        """For each pair of picture and prompt, all rewards by name and the weighted total of the
        optimised ones as `"optimised"`; a `Failure` if a reward fails for this picture.
        """
        columns = {
            name: self._ask(name, reward, shown, batch_size)
            for name, reward in self._scorers.items()
        }
        return [
            self._row(dict(zip(columns, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        ]

    def _ask(
        self, name: str, reward: Reward, shown: Sequence[tuple[Image.Image, str]], batch_size: int
    ) -> list[float | Failure]:
        who = f"the reward {name}"

        @torch.no_grad()
        def scores(chunk: Sequence[tuple[Image.Image, str]]) -> list[float]:
            given = reward.score_pictures(
                [image for image, _ in chunk], [prompt for _, prompt in chunk], self._device
            )
            found: list[float] = as_scores(who, given, len(chunk)).tolist()
            return found

        return attempted(scores, shown, batch_size, who)

    def _row(self, found: dict[str, float | Failure]) -> dict[str, float] | Failure:
        """One image's rewards and their weighted total."""
        row: dict[str, float] = {}
        for name, value in found.items():
            if isinstance(value, Failure):
                return value
            row[name] = value
        row[OPTIMISED] = sum(
            weight * row[name] for name, (_, weight) in self._rewards.parts.items()
        )
        wrong = [name for name, value in row.items() if not math.isfinite(value)]
        if wrong:
            return Failure(type="NotFinite", message=f"the reward {', '.join(wrong)} is not finite")
        return {name: to_digits(value, RECORD_DIGITS) for name, value in row.items()}
