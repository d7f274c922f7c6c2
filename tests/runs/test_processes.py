"""One process, several shards in one folder, and merged folders give the same run."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import shutil
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from hnbench.errors import StoreError, UsageError
from hnbench.runs.merging import Additions
from hnbench.runs.merging import merge as merge_runs
from hnbench.runs.shards import WHOLE, Shard
from hnbench.runs.store import RunStore, read_run
from tests.runs.test_kill import lines
from tests.runs.test_store import MANIFEST
from tests.runs.world import Count, WorldJudge, WorldSuite, damaged, run, run_slowly, timeless

SHARDS = [Shard(number, 3) for number in (1, 2, 3)]


def content(folder: Path) -> dict[str, Any]:
    """Everything that may not depend on who computed it: records without times, and images."""
    found = read_run(folder)
    assert damaged(folder) == []
    images = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (folder / "images").rglob("*")
        if path.is_file()
    }
    assert set(images) == {record.image.path for record in found.records if record.image}
    described = {
        name: value
        for name, value in found.manifest.items()
        if name not in ("sessions", "environment")
    }
    return {"images": images, "run.json": described} | {
        record.id: timeless(record) for record in found.records
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return content(folder)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three folders with a shard each, of machines without a common disk."""
    folders = [tmp_path_factory.mktemp("part") for _ in SHARDS]
    for folder, shard in zip(folders, SHARDS, strict=True):
        run(folder, shard=shard)
    return folders


def merge(folders: list[Path], out: Path) -> Additions:
    return merge_runs(folders, out, Stages())


class Stages:
    """A progress display of a merge that shows nothing."""

    def label(self, name: str, total: int) -> None:
        self.total = total

    def advance(self, count: int) -> None:
        self.total -= count


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_shards_one_after_another_are_the_run(
    tmp_path: Path, whole: dict[str, Any], order: tuple[int, ...]
) -> None:
    seen = []
    for at, number in enumerate(order):
        tally = run(tmp_path, shard=SHARDS[number])
        # 6 prompts of 2 samples and 4 labels, two prompts a shard.
        assert (tally.expected, tally.done, tally.failed, tally.new) == (16, 16, 0, 16)
        assert (tally.run_expected, tally.run_done, tally.run_failed) == (48, 16 * (at + 1), 0)
        seen.append(len(read_run(tmp_path).records))
    assert seen == [16, 32, 48]
    assert content(tmp_path) == whole


def test_a_shard_shows_and_judges_only_its_own(tmp_path: Path) -> None:
    progress, suite = Count(), WorldSuite()
    run(tmp_path, shard=Shard(2, 3), progress=progress, suite=suite)
    assert progress.calls[0] == ("start", 16)
    assert sum(count for name, count in progress.calls if name == "advance") == 16
    records = read_run(tmp_path).records
    assert {record.prompt_id for record in records} == {"dark/0001", "light/0001"}
    again, judge = WorldSuite(), WorldJudge()
    again.one_judge = judge
    assert run(tmp_path, shard=Shard(2, 3), suite=again).new == 0
    assert judge.seen == []


def test_more_shards_than_prompts_do_no_harm(tmp_path: Path, whole: dict[str, Any]) -> None:
    assert run(tmp_path, shard=Shard(9, 9)).expected == 0
    for number in range(1, 9):
        run(tmp_path, shard=Shard(number, 9))
    assert content(tmp_path) == whole


def test_other_shards_and_a_single_process_continue(tmp_path: Path, whole: dict[str, Any]) -> None:
    run(tmp_path, shard=Shard(1, 2))
    assert run(tmp_path, shard=Shard(1, 3)).new == 8  # prompt 3 of 0 and 3: 0 is done
    tally = run(tmp_path)
    assert (tally.new, tally.shard, tally.run_done) == (16, WHOLE, 48)
    assert content(tmp_path) == whole


def test_a_lost_image_of_another_shard_is_missing_and_not_done(tmp_path: Path) -> None:
    run(tmp_path)
    record = next(one for one in read_run(tmp_path).records if one.prompt_id == "dark/0001")
    assert record.image
    (tmp_path / record.image.path).unlink()
    tally = run(tmp_path, shard=Shard(1, 3))
    assert (tally.new, tally.run_done, tally.run_failed, tally.run_expected) == (0, 47, 0, 48)
    assert run(tmp_path, shard=Shard(2, 3)).run_done == 48


