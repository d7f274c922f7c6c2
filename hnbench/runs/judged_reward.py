"""The judge's grade in the place of a reward, for an oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hnbench.errors import UsageError
from hnbench.files.escaping import quoted
from hnbench.rewards.base import Reward
from hnbench.runs.pixels import quantise, to_picture
from hnbench.runs.verdicts import verdicts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from hnbench.suites.base import Judge, Prompt


class JudgedReward(Reward):
    """The grade (`Verdict.value`) that a suite's judge gives an image, as it would be saved. It has
    no gradient.
    """

    def __init__(self, judge: Judge, prompts: Sequence[Prompt]) -> None:
        """`UsageError` if two of the suite's prompts have one text and are judged differently: a
        reward knows the text only.
        """
        self.name = judge.name
        self._judge = judge
        self._metadata: dict[str, Mapping[str, Any]] = {}
        for prompt in prompts:
            if self._metadata.setdefault(prompt.text, prompt.metadata) != prompt.metadata:
                raise UsageError(
                    f"two prompts of the suite have the text {quoted(prompt.text)} and are judged"
                    " differently, so an oracle cannot tell them apart; leave the oracle out"
                )

    @property
    def fingerprint(self) -> str:
        return self._judge.fingerprint

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        pictures = [to_picture(one) for one in quantise(images.detach()).cpu()]
        found = verdicts_of(self._judge, pictures, [self._metadata[text] for text in prompts])
        return torch.tensor(
            [verdict.value for verdict in found], dtype=torch.float32, device=images.device
        )
