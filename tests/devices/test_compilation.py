"""Compiled networks against the same networks without compiling."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd

from hnbench.devices import compilation
from hnbench.devices.compilation import compile_networks, eager, settled
from hnbench.flops import counted
from hnbench.hypernetwork.adapter import LoraAdapter, LoraSettings

Backend = Callable[[torch.fx.GraphModule, list[Tensor]], Any]


class Network(nn.Module):
    """A convolution, and a linear layer over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.linear(self.conv(images).tanh().movedim(1, -1))
        return found


class Graphs:
    """The batch sizes of all graphs, in order, and the notes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.notes: list[str] = []
        self.backend: Backend = torch._dynamo.lookup_backend("aot_eager")

    def make(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        self.sizes.append(next(len(one) for one in inputs if one.shape[2:] == (5, 5)))
        return self.backend(graph, inputs)

    def compile(self, network: nn.Module) -> None:
        compile_networks("the generator toy", {"backbone": network}, self.notes.append)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graphs]:
    found = Graphs()
    monkeypatch.setattr(torch._dynamo, "lookup_backend", lambda _: found.make)
    torch._dynamo.reset()
    yield found
    torch._dynamo.reset()


@pytest.fixture
def networks() -> tuple[nn.Module, nn.Module]:
    """A network, and a copy of it to compile."""
    torch.manual_seed(0)
    network = Network().requires_grad_(False).eval()
    return network, copy.deepcopy(network)


def images(count: int, *, gradient: bool = False) -> Tensor:
    made = torch.randn(count, 3, 5, 5, generator=torch.Generator().manual_seed(count))
    return made.requires_grad_(gradient)


def gradient(network: nn.Module, count: int) -> Tensor:
    given = images(count, gradient=True)
    (found,) = torch.autograd.grad(network(given).square().sum(), given)
    return found


def test_values_and_gradients_are_those_of_the_network(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    plain, network = networks
    graphs.compile(network)
    for count in (4, 3):
        torch.testing.assert_close(network(images(count)), plain(images(count)))
        torch.testing.assert_close(gradient(network, count), gradient(plain, count))
    assert graphs.sizes == [4, 4, 3, 3]
    assert not graphs.notes
    assert network.state_dict().keys() == plain.state_dict().keys()


def test_a_batch_size_is_compiled_once(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    plain, network = networks
    graphs.compile(network)
    sizes = list(range(1, 10))  # more than torch's own limit of graphs
    for count in [*sizes, *sizes]:
        torch.testing.assert_close(network(images(count)), plain(images(count)))
    assert graphs.sizes == sizes
    assert not graphs.notes


def test_convolutions_have_their_channels_last(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    graphs.compile(networks[1])
    weight: Any = networks[1].conv
    assert weight.weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.weight.is_contiguous()


def test_an_adapter_and_the_base_alternate(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    found: list[list[Tensor]] = []
    for network in networks:
        adapter = LoraAdapter(network, LoraSettings(rank=2, alpha=2.0), ["linear"])
        for weight in adapter.named_parameters().values():
            nn.init.normal_(weight, generator=torch.Generator().manual_seed(1))
        if network is networks[1]:
            graphs.compile(network)
        outputs = []
        for _ in range(2):
            outputs.append(network(images(2)))
            with adapter.active():
                outputs.append(network(images(2)))
                outputs[-1].sum().backward()
            with adapter.active(), adapter.delta_only("linear"):
                outputs.append(network(images(2)))
            for weight in adapter.named_parameters().values():  # as an optimizer does
                weight.data += 0.1
        outputs += [weight.grad for weight in adapter.named_parameters().values()]
        found.append(outputs)
    plain, compiled = found
    assert len(graphs.sizes) == 3
    torch.testing.assert_close(compiled, plain)
    assert not torch.allclose(plain[0], plain[1])
    assert not torch.allclose(plain[1], plain[2])


def test_a_compiler_that_fails_is_said_once(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    def failing(*_: object) -> Any:
        raise RuntimeError("no C++ compiler\nhere")

    graphs.backend = failing
    plain, network = networks
    graphs.compile(network)
    for _ in range(2):
        torch.testing.assert_close(network(images(2)), plain(images(2)))
    (note,) = graphs.notes
    assert note.startswith("the backbone of the generator toy is not compiled: ")
    assert "no C++ compiler" in note
    assert "\n" not in note
    assert graphs.sizes == [2]


def test_a_backward_pass_that_cannot_be_compiled_is_found_in_the_forward_pass(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    def failing(*_: object) -> Any:
        raise RuntimeError("no gradient of this")

    graphs.backend = aot_autograd(fw_compiler=lambda graph, _: graph.forward, bw_compiler=failing)
    plain, network = networks
    graphs.compile(network)
    torch.testing.assert_close(gradient(network, 2), gradient(plain, 2))
    assert "no gradient of this" in graphs.notes[0]


class Breaking(Network):
    """A network that looks at a value."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) if images.mean().item() < 9 else images


