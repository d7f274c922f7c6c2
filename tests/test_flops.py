"""Counted operations against closed formulas, written out by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import conv2d, conv_transpose2d, linear, scaled_dot_product_attention

from hnbench.flops import counted


def flops_of(work: Callable[[], object]) -> int:
    with counted() as found:
        work()
    return found.flops


def drawn(*shape: int, gradient: bool = False, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, dtype=dtype).requires_grad_(gradient)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda: drawn(3, 4) @ drawn(4, 5), 2 * 3 * 4 * 5),
        (lambda: drawn(7, 3, 4) @ drawn(7, 4, 5), 2 * 7 * 3 * 4 * 5),
        (lambda: drawn(3, 4) @ drawn(4), 2 * 3 * 4),
        (lambda: drawn(4) @ drawn(4), 2 * 4),
        (lambda: torch.vdot(drawn(4), drawn(4)), 2 * 4),
        (lambda: torch.addmv(drawn(3), drawn(3, 4), drawn(4)), 2 * 3 * 4),
        (lambda: torch.addbmm(drawn(3, 5), drawn(7, 3, 4), drawn(7, 4, 5)), 2 * 7 * 3 * 4 * 5),
        (lambda: torch.einsum("rc,bchw->brhw", drawn(3, 2), drawn(5, 2, 4, 4)), 2 * 3 * 2 * 5 * 16),
        (lambda: linear(drawn(2, 6, 4), drawn(5, 4), drawn(5)), 2 * 2 * 6 * 4 * 5),
        (
            lambda: torch._addmm_activation(drawn(5), drawn(3, 4), drawn(4, 5)),
            2 * 3 * 4 * 5,
        ),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products(
    work: Callable[[], object], expected: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn, "__kwdefaults__", {"gradient": False, "dtype": dtype})
    assert flops_of(work) == expected


@pytest.mark.parametrize("gradient", [False, True])
def test_nothing_else_counts(*, gradient: bool) -> None:
    images = drawn(2, 3, 8, 8, gradient=gradient)

    def work() -> None:
        made = nn.functional.group_norm(torch.sigmoid(images * 2), 3)
        made = nn.functional.interpolate(made, scale_factor=2)
        if gradient:
            torch.autograd.grad(made.square().sum(), images)

    assert flops_of(work) == 0


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("by_images", "by_weight"), [(False, True), (True, False), (True, True)])
def test_convolutions_and_their_gradients(
    groups: int, *, transposed: bool, by_images: bool, by_weight: bool
) -> None:
    """4 channels become 8, by a kernel of 3x3 and a stride of 2."""
    images = drawn(2, 4, 6, 6, gradient=by_images)
    shape = (4, 8 // groups) if transposed else (8, 4 // groups)
    weight = drawn(*shape, 3, 3, gradient=by_weight)
    convolve = conv_transpose2d if transposed else conv2d
    places = 6 * 6 if transposed else 2 * 2  # 6x6 to 13x13, or to 2x2
    forward = 2 * 2 * places * 9 * (4 * 8 // groups)
    made = convolve(images, weight, stride=2, groups=groups)
    assert flops_of(lambda: convolve(images, weight, stride=2, groups=groups)) == forward
    wanted = [one for one, asked in ((images, by_images), (weight, by_weight)) if asked]
    back = flops_of(lambda: torch.autograd.grad(made.sum(), wanted))
    assert back == forward * len(wanted)


BACKENDS = {"math": SDPBackend.MATH, "fused": SDPBackend.FLASH_ATTENTION}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_and_its_gradients(backend: str, dtype: torch.dtype) -> None:
    """2 batches of 3 heads, 5 queries and 7 keys of width 8. A product of two of them takes `one`;
    the fused backward pass computes the weights again.
    """
    query, key, value = (drawn(2, 3, length, 8, gradient=True, dtype=dtype) for length in (5, 7, 7))
    one = 2 * 2 * 3 * 5 * 7 * 8
    with sdpa_kernel(BACKENDS[backend]):
        assert flops_of(lambda: scaled_dot_product_attention(query, key, value)) == 2 * one
        made = scaled_dot_product_attention(query, key, value)
        back = flops_of(lambda: torch.autograd.grad(made.sum(), (query, key, value)))
    assert back == {"math": 4, "fused": 5}[backend] * one


def test_a_gradient_through_frozen_weights_costs_one_forward_pass() -> None:
    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 6)).requires_grad_(False)
    noise = drawn(3, 4, gradient=True)
    forward = 2 * 3 * (4 * 5 + 5 * 6)
    found = flops_of(lambda: torch.autograd.grad(network(noise).sum(), noise))
    assert found == 2 * forward


@pytest.mark.parametrize("train", [False, True])
def test_layers_with_a_fused_fast_path(*, train: bool) -> None:
    """In evaluation without gradients torch runs a whole layer of a transformer as one operator."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True)
    layer = layer.requires_grad_(False).train(train)
    given = drawn(3, 5, 8)
    expected = 2 * 3 * 5 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 2 * 3 * 5 * 5 * 8
    assert flops_of(lambda: layer(given)) == expected
    assert torch.backends.mha.get_fastpath_enabled()


def test_what_is_computed_stays_the_same() -> None:
    network, given = nn.Linear(4, 5), drawn(3, 4)
    with counted():
        inside = network(given)
    assert torch.equal(inside, network(given))


def test_a_block_that_raises_leaves_nothing_behind() -> None:
    with pytest.raises(ZeroDivisionError), counted():
        raise ZeroDivisionError
    assert torch.backends.mha.get_fastpath_enabled()
    assert flops_of(lambda: drawn(3, 4) @ drawn(4, 5)) == 2 * 3 * 4 * 5


def test_compiled_graphs_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their kernels would not be counted."""
    if "torch._dynamo" not in sys.modules:
        torch.compiler.set_stance("default")  # imports it
    stances: list[str] = []
    real = torch.compiler.set_stance

    def noted(stance: Any) -> object:
        stances.append(stance)
        return real(stance)

    monkeypatch.setattr(torch.compiler, "set_stance", noted)
    calls: list[object] = []

    def backend(graph: nn.Module, _: object) -> Callable[..., object]:
        calls.append(graph)
        return graph.forward

    compiled = torch.compile(lambda one, other: one @ other, backend=backend)
    assert flops_of(lambda: compiled(drawn(3, 4), drawn(4, 5))) == 2 * 3 * 4 * 5
    assert (stances, calls) == (["force_eager"], [])
    compiled(drawn(3, 4), drawn(4, 5))
    assert len(calls) == 1
