"""What a plan asks for against what a journal says: every contradiction is refused with its file
and line.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hnbench.errors import StoreError
from hnbench.reports.report import summarise_runs
from hnbench.runs.coverage import Coverage, cover
from hnbench.runs.plan import Plan
from hnbench.runs.record import image_path
from hnbench.runs.store import RunStore, read_run
from tests.journals import change_journal, journal_rows, write_journal
from tests.runs.test_record import DONE
from tests.runs.world import damaged, run

Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def covered(folder: Path) -> Coverage:
    found = read_run(folder)
    return cover(Plan.from_manifest(found.manifest), found.records, folder)


def changed(folder: Path, change: Change) -> Path:
    """A run whose journal somebody has changed who knows how check values are made."""
    (journal,) = folder.glob("journal-*.jsonl")
    change_journal(journal, change)
    return folder


def test_the_whole_plan_is_sorted(finished: Path) -> None:
    whole = read_run(finished)
    plan = Plan.from_manifest(whole.manifest)
    items = list(plan.expected())
    by_id = {record.id: record for record in whole.records}
    failed: dict[str, Any] = {"status": "failed", "rewards": {}, "initial_rewards": {}}
    failed |= dict.fromkeys(["displacement", "noise_norm", "verdict"])
    failure = {"trajectory": None, "image": None, "error": {"type": "ValueError", "message": "no"}}
    stranger = "e" * 64
    records = [
        *(by_id[item.id] for item in items[:5]),
        *(replace(by_id[item.id], **{**failed, **failure}) for item in items[5:8]),
        replace(
            DONE,
            id=stranger,
            image=replace(DONE.image, path=image_path(stranger)) if DONE.image else None,
        ),  # of another plan
    ]
    coverage = cover(plan, records, finished)
    assert [record.id for record in coverage.done] == [item.id for item in items[:5]]
    assert [record.id for record in coverage.failed] == [item.id for item in items[5:8]]
    assert list(coverage.missing) == items[8:]
    assert coverage.expected == len(items) == 48


SWAPPED = {"random": "climb", "climb": "random"}

CONTRADICTIONS: dict[str, tuple[Change, str]] = {
    "two labels swapped": (
        lambda row: {**row, "label": SWAPPED.get(row["label"], row["label"])},
        "label is",
    ),
    "another prompt": (lambda row: {**row, "prompt": "another"}, "prompt is 'another'"),
    "another prompt's id": (lambda row: {**row, "prompt_id": "dark/0002"}, "prompt_id is"),
    "another tag": (
        lambda row: {**row, "tag": {"dark": "light", "light": "dark"}[row["tag"]]},
        "tag is",
    ),
    "another sample": (lambda row: {**row, "sample": 1 - row["sample"]}, "sample is"),
    "a sample that is far away": (lambda row: {**row, "sample": 1_000_000}, "sample is 1000000"),
    "another seed": (lambda row: {**row, "base_seed": 7}, "base_seed is 7"),
    "no verdict": (lambda row: {**row, "verdict": None}, "no verdict, and the suite has a judge"),
    "no verdict of one method": (
        lambda row: {**row, "verdict": None if row["label"] == "climb" else row["verdict"]},
        "no verdict",
    ),
    "a reward too many": (
        lambda row: {**row, "rewards": {**row["rewards"], "more": 1.0}},
        "'more' is not one of the run",
    ),
    "a reward too few": (
        lambda row: {
            **row,
            "rewards": {name: value for name, value in row["rewards"].items() if name != "red"},
        },
        "'red' is missing",
    ),
    "a reward raised": (
        lambda row: {**row, "rewards": {**row["rewards"], "brightness": 100.0}},
        "the weighted total of its parts",
    ),
    "the total raised": (
        lambda row: {**row, "rewards": {**row["rewards"], "optimised": 100.0}},
        "the weighted total of its parts",
    ),
    "the base's rewards raised": (
        lambda row: {
            **row,
            "initial_rewards": {
                name: value + 100 for name, value in row["initial_rewards"].items()
            },
        },
        "initial rewards are not those of the random image",
    ),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_what_the_plan_contradicts_is_refused(what: str, copied: Path) -> None:
    change, message = CONTRADICTIONS[what]
    changed(copied, change)
    for read in (covered, lambda folder: summarise_runs([folder]), run):
        with pytest.raises(StoreError, match=message) as caught:
            read(copied)
        assert "journal-0000.jsonl:" in str(caught.value)


def test_the_line_is_the_right_one(copied: Path) -> None:
    journal = copied / "journal-0000.jsonl"
    rows = journal_rows(journal)
    rows[16]["tag"] = "else"
    write_journal(journal, rows)
    with pytest.raises(
        StoreError,
        match=r"journal-0000\.jsonl:17 is damaged: tag is 'else', and the plan of run\.json says",
    ):
        covered(copied)


@pytest.mark.parametrize("what", ["verdict", "rewards", "label", "cost"])
def test_without_a_new_check_value_any_change_is_refused(what: str, copied: Path) -> None:
    (journal,) = copied.glob("journal-*.jsonl")
    texts = {
        "verdict": (b'"correct":true', b'"correct":null'),
        "label": (b'"label":"climb"', b'"label":"CLIMB"'),
    }
    before, after = texts.get(what, (b'"batch_size":', b'"batch_size":1'))
    content = journal.read_bytes()
    assert before in content
    journal.write_bytes(content.replace(before, after, 1))
    with pytest.raises(StoreError, match="changed after it was written"):
        covered(copied)


def test_records_of_rounding_apart_agree(copied: Path) -> None:
    """Another device, or another batch, draws a base image again that differs in the last steps of
    8 bits.
    """
    changed(
        copied,
        lambda row: {
            **row,
            "initial_rewards": {
                name: value + 1e-3 for name, value in row["initial_rewards"].items()
            },
        },
    )
    assert covered(copied).expected == 48


def test_a_run_of_the_first_schema_is_read_and_counted_as_unchecked(copied: Path) -> None:
    import json

    (journal,) = copied.glob("journal-*.jsonl")
    rows = [{**row, "schema": 1} for row in journal_rows(journal)]
    journal.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = read_run(copied)
    assert (
        found.unchecked
        == len(rows)
        == len(cover(Plan.from_manifest(found.manifest), found.records, copied).done)
    )
    with RunStore(copied) as store:
        assert store.is_done(rows[0]["id"])


def test_a_line_of_this_schema_needs_its_check_value(copied: Path) -> None:
    import json

    (journal,) = copied.glob("journal-*.jsonl")
    journal.write_text("".join(f"{json.dumps(row)}\n" for row in journal_rows(journal)))
    with pytest.raises(StoreError, match=r"jsonl:1 is damaged: its check value is missing"):
        read_run(copied)


@pytest.mark.parametrize("how", ["removed", "overwritten", "a folder", "a link to nothing"])
def test_images_are_compared_when_asked(how: str, copied: Path) -> None:
    record = covered(copied).done[7]
    assert record.image
    path = copied / record.image.path
    assert damaged(copied) == []
    path.unlink()
    if how == "overwritten":
        path.write_bytes(b"something else")
    elif how == "a folder":
        path.mkdir()
    elif how == "a link to nothing":
        path.symlink_to("gone")
    assert summarise_runs([copied]).pool.damaged is None
    assert summarise_runs([copied], check=True).pool.damaged == (str(path),)
