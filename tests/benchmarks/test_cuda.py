"""The benchmark at miniature size: every method on every architecture has a row."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.cuda import (
    human_preference,
    measure,
    methods_for,
    reno_over_published,
    table,
)
from benchmarks.published_networks import build
from hnbench.rewards.sources import HUMAN_PREFERENCE


@pytest.mark.parametrize(
    "name",
    [
        "sd-turbo",
        "sana-sprint-0.6b",
        "flux-schnell",
        "z-image-turbo",
        "flux2-klein",
        "sd3.5-large-turbo",
    ],
)
def test_every_method_is_measured(name: str, tmp_path: Path) -> None:
    generator = build(name, "cpu", torch.float32, (), full=False)
    methods = methods_for(generator, tmp_path, full=False)
    reward = human_preference("cpu", torch.float32, full=False)
    rows = {row["method"]: row for row in measure(generator, reward, methods, 1, 1e9)}
    assert list(rows) == [
        "random",
        "best-of-n",
        "best-of-n, published",
        "reno",
        "reno, published",
        "hypernoise",
        "finetune",
    ]
    assert all(row["seconds_per_image"] > 0 for row in rows.values())
    assert all(row["peak_gib"] is None for row in rows.values())
    operations = {method: row["teraflop_per_image"] for method, row in rows.items()}
    assert (
        operations["random"]
        < operations["hypernoise"]
        < operations["best-of-n"]
        < operations["reno"]
    )
    for method in ("best-of-n", "reno"):
        assert operations[f"{method}, published"] == operations[method]
    assert reno_over_published(list(rows.values())) == pytest.approx(
        rows["reno, published"]["seconds_per_image"] / rows["reno"]["seconds_per_image"]
    )
    results = {"device": "cpu", "size": "miniature", "dtype": "float32", "batch_size": 1}
    told = table(
        {**results, "memory": "none", "matrix_teraflops": 0.1, "models": {name: rows.values()}}
    )
    assert len(told.splitlines()) == 3 + len(rows)


def test_the_reward_is_the_papers_mixture() -> None:
    reward = human_preference("cpu", torch.float32, full=False)
    assert {name: weight for name, (_, weight) in reward.parts.items()} == HUMAN_PREFERENCE
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    scores = reward.score(images, ["a ring", "a star"])
    parts = [
        weight * part.score(images, ["a ring", "a star"]) for part, weight in reward.parts.values()
    ]
    assert torch.allclose(scores, torch.stack(parts).sum(0), atol=1e-5)
