"""The processes of one data-parallel training, and everything that they exchange.

All of them hold the same adapter. A batch is split among them; the gradients are averaged; process
0 alone writes. Only gradients travel by the devices' own backend (NCCL between GPUs). Everything
else is small, lies on the CPU and travels by gloo, which notices at once that a process has ended,
while NCCL waits.

Nothing is pickled: tensors travel as they are, other values as JSON.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from hnbench.errors import PeerError, UsageError
from hnbench.files.escaping import first_line
from hnbench.hypernetwork.folder import State
from hnbench.hypernetwork.launch import TrainingProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)
"""The longest that a process waits for the others. The end of a process is noticed without it; this
is for one that is stuck. It is long because the first wait is for the slowest download.
"""
BUCKET = 2**24
"""Gradients are averaged in pieces of about this many numbers."""


class Processes:
    """The processes of one training, seen from one of them. By default it is the only one, and
    nothing is exchanged.

    Every method but `part` is called by all processes in the same order. It raises a `PeerError` if
    another one has ended.
    """

    def __init__(self, launch: TrainingProcess | None = None, control: Any = None) -> None:
        """Take part as `launch` says. `control` is a gloo group of all processes."""
        self.launch, self._control = launch or TrainingProcess(), control

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.launch.main

    @property
    def count(self) -> int:
        """The number of processes."""
        return self.launch.count

    def part(self, size: int) -> slice:
        """This process's part of a batch of `size` images, which `count` divides."""
        own = size // self.count
        return slice(self.launch.index * own, (self.launch.index + 1) * own)

    def sums(self, values: Tensor) -> Tensor:
        """The sums over the processes of a tensor on the CPU, of the same shape."""
        total = values.clone()
        self._reduce(total, dist.ReduceOp.SUM, self._control)
        return total

    def largest(self, value: int) -> int:
        """The largest of the processes' values."""
        found = torch.tensor([value])
        self._reduce(found, dist.ReduceOp.MAX, self._control)
        return int(found)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, which is computed in float32 or
        wider. A parameter without a gradient in all processes stays without one.
        """
        if self.count == 1:
            return
        has_one = [parameter.grad is not None for parameter in parameters]
        used = self.sums(torch.tensor(has_one, dtype=torch.int64)).tolist()
        for bucket in _buckets([one for one, times in zip(parameters, used, strict=True) if times]):
            flat = torch.cat([_gradient(parameter) for parameter in bucket])
            self._reduce(flat, dist.ReduceOp.SUM, None)
            flat /= self.count
            sizes = [parameter.numel() for parameter in bucket]
            for parameter, part in zip(bucket, flat.split_with_sizes(sizes), strict=True):
                parameter.grad = part.view_as(parameter).to(parameter.dtype)

    def lead(self, work: Callable[[], T]) -> T:
        """Let the main process do some work; returns its result, which JSON can express, in all
        processes. If the work fails there, it is a `PeerError` in the others.
        """
        if self.count == 1:
            return work()
        if not self.main:
            said = self._said()
            if "result" not in said:
                raise PeerError(
                    f"process {self.launch.index} of this training ends, because process 0 could"
                    " not continue; see its message"
                )
            return said["result"]  # type: ignore[no-any-return]
        try:
            result = work()
        except BaseException:
            self._say({})
            raise
        self._say({"result": result})
        return result

    def require_same(self, digest: str, what: str) -> None:
        """Raise a `UsageError` in all processes unless all give the same digest of `what`, such as
        "prompts".
        """
        if self.largest(int(self.lead(lambda: digest) != digest)):
            raise UsageError(
                f"the {self.count} processes of this training have different {what}; start the same"
                " command with the same files and versions everywhere"
            )

    def share(self, state: State | None) -> State:
        """The main process's state, in all processes. The others give None."""
        if self.count == 1 and state is not None:
            return state
        tensors = {} if state is None else state.tensors
        said = self.lead(lambda: _description(state))
        found: dict[str, dict[str, Tensor]] = {group: {} for group in said["groups"]}
        for group, name, kind, shape in said["tensors"]:
            tensor = (
                tensors[group][name].detach().cpu().contiguous()
                if self.main
                else torch.empty(shape, dtype=getattr(torch, kind))
            )
            self._broadcast(tensor)
            found[group][name] = tensor
        return State(said["step"], found, said["values"])

    # Exchange.

    def _say(self, value: Any) -> None:
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        self._broadcast(torch.tensor([len(text)]))
        self._broadcast(text)

    def _said(self) -> dict[str, Any]:
        length = torch.zeros(1, dtype=torch.int64)
        self._broadcast(length)
        text = torch.zeros(int(length), dtype=torch.uint8)
        self._broadcast(text)
        said: dict[str, Any] = json.loads(text.numpy().tobytes())
        return said

    def _broadcast(self, values: Tensor) -> None:
        self._exchange(lambda: dist.broadcast(values, 0, group=self._control))

    def _reduce(self, values: Tensor, how: Any, group: Any) -> None:
        if self.count > 1:
            self._exchange(lambda: dist.all_reduce(values, how, group=group))

    def _exchange(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except RuntimeError as error:
            raise PeerError(
                f"process {self.launch.index} of this training ends, because another of its"
                f" {self.count} processes has ended or does not answer ({_reason(error)}). The"
                " state that was saved last is kept, and the same command continues from it, with"
                " any number of processes"
            ) from error


@contextmanager
def joined(launch: TrainingProcess, device: str) -> Iterator[Processes]:
    """The processes of `launch`, connected for the length of the block, each with its `device`. A
    group that this process already belongs to is used.

    A `UsageError` says why they cannot be connected.
    """
    if launch.count == 1:
        yield Processes()
        return
    if not dist.is_available():
        raise UsageError(
            "this torch has no torch.distributed, so a training has one process; start one"
        )
    started = not dist.is_initialized()
    try:
        if started:
            dist.init_process_group(
                "nccl" if torch.device(device).type == "cuda" else "gloo",
                rank=launch.index,
                world_size=launch.count,
                timeout=TIMEOUT,
            )
        control = dist.new_group(backend="gloo", timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"the {launch} of this training cannot be connected ({first_line(error)}); start them"
            " with torchrun or accelerate launch"
        ) from error
    yield Processes(launch, control)
    # Not after an error: NCCL would wait for processes that may have ended. The system closes the
    # connections, which is what the others notice.
    if started:
        dist.destroy_process_group()


def own_device(launch: TrainingProcess, device: str) -> str:
    """The device of this process, from the training's, such as "cuda:3" from "cuda". A machine with
    too few devices is a `UsageError`.
    """
    if launch.count == 1 or torch.device(device).type != "cuda":
        return device
    there = torch.cuda.device_count()
    if device != "cuda":
        raise UsageError(
            f"`device` was {device!r}, but each of the {launch} needs a device of its own; give"
            " auto or cuda"
        )
    if launch.local >= there:
        raise UsageError(
            f"this is process {launch.local + 1} on this machine, and torch finds {there} CUDA"
            " devices; start one process per device"
        )
    torch.cuda.set_device(launch.local)
    return f"cuda:{launch.local}"


def _reason(error: BaseException) -> str:
    """The reason in gloo's error, without the place in its source and its advice.

    >>> _reason(RuntimeError("[/gloo/pair.cc:561] Connection closed by peer [::1]:408. This is"))
    'Connection closed by peer [::1]:408'
    """
    return re.sub(r"^\[[^]]*\] ", "", first_line(error)).split(". ")[0]


def _description(state: State | None) -> dict[str, Any]:
    """A state without the numbers in its tensors, as JSON types."""
    if state is None:
        raise ValueError("the main process has a state")
    return {
        "step": state.step,
        "values": state.values,
        "groups": list(state.tensors),
        "tensors": [
            [group, name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
            for group, tensors in state.tensors.items()
            for name, tensor in tensors.items()
        ],
    }


def _gradient(parameter: nn.Parameter) -> Tensor:
    """The gradient, flat, in float32 or wider; zeros for none."""
    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return gradient.flatten().to(torch.promote_types(parameter.dtype, torch.float32))


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """The parameters in pieces of one type and about `BUCKET` numbers."""
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if bucket and (size >= BUCKET or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket
