"""The benchmark at miniature size: every method on every architecture has a row, and counted
operations are those of a product.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.methods_at_scale import MODELS, Operations, Tower, build, measure, methods_for


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
    operations = {method: row["teraflop_per_image"] for method, row in rows.items()}
    assert (
        operations["random"]
        < operations["hypernoise"]
        < operations["best-of-n"]
        < operations["reno"]
    )


def test_operations_of_a_product_and_its_gradient() -> None:
    left, right = torch.randn(3, 4, requires_grad=True), torch.randn(4, 5)
    with Operations() as counted:
        torch.autograd.grad((left @ right).sum(), left)
    assert counted.total == 2 * 2 * 3 * 4 * 5
