"""The committed records say what today's code would draw and name.

Only `noise_sha256` needs the bits that torch draws with a processor's vector instructions; norms
and distances of noises are the same, to the digits of a record, on every processor.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.reference_run import SEEDS
from hnbench.runs.journals import journals_of, lines_of
from hnbench.runs.plan import Plan
from hnbench.seeds import NoiseSource
from hnbench.tasks import Task

REFERENCE = Path(__file__).parents[2] / "results" / "geneval-shapes"
SHAPE = (16, 8, 8)
LABELS = (
    "random",
    *(f"best-of-{n}" for n in (2, 4, 8, 16, 32, 50)),
    "reno",
    "hypernoise",
    "amortised",
    "finetune",
    "hypernoise-random-direction",
    "hypernoise-other-noise",
    "hypernoise-other-prompt",
    "hypernoise-static",
)
DIRECTION = 1_000_001
"""The candidate whose noise gives the random direction."""
DIGITS = 2e-6
"""Relative error of a number of seven digits, and of single precision."""
STEP = 61
"""Every 61st sample of 2016 is looked at: 34 of every label and seed, of all tags."""


def manifest_of(seed: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REFERENCE / f"seed{seed}" / "run.json").read_text())
    return found


@pytest.fixture(scope="module")
def records() -> dict[tuple[int, str], list[dict[str, Any]]]:
    """All records by seed and label, in the order of prompts and samples."""
    found: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for seed in SEEDS:
        for journal in journals_of(REFERENCE / f"seed{seed}"):
            for record in map(json.loads, lines_of(journal)):
                found[seed, record["label"]].append(record)
    for one in found.values():
        one.sort(key=lambda record: (record["prompt_id"], record["sample"]))
    return found


def sampled(
    records: dict[tuple[int, str], list[dict[str, Any]]], label: str
) -> list[dict[str, Any]]:
    spread = [record for seed in SEEDS for record in records[seed, label][::STEP]]
    assert len({record["prompt_id"] for record in spread}) > 20
    assert len({record["sample"] for record in spread}) > 5
    assert len({record["tag"] for record in spread}) == 6
    return spread


def draw(record: dict[str, Any], candidate: int = 0) -> torch.Tensor:
    task = Task(record["prompt_id"], record["prompt"], record["sample"])
    return NoiseSource(base_seed=record["base_seed"], shape=SHAPE).draw(task, candidate)


def by_hand(record: dict[str, Any], candidate: int = 0) -> torch.Tensor:
    """The same noise without the harness."""
    parts = [record["base_seed"], record["prompt"], record["sample"], candidate]
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    seed = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) >> 1
    return torch.randn(SHAPE, generator=torch.Generator("cpu").manual_seed(seed))


def test_every_planned_sample_is_there(
    records: dict[tuple[int, str], list[dict[str, Any]]],
) -> None:
    assert set(records) == {(seed, label) for seed in SEEDS for label in LABELS}
    assert {len(found) for found in records.values()} == {2016}


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="the records are of a processor with other vector instructions",
)
@pytest.mark.parametrize("label", LABELS)
def test_the_noise_of_a_record_is_the_one_that_is_drawn_today(
    records: dict[tuple[int, str], list[dict[str, Any]]], label: str
) -> None:
    for record in sampled(records, label):
        sha256 = hashlib.sha256(draw(record).numpy().tobytes()).hexdigest()
        assert sha256 == record["noise_sha256"], record["id"]


def test_a_noise_drawn_today_is_the_one_of_its_seed_by_hand(
    records: dict[tuple[int, str], list[dict[str, Any]]],
) -> None:
    for record in sampled(records, "random"):
        assert torch.equal(draw(record), by_hand(record))
        assert torch.equal(draw(record, 49), by_hand(record, 49))


@pytest.mark.parametrize("label", ["random", "finetune"])
def test_what_does_not_move_has_the_norm_of_the_starting_noise(
    records: dict[tuple[int, str], list[dict[str, Any]]], label: str
) -> None:
    for record in sampled(records, label):
        assert record["displacement"] == 0
        assert float(draw(record).norm()) == pytest.approx(record["noise_norm"], rel=DIGITS)


@pytest.mark.parametrize("size", [2, 4, 8, 16, 32, 50])
def test_a_search_chose_the_candidate_of_its_highest_reward(
    records: dict[tuple[int, str], list[dict[str, Any]]], size: int
) -> None:
    chosen = set()
    for record in sampled(records, f"best-of-{size}"):
        rewards = record["trajectory"]
        assert len(rewards) == size
        start = draw(record)
        # A trajectory has five digits, so two candidates can have the highest reward.
        highest = [at for at, reward in enumerate(rewards) if reward == max(rewards)]
        far = {at: float((draw(record, at) - start).norm()) for at in highest}
        candidate = min(highest, key=lambda at: abs(far[at] - record["displacement"]))
        chosen.add(candidate)
        assert far[candidate] == pytest.approx(record["displacement"], rel=DIGITS, abs=1e-6)
        found = draw(record, candidate)
        assert float(found.norm()) == pytest.approx(record["noise_norm"], rel=DIGITS)
    assert len(chosen) > min(size, 8) - 1


def test_a_random_direction_has_the_length_of_the_hypernetworks_change(
    records: dict[tuple[int, str], list[dict[str, Any]]],
) -> None:
    spread = zip(
        sampled(records, "hypernoise"), sampled(records, "hypernoise-random-direction"), strict=True
    )
    for trained, control in spread:
        assert (trained["prompt_id"], trained["sample"]) == (
            control["prompt_id"],
            control["sample"],
        )
        assert control["displacement"] == pytest.approx(trained["displacement"], rel=1e-5)
        direction = draw(control, DIRECTION)
        moved = draw(control) + direction * (control["displacement"] / direction.norm())
        assert float(moved.norm()) == pytest.approx(control["noise_norm"], rel=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ids_of_the_plan_are_the_ids_of_the_records(
    records: dict[tuple[int, str], list[dict[str, Any]]], seed: int
) -> None:
    plan = Plan.from_manifest(manifest_of(seed))
    assert plan.labels == LABELS
    planned = {
        (one.label, one.task.prompt_id, one.task.sample): (one.id, one.task.prompt, one.tag)
        for one in plan.expected()
    }
    there = {
        (one["label"], one["prompt_id"], one["sample"]): (one["id"], one["prompt"], one["tag"])
        for label in LABELS
        for one in records[seed, label]
    }
    assert planned == there


@pytest.mark.parametrize("seed", SEEDS)
def test_an_id_is_the_sha256_of_everything_that_decides_the_record(
    records: dict[tuple[int, str], list[dict[str, Any]]], seed: int
) -> None:
    """Written out from `run.json` by hand, with Python's own JSON."""
    manifest = manifest_of(seed)
    prints = manifest["rewards"]["fingerprints"]
    shared = {
        "schema": 1,
        "suite": "geneval-shapes",
        "suite version": "1",
        "judge": manifest["suite"]["judge"]["fingerprint"],
        "generator": manifest["generator"]["fingerprint"],
        "optimised rewards": {
            "shapes-byobnet": [prints["shapes-byobnet"], 0.29],
            "shapes-clip": [prints["shapes-clip"], 0.24],
            "shapes-resnet": [prints["shapes-resnet"], 0.22],
        },
        "held-out rewards": {name: prints[name] for name in ("shapes-efficientnet", "redness")},
        "base_seed": seed,
        "dtype": "float32",
        "noise_policy": "per-prompt",
        "steps": 1,
    }
    for label in LABELS:
        method = manifest["plan"]["methods"][manifest["plan"]["method_of"][label]]
        for record in records[seed, label][::STEP]:
            own = {name: record[name] for name in ("label", "prompt", "prompt_id", "sample")}
            text = json.dumps(
                {**shared, **own, "method": method},
                sort_keys=True,
                separators=(",", ":"),
                ensure_ascii=False,
            )
            assert hashlib.sha256(text.encode()).hexdigest() == record["id"]
    assert (
        manifest["identity"]
        == hashlib.sha256(
            json.dumps(shared, sort_keys=True, separators=(",", ":")).encode()
        ).hexdigest()
    )
