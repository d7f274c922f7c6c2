"""On a GPU, the text encoders are on the device only while they encode. Here `cpu:0` is taken for
one: tensors on it are on the CPU, but it has another name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from hnbench.generators import encoded_texts
from hnbench.generators.base import Conditioning
from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.sources import load_folder
from hnbench.methods.base import Method, Outcome
from hnbench.rewards.redness import Redness
from hnbench.runs import execute
from hnbench.runs.store import read_run
from hnbench.runs.tally import Tally
from hnbench.testing.toys import ToyGenerator
from tests.runs import world
from tests.runs.world import Base, Count, WorldSuite, timeless
from tests.tiny import FAMILIES

FAMILY = "flux"
"""It has two text encoders."""
PROMPTS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FAMILIES[FAMILY].save(tmp_path_factory.mktemp(FAMILY))


@dataclass
class Places:
    """The place of each text encoder, and the events of a run with the places at that time."""

    now: list[str]
    moves: list[tuple[int, str]] = field(default_factory=list)
    events: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def note(self, event: str) -> None:
        self.events.append((event, tuple(self.now)))

    def during(self, event: str) -> set[tuple[str, ...]]:
        return {places for name, places in self.events if name == event}

    def count(self, event: str) -> int:
        return sum(name == event for name, _ in self.events)


@dataclass
class Looking(Base):
    """Notes where the encoders are while it proposes."""

    places: Places | None = None

    def propose(self, *given: Any) -> Iterator[Outcome]:
        assert self.places
        self.places.note("propose")
        yield from super().propose(*given)
        self.places.note("propose")


def watched(
    folder: Path, monkeypatch: pytest.MonkeyPatch, memory: Sequence[str] = ()
) -> tuple[PipelineGenerator, Places]:
    generator = load_folder(
        folder,
        name=FAMILY,
        device="cpu:0",
        dtype="float32",
        memory=tuple(memory),
        **FAMILIES[FAMILY].options,
    )
    places = Places(["cpu" if memory else "cpu:0"] * len(generator.text_encoders))
    for number, encoder in enumerate(generator.text_encoders):

        def to(device: Any, number: int = number) -> None:
            if places.now[number] != str(device):
                places.moves.append((number, str(device)))
            places.now[number] = str(device)

        monkeypatch.setattr(encoder, "to", to)
    encode = generator._encode

    def noted(prompts: list[str]) -> dict[str, torch.Tensor]:
        places.note("encode")
        return encode(prompts)

    monkeypatch.setattr(generator, "_encode", noted)
    return generator, places


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "has_queue", lambda _: True)


def run(folder: Path, methods: Sequence[Method], **given: Any) -> Tally:
    """The toys' brightness is that of smaller images."""
    return world.run(folder, methods, reward=Redness(), **given)


THERE, AWAY = ("cpu:0", "cpu:0"), ("cpu", "cpu")


def test_they_encode_everything_first_and_are_away_while_methods_propose(
    folder: Path, gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, places = watched(folder, monkeypatch)
    progress = Count()
    tally = run(tmp_path, [Looking(places=places)], generator=generator, progress=progress)
    assert tally.done == tally.expected == 12
    assert places.during("encode") == {THERE}
    assert places.during("propose") == {AWAY}
    assert [name for name, _ in places.events[:PROMPTS]] == ["encode"] * PROMPTS
    assert places.count("encode") == PROMPTS
    assert places.moves == [(0, "cpu"), (1, "cpu")]
    assert ("label", f"the text of {PROMPTS} prompts") in progress.calls


def test_no_number_changes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "cpu", [Base()], generator=watched(folder, monkeypatch)[0])
    monkeypatch.setattr(execute, "has_queue", lambda _: True)
    run(tmp_path / "gpu", [Base()], generator=watched(folder, monkeypatch)[0])
    one, other = (
        [timeless(record) for record in read_run(tmp_path / name).records]
        for name in ("cpu", "gpu")
    )
    assert one == other


def test_on_a_cpu_they_stay_and_encode_batch_by_batch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, places = watched(folder, monkeypatch)
    run(tmp_path, [Looking(places=places)], generator=generator)
    assert places.moves == []
    assert [name for name, _ in places.events[:PROMPTS]] != ["encode"] * PROMPTS


def test_a_continued_run_encodes_only_what_is_missing(
    folder: Path, gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, [Base()], generator=watched(folder, monkeypatch)[0], full=False)
    generator, places = watched(folder, monkeypatch)
    progress = Count()
    run(tmp_path, [Base()], generator=generator, suite=WorldSuite(samples=1), progress=progress)
    assert ("label", "the text of 4 prompts") in progress.calls
    assert places.moves[:2] == [(0, "cpu"), (1, "cpu")]


def test_a_prompt_that_comes_later_brings_them_back_for_the_moment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, places = watched(folder, monkeypatch)
    generator.encode_ahead(["a cat", "a dog", "a cat"])
    assert (places.count("encode"), tuple(places.now)) == (2, AWAY)
    generator.encode(["a cat", "a dog"])
    assert len(places.moves) == 2
    generator.encode(["a cat", "a hen"])
    assert places.count("encode") == 3
    assert places.moves[2:] == [(0, "cpu:0"), (1, "cpu:0"), (0, "cpu"), (1, "cpu")]


@pytest.mark.parametrize(("memory", "place"), [((), THERE), (("offload-text",), AWAY)])
def test_with_too_small_a_cache_they_are_where_the_policy_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, memory: Sequence[str], place: tuple[str, ...]
) -> None:
    generator, places = watched(folder, monkeypatch, memory)
    generator.encode_ahead(["a cat"])
    row = sum(tensor.nbytes for tensor in generator.encode(["a cat"]).tensors.values())
    monkeypatch.setattr(encoded_texts, "TEXT_CACHE_BYTES", 3 * row)
    generator.encode_ahead(["a dog", "a hen", "a fox"])
    assert (places.count("encode"), tuple(places.now)) == (4, AWAY)
    generator.encode_ahead(["a cow", "a pig", "a bee", "an ant"])
    assert (places.count("encode"), tuple(places.now)) == (5, place)


class Failing(ToyGenerator):
    """Cannot encode one of the prompts."""

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        if "a dark thing, number 1" in prompts:
            raise ArithmeticError("this prompt is too dark")
        return super().encode(prompts)

    def encode_ahead(self, prompts: Sequence[str]) -> None:
        self.encode(prompts)


def test_a_prompt_that_cannot_be_encoded_fails_alone(gpu: None, tmp_path: Path) -> None:
    tally = run(tmp_path, [Base()], generator=Failing())
    assert (tally.done, tally.failed) == (10, 2)
