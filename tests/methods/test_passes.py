"""Every method announces the passes that it makes: the announcement is compared with the meter."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from hnbench.catalogue import registry
from hnbench.catalogue.specifications import make_method
from hnbench.metering import Meter, MeteredGenerator, MeteredReward
from hnbench.methods.base import Method, Passes
from hnbench.seeds import NoiseSource
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.methods.adapters import TASKS, adapter_folder

PARAMETERS = [
    "best-of-n:n=1",
    "best-of-n:n=6",
    "reno:iterations=1",
    "reno:iterations=4",
    "reno:iterations=4,starts=3",
    "prompt-search:proposals=1,rounds=1",
    "prompt-search:proposals=3,rounds=4",
    "hybrid:iterations=1,neighbours=2",
    "hybrid:iterations=3,neighbours=2,starts=2",
]
SPECIFICATIONS = [
    text
    for entry in registry.METHODS.built_in
    for text in [f"{entry.name}", *(one for one in PARAMETERS if one.startswith(f"{entry.name}:"))]
]


def method_of(specification: str, folder: Path) -> Method:
    kind = registry.METHODS.entry(specification.partition(":")[0]).adapter
    return make_method(
        specification, {"adapter": adapter_folder(folder / "adapter", kind)} if kind else {}
    )


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_a_method_makes_the_passes_that_it_announces(
    specification: str, steps: int, tmp_path: Path
) -> None:
    generator, meter = ToyGenerator(), Meter()
    method = method_of(specification, tmp_path).among(sorted({task.prompt for task in TASKS}))
    method.prepare(generator)
    made = list(
        method.propose(
            TASKS,
            MeteredGenerator(generator, meter, steps),
            MeteredReward(BrightnessReward(), meter),
            NoiseSource(0, ToyGenerator.noise_shape),
        )
    )
    dropped = sum(one.rewriter.dropped for one in made if one.rewriter is not None)
    meter.generator_forward += dropped * steps
    meter.reward_forward += dropped
    announced = method.passes(steps)
    assert announced is not None
    assert {name: count * len(TASKS) for name, count in asdict(announced).items()} == asdict(meter)


def test_generator_passes_are_those_in_both_directions() -> None:
    assert Passes(50, 49, 50, 49).generator == 99
