"""Several processes train what one would have trained; real processes, connected by gloo."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hnbench.errors import UsageError
from hnbench.hypernetwork.checkpoint import describe_adapter
from hnbench.hypernetwork.draws import Draws
from hnbench.hypernetwork.folder import TrainingFolder
from hnbench.hypernetwork.launch import TrainingProcess
from hnbench.hypernetwork.processes import Processes, _buckets, own_device
from tests.hypernetwork.rank import PLANS, At, interrupt, interrupt_at, plan_of, start, trainer
from tests.hypernetwork.test_trainer import log_of, without_time
from tests.hypernetwork.tiny import PROMPTS, config


@dataclass
class Seen:
    """What two processes saw, where they worked, and the same done by one."""

    folder: Path
    ranks: list[dict[str, Any]]
    alone: dict[str, dict[str, Any]]
    """Plan -> the weights that one process ended with."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("two")
    alone = {}
    for name in PLANS:
        one = trainer(plan_of(name), folder / f"{name} alone")
        one.train()
        alone[name] = {key: value.tolist() for key, value in one.adapter.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        trainer(plan_of("adamw"), folder / "one, then two").train(At(3, interrupt))
    begun = trainer(plan_of("regression"), folder / "pairs of one, then two")
    with pytest.raises(KeyboardInterrupt):
        begun.train(show_pairs=interrupt_at(4))
    found = start("together", folder)
    assert None not in found
    return Seen(folder, [one for one in found if one is not None], alone)


def close(found: Any, wanted: Any) -> bool:
    """Whether two JSON values are equal up to the rounding of their numbers."""
    if isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(
            close(found[key], wanted[key]) for key in wanted
        )
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(close, found, wanted))
    if isinstance(wanted, float):
        return bool(found == pytest.approx(wanted, rel=1e-6, abs=1e-9))
    return bool(found == wanted)


def described(adapter: Path) -> dict[str, Any]:
    """An adapter's description without what may differ: the time."""
    description = dict(describe_adapter(adapter))
    assert description["training"].pop("seconds") > 0
    return description


@pytest.mark.parametrize("name", PLANS)
def test_two_processes_end_with_the_weights_of_one(name: str, two: Seen) -> None:
    first, second = (rank[f"weights of {name}"] for rank in two.ranks)
    assert first == second
    assert close(first, two.alone[name])
    zeros = [value for key, value in first.items() if "lora_B" in key]
    assert any(torch.tensor(value).abs().max() > 1e-4 for value in zeros)


@pytest.mark.parametrize("name", PLANS)
def test_log_evaluations_and_costs_are_those_of_one(name: str, two: Seen) -> None:
    together, alone = two.folder / name, two.folder / f"{name} alone"
    lines = [[without_time(line) for line in log_of(folder)] for folder in (together, alone)]
    assert len(lines[0]) == plan_of(name).steps + 1
    assert close(lines[0], lines[1])
    found = described(together / "adapter")
    assert close(found, described(alone / "adapter"))
    assert found["training"]["generator_backward"] > 0


def test_a_gradient_that_is_not_finite_in_one_process_is_skipped_in_all(two: Seen) -> None:
    assert [line.get("skipped", 0) for line in log_of(two.folder / "skipping")][-1] > 0


def test_seconds_are_those_of_all_processes(two: Seen) -> None:
    line = log_of(two.folder / "sgd")[1]
    wall = plan_of("sgd").batch_size / line["images_per_second"]
    assert line["seconds"] >= 2 * wall


def test_a_training_continues_with_another_number_of_processes(two: Seen) -> None:
    trainer(plan_of("adamw"), two.folder / "two, then one").train()
    for name in ("one, then two", "two, then one"):
        folder, whole = two.folder / name, two.folder / "adamw alone"
        assert close(described(folder / "adapter"), described(whole / "adapter"))
        lines = [[without_time(line) for line in log_of(one)] for one in (folder, whole)]
        assert close(*lines)


def test_pairs_that_one_process_began_are_finished_by_two(two: Seen) -> None:
    begun, whole = two.folder / "pairs of one, then two", two.folder / "regression alone"
    assert close(described(begun / "adapter"), described(whole / "adapter"))
    names = [sorted(path.name for path in (one / "pairs").iterdir()) for one in (begun, whole)]
    assert names[0] == names[1]
    assert len(names[0]) == 3
    first = names[0][0]
    both = [load_file(one / "pairs" / first)["found"] for one in (begun, whole)]
    assert torch.equal(*both)


def test_a_signal_to_one_process_ends_all_after_the_same_step(two: Seen) -> None:
    assert [rank["signalled"] for rank in two.ranks] == ["Terminated: "] * 2
    state = TrainingFolder(two.folder / "signalled").load()
    assert state is not None
    last = log_of(two.folder / "signalled")[-1]["step"]
    assert state.step == last in (3, 4)  # the other one learns of it in the same step or the next


