"""How often the host waits for the device, counted on a stand-in for a GPU (`queued_device`)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from hnbench.generators.pipeline import PipelineGenerator
from hnbench.generators.sources import load_folder
from hnbench.hypernetwork.adapter import LoraAdapter, LoraSettings
from hnbench.hypernetwork.checkpoint import save_adapter
from hnbench.methods.amortised import Amortised
from hnbench.methods.base import Method
from hnbench.methods.best_of_n import BestOfN
from hnbench.methods.controls import OtherNoise, RandomDirection
from hnbench.methods.dno import DNO
from hnbench.methods.finetune import FineTuned
from hnbench.methods.gper import GPER
from hnbench.methods.hybrid import Hybrid
from hnbench.methods.hypernoise import HyperNoise
from hnbench.methods.mpgr import MPGR
from hnbench.methods.random import Random
from hnbench.methods.reno import ReNO
from hnbench.rewards.redness import Redness
from hnbench.runs.attempt import Attempt, Models, Proposer
from hnbench.runs.failures import told
from hnbench.runs.record import Failure
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task
from tests.queued_device import DEVICE, Remote, moved, queued_device
from tests.tiny import FAMILIES

TASKS = [Task(str(index), f"a photo of {index} rings", 0) for index in range(6)]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: family.save(tmp_path_factory.mktemp(name)) for name, family in FAMILIES.items()}


def load(name: str, folders: dict[str, Path]) -> PipelineGenerator:
    return load_folder(
        folders[name], name=name, device="cpu", dtype="float32", **FAMILIES[name].options
    )


def put_on_device(generator: PipelineGenerator) -> None:
    """Move the backbone and the decoder; the encoded texts of `TASKS` are in the cache already."""
    generator.encode([task.prompt for task in TASKS])
    moved(generator.backbone)
    moved(generator.decoder)
    generator._device = DEVICE


def adapter(generator: PipelineGenerator, folder: Path, kind: str) -> Path:
    made = LoraAdapter(generator.backbone, LoraSettings(rank=8, alpha=8))
    trained = {
        "name": generator.name,
        "fingerprint": generator.fingerprint,
        "noise_shape": list(generator.noise_shape),
    }
    save_adapter(folder, made, generator.backbone, {"kind": kind, "generator": trained})
    return folder


def attempted(
    generator: PipelineGenerator, method: Method, tasks: list[Task], waits: Counter[str]
) -> tuple[Attempt, Counter[str]]:
    """The attempt at a batch after one that warmed up, and its waits."""
    noises = NoiseSource(0, generator.noise_shape)
    proposer = Proposer(method, Models(generator, Redness(), noises, 1), len(tasks))
    list(proposer.attempts(tasks, set(tasks)))
    before = Counter(waits)
    (attempt,) = proposer.attempts(tasks, set(tasks))
    for found in attempt.outcomes.values():
        assert not isinstance(found, Failure), told(found)
    return attempt, Counter(waits) - before


LOOPS: dict[str, tuple[Method, Method, int]] = {
    "random": (Random(), Random(), 0),
    "best-of-n": (BestOfN(n=2), BestOfN(n=5), 1),
    "reno": (ReNO(iterations=2), ReNO(iterations=5), 1),
    "starts": (ReNO(iterations=2, starts=2), ReNO(iterations=2, starts=4), 1),
    "gper": (GPER(iterations=2), GPER(iterations=5), 1),
    "mpgr": (MPGR(iterations=2), MPGR(iterations=5), 1),
    "dno": (DNO(iterations=2), DNO(iterations=5), 1),
    "prno": (ReNO(iterations=2, regulariser="prno"), ReNO(iterations=4, regulariser="prno"), 1),
    "hybrid": (
        Hybrid(iterations=2, neighbours=2, radius=0.5),
        Hybrid(iterations=3, neighbours=3, radius=0.5),
        1,
    ),
}
"""A short and a longer search, and the waits of its `propose`: one, for the trajectories."""
ON_ALL_FAMILIES = ("random", "best-of-n", "reno")
"""The others ask a generator for the same as these."""


@pytest.mark.parametrize(
    ("name", "family"),
    [
        (name, family)
        for name in LOOPS
        for family in (FAMILIES if name in ON_ALL_FAMILIES else ["stable-diffusion"])
    ],
)
def test_the_waits_of_a_batch_depend_neither_on_its_size_nor_on_the_length_of_the_search(
    name: str, family: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long, own = LOOPS[name]
    generator = load(family, folders)
    expected, _ = attempted(load(family, folders), short, TASKS[:2], Counter())
    with queued_device(monkeypatch) as waits:
        put_on_device(generator)
        found, few = attempted(generator, short, TASKS[:2], waits)
        _, many = attempted(generator, long, TASKS, waits)
    assert few == many
    assert few.total() == own + 1  # one more for the images and noises of the whole batch
    for key, outcome in expected.outcomes.items():
        other = found.outcomes[key]
        assert not isinstance(outcome, Failure)
        assert not isinstance(other, Failure)
        assert (outcome.pixels.int() - other.pixels.int()).abs().max() <= 1
        torch.testing.assert_close(outcome.noise, other.noise, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", [HyperNoise, Amortised, RandomDirection, OtherNoise, FineTuned])
def test_a_method_with_an_adapter_waits_for_nothing(
    kind: Any, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load("stable-diffusion", folders)
    method = kind(adapter=adapter(generator, tmp_path / "adapter", kind.kind))
    with queued_device(monkeypatch) as waits:
        put_on_device(generator)
        _, found = attempted(generator, method, TASKS, waits)
    assert found == {"wait": 1}


class Asking(Random):
    """Asks each image for its value, as no method should."""

    def propose(self, *arguments: Any) -> Any:
        for outcome in super().propose(*arguments):
            assert float(outcome.image.sum()) > 0
            yield outcome


def test_a_method_that_asks_for_values_is_noticed(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load("stable-diffusion", folders)
    with queued_device(monkeypatch) as waits:
        put_on_device(generator)
        _, found = attempted(generator, Asking(), TASKS, waits)
    assert found == {"wait": 1, "_local_scalar_dense": len(TASKS)}


@pytest.mark.parametrize(
    ("waiting", "operation"),
    [
        ("_local_scalar_dense", lambda tensor: tensor[0].item()),
        ("_local_scalar_dense", lambda tensor: bool(tensor[0] > 0)),
        ("_to_copy", lambda tensor: tensor.cpu()),
        ("_to_copy", lambda tensor: tensor.tolist()),
        ("nonzero", lambda tensor: tensor.nonzero()),
        ("index", lambda tensor: tensor[tensor > 0]),
        ("copy from ordinary memory", lambda _: torch.ones(2).to(DEVICE)),
    ],
)
def test_the_stand_in_notices(
    waiting: str, operation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with queued_device(monkeypatch) as waits:
        operation(Remote(torch.ones(3)))
    assert waits == {waiting: 1}


def test_the_stand_in_refuses_to_mix_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    with queued_device(monkeypatch), pytest.raises(RuntimeError, match="on the CPU"):
        Remote(torch.ones(3)) + torch.ones(3)
