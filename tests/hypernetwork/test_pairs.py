"""The pairs of a regression: made once, kept over a kill, counted, and nothing but finite."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from hnbench.errors import StoreError, UsageError
from hnbench.generators.base import Generator
from hnbench.guards.interrupts import Terminated
from hnbench.hypernetwork.checkpoint import training_cost
from hnbench.hypernetwork.evaluation import split_prompts
from hnbench.hypernetwork.expected import expected_passes, held_out_of
from hnbench.hypernetwork.trainer import Trainer
from hnbench.methods.base import Outcome
from hnbench.methods.reno import ReNO
from hnbench.rewards.base import Mixture, Reward
from hnbench.seeds import NoiseSource, seed_of
from hnbench.tasks import Task
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.hypernetwork.test_trainer import log_of
from tests.hypernetwork.tiny import PROMPTS, REGRESSION, config, mixture, search_of
from tests.mutations import only_one_line, replaced

PLAN = config(**REGRESSION)
BATCHES = 3
"""The ten pairs, four at a time."""


class Watched(ReNO):
    """ReNO that remembers its batches, without those of one task, which only count operations."""

    def __init__(self, act: Any = None, at: int = 0) -> None:
        super().__init__(iterations=3, learning_rate=2.0)
        object.__setattr__(self, "seen", [])
        object.__setattr__(self, "act", act)
        object.__setattr__(self, "at", at)

    seen: list[list[Task]]
    act: Any
    at: int

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        if len(tasks) > 1:
            self.seen.append(list(tasks))
            if self.act and len(self.seen) == self.at:
                self.act()
        yield from super().propose(tasks, generator, reward, noises)


def training(folder: Path, search: ReNO | None = None, reward: Mixture | None = None) -> Trainer:
    found = search or search_of(PLAN)
    return Trainer(PLAN, ToyGenerator(), reward or mixture(), PROMPTS, folder, search=found)


def files(folder: Path) -> dict[str, dict[str, Tensor]]:
    return {path.name: load_file(path) for path in sorted((folder / "pairs").iterdir())}


def test_pairs_are_what_reno_finds_for_each_prompt_in_turn(tmp_path: Path) -> None:
    search = Watched()
    training(tmp_path, search).train()
    tasks = [task for batch in search.seen for task in batch]
    texts, held_out = split_prompts(PROMPTS, PLAN.seed)
    assert len(tasks) == 10
    assert sorted(task.prompt for task in tasks[: len(texts)]) == sorted(texts)
    assert not {task.prompt for task in tasks} & set(held_out)
    assert [task.sample for task in tasks] == [0] * 5 + [1] * 5
    # One at a time, from noises that the prompt, its sample and the seed decide.
    generator, noises = ToyGenerator(), NoiseSource(seed_of("pairs", PLAN.seed), (2, 4, 4))
    reno = ReNO(iterations=3, learning_rate=2.0)
    alone = [next(reno.propose([task], generator, mixture(), noises)) for task in tasks]
    read = files(tmp_path).values()
    found, rewards = (torch.cat([one[name] for one in read]) for name in ("found", "rewards"))
    torch.testing.assert_close(found, torch.stack([one.noise for one in alone]))
    assert not torch.equal(found, noises.batch(tasks))
    seen = [one.trajectory or () for one in alone]
    wanted = torch.tensor([[one[0], max(one)] for one in seen], dtype=torch.float64)
    torch.testing.assert_close(rewards, wanted, rtol=1e-5, atol=1e-7)
    change = (found - noises.batch(tasks)).flatten(1).norm(dim=1)
    facts = log_of(tmp_path)[0]["pairs"]
    assert (facts["made"], facts["used"]) == (10, 10)
    assert facts["found_reward"] > facts["reward"]
    assert facts["reward"] == pytest.approx(float(wanted[:, 0].mean()), rel=1e-5)
    assert facts["half_squared_norm"] == pytest.approx(
        float(0.5 * change.square().mean()), rel=1e-5
    )


def test_every_epoch_has_every_pair_once_with_its_own_target(tmp_path: Path) -> None:
    trainer = training(tmp_path)
    trainer.train()
    pairs = trainer.pairs
    assert pairs is not None
    drawn = [pairs.drawn(step, 0) for step in range(5)]  # 5 x 4 = two epochs of ten
    noise, target = torch.cat([one[1] for one in drawn]), torch.cat([one[2] for one in drawn])
    every = pairs.noises.batch(pairs.tasks)
    for epoch in (slice(0, 10), slice(10, 20)):
        places = [int((every == one).flatten(1).all(1).nonzero()) for one in noise[epoch]]
        assert sorted(places) == list(range(10))
        assert torch.equal(target[epoch], pairs.found[places] - every[places])
        prompts = [prompt for one in drawn for prompt in one[0]][epoch]
        assert prompts == [pairs.tasks[place].prompt for place in places]
    assert not torch.equal(noise[:10], noise[10:])


def kill() -> None:
    raise KeyboardInterrupt


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("act", "kind", "kept"), [(kill, KeyboardInterrupt, 1), (terminate, Terminated, 2)]
)
def test_a_training_goes_on_with_the_pairs_that_are_missing(
    act: Any, kind: type[BaseException], kept: int, tmp_path: Path
) -> None:
    """A kill in the second batch leaves the first; a signal lets it end."""
    training(tmp_path / "whole").train()
    with pytest.raises(kind):
        training(tmp_path / "two", Watched(act, at=2)).train()
    assert len(files(tmp_path / "two")) == kept
    assert not (tmp_path / "two" / "state").exists()
    search, shown = Watched(), list[tuple[int, int]]()
    adapter = training(tmp_path / "two", search).train(
        show_pairs=lambda done, total: shown.append((done, total))
    )
    assert len(search.seen) == BATCHES - kept
    assert shown == [(min(4 * batch, 10), 10) for batch in range(kept, BATCHES + 1)]
    first, second = files(tmp_path / "whole"), files(tmp_path / "two")
    assert first.keys() == second.keys()
    for name, tensors in first.items():
        assert all(torch.equal(tensors[key], second[name][key]) for key in tensors)
    whole, two = (training_cost(one) for one in (tmp_path / "whole" / "adapter", adapter))
    assert whole.pop("seconds") > 0
    assert two.pop("seconds") > 0
    assert whole == two
    expected = expected_passes(PLAN, held_out_of(len(PROMPTS)))
    assert {name: two[name] for name in expected} == expected


def test_pairs_are_kept_and_not_made_again_for_a_saved_state(tmp_path: Path) -> None:
    class Stop:
        def started(self, step: int, total: int) -> None: ...

        def stepped(self, record: Any) -> None:
            if record["step"] == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(tmp_path).train(Stop())
    search = Watched()
    cost = training_cost(training(tmp_path, search).train())
    assert not search.seen
    assert len(files(tmp_path)) == BATCHES
    expected = expected_passes(PLAN, held_out_of(len(PROMPTS)))
    assert {name: cost[name] for name in expected} == expected  # once, and not twice


class Torn(BrightnessReward):
    """No number for some prompts."""

    def __init__(self, *torn: str) -> None:
        self.torn = torn

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        factors = [math.nan if prompt in self.torn else 1.0 for prompt in prompts]
        return super().score(images, prompts) * torch.tensor(factors)


def test_pairs_without_a_finite_reward_are_left_out(tmp_path: Path) -> None:
    texts, _ = split_prompts(PROMPTS, PLAN.seed)
    trainer = training(tmp_path, reward=Mixture({"brightness": (Torn(texts[0]), 1.0)}))
    trainer.train()
    facts = log_of(tmp_path)[0]["pairs"]
    assert (facts["made"], facts["used"]) == (10, 8)
    assert facts["found_reward"] > facts["reward"]
    assert trainer.pairs is not None
    drawn = [prompt for step in range(6) for prompt in trainer.pairs.drawn(step, 0)[0]]
    assert sorted(set(drawn)) == sorted(texts[1:])


def test_no_finite_reward_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none of the 10 pairs has a finite reward; check the"):
        training(tmp_path, reward=Mixture({"brightness": (Torn(*PROMPTS), 1.0)})).train()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all pairs, and no training."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.raises(KeyboardInterrupt):
        training(folder, Watched(kill, at=3)).train()
    assert len(files(folder)) == 2
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "training"))


def read(folder: Path) -> int:
    trainer = training(folder)
    trainer._read_pairs()
    assert trainer.pairs is not None
    return trainer.pairs.done


def test_anything_in_the_place_of_a_file_is_read_or_is_one_line(folder: Path) -> None:
    path = folder / "pairs" / "batch-00000001.safetensors"
    with only_one_line() as outcomes:
        for what, place in replaced(path.read_bytes()):
            place(path)
            outcomes.of(what, lambda: read(folder))
    assert outcomes.refused > 8


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: {"found": one["found"]}, "does not hold `found` and `rewards`"),
        (lambda one: one | {"more": torch.zeros(1)}, "does not hold `found` and `rewards`"),
        (lambda one: one | {"found": one["found"][:3]}, r"shape \[3, 2, 4, 4\]"),
        (lambda one: one | {"found": one["found"].half()}, "type torch.float16"),
        (lambda one: one | {"rewards": one["rewards"].float()}, "type torch.float32"),
        (lambda one: one | {"found": one["found"] * math.inf}, "a noise is not finite"),
    ],
)
def test_pairs_that_do_not_fit_are_refused_with_what_to_do(
    change: Any, why: str, folder: Path
) -> None:
    path = folder / "pairs" / "batch-00000001.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    save_file(change(load_file(path)), path, header)
    with pytest.raises(StoreError, match=rf"{path} is damaged \(.*{why}.*\); delete it, and its"):
        read(folder)
    path.unlink()
    assert read(folder) == 4


@pytest.mark.parametrize("header", [None, {}, {"cost": "[]"}, {"cost": '{"seconds": -1}'}])
def test_a_cost_that_cannot_be_read_is_refused(header: Any, folder: Path) -> None:
    path = folder / "pairs" / "batch-00000000.safetensors"
    save_file(load_file(path), path, header)
    with pytest.raises(StoreError, match=r"batch-00000000\.safetensors is damaged"):
        read(folder)


def test_the_same_pairs_train_the_same_whatever_reno_would_find_now(folder: Path) -> None:
    """The files count."""
    for number in range(2):
        path = folder / "pairs" / f"batch-{number:08d}.safetensors"
        with safe_open(path, "pt") as file:
            header = file.metadata()
        save_file({**load_file(path), "found": torch.full((4, 2, 4, 4), 7.0)}, path, header)
    trainer = training(folder)
    trainer.train()
    assert trainer.pairs is not None
    assert bool((trainer.pairs.found[:8] == 7).all())
    assert not bool((trainer.pairs.found[8:] == 7).any())


def test_a_regression_needs_a_search_and_no_other_training_has_one(tmp_path: Path) -> None:
    for plan, search in ((PLAN, None), (config(), ReNO())):
        with pytest.raises(ValueError, match="a regression, and no other training"):
            Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path, search=search)


def test_the_log_is_json_without_a_reward_of_the_steps(tmp_path: Path) -> None:
    trainer = training(tmp_path)
    trainer.train()
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [line["reward"] for line in lines[1:]] == [None] * PLAN.steps
    assert all(line["loss"] > 0 for line in lines[1:])
    assert trainer.pairs is not None
    _, _, target = trainer.pairs.drawn(0, 0)
    # Before the first step f is zero, so the loss is the mean square of what is to be learnt.
    assert lines[1]["loss"] == pytest.approx(float(target.square().mean()))
