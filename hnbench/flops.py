"""Floating-point operations (FLOPs), counted by torch's own formulas while a block of code runs.

A multiplication and an addition are two operations. Products of matrices, convolutions and
attention are counted, forward and backward, by the shapes of their operands alone: the type of the
numbers, masks and padding change nothing. Element-wise operations, norms and sums are not counted.
If a backward pass computes a part of the forward pass again, as fused attention does, that is
counted too.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    bmm_flop,
    conv_flop_count,
    flop_registry,
    mm_flop,
    sdpa_backward_flop_count,
    sdpa_flop_count,
    shape_wrapper,
)

from hnbench.devices.compilation import eager

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Shape = Sequence[int]


@dataclass
class Work:
    """The floating-point operations of a block of code; set when the block has ended."""

    flops: int = 0


@contextmanager
def counted() -> Iterator[Work]:
    """Count the block's floating-point operations, those of `torch.autograd.grad` included.

    The block computes what it always computes, but without compiled graphs and without fused
    kernels of whole layers, because the counter cannot look inside them. Blocks cannot be nested.
    """
    work, counter = Work(), _Counter()
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(eager())
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        with counter:
            yield work
        work.flops = counter.flops


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the operations of every operator that has a formula.

    torch's own mode also counts by module, which fails under `torch.autograd.grad`, and it takes
    several times as long as the operators of a small network.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self._formulas = {**flop_registry, **_WRAPPED}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        formula = self._formulas.get(func.overloadpacket)
        if formula is None and _is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=out)
        return out


@cache
def _is_composite(func: Any) -> bool:
    """Whether the operator is made of others. Without autograd, it arrives as a whole."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(  # noqa: SLF001
        func.name(), "CompositeImplicitAutograd"
    )


# The formulas get the operator's arguments, with a shape in the place of each tensor.


def _matrix_vector(matrix: Shape, _vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _added_matrix_vector(_added: Shape, matrix: Shape, _vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _inner(one: Shape, _other: Shape, **_: Any) -> int:
    return 2 * prod(one)


def _added_product(_added: Shape, left: Shape, right: Shape, *_: Any, **__: Any) -> int:
    return int(mm_flop(left, right))


def _added_products(_added: Shape, left: Shape, right: Shape, *_: Any, **__: Any) -> int:
    return int(bmm_flop(left, right))


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(
    gradient: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any
) -> int:
    found = sdpa_backward_flop_count(gradient, query, key, value)  # type: ignore[no-untyped-call]
    return int(found)


def _convolution_backward(
    gradient: Shape,
    images: Shape,
    weight: Shape,
    _bias: Shape | None,
    _stride: Shape,
    _padding: Shape,
    _dilation: Shape,
    transposed: bool,
    _output_padding: Shape,
    _groups: int,
    output_mask: Sequence[bool],
    **_: Any,
) -> int:
    """The gradients of images and of weights cost what the forward pass costs. (torch's own formula
    takes the weights of a grouped convolution for those of a full one.)
    """
    forward = conv_flop_count(list(images), list(weight), list(gradient), transposed)
    return int(forward * (output_mask[0] + output_mask[1]))


_ATEN = torch.ops.aten
_FORMULAS = {
    _ATEN.mv: _matrix_vector,
    _ATEN.addmv: _added_matrix_vector,
    _ATEN.dot: _inner,
    _ATEN.vdot: _inner,
    _ATEN._addmm_activation: _added_product,  # noqa: SLF001
    _ATEN.addbmm: _added_products,
    _ATEN.convolution_backward: _convolution_backward,
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,  # noqa: SLF001
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,  # noqa: SLF001
    _ATEN._scaled_dot_product_fused_attention_overrideable: _attention,  # noqa: SLF001
    _ATEN._scaled_dot_product_fused_attention_overrideable_backward: _attention_backward,  # noqa: SLF001
}
"""Operators that torch's counter does not know, or counts wrongly."""
_WRAPPED = {
    operator: shape_wrapper(formula)  # type: ignore[no-untyped-call]
    for operator, formula in _FORMULAS.items()
}
