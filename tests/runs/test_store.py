from __future__ import annotations

import errno
import json
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hnbench.errors import StoreError
from hnbench.files.journal import sealed
from hnbench.runs.identity import shared_identity
from hnbench.runs.record import Failure, Record, SavedImage, image_path
from hnbench.runs.shards import Shard
from hnbench.runs.store import RunStore, read_run, with_image
from hnbench.seeds import digest
from tests.journals import FullDisk
from tests.runs import world
from tests.runs.test_record import DONE, FAILED
from tests.runs.world import damaged

PNG = b"\x89PNG not really"
MANIFEST: dict[str, Any] = {
    "schema": 3,
    "identity_fields": ["base_seed", "generator", "steps"],
    "config": {"base_seed": 0, "generator": "toy", "steps": 1, "batch_size": 4},
    "suite": {
        "name": "world",
        "version": "1",
        "tags": [],
        "judge": {"name": "judge", "fingerprint": "j"},
    },
    "generator": {"name": "toy", "fingerprint": "g", "details": {}},
    "rewards": {
        "optimised": {"clip": 1.0},
        "held_out": ["red"],
        "fingerprints": {"clip": "c", "red": "r"},
    },
    "training": {},
    "plan": {
        "protocol": "full",
        "labels": ["random"],
        "methods": [{"name": "random"}],
        "method_of": {"random": 0},
        "prompts": [{"id": "a/0", "text": "a", "tag": "a", "samples": 1}],
    },
}
MANIFEST["identity"] = digest(shared_identity(MANIFEST))


def numbered(number: int) -> Record:
    name = f"{number:064x}"
    return replace(
        DONE, id=name, sample=number, image=SavedImage(path=image_path(name), sha256="a" * 64)
    )


def add(store: RunStore, record: Record) -> None:
    image = store.save_image(record.id, PNG)
    store.add(replace(record, image=image))


def filled(folder: Path, *numbers: int) -> Path:
    """A run folder with these records, written by one session."""
    with RunStore(folder) as store:
        store.begin(MANIFEST, {"started": "now"})
        for number in numbers:
            add(store, numbered(number))
    return folder


def samples(folder: Path) -> list[int]:
    return [record.sample for record in read_run(folder).records]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    filled(tmp_path / "new" / "run", 1, 2)
    run = read_run(tmp_path / "new" / "run")
    assert [record.sample for record in run.records] == [1, 2]
    assert run.manifest["sessions"] == [{"started": "now", "journal": "journal-0000.jsonl"}]
    assert damaged(run.folder) == []


def test_each_session_has_its_own_journal_and_none_is_made_for_nothing(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    filled(tmp_path)
    filled(tmp_path, 2)
    (tmp_path / "journal-0007.jsonl").touch()
    filled(tmp_path, 3)
    assert sorted(path.name for path in tmp_path.glob("journal-*")) == [
        f"journal-000{n}.jsonl" for n in (0, 1, 7, 8)
    ]
    assert samples(tmp_path) == [1, 2, 3]


def test_a_compressed_journal_is_read_and_continued(tmp_path: Path) -> None:
    journal = filled(tmp_path, 1, 2) / "journal-0000.jsonl"
    packed = journal.with_name("journal-0000.jsonl.xz")
    packed.write_bytes(lzma.compress(journal.read_bytes()))
    journal.unlink()
    filled(tmp_path, 3)
    assert (tmp_path / "journal-0001.jsonl").is_file()
    assert samples(tmp_path) == [1, 2, 3]
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"journal-0000\.jsonl\.xz is damaged"):
        read_run(tmp_path)


