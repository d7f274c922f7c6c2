from __future__ import annotations

import torch

from hnbench.testing import check_reward
from hnbench_example.greenness import Greenness


def test_it_keeps_the_contract() -> None:
    check_reward(Greenness())


def test_green_is_greener_than_grey() -> None:
    green, grey = torch.zeros(3, 4, 4), torch.full((3, 4, 4), 0.5)
    green[1] = 1.0
    assert Greenness().score(torch.stack([green, grey]), ["a", "b"]).tolist() == [1.0, 0.0]
