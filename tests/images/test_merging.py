"""Verdicts and measured values of the parts of a run become those of the whole run."""

from __future__ import annotations

import itertools
import lzma
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

import hnbench
from hnbench.errors import StoreError
from hnbench.files.journal import part_of, read_lines
from hnbench.files.sharing import part_locked
from hnbench.images.inventory import FoundImage
from hnbench.images.verdict_journal import VerdictJournal
from hnbench.measures.journal import (
    Definition,
    Images,
    definition_line,
    distance_line,
    open_journal,
    read_measurements,
    row_line,
)
from hnbench.runs.shards import Shard
from hnbench.runs.store import read_run
from hnbench.suites.base import Prompt, Verdict
from tests.runs.world import run

SPREAD = Definition("spread", "f" * 64, "prompt", "How far.", higher_is_better=True, source="")
NEWER = Definition("spread", "a" * 64, "prompt", "How far.", higher_is_better=True, source="")
GAP = Definition("gap", "d" * 64, "set", "How far off.", higher_is_better=None, source="")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three folders with a shard of a run each: two prompts of two samples and four labels."""
    folders = [tmp_path_factory.mktemp("part") for _ in range(3)]
    for number, folder in enumerate(folders, start=1):
        run(folder, shard=Shard(number, 3))
    return folders


@pytest.fixture
def parts(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [
        Path(shutil.copytree(shard, tmp_path / f"part{number}"))
        for number, shard in enumerate(shards, start=1)
    ]


def images_of(part: Path, label: str = "random") -> Images:
    found: dict[str, list[str]] = {}
    for record in sorted(read_run(part).records, key=lambda one: (one.prompt_id, one.sample)):
        if record.label == label and record.image:
            found.setdefault(record.prompt_id, []).append(record.image.sha256)
    return found


def merge(parts: Sequence[Path], out: Path) -> int:
    """Merge the runs; returns the number of lines with values that were added."""
    return hnbench.merge(parts, out=out, progress=False).values


def measure(
    part: Path, values: Mapping[str, float], images: Images, definition: Definition = SPREAD
) -> None:
    """Write one row of values by prompt, as a measurement of one batch does."""
    with open_journal(part / "measures") as journal:
        row = row_line(definition, "random", images, {one: [values[one]] for one in values})
        journal.add([definition_line(definition), row])


def score(part: Path, verdicts: Mapping[str, Verdict], judge: str = "toy") -> None:
    image = FoundImage(part, "0/0.png", Prompt("a", "a cat", "animals"), 0, sha256="e" * 64)
    with VerdictJournal(part / f"scores-{judge}") as journal:
        journal.add((key * 64, image, verdict) for key, verdict in verdicts.items())


def verdicts_in(folder: Path) -> dict[str, Verdict]:
    with VerdictJournal(folder) as journal:
        return {key[0]: verdict for key, verdict in journal.verdicts.items()}


def results_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for name in ("measures", "scores-*")
        for path in sorted(folder.glob(f"{name}/journal*"))
    }


RIGHT, WRONG = Verdict(correct=True), Verdict(correct=False, reason="no cat")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_all_values_of_all_parts_are_there_in_any_order(
    tmp_path: Path, parts: list[Path], order: tuple[int, ...]
) -> None:
    images: dict[str, list[str]] = {}
    for number, part in enumerate(parts):
        own = images_of(part)
        images |= {prompt: list(found) for prompt, found in own.items()}
        measure(part, dict.fromkeys(own, float(number)), own)
    score(parts[0], {"0": RIGHT, "1": WRONG})
    score(parts[1], {"1": WRONG, "2": RIGHT})
    score(parts[2], {"3": WRONG}, judge="other")
    before = [results_in(part) for part in parts]
    out = tmp_path / "out"
    # Three rows and four different verdicts.
    assert merge([parts[number] for number in order], out) == 7
    assert [results_in(part) for part in parts] == before
    found = read_measurements(out)
    assert found is not None
    assert found.by_prompt(SPREAD, "random", images) == {
        prompt: (float(number),) for number, part in enumerate(parts) for prompt in images_of(part)
    }
    assert verdicts_in(out / "scores-toy") == {"0": RIGHT, "1": WRONG, "2": RIGHT}
    assert verdicts_in(out / "scores-other") == {"3": WRONG}
    merge(parts, tmp_path / "again")
    assert results_in(out) == results_in(tmp_path / "again")
    assert merge([*parts, out], out) == 0
    assert results_in(out) == results_in(tmp_path / "again")


def test_a_run_that_has_values_keeps_them(parts: list[Path]) -> None:
    score(parts[0], {"0": RIGHT})
    score(parts[1], {"1": WRONG})
    measure(parts[0], {"dark/0000": 1.0}, images_of(parts[0]))
    kept = results_in(parts[0])["measures/journal.jsonl"]
    assert merge([parts[1]], parts[0]) == 1
    assert verdicts_in(parts[0] / "scores-toy") == {"0": RIGHT, "1": WRONG}
    assert results_in(parts[0])["measures/journal.jsonl"] == kept


def test_packed_journals_and_those_of_several_processes_become_one(parts: list[Path]) -> None:
    for part in parts[:2]:
        measure(part, dict.fromkeys(images_of(part), 1.0), images_of(part))
        journal = part / "measures" / "journal.jsonl"
        journal.rename(part_of(journal, 1, 2))
        packed = lzma.compress(part_of(journal, 1, 2).read_bytes())
        journal.with_name("journal.jsonl.xz").write_bytes(packed)
    before = [read_lines(part / "measures" / "journal.jsonl", str) for part in parts[:2]]
    merge([parts[1]], parts[0])
    assert list(results_in(parts[0])) == ["measures/journal.jsonl"]
    merged = read_lines(parts[0] / "measures" / "journal.jsonl", str)
    assert set(merged) == {*before[0], *before[1]}
    assert len(merged) == len(set(merged)) == 3


def other_verdict(one: Path, other: Path) -> None:
    score(one, {"0": RIGHT})
    score(other, {"0": WRONG})


def other_value(one: Path, other: Path) -> None:
    shutil.rmtree(other)
    shutil.copytree(one, other)
    images = images_of(one)
    measure(one, dict.fromkeys(images, 1.0), images)
    # One prompt of the two, as in a smaller batch.
    measure(other, {next(iter(images)): 1.5}, images)


def other_distance(one: Path, other: Path) -> None:
    for part, value in ((one, 0.5), (other, 0.25)):
        images = images_of(one)
        with open_journal(part / "measures") as journal:
            journal.add([definition_line(GAP), distance_line(GAP, "random", images, images, value)])


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (other_verdict, "values of the verdict on 0/0.png;"),
        (other_value, "values of spread for random dark/0000;"),
        (other_distance, "values of gap for random;"),
    ],
)
def test_two_values_of_one_thing_are_refused_by_the_names_of_both(
    tmp_path: Path, parts: list[Path], make: Callable[[Path, Path], None], what: str
) -> None:
    make(parts[0], parts[1])
    (name,) = {path.parent.name for path in parts[0].glob("*/journal.jsonl")}
    for several in (parts[:2], parts[1::-1]):
        with pytest.raises(StoreError) as refused:
            merge(several, tmp_path / "out")
        assert what in str(refused.value)
        assert str(parts[0] / name) in str(refused.value)
        assert str(parts[1] / name) in str(refused.value)
        assert not (tmp_path / "out").exists()
    with pytest.raises(StoreError, match="different values"):
        merge(parts[:1], parts[1])
    merge([parts[0], parts[2]], tmp_path / "out")


def test_values_of_other_images_are_no_contradiction(tmp_path: Path, parts: list[Path]) -> None:
    first, own = images_of(parts[0]), images_of(parts[1])
    prompt = next(iter(first))
    measure(parts[0], {prompt: 1.0}, first)
    measure(parts[1], {prompt: 2.0}, {prompt: next(iter(own.values()))})
    assert merge(parts, tmp_path / "out") == 2
    found = read_measurements(tmp_path / "out")
    assert found is not None
    assert found.by_prompt(SPREAD, "random", first) == {prompt: (1.0,)}


def test_a_report_shows_the_measure_that_has_most_values(tmp_path: Path, parts: list[Path]) -> None:
    images = images_of(parts[0])
    measure(parts[0], dict.fromkeys(images, 1.0), images)
    for prompt in images_of(parts[1]):
        measure(parts[1], {prompt: 2.0}, images_of(parts[1]), NEWER)
    merge(parts, tmp_path / "out")
    found = read_measurements(tmp_path / "out")
    assert found is not None
    assert found.latest() == {"spread": NEWER}
    assert found.by_prompt(SPREAD, "random", images) == dict.fromkeys(images, (1.0,))


def test_the_last_measure_of_the_fuller_part_stays_the_last(
    tmp_path: Path, shards: list[Path], parts: list[Path]
) -> None:
    shutil.rmtree(parts[1])
    shutil.copytree(shards[0], parts[1])
    images = images_of(parts[0])
    measure(parts[1], dict.fromkeys(images, 2.0), images, NEWER)
    for part in parts[:2]:
        measure(part, dict.fromkeys(images, 1.0), images)
    merge(parts[:2], tmp_path / "out")
    found = read_measurements(tmp_path / "out")
    assert found is not None
    assert found.latest() == {"spread": SPREAD}


def test_nothing_is_written_if_nothing_is_new(parts: list[Path]) -> None:
    score(parts[0], {"0": RIGHT, "1": WRONG})
    journal = parts[0] / "scores-toy" / "journal.jsonl"
    journal.with_name("journal.jsonl.xz").write_bytes(lzma.compress(journal.read_bytes()))
    journal.unlink()
    score(parts[1], {"1": WRONG})
    before = results_in(parts[0])
    assert merge([parts[1]], parts[0]) == 0
    assert results_in(parts[0]) == before


def test_a_folder_in_use_is_refused(tmp_path: Path, parts: list[Path]) -> None:
    score(parts[0], {"0": RIGHT})
    merge(parts[1:], tmp_path / "out")
    with (
        part_locked(tmp_path / "out" / "scores-toy", 1, 2),
        pytest.raises(StoreError, match="in use by another process"),
    ):
        merge(parts, tmp_path / "out")
    assert results_in(tmp_path / "out") == {}


def test_a_damaged_journal_is_refused(tmp_path: Path, parts: list[Path]) -> None:
    score(parts[0], {"0": RIGHT, "1": WRONG})
    journal = parts[0] / "scores-toy" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"true", b"null", 1))
    with pytest.raises(StoreError, match=r"journal.jsonl:1 is damaged"):
        merge(parts, tmp_path / "out")