def test_the_last_record_of_an_id_wins(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.begin(MANIFEST, {})
        store.add(FAILED)
        assert not store.is_done(FAILED.id)
        add(store, DONE)
        assert store.is_done(DONE.id)
    assert [record.status for record in read_run(tmp_path).records] == ["done"]


def test_a_done_record_without_its_image_is_not_done(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (tmp_path / f"images/00/{1:064x}.png").unlink()
    with RunStore(tmp_path) as store:
        assert not store.is_done(numbered(1).id)


def test_only_files_are_images_that_are_there(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2, 3, 256**31, 256**31 + 1)
    records = read_run(tmp_path).records
    everything = {record.id for record in records}
    assert with_image(tmp_path, [*records, FAILED]) == everything

    first, second = (tmp_path / image_path(numbered(number).id) for number in (1, 2))
    first.unlink()
    second.unlink()
    second.mkdir()
    lost = {numbered(1).id, numbered(2).id}
    assert with_image(tmp_path, records) == everything - lost
    shutil.rmtree(tmp_path / "images" / "01")
    (tmp_path / "images" / "01").write_bytes(b"")
    assert with_image(tmp_path, records) == {numbered(3).id}
    assert with_image(tmp_path, []) == set()


def test_the_image_is_there_before_its_record_and_nothing_else_is(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.begin(MANIFEST, {})
        image = store.save_image(DONE.id, PNG)
        assert (tmp_path / image.path).read_bytes() == PNG
        assert image.path == f"images/00/{DONE.id}.png"
    assert [path.name for path in (tmp_path / "images/00").iterdir()] == [f"{DONE.id}.png"]


@pytest.mark.parametrize(
    "prompt", ["../../outside", "/etc/passwd", "x" * 10_000, "a\nb\x00c", "con.png"]
)
def test_no_prompt_becomes_a_path_or_breaks_a_line(tmp_path: Path, prompt: str) -> None:
    folder = tmp_path / "run"
    record = replace(DONE, prompt=prompt, prompt_id=prompt)
    with RunStore(folder) as store:
        store.begin(MANIFEST, {})
        add(store, record)
    (read,) = read_run(folder).records
    assert read.prompt == prompt
    assert read.image is not None
    assert read.image.path == f"images/00/{DONE.id}.png"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_torn_last_line_is_dropped_wherever_it_is_torn(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2)
    path = tmp_path / "journal-0000.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in (*range(first, len(whole), 97), len(whole) - 1):
        path.write_bytes(whole[:length])
        assert samples(tmp_path) == [1]
    path.write_bytes(whole[: first - 1])
    assert samples(tmp_path) == []
    path.write_bytes(whole + b"\x00" * 4096)  # what some file systems leave after a power cut
    assert samples(tmp_path) == [1, 2]


def test_a_torn_line_of_an_earlier_session_does_not_disturb_the_next(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2)
    path = tmp_path / "journal-0000.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    filled(tmp_path, 2, 3)
    assert samples(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"",
        b"[]",
        b"null",
        b'{"schema": 1}',
        b'{"schema": true}',
        b'{"schema": "1"}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("line", [0, 1])
def test_any_other_damage_is_an_error_with_file_and_line(
    tmp_path: Path, damage: bytes, line: int
) -> None:
    filled(tmp_path, 1, 2)
    path = tmp_path / "journal-0000.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[line] = damage
    path.write_bytes(b"\n".join(lines))
    for read in (read_run, lambda folder: RunStore(folder).__enter__()):
        with pytest.raises(StoreError, match=rf"journal-0000\.jsonl:{line + 1} is damaged"):
            read(tmp_path)
    with pytest.raises(StoreError, match="is damaged"):
        RunStore(tmp_path).__enter__()  # and not "in use": the lock was given back


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 1}', '{"schema": 1, "suite": 3}'])
def test_a_damaged_manifest_is_an_error(tmp_path: Path, content: str) -> None:
    filled(tmp_path, 1)
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(StoreError, match=r"run\.json is damaged"):
        read_run(tmp_path)


def test_journals_without_a_manifest_are_an_error(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (tmp_path / "run.json").unlink()
    with pytest.raises(StoreError, match="not a run folder"):
        read_run(tmp_path)
    with pytest.raises(StoreError, match=r"journals but no run\.json"), RunStore(tmp_path):
        pass


@pytest.mark.parametrize("name", ["run.json", "journal-0000.jsonl"])
def test_a_newer_schema_is_refused_with_its_version(tmp_path: Path, name: str) -> None:
    filled(tmp_path, 1)
    path = tmp_path / name
    path.write_text(path.read_text().replace('"schema": 3', '"schema": 4'))
    if name != "run.json":
        path.write_bytes(sealed({**numbered(1).to_json(), "schema": 4}))
    with pytest.raises(
        StoreError,
        match=r"cannot be used: .*newer hnbench \(schema 4, this one reads up to 3\): update",
    ):
        read_run(tmp_path)


def test_another_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    before = (tmp_path / "run.json").read_bytes()
    other = json.loads(json.dumps(MANIFEST))
    other["config"]["steps"] = 4
    other["suite"]["judge"]["fingerprint"] = "k"
    with (
        RunStore(tmp_path) as store,
        pytest.raises(
            StoreError, match=r'judge: "j" there, "k" asked for; steps: 1 there, 4 asked for'
        ),
    ):
        store.begin(other, {})
    assert (tmp_path / "run.json").read_bytes() == before


def test_what_is_no_identity_may_differ(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    other = json.loads(json.dumps(MANIFEST))
    other["config"]["batch_size"] = 99
    other["generator"]["name"] = "the same by another name"
    other["training"] = {"hypernoise": {"seconds": 3.0}}
    with RunStore(tmp_path) as store:
        store.begin(other, {"started": "later"})
    filled(tmp_path)
    manifest = read_run(tmp_path).manifest
    assert [session["started"] for session in manifest["sessions"]] == ["now", "later", "now"]
    assert manifest["training"] == {
        "hypernoise": {"seconds": 3.0}
    }  # a later session without the method forgets nothing


def test_two_writers_in_one_process(tmp_path: Path) -> None:
    with (
        RunStore(tmp_path),
        pytest.raises(StoreError, match="in use by another process"),
        RunStore(tmp_path),
    ):
        pass
    with RunStore(tmp_path):
        pass


def test_two_writers_in_two_processes(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    code = f"""
from hnbench.errors import StoreError
from hnbench.files.journal import sealed
from hnbench.runs.store import RunStore, read_run
from hnbench.seeds import digest
import sys
assert "torch" not in sys.modules
print(len(read_run({str(tmp_path)!r}).records))
try:
    with RunStore({str(tmp_path)!r}):
        print("open")
except StoreError as error:
    print(error)
"""
    with RunStore(tmp_path):
        held = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.splitlines()
    free = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert held[0] == "1"
    assert "in use by another process" in held[1]
    assert free == ["1", "open"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_says_what_is_kept_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, room: int
) -> None:
    filled(tmp_path, 1)
    before = samples(tmp_path)
    with RunStore(tmp_path) as store:
        store.begin(MANIFEST, {})
        add(store, numbered(2))
        image = store.save_image(numbered(3).id, PNG)
        size = (tmp_path / "journal-0001.jsonl").stat().st_size
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", FullDisk(room, number))
            with pytest.raises(
                StoreError, match=rf"{os.strerror(number)}.*2 records are kept.*same command"
            ):
                store.add(replace(numbered(3), image=image))
            with pytest.raises(StoreError, match="2 records are kept"):
                store.save_image(numbered(4).id, PNG)
        assert (
            tmp_path / "journal-0001.jsonl"
        ).stat().st_size == size  # the part of a line is gone
        assert not (tmp_path / f"images/00/{4:064x}.png").exists()
        assert samples(tmp_path) == [*before, 2]
        store.add(replace(numbered(3), image=image))  # room was made
    assert samples(tmp_path) == [1, 2, 3]


def test_a_write_in_parts_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(
        os, "write", lambda descriptor, content: real(descriptor, bytes(content[:50]))
    )
    filled(tmp_path, 1, 2)
    assert samples(tmp_path) == [1, 2]
    assert damaged(tmp_path) == []


def test_a_real_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """The kernel itself cuts a line short: the limit falls within the second record."""
    filled(tmp_path)
    code = f"""
import resource, signal
from tests.runs.test_store import MANIFEST, numbered
from hnbench.errors import StoreError
from hnbench.files.journal import sealed
from hnbench.runs.store import RunStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with RunStore({str(tmp_path)!r}) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
    store.add(numbered(1))
    try:
        store.add(numbered(2))
    except StoreError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert "1 records are kept" in done.stdout
    assert samples(tmp_path) == [1]
    assert (tmp_path / "journal-0000.jsonl").read_bytes().endswith(b"}\n")


def test_every_record_is_flushed_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def kind(descriptor: int) -> str:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        return "journal" if "journal" in name else "image" if ".png" in name else "manifest"

    def sync(descriptor: int) -> None:
        events.append(f"sync {kind(descriptor)}")
        real_sync(descriptor)

    def swap(source: Path, target: Path) -> None:
        events.append(f"replace {target.suffix}")
        real_replace(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", swap)
    filled(tmp_path, 1, 2)
    one = ["sync image", "replace .png", "sync journal"]
    named = ["sync manifest", "replace .json"]  # run.json says which journal is the session's
    assert events == [*named, *one[:2], *named, one[2], *one]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written to"), RunStore(tmp_path / "file"):
        pass
    with pytest.raises(StoreError, match="not a run folder"):
        read_run(tmp_path / "absent")


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace_with_a_copy(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copytree(path, copy) if path.is_dir() else shutil.copy(path, copy)
    remove(path)
    copy.rename(path)


def move_away(path: Path) -> None:
    path.rename(path.with_name("moved"))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (name, change)
        for name in (".", ".lock-2-of-3", "run.json", "journal-0000.jsonl")
        for change in (remove, replace_with_a_copy, move_away)
        # Other sessions of the run replace it.
        if (name, change) != ("run.json", replace_with_a_copy)
    ],
)
def test_a_folder_that_is_taken_away_stops_the_run(
    tmp_path: Path, name: str, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "run"
    with RunStore(folder, Shard(2, 3)) as store:
        store.begin(MANIFEST, {})
        add(store, numbered(1))
        change((folder / name).resolve())
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(
            StoreError,
            match="was removed or replaced while this command was writing, so it stopped",
        ) as caught:
            add(store, numbered(2))
        assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(StoreError, match="was removed or replaced"):
            store.add(numbered(2))
        assert sorted(tmp_path.rglob("*")) == before, "it was written into nothing"


def test_another_session_may_write_the_manifest_but_not_that_of_another_run(tmp_path: Path) -> None:
    with RunStore(tmp_path, Shard(1, 2)) as one, RunStore(tmp_path, Shard(2, 2)) as other:
        one.begin(MANIFEST, {"started": "first"})
        add(one, numbered(1))
        other.begin(MANIFEST, {"started": "second"})
        add(other, numbered(2))
        add(one, numbered(3))
        assert [session["journal"] for session in read_run(tmp_path).manifest["sessions"]] == [
            "journal-0000.jsonl",
            "journal-0001.jsonl",
        ]
        changed = json.loads((tmp_path / "run.json").read_text())
        changed["config"]["steps"] = 4
        changed["identity"] = digest(shared_identity(changed))
        (tmp_path / "new").write_text(json.dumps(changed))
        (tmp_path / "new").replace(tmp_path / "run.json")
        with pytest.raises(StoreError, match="was removed or replaced"):
            add(one, numbered(4))


def test_a_failed_record_keeps_its_error(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.begin(MANIFEST, {})
        store.add(FAILED)
    assert read_run(tmp_path).records[0].error == Failure(
        type="NotFinite", message="the reward clip is not finite"
    )


@pytest.mark.parametrize("kind", ["a pipe", "a link"])
def test_what_lies_in_the_place_of_a_temporary_file_is_not_written_into(
    tmp_path: Path, kind: str
) -> None:
    outside, place = tmp_path / "outside", tmp_path / "run" / image_path(DONE.id)
    outside.write_bytes(b"mine")
    place.parent.mkdir(parents=True)
    temporary = place.with_name(f"{place.name}.tmp")
    if kind == "a pipe":
        os.mkfifo(temporary)
    else:
        temporary.symlink_to(outside)
    with RunStore(tmp_path / "run") as store:
        store.save_image(DONE.id, PNG)
    assert place.read_bytes() == PNG
    assert outside.read_bytes() == b"mine"
    assert not temporary.exists()


def test_the_initial_rewards_of_one_sample_are_in_memory_once(tmp_path: Path) -> None:
    world.run(tmp_path, full=False)
    by_sample: dict[str, set[int]] = {}
    for record in read_run(tmp_path).records:
        by_sample.setdefault(record.noise_sha256, set()).add(id(record.initial_rewards))
    assert [len(found) for found in by_sample.values()] == [1, 1]
