"""Made-up runs that differ in more than the base seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hnbench.seeds import digest
from tests.journals import change_journal, journal_rows
from tests.reports.synthetic import manifest, write_run

LABELS = ("random", "best-of-2", "reno", "hypernoise")
Change = Callable[[dict[str, Any]], dict[str, Any]]


def with_method(labels: tuple[str, ...], seed: int, size: int, **identity: Any) -> dict[str, Any]:
    """The plan of a run in which the method `identity["name"]` has another identity."""
    plan: dict[str, Any] = manifest(labels, size, 2, seed)["plan"]
    plan["methods"] = [
        identity if method["name"] == identity["name"] else method for method in plan["methods"]
    ]
    return plan


def write(
    folder: Path,
    labels: tuple[str, ...] = LABELS,
    *,
    seed: int = 0,
    size: int = 3,
    images: bool = False,
    change: Change | None = None,
    **changes: Any,
) -> Path:
    """A run of `size` prompts per tag. Its images have different SHA-256; `change` changes every
    record, `changes` go over run.json. With `images`, those of the first samples are on the disk.
    """
    write_run(
        folder,
        labels,
        prompts_per_tag=size,
        samples=2,
        base_seed=seed,
        images=images,
        changes=changes or None,
    )

    def changed(row: dict[str, Any]) -> dict[str, Any]:
        image = {**row["image"], "sha256": digest([row["id"]])}
        row = {**row, "image": image, "cost": {**row["cost"], "device": "Some CPU"}}
        return change(row) if change else row

    change_journal(folder / "journal-0000.jsonl", changed)
    return folder


def write_trained(
    folder: Path,
    *,
    seed: int = 0,
    size: int = 3,
    adapter: str = "e" * 64,
    images: bool = False,
    prompts: Sequence[dict[str, Any]] | None = None,
) -> Path:
    """A run with another hypernetwork, whose images got the verdicts of `reno`. With `prompts`, its
    plan has these.
    """
    source = write_run(
        folder.with_name(f"{folder.name}-source"), LABELS, prompts_per_tag=size, base_seed=seed
    )
    verdicts = {}
    for row in journal_rows(source / "journal-0000.jsonl"):
        if row["label"] == "reno":
            verdicts[row["prompt_id"], row["sample"]] = (row["verdict"], row["rewards"])

    def changed(row: dict[str, Any]) -> dict[str, Any]:
        if row["label"] != "hypernoise":
            return row
        verdict, rewards = verdicts[row["prompt_id"], row["sample"]]
        return {**row, "verdict": verdict, "rewards": rewards}

    plan = with_method(LABELS, seed, size, name="hypernoise", adapter=adapter)
    if prompts is not None:
        plan["prompts"] = prompts
    return write(folder, seed=seed, size=size, images=images, change=changed, plan=plan)


def other_noises(row: dict[str, Any]) -> dict[str, Any]:
    """The same record from another starting noise."""
    return {**row, "noise_sha256": digest([row["noise_sha256"]])}


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found
