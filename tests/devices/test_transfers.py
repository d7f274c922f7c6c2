import pytest
import torch

from hnbench.devices.transfers import to_device, to_host
from hnbench.generators.encoded_texts import EncodedTexts
from tests.queued_device import DEVICE, Remote, queued_device

CPU = torch.device("cpu")


def test_on_a_cpu_nothing_is_copied() -> None:
    tensor = torch.ones(3, requires_grad=True)
    (found,) = to_host([tensor])
    assert found.data_ptr() == tensor.data_ptr()
    assert not found.requires_grad
    assert to_device(tensor, CPU) is tensor


def test_many_tensors_are_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with queued_device(monkeypatch) as waits:
        given = [torch.ones(2), Remote(torch.zeros(3)), Remote(torch.full((1,), 2.0))]
        found = to_host(given)
    assert waits == {"wait": 1}
    assert [one.tolist() for one in found] == [[1, 1], [0, 0, 0], [2]]


def test_a_copy_to_the_device_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with queued_device(monkeypatch) as waits:
        found = to_device(torch.arange(3), DEVICE)
        assert isinstance(found, Remote)
        assert to_device(found, DEVICE) is found
    assert waits == {}
    assert found.held.tolist() == [0, 1, 2]


def texts() -> EncodedTexts:
    made = EncodedTexts()
    for number, prompt in enumerate("abc"):
        made.keep(prompt, {"text": torch.full((2,), float(number))})
    return made


def test_the_latest_batch_of_texts_is_copied_once() -> None:
    made = texts()
    first = made.batch(["a", "b"], CPU)["text"]
    assert made.batch(["a", "b"], CPU)["text"] is first
    assert made.batch(["b", "a"], CPU)["text"].tolist() == [[1, 1], [0, 0]]
    assert made.batch(["a", "b"], CPU)["text"] is not first


def test_a_batch_of_texts_that_somebody_wrote_into_is_copied_again() -> None:
    made = texts()
    made.batch(["a", "b"], CPU)["text"].zero_()
    assert made.batch(["a", "b"], CPU)["text"].tolist() == [[0, 0], [1, 1]]
