from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hnbench.config import values_of
from hnbench.errors import StoreError, UsageError
from hnbench.guards.interrupts import Terminated
from hnbench.hypernetwork.adapter import Hypernetwork
from hnbench.hypernetwork.attached import attach
from hnbench.hypernetwork.checkpoint import describe_adapter, training_cost
from hnbench.hypernetwork.draws import Draws
from hnbench.hypernetwork.folder import TrainingFolder
from hnbench.hypernetwork.loading import load_adapter
from hnbench.hypernetwork.optimizer import learning_rate
from hnbench.hypernetwork.trainer import Trainer
from hnbench.rewards.base import Mixture, Reward
from hnbench.seeds import digest
from hnbench.testing.toys import BrightnessReward, ToyGenerator
from tests.hypernetwork.tiny import PROMPTS, REGRESSION, UNetGenerator, config, mixture, search_of
from tests.runs.test_work import Encoding


class Spectator:
    """Remembers what it was told, and can pull the plug at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.starts, self.records = (
            stop_at,
            list[tuple[int, int]](),
            list[dict[str, Any]](),
        )

    def started(self, step: int, total: int) -> None:
        self.starts.append((step, total))

    def stepped(self, record: Mapping[str, Any]) -> None:
        self.records.append(dict(record))
        if record["step"] == self.stop_at:
            raise KeyboardInterrupt


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def without_time(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in record.items()
        if name not in {"seconds", "images_per_second"}
    }


def weights(adapter: Path, kind: str) -> dict[str, Tensor]:
    return load_adapter(adapter, ToyGenerator(), kind).state_dict()


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "hypernoise", "optimizer": "sgd"},
        {
            "kind": "hypernoise",
            "optimizer": "adamw",
            "noise": "batch",
            "accumulation": 2,
            "schedule": "cosine",
            "warmup_steps": 2,
        },
        {"kind": "finetune", "optimizer": "adamw", "learning_rate": 0.05},
        {"kind": "finetune", "optimizer": "sgd", "momentum": 0.0, "image_penalty": 1.0},
        {**REGRESSION, "optimizer": "adamw", "learning_rate": 0.05, "accumulation": 2},
    ],
)
def test_a_killed_training_ends_where_it_would_have_ended(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    plan = config(**{**changes, "save_every": 2})

    def training(folder: Path) -> Trainer:
        models = ToyGenerator(), mixture()
        return Trainer(plan, *models, PROMPTS, folder, search=search_of(plan))

    training(tmp_path / "whole").train()
    killed = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        training(killed).train(Spectator(stop_at=3))
    assert len(log_of(killed)) == 4
    torch.manual_seed(99)
    spectator = Spectator()
    adapter = training(killed).train(spectator)
    assert spectator.starts == [(2, 6)]
    one, two = weights(tmp_path / "whole" / "adapter", plan.kind), weights(adapter, plan.kind)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [without_time(record) for record in log_of(killed)] == [
        without_time(record) for record in log_of(tmp_path / "whole")
    ]
    descriptions = [describe_adapter(folder / "adapter") for folder in (tmp_path / "whole", killed)]
    for description in descriptions:
        assert description["training"].pop("seconds") > 0
    assert descriptions[0] == descriptions[1]
    assert not (killed / "state").exists()


class Signals(Spectator):
    """Sends this process a signal at a step."""

    def __init__(self, number: signal.Signals, step: int, times: int = 1) -> None:
        super().__init__()
        self.number, self.step, self.times = number, step, times

    def stepped(self, record: Mapping[str, Any]) -> None:
        super().stepped(record)
        if record["step"] == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
@pytest.mark.parametrize("step", [0, 3, 6])
def test_a_signal_saves_the_state_after_the_step(
    number: signal.Signals, kind: type[BaseException], step: int, tmp_path: Path
) -> None:
    plan = config(save_every=100, optimizer="adamw", learning_rate=0.05)
    with pytest.raises(kind) as caught:
        Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path / "a").train(
            Signals(number, step)
        )
    assert caught.type is kind
    state = TrainingFolder(tmp_path / "a").load()
    assert state is not None
    assert state.step == step
    spectator = Spectator()
    Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path / "a").train(spectator)
    assert spectator.starts == [(step, 6)]
    Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path / "b").train()
    ends = [weights(tmp_path / name / "adapter", plan.kind) for name in "ab"]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.usefixtures("handlers")
def test_a_second_signal_interrupts_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Trainer(config(save_every=100), ToyGenerator(), mixture(), PROMPTS, tmp_path).train(
            Signals(signal.SIGINT, 3, times=2)
        )
    assert TrainingFolder(tmp_path).load() is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_hypernetwork_learns_what_the_reward_wants_for_held_out_prompts(tmp_path: Path) -> None:
    plan = config(
        steps=60,
        batch_size=16,
        eval_every=20,
        eval_samples=32,
        optimizer="adamw",
        learning_rate=0.02,
        regulariser_weight=0.01,
    )
    adapter = Trainer(
        plan, ToyGenerator(), Mixture({"brightness": (WarmReward(), 1.0)}), PROMPTS, tmp_path
    ).train()
    evaluations = {
        record["step"]: record["evaluation"]
        for record in log_of(tmp_path)
        if "evaluation" in record
    }
    assert list(evaluations) == [0, 20, 40, 60]
    assert (evaluations[0]["gain"], evaluations[0]["half_squared_norm"]) == (0, 0)
    last = evaluations[60]
    assert last["gain"] > 0.1
    assert last["relative_change"] > 0.1
    description = describe_adapter(adapter)
    assert description["evaluation"] == {"step": 60, **last}
    assert description["temperature"] == pytest.approx(0.01 / 32)
    assert description["config"] == plan.as_dict()


class WarmReward(Reward):
    """The mean of the first channel."""

    name = "brightness"
    fingerprint = "warm"

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return images[:, 0].mean(dim=(1, 2))


@pytest.mark.parametrize(
    ("changes", "passes", "forward", "backward"),
    [
        ({"kind": "hypernoise"}, 2, 2, 2),
        ({"kind": "finetune"}, 1, 1, 1),
        ({"kind": "finetune", "image_penalty": 0.5}, 1, 2, 1),
        (REGRESSION, 2, 1, 1),
    ],
)
@pytest.mark.parametrize("stop_at", [None, 3])
def test_costs_are_those_of_the_passes(
    changes: dict[str, Any],
    passes: int,
    forward: int,
    backward: int,
    stop_at: int | None,
    tmp_path: Path,
) -> None:
    """An image of the adapted generator takes `passes`, a step takes `forward` and `backward` for
    each of its images. The base is evaluated once, the adapter at every evaluation. What a killed
    training did after its saved state is done again, and counted once.
    """
    plan = config(**changes, accumulation=2, save_every=2)
    training = partial(
        Trainer, plan, ToyGenerator(), mixture(), PROMPTS, tmp_path, search=search_of(plan)
    )
    if stop_at is not None:
        with pytest.raises(KeyboardInterrupt):
            training().train(Spectator(stop_at=stop_at))
    cost = training_cost(training().train())
    assert cost.pop("flops") > 0
    images = plan.steps * plan.batch_size * plan.accumulation
    evaluations = [record["evaluation"] for record in log_of(tmp_path) if "evaluation" in record]
    judged = evaluations[0]["prompts"] * evaluations[0]["samples"]
    assert (images, len(evaluations)) == (48, 4)
    searched, back = (30, 20) if plan.pairs else (0, 0)  # ten pairs by three iterations
    scored = images if plan.kind != "regression" else 0
    assert cost == {
        "seconds": cost["seconds"],
        "steps": 6,
        "images": images,
        "skipped_steps": 0,
        "device": "cpu",
        "generator_forward": (
            searched + forward * images + judged * (1 + passes * len(evaluations))
        ),
        "generator_backward": back + backward * images,
        "reward_forward": searched + scored + judged * (1 + len(evaluations)),
        "reward_backward": back + scored,
    }
    assert "." not in json.dumps({**cost, "seconds": 0})  # whole numbers, as other versions read


# The toy generator on 4x4 places: a convolution from 2 to 8 channels, a linear layer from 4 to 8, a
# convolution back, and a product from 2 to 3 colours.
CONV, TEXT, COLOURS = 2 * 16 * 9 * 2 * 8, 2 * 4 * 8, 2 * 16 * 2 * 3
TOY = CONV + TEXT + CONV + COLOURS


def lora_of(rank: int) -> tuple[int, int]:
    """Forward and backward operations of the LoRA layers. The first convolution's and the text's
    have a gradient only of their weights in A, because noise and text need none.
    """
    first, text, last = (
        (2 * 16 * 9 * 2 * rank, 2 * 16 * rank * 8),
        (2 * 4 * rank, 2 * rank * 8),
        (2 * 16 * 9 * 8 * rank, 2 * 16 * rank * 2),
    )
    forward = sum((*first, *text, *last))
    return forward, (first[0] + 2 * first[1]) + (text[0] + 2 * text[1]) + 2 * sum(last)


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("kind", ["hypernoise", "finetune", "finetune with penalty", "regression"])
def test_operations_are_those_counted_by_hand(kind: str, accumulation: int, tmp_path: Path) -> None:
    plan = config(
        **{
            "kind": kind.split(maxsplit=1)[0],
            "image_penalty": 0.5 if "penalty" in kind else 0.0,
            "accumulation": accumulation,
            **(REGRESSION if kind == "regression" else {}),
        }
    )
    models, search = (ToyGenerator(), mixture()), search_of(plan)
    adapter = Trainer(plan, *models, PROMPTS, tmp_path, search=search).train()
    forward, backward = lora_of(plan.rank)
    searched = 0
    if kind == "regression":
        # A step predicts only. A pair takes three images, and goes back through two of them.
        evaluated = (CONV + TEXT + forward) + TOY
        trained = (CONV + TEXT + forward) + backward
        searched = 10 * (3 * TOY + 2 * (COLOURS + CONV + CONV))
    elif kind == "hypernoise":
        # The last layer's own output is not computed; then an image is made and gone back through.
        evaluated = (CONV + TEXT + forward) + TOY
        trained = evaluated + (COLOURS + CONV + CONV) + backward
    else:
        evaluated = TOY + forward
        trained = evaluated + (COLOURS + CONV) + backward + TOY * ("penalty" in kind)
    evaluations = [record["evaluation"] for record in log_of(tmp_path) if "evaluation" in record]
    judged = evaluations[0]["prompts"] * evaluations[0]["samples"]
    images = plan.steps * plan.batch_size * accumulation
    assert training_cost(adapter)["flops"] == (
        searched + images * trained + judged * (TOY + len(evaluations) * evaluated)
    )


def test_texts_that_are_encoded_once_are_not_counted(tmp_path: Path) -> None:
    plan = config(steps=2)
    found = [
        training_cost(Trainer(plan, one, mixture(), PROMPTS, tmp_path / type(one).__name__).train())
        for one in (ToyGenerator(), Encoding())
    ]
    assert found[0]["flops"] == found[1]["flops"]


def test_a_training_that_was_begun_before_operations_were_counted_has_none(tmp_path: Path) -> None:
    plan = config(save_every=2)
    with pytest.raises(KeyboardInterrupt):
        Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path).train(Spectator(stop_at=3))
    (path,) = (tmp_path / "state").glob("*/state.json")
    state = json.loads(path.read_text())
    del state["values"]["cost"]["flops"]
    path.write_text(json.dumps(state))
    adapter = Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path).train()
    assert training_cost(adapter)["flops"] is None


def test_operations_that_cannot_be_counted_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> object:
        raise RuntimeError("no counter")

    monkeypatch.setattr("hnbench.hypernetwork.work.counted", fails)
    adapter = Trainer(config(), ToyGenerator(), mixture(), PROMPTS, tmp_path).train()
    cost = training_cost(adapter)
    assert cost["flops"] is None
    assert cost["generator_forward"] > 0


def test_a_finished_training_is_left_alone(tmp_path: Path) -> None:
    adapter = Trainer(config(), ToyGenerator(), mixture(), PROMPTS, tmp_path).train()
    before = (adapter / "hnbench.json").read_text(), len(log_of(tmp_path))
    spectator = Spectator()
    assert (
        Trainer(config(), ToyGenerator(), mixture(), PROMPTS, tmp_path).train(spectator) == adapter
    )
    assert spectator.records == []
    assert ((adapter / "hnbench.json").read_text(), len(log_of(tmp_path))) == before


def test_another_training_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    Trainer(config(), ToyGenerator(), mixture(), PROMPTS, tmp_path).train()
    with pytest.raises(StoreError, match="seed was 0, and is 1 now"):
        Trainer(config(seed=1), ToyGenerator(), mixture(), PROMPTS, tmp_path).train()
    with pytest.raises(StoreError, match="fingerprint was"):
        Trainer(config(), ToyGenerator(seed=4), mixture(), PROMPTS, tmp_path).train()
    with pytest.raises(StoreError, match="prompts was"):
        Trainer(config(), ToyGenerator(), mixture(), PROMPTS[1:], tmp_path).train()


def test_equal_temperatures_train_alike(tmp_path: Path) -> None:
    found = []
    for reduction, weight in (("mean", 3.2), ("sum", 3.2 / 32)):
        plan = config(regulariser_reduction=reduction, regulariser_weight=weight, steps=4)
        found.append(
            weights(
                Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path / reduction).train(),
                "hypernoise",
            )
        )
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], rtol=1e-5, atol=1e-6)
    unregularised = Trainer(
        config(regulariser_weight=0.0, steps=4),
        ToyGenerator(),
        mixture(),
        PROMPTS,
        tmp_path / "none",
    ).train()
    assert not torch.allclose(
        weights(unregularised, "hypernoise")["conv_out.lora_B.weight"],
        found[0]["conv_out.lora_B.weight"],
        atol=1e-5,
    )


class BrittleReward(BrightnessReward):
    """Its value, and hence its gradient, is not finite in chosen steps. Batches of one are not
    counted: they are made to count operations.
    """

    def __init__(self, bad: Sequence[int]) -> None:
        self.bad, self.calls = set(bad), 0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        value = super().score(images, prompts)
        if not value.requires_grad or len(images) == 1:
            return value
        self.calls += 1
        return value * math.nan if self.calls in self.bad else value


def brittle(bad: Sequence[int]) -> Mixture:
    return Mixture({"brightness": (BrittleReward(bad), 1.0)})


def test_a_step_without_a_finite_gradient_is_skipped_and_counted(tmp_path: Path) -> None:
    adapter = Trainer(config(), ToyGenerator(), brittle([2, 5]), PROMPTS, tmp_path).train()
    assert training_cost(adapter)["skipped_steps"] == 2
    assert [record.get("skipped", 0) for record in log_of(tmp_path)] == [0, 0, 1, 1, 1, 2, 2]
    assert log_of(tmp_path)[2]["gradient_norm"] is None
    assert all(weight.isfinite().all() for weight in weights(adapter, "hypernoise").values())


def test_ten_such_steps_in_a_row_end_the_training(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"not finite in 10 steps in a row, up to step 11: .* lower the learning rate \(0.5\)",
    ):
        Trainer(
            config(steps=30), ToyGenerator(), brittle(range(2, 12)), PROMPTS, tmp_path / "ten"
        ).train()
    Trainer(
        config(steps=30),
        ToyGenerator(),
        brittle([*range(2, 11), *range(12, 21)]),
        PROMPTS,
        tmp_path / "nine",
    ).train()


def test_a_finetuning_keeps_its_best_adapter(tmp_path: Path) -> None:
    # A rate far too large: the reward falls at some point, and the best held-out step wins over the
    # last.
    plan = config(
        kind="finetune",
        steps=12,
        eval_every=1,
        learning_rate=3.0,
        gradient_clip=100,
        optimizer="adamw",
    )
    spectator, found = Spectator(), {}
    trainer = Trainer(plan, ToyGenerator(), mixture(), PROMPTS, tmp_path)
    stepped = spectator.stepped

    def watch(record: Mapping[str, Any]) -> None:
        found[record["step"]] = trainer.adapter.state_dict()
        stepped(record)

    spectator.stepped = watch  # type: ignore[method-assign]
    adapter = trainer.train(spectator)
    gains = {record["step"]: record["evaluation"]["gain"] for record in spectator.records}
    best = max(gains, key=lambda step: gains[step])
    assert gains[0] == 0
    assert 0 <= best < 12
    assert describe_adapter(adapter)["evaluation"]["step"] == best
    assert describe_adapter(adapter)["temperature"] is None
    kept = weights(adapter, "finetune")
    assert all(torch.equal(kept[name], found[best][name]) for name in kept)
    assert not all(torch.equal(kept[name], found[12][name]) for name in kept)


def test_the_image_penalty_holds_a_finetuning_back(tmp_path: Path) -> None:
    moved = []
    for penalty in (0.0, 1000.0):
        plan = config(
            kind="finetune",
            steps=20,
            eval_every=20,
            optimizer="adamw",
            learning_rate=0.01,
            image_penalty=penalty,
            rewards={"brightness": 10.0},
        )
        trainer = Trainer(
            plan,
            ToyGenerator(),
            Mixture({"brightness": (WarmReward(), 10.0)}),
            PROMPTS,
            tmp_path / str(penalty),
        )
        trainer.train()
        noise, conditioning = torch.randn(8, 2, 4, 4), trainer.generator.encode(PROMPTS[:1] * 8)
        with torch.no_grad():
            change = trainer.finetuned.generate(noise, conditioning) - trainer.generator.generate(
                noise, conditioning
            )
        moved.append(float(change.square().mean()))
    assert 0 < moved[1] < 0.2 * moved[0]


def test_a_diffusers_unet_trains(tmp_path: Path) -> None:
    generator = UNetGenerator()
    adapter = Trainer(
        config(steps=2, eval_prompts=1, eval_samples=2),
        generator,
        Mixture({"brightness": (WarmReward(), 1.0)}),
        PROMPTS,
        tmp_path,
    ).train()
    network = Hypernetwork(generator, attach(generator, adapter, "hypernoise"))
    assert network.displacement(
        torch.randn(1, 2, 8, 8), generator.encode(PROMPTS[:1])
    ).count_nonzero()


def test_every_epoch_has_every_prompt_once_and_noises_follow_from_the_step() -> None:
    draws = Draws(config(batch_size=4, accumulation=3), PROMPTS, (2, 4, 4))
    first = [prompt for micro in range(3) for prompt in draws.prompts(0, micro)]
    assert sorted(first[:6]) == sorted(first[6:]) == sorted(PROMPTS)
    assert first[:6] != first[6:]
    assert Draws(config(batch_size=4, accumulation=3), PROMPTS, (2, 4, 4)).prompts(
        7, 1
    ) == draws.prompts(7, 1)
    fresh = torch.cat([draws.noise(step, micro) for step in range(2) for micro in range(2)])
    assert len(torch.unique(fresh.flatten(1), dim=0)) == 16
    shared = Draws(config(batch_size=4, noise="batch"), PROMPTS, (2, 4, 4))
    same = torch.cat([shared.noise(5, micro) for micro in range(2)])
    assert same.shape == (8, 2, 4, 4)
    assert len(torch.unique(same.flatten(1), dim=0)) == 1
    assert not torch.equal(shared.noise(5, 0), shared.noise(6, 0))


def test_the_learning_rate_warms_up_and_falls() -> None:
    warm = config(learning_rate=1.0, warmup_steps=4, steps=8)
    assert [learning_rate(warm, step) for step in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    cosine = config(learning_rate=1.0, schedule="cosine", steps=8)
    assert [learning_rate(cosine, step) for step in (0, 4)] == [1, pytest.approx(0.5)]
    assert learning_rate(cosine, 7) < 0.05


def test_the_warm_up_is_that_of_diffusers() -> None:
    from diffusers.optimization import get_constant_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    official = get_constant_schedule_with_warmup(optimizer, num_warmup_steps=3)
    warm = config(learning_rate=0.5, warmup_steps=3, steps=8)
    for step in range(8):
        assert learning_rate(warm, step) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        official.step()


def test_a_training_that_warmed_up_in_the_old_way_is_another_one() -> None:
    assert config(warmup_steps=3).identity != digest(values_of(config(warmup_steps=3), "identity"))
    assert config().identity == digest(values_of(config(), "identity"))


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'six drawings' has no prompts"):
        Trainer(config(), ToyGenerator(), mixture(), [], tmp_path)
    with pytest.raises(ValueError, match="is not the configuration's"):
        Trainer(config(), ToyGenerator(), mixture(2.0), PROMPTS, tmp_path)
