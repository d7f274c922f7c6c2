"""A diagnosis in sentences: what its values mean."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hnbench.cli.diagnosis import sentences, statistics_table
from hnbench.hypernetwork.gaussianity import gaussianity

NOISE = torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def diagnosis(after: torch.Tensor, **changed: Any) -> dict[str, Any]:
    return {
        "prompts": 4,
        "samples": 2,
        "half_squared_norm": {"mean": 2.0, "standard_error": 0.25},
        "jacobian_term": {"mean": -0.5, "standard_error": None},
        "kl": {"mean": 1.5, "standard_error": 0.125},
        "jacobian": {"exact": True, "probes": None, "terms": None},
        "lipschitz": {"median": 0.2, "max": 0.5, "bound": 0.75, "bound_confidence": 0.99},
        "relative_change": {"mean": 0.1, "standard_error": 0.02},
        "gaussianity": {"before": gaussianity(NOISE), "after": gaussianity(after)},
        **changed,
    }


def test_sentences_of_a_contraction() -> None:
    change, divergence, lipschitz, gaussian = sentences(diagnosis(NOISE))
    assert "by 10.0% ± 2.0% of its norm, over 4 prompts with 2 noises each" in change
    assert "is 1.5 ± 0.125 (exact)" in divergence
    assert "2 ± 0.25, plus the term of the Jacobian, -0.5." in divergence
    assert "at most 0.75: below 1" in lipschitz
    assert "cannot be told from Gaussian noise: none of 16 statistics" in gaussian


def test_sentences_where_the_divergence_is_unknown() -> None:
    wide = {"median": 0.9, "max": 1.5, "bound": 2.5, "bound_confidence": 0.99}
    found = sentences(diagnosis(NOISE, kl=None, jacobian_term=None, lipschitz=wide))
    assert "is not known" in found[1]
    assert "it would be 2 ± 0.25" in found[1]
    assert "not surely below 1" in found[2]


@pytest.mark.parametrize(
    ("after", "named"),
    [
        (NOISE * 1.5, "variance"),
        (NOISE + 0.5, "mean"),
        (NOISE.sign(), "excess kurtosis"),
        (NOISE.cumsum(3), "correlation of horizontal neighbours"),
        (NOISE[:1].repeat(16, 1, 1, 1), "variance over positions"),
    ],
)
def test_what_is_not_gaussian_is_named(after: torch.Tensor, named: str) -> None:
    sentence = sentences(diagnosis(after))[3]
    assert "is not Gaussian" in sentence
    assert named in sentence.partition("together: ")[2].rstrip(".").split(", ")


def test_the_table_has_all_statistics() -> None:
    table = statistics_table(diagnosis(NOISE + 0.5))
    columns = [list(column.cells) for column in table.columns]
    by_name = dict(zip(columns[0], zip(*columns[1:], strict=True), strict=True))
    assert len(by_name) == 16
    expected, before, after, z = by_name["mean"]
    assert expected == "0"
    assert float(after) - float(before) == pytest.approx(0.5, abs=1e-3)
    assert float(z) > 10
    flat = gaussianity(NOISE.flatten(1))
    short = diagnosis(NOISE, gaussianity={"before": flat, "after": flat})
    assert len(statistics_table(short).rows) == 6
