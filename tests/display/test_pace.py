"""When counted work ends, on a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hnbench.display.pace import Pace
from hnbench.methods.base import Passes
from hnbench.runs.workload import MethodWork, Workload


def work(name: str, tasks: int, passes: int | None, left: int = 0) -> MethodWork:
    announced = None if passes is None else Passes(passes)
    return MethodWork(name, (name,), tasks, announced, left, left)


@dataclass
class Simulation:
    """A run whose passes and records take known times."""

    passes: dict[str, int]
    """Method -> passes of one task, in order."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Method -> seconds of one pass; 1 for the others."""
    per_image: float = 0.0
    """Seconds for what follows a batch, per image."""
    announced: bool = True
    tasks: int = 8
    batch: int = 4
    now: float = 0.0

    def __post_init__(self) -> None:
        self.pace = Pace(lambda: self.now)
        self.pace.expect(
            Workload(
                tuple(
                    work(name, self.tasks, passes if self.announced else None, self.tasks)
                    for name, passes in self.passes.items()
                )
            )
        )

    def run(self, name: str, batches: int | None = None) -> None:
        self.pace.begin(name)
        for _ in range(batches or self.tasks // self.batch):
            self.now += 0.5  # text and noise, which are not timed
            self.begin_batch(name, self.passes[name])
            self.pace.proposed(
                self.batch, self.passes[name] * self.batch * self.seconds.get(name, 1.0)
            )
            self.now += self.per_image * self.batch
            self.pace.recorded(self.batch)

    def begin_batch(self, name: str, passes: int) -> None:
        self.pace.running(0)
        for count in range(1, passes + 1):
            self.now += self.batch * self.seconds.get(name, 1.0)
            self.pace.running(count * self.batch)

    def left(self, *names: str) -> float:
        return sum(
            self.tasks * (self.passes[name] * self.seconds.get(name, 1.0) + self.per_image)
            for name in names
        )


COSTS = {"random": 1, "hypernoise": 1, "best-of-4": 4, "reno": 100}


def test_nothing_is_known_before_the_first_pass() -> None:
    simulation = Simulation(COSTS)
    assert simulation.pace.seconds_left() is None
    simulation.pace.begin("random")
    simulation.pace.running(0)
    assert simulation.pace.seconds_left() is None


@pytest.mark.parametrize("per_image", [0.0, 0.3, 5.0])
def test_after_two_cheap_methods_the_end_of_dear_ones_is_known(per_image: float) -> None:
    """If a pass takes the same time in every method, whatever saving and judging take."""
    simulation = Simulation(COSTS, per_image=per_image)
    simulation.run("random")
    simulation.run("hypernoise")
    assert simulation.pace.seconds_left() == pytest.approx(simulation.left("best-of-4", "reno"))


@pytest.mark.parametrize("slower", [0.84, 1.2])
def test_the_end_is_as_wrong_as_the_passes_differ(slower: float) -> None:
    """Passes that take up to a fifth more or less than those before: wrong by a fifth at most."""
    simulation = Simulation(COSTS, seconds={"best-of-4": slower, "reno": slower}, per_image=0.3)
    simulation.run("random")
    simulation.run("hypernoise")
    assert simulation.pace.seconds_left() == pytest.approx(
        simulation.left("best-of-4", "reno"), rel=0.2
    )


def test_a_method_with_slow_passes_is_measured_from_its_first_pass_on() -> None:
    simulation = Simulation(COSTS, seconds={"reno": 7.0})
    for name in ("random", "hypernoise", "best-of-4"):
        simulation.run(name)
    guessed = simulation.pace.seconds_left()
    assert guessed == pytest.approx(simulation.left("reno") / 7)
    simulation.pace.begin("reno")
    simulation.begin_batch("reno", 1)
    assert simulation.pace.seconds_left() == pytest.approx(simulation.left("reno") * 199 / 200)


def test_images_alone_would_be_wrong() -> None:
    """By images, half of the run would be done after half of its methods."""
    simulation = Simulation(COSTS)
    simulation.run("random")
    simulation.run("hypernoise")
    left = simulation.pace.seconds_left()
    assert left is not None
    assert left > 20 * simulation.now


def test_passes_that_are_not_announced_are_known_after_the_first_batch() -> None:
    simulation = Simulation(COSTS, announced=False)
    simulation.run("random")
    assert simulation.pace.incomplete
    assert simulation.pace.state("reno") == (0, 8)
    simulation.run("hypernoise")
    simulation.run("best-of-4")
    simulation.run("reno", batches=1)
    assert not simulation.pace.incomplete
    assert simulation.pace.state("reno") == (400, 800)
    assert simulation.pace.seconds_left() == pytest.approx(simulation.left("reno") / 2)


def test_a_batch_that_is_tried_again_is_not_counted_twice() -> None:
    simulation = Simulation(COSTS)
    simulation.pace.begin("reno")
    simulation.begin_batch("reno", 60)
    assert simulation.pace.state("reno") == (240, 800)
    simulation.begin_batch("reno", 10)
    assert simulation.pace.state("reno") == (40, 800)


def test_a_method_that_ends_early_leaves_nothing() -> None:
    simulation = Simulation(COSTS)
    simulation.run("random", batches=1)
    simulation.pace.begin("hypernoise")
    assert simulation.pace.state("random") == (8, 8)