def test_what_cannot_begin_is_said_in_all(two: Seen) -> None:
    first, second = two.ranks
    assert first["different"] == second["different"]
    assert first["different"].startswith(
        "UsageError: the 2 processes of this training have different arguments, models or prompts"
    )
    assert not (two.folder / "other").exists()
    assert first["uneven"] == second["uneven"]
    assert "`batch_size` 4 with `accumulation` 3" in first["uneven"]
    assert first["in use"].startswith("StoreError: ")
    assert "in use by another process" in first["in use"]
    assert second["in use"].startswith("PeerError: process 1 of this training ends, because")
    assert first["finished"] == second["finished"] == ""


def test_gradients_are_averaged_also_if_some_are_missing(two: Seen) -> None:
    # In process 0 they are 1, 2, none, none; in process 1 they are 2, 3, 4, none.
    wanted = [
        ["torch.float32", 1.5, 1.5],
        ["torch.bfloat16", 2.5, 2.5],
        ["torch.float64", 2.0, 2.0],
        None,
    ]
    assert [rank["averages"] for rank in two.ranks] == [wanted, wanted]


def test_a_killed_process_ends_the_others_and_the_training_continues(tmp_path: Path) -> None:
    found, lost = start("killed", tmp_path)
    assert lost is None
    assert found is not None
    assert found["killed"].startswith(
        "PeerError: process 0 of this training ends, because another of its 2 processes has ended"
    )
    assert "\n" not in found["killed"]
    assert found["seconds"] < 30
    state = TrainingFolder(tmp_path / "killed").load()
    assert state is not None
    assert state.step == 2
    trainer(plan_of("adamw"), tmp_path / "killed").train()
    trainer(plan_of("adamw"), tmp_path / "whole").train()
    adapters = [described(tmp_path / name / "adapter") for name in ("killed", "whole")]
    assert close(*adapters)


def test_torchrun_trains_and_speaks_once(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red ring\na blue disc\n", encoding="utf-8")
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "hnbench", "train"]
    small = ["--steps=1", "--batch-size=4", "--rank=1", "--save-every=1", "--eval-every=9"]
    place = ["--device=cpu", f"--prompts={prompts}", f"--out={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, *launcher, *small, *place], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("hnbench: training on 2 processes (RANK, WORLD_SIZE)\n") == 1
    assert done.stderr.count("step 1: paired reward gain") == 1
    assert done.stdout.count("The adapter is in") == 1
    cost = describe_adapter(tmp_path / "out" / "adapter")["training"]
    assert (cost["steps"], cost["images"]) == (1, 4)


@pytest.mark.parametrize("noise", ["fresh", "batch"])
def test_parts_of_a_batch_are_the_batch(noise: str) -> None:
    plan = config(noise=noise, batch_size=6, accumulation=2)
    whole = Draws(plan, PROMPTS, (2, 3))
    for count in (1, 2, 3, 6):
        parts = [
            Draws(plan, PROMPTS, (2, 3), Processes(TrainingProcess(index, count)).part(6))
            for index in range(count)
        ]
        together = torch.cat([part.noise(3, 1) for part in parts])
        assert torch.equal(together, whole.noise(3, 1))
        assert [text for part in parts for text in part.prompts(3, 1)] == whole.prompts(3, 1)


def test_buckets_hold_every_parameter_once_and_one_type() -> None:
    kinds = [torch.float32] * 3 + [torch.bfloat16] * 2 + [torch.float32]
    parameters = [
        torch.nn.Parameter(torch.zeros(2**23, dtype=kind, device="meta")) for kind in kinds
    ]
    found = list(_buckets(parameters))
    assert [len(bucket) for bucket in found] == [2, 1, 2, 1]
    assert [id(one) for bucket in found for one in bucket] == list(map(id, parameters))
    assert not list(_buckets([]))


def test_one_process_exchanges_nothing() -> None:
    alone = Processes()
    value = torch.tensor([1.0, math.nan])
    assert alone.sums(value).isnan().tolist() == [False, True]
    assert (alone.largest(3), alone.lead(lambda: "done"), alone.count) == (3, "done", 1)
    assert alone.main


@pytest.mark.parametrize(
    ("launch", "device", "wanted"),
    [
        (TrainingProcess(), "cuda:1", "cuda:1"),
        (TrainingProcess(1, 2, 1), "cpu", "cpu"),
        (TrainingProcess(5, 8, 1), "cuda", "cuda:1"),
        (
            TrainingProcess(5, 8, 3),
            "cuda",
            "process 4 on this machine, and torch finds 2 CUDA devices",
        ),
        (TrainingProcess(0, 2, 0, ("RANK", "WORLD_SIZE")), "cuda:1", "each of the 2 processes"),
    ],
)
def test_each_process_has_its_own_device(
    launch: TrainingProcess, device: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    if wanted.startswith(("cuda", "cpu")):
        assert own_device(launch, device) == wanted
    else:
        with pytest.raises(UsageError, match=wanted):
            own_device(launch, device)
    assert chosen == ([1] if launch.count > 1 and wanted == "cuda:1" else [])


def test_a_log_is_json_without_nan(two: Seen) -> None:
    for line in (two.folder / "skipping" / "train.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