def test_a_network_that_cannot_be_a_graph_is_said(graphs: Graphs) -> None:
    torch.manual_seed(0)
    network = Breaking()
    expected = network(images(2))
    graphs.compile(network)
    torch.testing.assert_close(network(images(2)), expected)
    assert len(graphs.notes) == 1
    assert not graphs.sizes


def test_the_last_graph_is_not_silently_the_last(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "MOST_GRAPHS", 2)
    plain, network = networks
    graphs.compile(network)
    for count in (1, 2, 3):
        torch.testing.assert_close(network(images(count)), plain(images(count)))
    (note,) = graphs.notes
    assert note == (
        "the backbone of the generator toy is not compiled: it has 2 graphs already; give a"
        " `batch_size` that fits"
    )


def test_a_lack_of_memory_is_no_failure_of_the_compiler(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    def exhausted(*_: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    graphs.backend = lambda *_: exhausted
    graphs.compile(networks[1])
    with pytest.raises(torch.OutOfMemoryError):
        networks[1](images(2))
    assert not graphs.notes


def test_a_mistake_of_the_caller_keeps_its_error(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    graphs.compile(networks[1])
    with pytest.raises(RuntimeError, match="channels"):
        networks[1](torch.zeros(1, 2, 5, 5))


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("_hf_hook", "its weights are on the device only while a layer computes"),
        ("gradient_checkpointing", "it recomputes its blocks in the backward pass"),
    ],
)
def test_memory_policies_of_the_network_are_said(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module], mark: str, reason: str
) -> None:
    layer: Any = networks[1].conv
    setattr(layer, mark, True)
    graphs.compile(networks[1])
    networks[1](images(2))
    assert graphs.notes == [f"the backbone of the generator toy is not compiled: {reason}"]
    assert not graphs.sizes


def test_a_model_without_networks_is_said() -> None:
    notes: list[str] = []
    compile_networks("the reward toy", {}, notes.append)
    assert notes == ["the reward toy is not compiled: it names no networks to compile"]


def test_operations_are_counted_without_graphs(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    plain, network = networks
    graphs.compile(network)
    network(images(2))
    found = []
    for one in (plain, network):
        with counted() as work:
            gradient(one, 2)
            gradient(one, 7)
        found.append(work.flops)
    assert found[0] == found[1] > 0
    assert graphs.sizes == [2]


def test_eager_makes_no_graph(graphs: Graphs, networks: tuple[nn.Module, nn.Module]) -> None:
    graphs.compile(networks[1])
    with eager():
        networks[1](images(2))
    assert not graphs.sizes


def test_work_is_repeated_until_nothing_is_compiled(
    graphs: Graphs, networks: tuple[nn.Module, nn.Module]
) -> None:
    graphs.compile(networks[1])
    calls: list[int] = []

    def work() -> int:
        calls.append(len(calls))
        networks[1](images(2 if len(calls) < 3 else 3))
        return calls[-1]

    # Sizes 2, 2: the second call makes no graph. Then 3, 3.
    assert [settled(work), settled(work)] == [1, 3]
    assert graphs.sizes == [2, 3]


def test_processes_repeat_together(graphs: Graphs, networks: tuple[nn.Module, nn.Module]) -> None:
    others = iter([1, 0])
    calls: list[int] = []
    settled(lambda: calls.append(1), lambda own: max(own, next(others)))
    assert len(calls) == 2