def server() -> BaseContext:
    context = multiprocessing.get_context("forkserver")  # torch is imported once, by the server
    context.set_forkserver_preload(["tests.runs.world"])
    return context


def test_shards_at_once_one_of_them_killed_and_continued_are_the_run(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    folder, log = tmp_path / "run", tmp_path / "log"
    context = server()

    def start(shard: Shard) -> Any:
        process = context.Process(target=run_slowly, args=(folder, log, 0.02, shard))  # type: ignore[attr-defined]
        process.start()
        return process

    processes = [start(shard) for shard in SHARDS]
    while lines(folder) < 6:
        processes[0].join(0.002)
    processes[1].kill()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, -9, 0]
    assert len(read_run(folder).records) < 48
    again = start(SHARDS[1])
    again.join()
    assert again.exitcode == 0
    assert content(folder) == whole
    manifest = read_run(folder).manifest
    assert sorted(session["shard"] for session in manifest["sessions"]) == [
        *("1/3", "2/3", "2/3", "3/3")
    ]
    named = [session["journal"] for session in manifest["sessions"] if "journal" in session]
    assert len(named) == len(set(named)) >= 3
    assert {path.name for path in folder.glob(".lock*")} == {".lock-gate"}


def begin(folder: Path, number: int, barrier: Barrier) -> None:
    """Many sessions of one shard, all racing for run.json and for the numbers of journals."""
    from tests.runs.test_store import add, numbered

    barrier.wait(60)
    for turn in range(5):
        with RunStore(folder, Shard(number, 8)) as store:
            training = {f"trained by {number}": {"seconds": float(turn)}}
            store.begin({**MANIFEST, "training": training}, {"started": f"{number}.{turn}"})
            add(store, numbered(10 * number + turn))


