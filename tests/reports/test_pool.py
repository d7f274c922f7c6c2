from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hnbench.errors import StoreError, UsageError
from hnbench.reports.pool import pool_runs
from hnbench.reports.summary import summarise
from hnbench.runs.identity import shared_identity
from hnbench.runs.record import image_path
from hnbench.runs.store import read_run
from hnbench.seeds import digest
from tests.journals import journal_rows, write_journal
from tests.reports.synthetic import manifest, write_run

LABELS = ("random", "reno")


def write(
    folder: Path, *, base_seed: int = 0, labels: tuple[str, ...] = LABELS, **changes: Any
) -> Path:
    return write_run(
        folder, labels, prompts_per_tag=2, samples=2, base_seed=base_seed, changes=changes or None
    )


def test_every_record_lands_in_its_place_of_the_plan(tmp_path: Path) -> None:
    folders = [write(tmp_path / f"seed{seed}", base_seed=seed) for seed in (5, 1)]
    pool = pool_runs(folders)
    values = pool.values("noise_norm")
    assert values.shape == (2 * 12 * 2, 2)
    for order, folder in enumerate(folders):
        for record in read_run(folder).records:
            prompt = next(
                at for at, planned in enumerate(pool.prompts) if planned.id == record.prompt_id
            )
            row = order * 24 + prompt * 2 + record.sample
            assert values[row, LABELS.index(record.label)] == record.noise_norm
            assert pool.clusters[row] == prompt
            assert pool.tags[pool.strata[prompt]] == record.tag
    assert pool.seeds == (5, 1)
    assert pool.size == "12 prompts x 2 samples x 2 base seed(s)"


def test_prompts_may_have_different_numbers_of_samples(tmp_path: Path) -> None:
    plan = manifest(LABELS, 2, 2, 0)["plan"]
    for at, prompt in enumerate(plan["prompts"]):
        prompt["samples"] = 1 + at % 3
    pool = pool_runs([write(tmp_path / "run", plan=plan)])
    assert np.bincount(pool.clusters).tolist() == [1, 2, 3] * 4
    assert np.isfinite(pool.values("correct")).all()
    assert pool.size.startswith("12 prompts x 1 to 3 samples")


def test_seeds_of_a_prompt_are_one_cluster(tmp_path: Path) -> None:
    """The same run counted twice, as if it were a second seed, must not narrow any interval."""
    first = write_run(tmp_path / "a", LABELS, prompts_per_tag=8, samples=2)
    second = tmp_path / "b"
    write_run(second, LABELS, prompts_per_tag=1, samples=1, base_seed=1)
    content = {**json.loads((first / "run.json").read_text())}
    content["config"]["base_seed"] = 1
    content["identity"] = digest(shared_identity(content))
    (second / "run.json").write_text(json.dumps(content))
    rewrite_with_seed(first, second)
    once, twice = summarise(pool_runs([first])), summarise(pool_runs([first, second]))
    assert twice.rows["reno"].pairs == 2 * once.rows["reno"].pairs
    assert twice.rows["reno"].gain == once.rows["reno"].gain


def rewrite_with_seed(source: Path, target: Path) -> None:
    """Copy the source's records into the target as records of base seed 1."""
    from hnbench.runs.plan import Plan

    plan = Plan.from_manifest(read_run(target).manifest)
    ids = {(item.task.prompt_id, item.task.sample, item.label): item.id for item in plan.expected()}
    lines = []
    for record in read_run(source).records:
        identity = ids[record.prompt_id, record.sample, record.label]
        image = record.image and {**msgspec.to_builtins(record.image), "path": image_path(identity)}
        lines.append({**record.to_json(), "base_seed": 1, "id": identity, "image": image})
    write_journal(target / "journal-0000.jsonl", lines)


def test_no_run() -> None:
    with pytest.raises(UsageError, match="no run was given"):
        pool_runs([])


def test_no_record(tmp_path: Path) -> None:
    folder = write(tmp_path / "run")
    (folder / "journal-0000.jsonl").unlink()
    with pytest.raises(UsageError, match="no record of its plan yet"):
        pool_runs([folder])


def test_records_outside_the_plan_are_left_aside(tmp_path: Path) -> None:
    folder = write(tmp_path / "run")
    content = json.loads((folder / "run.json").read_text())
    content["plan"]["labels"] = ["random"]
    (folder / "run.json").write_text(json.dumps(content))
    assert set(pool_runs([folder]).frame["label"]) == {"random"}


def test_without_the_base_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no 'random'"):
        pool_runs([write(tmp_path / "run", labels=("reno",))])


def other(kind: str) -> dict[str, Any]:
    content = manifest(LABELS, 2, 2, 1)
    content[kind]["name"] = "another"
    return {kind: content[kind]}


@pytest.mark.parametrize("kind", ["generator", "suite"])
def test_runs_of_different_things_are_not_pooled(tmp_path: Path, kind: str) -> None:
    folders = [write(tmp_path / "a"), write(tmp_path / "b", base_seed=1, **other(kind))]
    with pytest.raises(UsageError, match=rf"different {kind}s \(.* and another\)"):
        pool_runs(folders)


def test_different_weights_under_the_same_name_are_not_pooled(tmp_path: Path) -> None:
    folders = [
        write(tmp_path / "a"),
        write(tmp_path / "b", base_seed=1, generator={"name": "shapes", "fingerprint": "9" * 64}),
    ]
    with pytest.raises(UsageError, match="differ in generator;"):
        pool_runs(folders)


def test_different_methods_or_prompts_are_not_pooled(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    with pytest.raises(UsageError, match="different methods"):
        pool_runs([first, write(tmp_path / "b", base_seed=1, labels=("random", "hypernoise"))])
    with pytest.raises(UsageError, match="different prompts or samples"):
        pool_runs(
            [first, write_run(tmp_path / "c", LABELS, prompts_per_tag=3, samples=2, base_seed=1)]
        )


def test_the_same_seed_twice_is_not_two_seeds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="have base seed 0"):
        pool_runs([write(tmp_path / "a"), write(tmp_path / "b")])


def test_methods_that_started_from_different_noise_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "run")
    journal = folder / "journal-0000.jsonl"
    *rows, last = journal_rows(journal)
    write_journal(journal, [*rows, {**last, "noise_sha256": "e" * 64}])
    with pytest.raises(StoreError, match="not paired"):
        pool_runs([folder])
