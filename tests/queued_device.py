"""A device with a queue, in place of a GPU: it counts how often the host waits for it.

A `Remote` tensor is on the device. It cannot be mixed with tensors on the CPU, and every operation
that needs one of its values on the host, or copies ordinary memory, is noted as a wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from hnbench.devices import transfers
from hnbench.generators import pipeline

DEVICE = torch.device("lazy")
"""The name of a device that torch knows, and that this installation has not."""

ASKING = (
    "_local_scalar_dense",
    "equal",
    "is_nonzero",
    "masked_select",
    "nonzero",
    "_unique2",
    "unique_dim",
)
"""The operations whose result depends on a value that the host must know."""


class Remote(Tensor):
    """A tensor on the device."""

    held: Tensor

    @staticmethod
    def __new__(cls: type[Self], held: Tensor) -> Self:
        made: Self = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            dtype=held.dtype,
            device=DEVICE,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
        )
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Remote({self.held!r})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        raise RuntimeError(f"{func} of a tensor on the device, outside of `queued_device`")


class _Executing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs the operations of the device on the CPU, and notes its waits."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        remote = any(isinstance(one, Remote) for one in given)
        target = kwargs.get("device")
        if not remote and (target is None or torch.device(target) != DEVICE):
            return func(*args, **kwargs)
        if remote:
            self._note(name, func, args, given, target)
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        if name == "_to_copy" and not remote and not getattr(given[0], "locked", False):
            self.waits["copy from ordinary memory"] += 1
        args, kwargs = tree_map(
            lambda leaf: leaf.held if isinstance(leaf, Remote) else leaf, (args, kwargs)
        )
        if name == "_conj":
            # torch would only mark the numbers, and look at the mark before it comes here.
            func = torch.ops.aten.conj_physical.default
        found = func(*args, **kwargs)
        if target is not None and torch.device(target) != DEVICE:
            return found
        if func._schema.name.endswith("_") and given and isinstance(given[0], Remote):
            return given[0]
        return tree_map(lambda leaf: Remote(leaf) if isinstance(leaf, Tensor) else leaf, found)

    def _note(
        self, name: str, func: Any, args: Sequence[Any], given: Sequence[Tensor], target: Any
    ) -> None:
        asks = name in ASKING
        if name == "index":
            asks = any(
                isinstance(one, Tensor) and one.dtype == torch.bool for one in tree_leaves(args[1:])
            )
        if asks or (target is not None and torch.device(target) != DEVICE):
            self.waits[name] += 1
        # As on a GPU, a tensor of the CPU may take part only if it is a single number.
        alone = [one for one in given if not isinstance(one, Remote) and one.ndim > 0]
        if alone and name not in ("copy_", "_to_copy", "index"):
            raise RuntimeError(f"{func} of tensors on the device and on the CPU")


@contextmanager
def queued_device(patch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Within the block, there is such a device. Yields its waits, by what waited."""
    mode = _Executing()

    def page_locked(tensor: Tensor) -> Tensor:
        copy = tensor.clone()
        copy.locked = True  # type: ignore[attr-defined]
        return copy

    def landing(tensor: Tensor) -> Tensor:
        assert isinstance(tensor, Remote)
        return tensor.held.clone()

    def wait_for(_: torch.device) -> None:
        mode.waits["wait"] += 1

    class DeviceGenerator(torch.Generator):
        device = DEVICE

    patch.setattr(pipeline, "generator_on", lambda _: DeviceGenerator("cpu"))
    patch.setattr(transfers, "has_queue", lambda device: device.type == DEVICE.type)
    patch.setattr(transfers, "page_locked", page_locked)
    patch.setattr(transfers, "landing", landing)
    patch.setattr(transfers, "wait_for", wait_for)
    with mode:
        yield mode.waits


def moved(value: Any) -> Any:
    """The tensor, or the module with its weights, on the device."""
    if isinstance(value, nn.Module):
        for module in value.modules():
            _move_into(module._parameters)
            _move_into(module._buffers)
        return value
    return value if isinstance(value, Remote) else Remote(value.detach())


def _move_into(tensors: Mapping[str, Any]) -> None:
    for name, tensor in tensors.items():
        if tensor is not None:
            made = moved(tensor)
            parameter = isinstance(tensor, nn.Parameter)
            tensors[name] = nn.Parameter(made, requires_grad=False) if parameter else made  # type: ignore[index]
