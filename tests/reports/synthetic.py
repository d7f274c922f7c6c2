"""Run folders with made-up but plausible results, written as the run store writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hnbench.files.journal import sealed
from hnbench.runs.identity import shared_identity
from hnbench.runs.plan import Plan
from hnbench.runs.record import Cost, Failure, Record, SavedImage
from hnbench.seeds import digest
from hnbench.suites.base import Verdict

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
SEARCHED = tuple(f"best-of-{n}" for n in (2, 4, 8, 16, 32, 50))
LABELS = (
    "random",
    *SEARCHED,
    "reno",
    "hypernoise",
    "finetune",
    "hypernoise-random-direction",
    "hypernoise-other-noise",
)
_TAG_LEVEL = {
    "single_object": 2.6,
    "two_object": 0.3,
    "counting": -0.2,
    "colors": 1.2,
    "position": -1.2,
    "color_attr": -1.5,
}
_LIFT = {
    "random": 0.0,
    **{label: 0.28 * float(np.log2(int(label.rsplit("-", 1)[1]))) for label in SEARCHED},
    "reno": 1.9,
    "hypernoise": 1.05,
    "finetune": 0.5,
    "hypernoise-random-direction": -0.05,
    "hypernoise-other-noise": 0.05,
    "hypernoise-other-prompt": 0.1,
    "hypernoise-static": 0.02,
    "oracle": 3.0,
}
_METHODS: tuple[dict[str, Any], ...] = (
    {"name": "random"},
    {"name": "best-of-n", "n": 50},
    {"name": "reno", "iterations": 50},
    {"name": "hypernoise", "adapter": "ab"},
    {"name": "finetune", "adapter": "cd"},
    {"name": "hypernoise-random-direction"},
    {"name": "hypernoise-other-noise"},
    {"name": "hypernoise-other-prompt"},
    {"name": "hypernoise-static"},
    {"name": "oracle"},
)


def method_of(label: str) -> int:
    name = "best-of-n" if label.startswith("best-of-") else label
    return next(index for index, method in enumerate(_METHODS) if method["name"] == name)


def manifest(
    labels: tuple[str, ...], prompts_per_tag: int, samples: int, base_seed: int
) -> dict[str, Any]:
    prompts = [
        {
            "id": f"{tag}/{index:04d}",
            "text": f"a photo of a red circle, {tag} {index}",
            "tag": tag,
            "samples": samples,
        }
        for tag in TAGS
        for index in range(prompts_per_tag)
    ]
    config = {
        "suite": "geneval-shapes",
        "generator": "shapes",
        "base_seed": base_seed,
        "noise_policy": "per-prompt",
        "steps": 1,
        "dtype": "float32",
    }
    passes = {
        "generator_forward": 6e5,
        "generator_backward": 3e5,
        "reward_forward": 3e5,
        "reward_backward": 3e5,
    }
    return {
        "schema": 1,
        "config": config,
        "identity_fields": sorted(config),
        "suite": {
            "name": "geneval-shapes",
            "version": "1",
            "tags": list(TAGS),
            "judge": {"name": "detector", "fingerprint": "1" * 64},
        },
        "generator": {"name": "shapes", "fingerprint": "2" * 64, "details": {}},
        "rewards": {
            "optimised": {"shapes-clip": 2.0},
            "held_out": ["shapes-resnet", "redness"],
            "fingerprints": {
                "shapes-clip": "3" * 64,
                "shapes-resnet": "4" * 64,
                "redness": "5" * 64,
            },
        },
        "plan": {
            "protocol": "quick",
            "labels": list(labels),
            "methods": list(_METHODS),
            "method_of": {label: method_of(label) for label in labels},
            "prompts": prompts,
        },
        "training": (
            {
                "hypernoise": {
                    "seconds": 312.0,
                    "steps": 3000,
                    "images": 3e5,
                    **passes,
                    "device": "Some CPU",
                }
            }
            if "hypernoise" in labels
            else {}
        ),
        "environment": {
            "hnbench": "0.1.0",
            "device": "Some CPU",
            "git": None,
            "packages": {"torch": "2.14.1", "peft": None},
        },
        "sessions": [
            {
                "started": "2026-01-01T00:00:00+00:00",
                "argv": ["/some/where/hnbench", "run", "--full"],
                "device": "cpu",
                "batch_size": 32,
            }
        ],
    }


def cost(label: str, rng: np.random.Generator, *, counted: bool = False) -> Cost:
    """With `counted`, a pass of the generator takes 2 GFLOP and one of the reward 0.3, both ways,
    and one with a LoRA 2.2 GFLOP.
    """
    number = int(label.rsplit("-", 1)[1]) if label in SEARCHED else 1
    forward, backward, rewards = (
        (50.0, 49.0, 50.0)
        if label == "reno"
        else (2.0, 0.0, 0.0)
        if "hypernoise" in label
        else (number, 0.0, float(number))
    )
    if label in ("random", "finetune"):
        rewards = 0.0
    seconds = (0.004 * (forward + rewards * 0.3) + 0.012 * backward) * float(rng.lognormal(0, 0.05))
    adapted = "hypernoise" in label or label == "finetune"
    flops = 2e9 * (forward + backward) + 3e8 * (rewards + backward) + 2e8 * adapted
    return Cost(
        generator_forward=float(forward),
        generator_backward=backward,
        reward_forward=rewards,
        reward_backward=backward,
        seconds=seconds,
        peak_memory_bytes=int(4e8 + 2e8 * (backward > 0)),
        batch_size=32,
        flops=flops if counted else None,
    )


def trajectory(
    label: str, start: float, end: float, rng: np.random.Generator
) -> tuple[float, ...] | None:
    if label == "reno":
        course = start + (end - start) * (1 - np.exp(-np.arange(50) / 12)) + rng.normal(0, 0.03, 50)
        return tuple(round(float(value), 4) for value in course)
    if label in SEARCHED:
        return tuple(
            round(float(value), 4)
            for value in start + rng.normal(0, 0.25, int(label.rsplit("-", 1)[1]))
        )
    return None


def _record(
    plan: Plan,
    expected: Any,
    base_seed: int,
    draws: dict[str, float],
    image: SavedImage,
    rng: np.random.Generator,
    *,
    counted: bool,
) -> Record:
    label, lift = expected.label, _LIFT[expected.label]
    noise = digest([expected.task.prompt, expected.task.sample, base_seed])
    start = 0.6 + 0.2 * draws["difficulty"] + 0.15 * draws["luck"]
    gain = 0.3 * lift + (0.05 * float(rng.normal()) if label != "random" else 0)
    level = {
        "shapes-clip": (start + gain) / 2,
        "shapes-resnet": 0.5 * start + 0.25 * gain + 0.1 * draws["luck"],
        "redness": 0.2 * draws["luck"] - 0.02 * lift,
    }
    own = {"random": 0.0}.get(label, 0.8)
    chance = (
        _TAG_LEVEL[expected.tag]
        + 1.6 * draws["difficulty"]
        + lift * (1 - 0.2 * (expected.tag == "counting"))
        + 1.5 * draws["luck"]
    )
    return Record(
        id=expected.id,
        status="done",
        prompt_id=expected.task.prompt_id,
        prompt=expected.task.prompt,
        tag=expected.tag,
        sample=expected.task.sample,
        base_seed=base_seed,
        label=label,
        noise_sha256=noise,
        displacement=(
            0.0
            if label in ("random", "finetune")
            else 19.6
            if label in SEARCHED
            else 4.0 + 2 * lift
        ),
        noise_norm=float(np.sqrt(192 + 19.6 * draws["luck"]))
        + (0.6 if label == "reno" else 0.15 if "hypernoise" in label else 0),
        rewards={**level, "optimised": level["shapes-clip"] * 2},
        initial_rewards={
            "shapes-clip": start / 2,
            "shapes-resnet": 0.5 * start + 0.1 * draws["luck"],
            "redness": 0.2 * draws["luck"],
            "optimised": start,
        },
        verdict=Verdict(chance + own * float(rng.logistic()) > 0, ""),
        cost=cost(label, rng, counted=counted),
        trajectory=trajectory(label, start, start + gain, rng),
        image=image,
    )


def write_run(
    folder: Path,
    labels: tuple[str, ...] = LABELS,
    *,
    prompts_per_tag: int = 6,
    samples: int = 2,
    base_seed: int = 0,
    images: bool = False,
    failed: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
    changes: dict[str, Any] | None = None,
    uncounted: tuple[str, ...] = LABELS,
) -> Path:
    """Write a run. The first record of each label in `failed` fails, that of each in `missing` is
    left out; `changes` go over run.json. Labels in `uncounted` have no floating-point operations.
    """
    rng = np.random.default_rng(base_seed)
    content = {**manifest(labels, prompts_per_tag, samples, base_seed), **(changes or {})}
    if "identity" not in (changes or {}):
        content["identity"] = digest(shared_identity(content))
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(content))
    plan = Plan.from_manifest(content)
    draws: dict[tuple[str, int], dict[str, float]] = {}
    difficulty = np.random.default_rng(99).normal(size=len(plan.prompts))
    ranks = {prompt.id: at for at, prompt in enumerate(plan.prompts)}
    seen: set[str] = set()
    lines = []
    for expected in plan.expected():
        key = (expected.task.prompt_id, expected.task.sample)
        draws.setdefault(
            key, {"difficulty": float(difficulty[ranks[key[0]]]), "luck": float(rng.normal())}
        )
        record = _record(
            plan,
            expected,
            base_seed,
            draws[key],
            SavedImage(path=f"images/{expected.id[:2]}/{expected.id}.png", sha256="0" * 64),
            rng,
            counted=expected.label not in uncounted,
        )
        first = expected.label not in seen
        seen.add(expected.label)
        if first and expected.label in missing:
            continue
        if first and expected.label in failed:
            record = _failed(record)
        elif images and expected.task.sample == 0 and record.image:
            _picture(folder / record.image.path, record, ranks[key[0]])
        lines.append(sealed(record.to_json()))
    (folder / "journal-0000.jsonl").write_bytes(b"".join(lines))
    return folder


def _failed(record: Record) -> Record:
    kept = {
        name: getattr(record, name)
        for name in (
            "id",
            "prompt_id",
            "prompt",
            "tag",
            "sample",
            "base_seed",
            "label",
            "noise_sha256",
            "cost",
        )
    }
    return Record(
        **kept, status="failed", error=Failure(type="NonFinite", message="the image has NaN")
    )


def _picture(path: Path, record: Record, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = np.random.default_rng(seed).integers(0, 255, size=(8, 8, 3), dtype=np.uint8)
    pixels = np.kron(shade, np.ones((8, 8, 1), dtype=np.uint8))
    pixels[:8, : 8 * (len(record.label) % 8)] = 255
    Image.fromarray(pixels).save(path)
