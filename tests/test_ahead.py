import threading

import pytest
import torch
from torch import Tensor

from hnbench.devices import transfers
from hnbench.devices.transfers import AHEAD, ahead
from hnbench.methods.best_of_n import BestOfN
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.linear import noises_for, tasks_of

CPU = torch.device("cpu")


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the CPU for a GPU."""
    monkeypatch.setattr(transfers, "has_queue", lambda _: True)
    monkeypatch.setattr(transfers, "page_locked", torch.clone)


def test_on_a_cpu_each_is_drawn_when_it_is_needed() -> None:
    drawn: list[int] = []

    def draw(place: int) -> Tensor:
        assert threading.current_thread() is threading.main_thread()
        drawn.append(place)
        return torch.tensor(place)

    for place, tensor in enumerate(ahead(draw, range(5), CPU)):
        assert int(tensor) == place == drawn[-1]


def test_for_a_gpu_another_thread_draws_in_advance_and_in_order(queued: None) -> None:
    drawn: list[int] = []
    there = threading.Event()

    def draw(place: int) -> Tensor:
        assert threading.current_thread() is not threading.main_thread()
        drawn.append(place)
        if place == AHEAD:
            there.set()
        return torch.tensor(place)

    found = ahead(draw, range(9), CPU)
    assert int(next(found)) == 0
    assert there.wait(20)
    assert max(drawn) <= AHEAD
    assert [int(tensor) for tensor in found] == list(range(1, 9))
    assert drawn == list(range(9))


def test_an_error_is_raised_where_its_noise_is_needed(queued: None) -> None:
    def draw(place: int) -> Tensor:
        if place == 1:
            raise ZeroDivisionError
        return torch.tensor(place)

    found = ahead(draw, range(3), CPU)
    assert int(next(found)) == 0
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_a_search_is_the_same_to_the_bit(queued: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def search() -> list[tuple[Tensor, Tensor]]:
        outcomes = BestOfN(n=9).propose(
            tasks_of("a cat", "a dog"),
            ToyGenerator(),
            BrightnessReward(),
            noises_for(ToyGenerator()),
        )
        return [(one.image, one.noise) for one in outcomes]

    ours = search()
    monkeypatch.undo()
    for one, other in zip(ours, search(), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