def test_eight_processes_begin_at_once_and_none_is_forgotten(tmp_path: Path) -> None:
    context = server()
    barrier = context.Barrier(8)
    processes = [
        context.Process(target=begin, args=(tmp_path, number, barrier))  # type: ignore[attr-defined]
        for number in range(1, 9)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    found = read_run(tmp_path)
    names = {f"{number}.{turn}" for number in range(1, 9) for turn in range(5)}
    sessions = {session["started"]: session["journal"] for session in found.manifest["sessions"]}
    assert sessions.keys() == names
    assert len(set(sessions.values())) == len(names)
    assert found.manifest["training"].keys() == {f"trained by {number}" for number in range(1, 9)}
    assert len(found.records) == len(names)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_merged_parts_are_the_run_in_any_order(
    tmp_path: Path, whole: dict[str, Any], parts: list[Path], order: tuple[int, ...]
) -> None:
    before = [content(part) for part in parts]
    first = merge([parts[number] for number in order], tmp_path / "merged")
    assert (first.journals, first.images, first.damaged) == (3, 48, ())
    assert content(tmp_path / "merged") == whole
    assert [content(part) for part in parts] == before
    merge(parts, tmp_path / "other")
    for path in sorted((tmp_path / "other").rglob("*.json*")):
        assert (tmp_path / "merged" / path.relative_to(tmp_path / "other")).read_bytes() == (
            path.read_bytes()
        )
    manifest = read_run(tmp_path / "merged").manifest
    assert [session["journal"] for session in manifest["sessions"]] == [
        f"journal-000{number}.jsonl" for number in range(3)
    ]


def test_a_merge_can_grow_and_be_repeated(
    tmp_path: Path, whole: dict[str, Any], parts: list[Path]
) -> None:
    out = tmp_path / "merged"
    merge([parts[2]], out)
    assert merge([parts[0], parts[1], parts[0]], out).journals == 2
    assert content(out) == whole
    state = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert merge([parts[1], out, parts[2]], out) == Additions(0, 0, ())
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == state
    assert run(out).new == 0


def test_what_was_computed_twice_counts_once(
    tmp_path: Path, whole: dict[str, Any], parts: list[Path]
) -> None:
    shutil.copytree(parts[0], tmp_path / "copy")
    run(tmp_path / "copy")  # everything, and shard 1 of it is also in the part
    run(tmp_path / "alone", shard=Shard(1, 2))
    merge([tmp_path / "alone", parts[0], tmp_path / "copy"], tmp_path / "merged")
    assert content(tmp_path / "merged") == whole
    written = {record.id: record.written for record in read_run(tmp_path / "merged").records}
    for folder in (tmp_path / "alone", tmp_path / "copy"):
        for record in read_run(folder).records:
            assert (written[record.id] or 0) >= (record.written or 0)


def test_a_damaged_image_is_left_out_and_computed_again(
    tmp_path: Path, whole: dict[str, Any], parts: list[Path]
) -> None:
    shutil.copytree(parts[0], tmp_path / "part")
    one, other, third = sorted((tmp_path / "part" / "images").rglob("*.png"))[:3]
    one.write_bytes(b"not the image")
    other.unlink()
    third.rename(third.with_name("moved"))
    third.symlink_to("moved")
    found = merge([tmp_path / "part", *parts[1:]], tmp_path / "merged")
    names = {path.relative_to(tmp_path / "part").as_posix() for path in (one, other, third)}
    assert set(found.damaged) == names
    assert found.images == 45
    assert run(tmp_path / "merged").new == 3
    assert content(tmp_path / "merged") == whole
    # Another folder that has them makes them whole too; what lies in their place is replaced.
    out = tmp_path / "again"
    merge([tmp_path / "part"], out)
    (out / names.pop()).write_bytes(b"something else")
    assert merge(parts, out).damaged == ()
    assert content(out) == whole


@pytest.mark.parametrize("after", range(0, 60, 7))
def test_a_killed_merge_is_completed_by_the_same_command(
    tmp_path: Path,
    whole: dict[str, Any],
    parts: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    """The merge ends at its `after`th image or written file."""

    class KilledError(Exception):
        pass

    left = iter(range(after))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            if next(left, None) is None:
                raise KilledError
            return function(*given)

        return call

    out = tmp_path / "merged"
    with monkeypatch.context() as patch:
        for name in ("_bring", "write_whole"):
            original = getattr(__import__("hnbench.runs.merging", fromlist=["x"]), name)
            patch.setattr(f"hnbench.runs.merging.{name}", counted(original))
        with suppress(KilledError):
            merge(parts, out)
    if (out / "run.json").exists():
        read_run(out)  # what is there is a run
    merge(parts[::-1], out)
    assert content(out) == whole
    merge(parts, tmp_path / "at once")
    for path in sorted((tmp_path / "at once").glob("*.json*")):
        assert (out / path.name).read_bytes() == path.read_bytes()


def changed(folder: Path, place: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    shutil.copytree(folder, place)
    manifest = json.loads((place / "run.json").read_text())
    change(manifest)
    (place / "run.json").write_text(json.dumps(manifest))
    return place


def test_only_parts_of_one_run_and_one_plan_are_merged(tmp_path: Path, parts: list[Path]) -> None:
    run(tmp_path / "seed", base_seed=7, shard=SHARDS[1])
    run(tmp_path / "plan", full=False)
    limited = changed(parts[1], tmp_path / "x", lambda one: one["plan"]["prompts"].pop())
    for other, expected in (
        (tmp_path / "seed", r"are different runs \(base_seed: 0 in the first, 7 in the second\)"),
        (tmp_path / "plan", r"have different plans \(protocol, prompts\)"),
        (limited, r"have different plans \(prompts\)"),
        (tmp_path / "absent", "is not a run folder"),
    ):
        with pytest.raises(StoreError, match=expected):
            merge([parts[0], other], tmp_path / "out")
        assert not (tmp_path / "out").exists()
    with pytest.raises(StoreError, match="are different runs"):
        merge([parts[0]], tmp_path / "seed")
    with pytest.raises(UsageError, match="nothing to merge"):
        merge([parts[0]], parts[0])
    with (
        RunStore(tmp_path / "seed", Shard(2, 3)),
        pytest.raises(StoreError, match="in use by another process"),
    ):
        merge([parts[0]], tmp_path / "seed")
