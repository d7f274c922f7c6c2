"""The benchmark at miniature size: every method on every architecture has a row."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.methods_at_scale import Tower, measure, methods_for, table
from benchmarks.published_networks import MODELS, build


@pytest.mark.parametrize("name", MODELS)
def test_every_method_is_measured(name: str, tmp_path: Path) -> None:
    generator = build(name, "cpu", torch.float32, (), full=False)
    methods = methods_for(generator, tmp_path, full=False)
    rows = {
        row["method"]: row
        for row in measure(generator, Tower("cpu", torch.float32, full=False), methods, 1, 1e9)
    }
    assert list(rows) == ["random", "best-of-n", "reno", "hypernoise", "finetune"]
    assert all(row["seconds_per_image"] > 0 for row in rows.values())
    assert all(row["peak_gib"] is None for row in rows.values())
    operations = {method: row["teraflop_per_image"] for method, row in rows.items()}
    assert (
        operations["random"]
        < operations["hypernoise"]
        < operations["best-of-n"]
        < operations["reno"]
    )
    results = {"device": "cpu", "size": "miniature", "dtype": "float32", "batch_size": 1}
    told = table(
        {**results, "memory": "none", "matrix_teraflops": 0.1, "models": {name: rows.values()}}
    )
    assert len(told.splitlines()) == 3 + len(rows)
