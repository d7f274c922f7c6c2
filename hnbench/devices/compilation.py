"""Networks compiled by `torch.compile`: a graph for each shape, and the plain network if there is
none.

A compiled network stays the same module, with the same weights under the same names. Its graphs
belong to the layers in its tree: while an adapter's layers are in there, another graph is used.
Convolutional networks also keep their weights with the channels last, which convolutions prefer.
Both change numbers by rounding.

Making a graph takes seconds to minutes. `settled` keeps that out of measurements, and `eager` out
of work that is done only once.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from hnbench.files.escaping import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Result = TypeVar("Result")

MOST_GRAPHS = 64
"""The most graphs of a network. There is one for each batch size (the whole batch, the last one,
and its halves if memory runs out), with and without a gradient, for the base and each adapter.
"""


def compile_networks(
    owner: str,
    networks: Mapping[str, nn.Module],
    note: Callable[[str], None],
    backend: str = "inductor",
) -> None:
    """Compile the networks of a model, each when it is first called. They must be called as
    modules, without a second derivative.

    A network that cannot be compiled computes as before, and `note` gets one sentence with the
    reason. `owner` and the networks' names are for that sentence. `backend` is torch's name of the
    compiler.
    """
    if not networks:
        note(f"{owner} is not compiled: it names no networks to compile")
    for name, network in networks.items():
        told = _Told(f"the {name} of {owner}", note)
        if why := _obstacle(network):
            told(why)
            continue
        if any(isinstance(layer, nn.Conv2d) for layer in network.modules()):
            network.to(memory_format=torch.channels_last)
        network.forward = _Compiled(network.forward, told, backend)


def settled(work: Callable[[], Result], largest: Callable[[int], int] = int) -> Result:
    """The result of `work` from a call that made no graph.

    It is called again until then, so what it measures about itself is never about compiling. If
    nothing is compiled, it is called once. Processes that work together give the function for the
    `largest` of their numbers, and all of them call again.
    """
    # This ends: a network has a limited number of graphs, and is not compiled beyond it.
    while True:
        before = _Graphs.tried
        result = work()
        if not largest(_Graphs.tried - before):
            return result
        del result  # so that it is not in memory twice, where the memory is measured


@contextmanager
def eager() -> Iterator[None]:
    """Within the block, nothing is compiled, and compiled networks compute without their graphs."""
    # Nothing is compiled before dynamo is imported, and to import it takes seconds.
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


class _Graphs:
    """The graphs of this process, those that could not be made included."""

    tried = 0


class _Told:
    """Says of one network why it is not compiled."""

    def __init__(self, network: str, note: Callable[[str], None]) -> None:
        self._network, self._note = network, note

    def __call__(self, why: str) -> None:
        self._note(f"{self._network} is not compiled: {why}")


def _obstacle(network: nn.Module) -> str | None:
    layers = list(network.modules())
    if any(hasattr(layer, "_hf_hook") for layer in layers):
        return "its weights are on the device only while a layer computes"
    if any(getattr(layer, "gradient_checkpointing", False) for layer in layers):
        return "it recomputes its blocks in the backward pass"
    return None


class _Compiled:
    """A network's forward pass: compiled, and by its plain function from the first failure on."""

    def __init__(self, plain: Callable[..., Any], told: _Told, backend: str) -> None:
        self._plain, self._told, self._backend = plain, told, backend
        # A part of a graph would be compiled silently, so the whole is compiled or nothing.
        self._compiled: Callable[..., Any] | None = torch.compile(
            plain, fullgraph=True, dynamic=False, backend=self._make
        )

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if self._compiled is None:
            return self._plain(*inputs, **named)

        from torch._dynamo import config
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

        try:
            with config.patch(recompile_limit=MOST_GRAPHS):
                return self._compiled(*inputs, **named)
        except FailOnRecompileLimitHit:
            why = f"it has {MOST_GRAPHS} graphs already; give a `batch_size` that fits"
        except TorchDynamoException as error:
            why = first_line(error)
        # Here the traceback, which holds the tensors of the failed pass, is gone.
        self._compiled = None
        _Graphs.tried += 1
        self._told(why)
        return self._plain(*inputs, **named)

    def _make(self, graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        """The compiled form of a graph, by the backend. The backward pass is compiled at once,
        because a failure in the middle of a method's backward pass could not be caught.
        """
        from torch._dynamo import lookup_backend
        from torch._functorch import config

        _Graphs.tried += 1
        with config.patch(force_non_lazy_backward_lowering=True), warnings.catch_warnings():
            # Advice of the compiler, for example to allow TF32.
            warnings.simplefilter("ignore")
            return lookup_backend(self._backend)(graph, inputs)
