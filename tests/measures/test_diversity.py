"""Mean similarity and Vendi score, against golden pairs and brute force over pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hnbench.measures.diversity import Similarity, Vendi, mean_similarity, vendi_score
from hnbench.measures.features import Features
from tests.measures.pictures import GOLDEN, pictures


class MeanColour(Features):
    about = "the mean colour"
    source = "nowhere"

    def __init__(self) -> None:
        self.batches: list[int] = []

    @property
    def fingerprint(self) -> str:
        return "0" * 64

    def of(self, pictures: Sequence[Image.Image]) -> Tensor:
        self.batches.append(len(pictures))
        return torch.tensor(
            np.array([np.asarray(picture).mean((0, 1)) for picture in pictures]),
            dtype=torch.float32,
        )


@pytest.mark.parametrize("pair", GOLDEN["vendi"])
def test_the_vendi_score_of_golden_pairs(pair: dict[str, list[list[float]] | float]) -> None:
    assert vendi_score(torch.tensor(pair["X"], dtype=torch.float64)) == pytest.approx(
        pair["q1"], abs=1e-12
    )


def test_the_vendi_score_lies_between_one_and_n() -> None:
    assert vendi_score(torch.ones(5, 3)) == pytest.approx(1)
    assert vendi_score(7 * torch.eye(5)) == pytest.approx(5)
    two_kinds = torch.eye(2).repeat_interleave(3, 0)
    assert vendi_score(two_kinds) == pytest.approx(2)


def test_the_vendi_score_is_the_entropy_of_the_eigenvalues() -> None:
    values = np.random.default_rng(0).normal(size=(6, 4))
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    eigenvalues = np.linalg.svd(unit / math.sqrt(6), compute_uv=False) ** 2
    assert vendi_score(torch.tensor(values)) == pytest.approx(
        math.exp(-sum(value * math.log(value) for value in eigenvalues))
    )


def test_the_mean_similarity_is_that_of_all_pairs() -> None:
    values = np.random.default_rng(1).normal(size=(5, 7))
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in itertools.combinations(values, 2)
    ]
    assert len(cosines) == 10
    assert mean_similarity(torch.tensor(values)) == pytest.approx(np.mean(cosines))


@pytest.mark.parametrize(("kind", "formula"), [(Similarity, mean_similarity), (Vendi, vendi_score)])
def test_groups_of_different_sizes_are_described_in_one_batch(
    kind: type[Similarity | Vendi], formula: object
) -> None:
    assert callable(formula)
    features = MeanColour()
    measure = kind("some-name", features)
    shown = pictures(7)
    assert measure.values([shown[:2], shown[2:5], shown[5:]]) == pytest.approx(
        [formula(features.of(part)) for part in (shown[:2], shown[2:5], shown[5:])]
    )
    assert features.batches[0] == 7
    assert (measure.name, measure.source) == ("some-name", "nowhere")
    assert measure.about.endswith(" of the mean colour")


def test_other_features_or_another_formula_are_another_fingerprint() -> None:
    features, others = MeanColour(), type("Others", (MeanColour,), {"fingerprint": "1" * 64})()
    prints = [
        Similarity("a", features).fingerprint,
        Similarity("a", others).fingerprint,
        Vendi("a", features).fingerprint,
    ]
    assert len(set(prints)) == 3
