import math

import torch
from torch import Tensor

from hnbench.methods.candidates import Candidates, keep_better, per_sample


def candidates(value: float, *scores: float) -> Candidates:
    batch = len(scores)
    return Candidates(
        torch.full((batch, 2, 4, 4), value),
        torch.full((batch, 3, 8, 8), value),
        torch.tensor(scores),
    )


def kept_values(result: Candidates) -> list[float]:
    """Which batch each sample's noise and image came from; they must agree."""
    noise, image = result.noise[:, 0, 0, 0], result.image[:, 0, 0, 0]
    assert torch.equal(noise, image)
    return [float(value) for value in noise]


def test_the_higher_score_is_kept_sample_by_sample() -> None:
    result = keep_better(candidates(1.0, 0.5, 0.5, -3.0), candidates(2.0, 0.6, 0.4, -2.0))
    assert kept_values(result) == [2.0, 1.0, 2.0]
    assert torch.equal(result.score, torch.tensor([0.6, 0.5, -2.0]))


def test_the_first_is_kept_when_they_tie() -> None:
    assert kept_values(keep_better(candidates(1.0, 0.5), candidates(2.0, 0.5))) == [1.0]


def test_a_score_that_is_not_finite_never_wins_and_always_loses_to_one_that_is() -> None:
    odd = (math.nan, math.inf, -math.inf)
    assert kept_values(keep_better(candidates(1.0, 0.0, 0.0, 0.0), candidates(2.0, *odd))) == [
        1.0,
        1.0,
        1.0,
    ]
    assert kept_values(keep_better(candidates(1.0, *odd), candidates(2.0, 0.0, 0.0, 0.0))) == [
        2.0,
        2.0,
        2.0,
    ]
    assert kept_values(keep_better(candidates(1.0, *odd), candidates(2.0, *odd))) == [1.0, 1.0, 1.0]


def test_per_sample_values_broadcast_over_whatever_shape_follows() -> None:
    values: Tensor = torch.tensor([1.0, 10.0])
    for shape in ((2, 3), (2, 3, 4), (2, 3, 4, 5)):
        scaled = torch.ones(shape) * per_sample(values, torch.ones(shape))
        assert torch.equal(scaled.flatten(1).mean(dim=1), values)
