"""Work that is killed at random moments and continued is the work that was never interrupted.

After every kill, whatever was written can be read, and every record whose write had returned is
there, once, with its image.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hnbench.errors import HnbenchError
from hnbench.hypernetwork.folder import TrainingFolder
from hnbench.reports.summary import summarise_runs
from tests.storm import work
from tests.storm.children import Aim, start
from tests.storm.findings import TO_THE_BYTE, Findings, keys_of, lines_of, repeats, sha256, tree

pytestmark = pytest.mark.storm

QUICK = {
    "store": 150,
    "run": 50,
    "train": 15,
    "score": 20,
    "measure": 15,
    "export": 25,
    "report": 10,
}
FULL = {
    "store": 1000,
    "run": 500,
    "train": 150,
    "score": 150,
    "measure": 150,
    "export": 150,
    "report": 100,
}
"""Kills by what is killed."""

TOYS = ["--generator", "toy", "--optimise", "brightness=1.0"]
RUN = [
    "run",
    "--suite",
    "toy-suite",
    *TOYS,
    "--hold-out",
    "red",
    "--device",
    "cpu",
    "--full",
    "--batch-size",
    "5",
    "--no-report",
]
METHODS = ["--method", "best-of-n:n=4", "--method", "reno:iterations=2"]
TRAIN = [
    "train",
    *TOYS,
    "--prompts",
    "prompts.txt",
    "--rank",
    "2",
    "--steps",
    "7",
    "--device",
    "cpu",
    "--out",
    "trained",
]
SCORE = [
    "score",
    "run",
    "--suite",
    "toy-suite",
    "--device",
    "cpu",
    "--batch-size",
    "5",
    "--out",
    "scores",
]
MEASURE = [
    "measure",
    "run",
    "--measure",
    "lpips",
    "--measure",
    "shift",
    "--device",
    "cpu",
    "--out",
    "measures",
]
EXPORT = ["export", "run", "--layout", "t2i-compbench", "--out", "exported"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it, never interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "whole"
    folder.mkdir()
    (folder / "prompts.txt").write_text("low 0\nlow 1\nhigh 0\nhigh 1\n")
    for arguments in (
        [*RUN, *METHODS, "--out", "run"],
        [*RUN, "--method", "random", "--out", "small"],
        TRAIN,
        SCORE,
        MEASURE,
        EXPORT,
    ):
        start(work.command, folder, *arguments)
    return folder


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.node.name)


@pytest.fixture
def sizes(request: pytest.FixtureRequest) -> dict[str, int]:
    return FULL if request.config.getoption("--full") else QUICK


def storm(
    kills: int,
    tmp_path: Path,
    process: tuple[Callable[..., None], list[str]],
    aim: Callable[[], Aim],
    *,
    prepare: Callable[[Path], None],
    look: Callable[[Findings, Path, set[str]], None],
    compare: Callable[[Findings, Path], None],
) -> Findings:
    """Begin a work anew, kill it on its way until it is done, and again, until there were so many
    kills; `look` after each of them.
    """
    findings, (task, arguments) = Findings(), process
    while findings.kills < kills:
        folder = tmp_path / str(findings.rounds)
        folder.mkdir()
        prepare(folder)
        written: set[str] = set()
        finished = False
        while not finished:
            told = start(task, folder, *arguments, aim=aim() if findings.kills < kills else None)
            written.update(told.of("record"))
            finished = told.finished
            findings.kills += not finished
            findings.after_a_record += not finished and bool(told.of("record"))
            look(findings, folder, written)
        findings.rounds += 1
        compare(findings, folder)
        shutil.rmtree(folder)
    return findings


def conclude(findings: Findings, *, records: bool = True) -> None:
    """Print the counts, and fail where there was a fault, or the kills missed the work."""
    print(findings)
    assert not findings.faults
    assert not records or findings.after_a_record > findings.kills / 2


def nothing(_: Path) -> None:
    """No preparation."""


def with_run(whole: Path) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        shutil.copytree(whole / "run", folder / "run")

    return prepare


def look_at_journal(path: str) -> Callable[[Findings, Path, set[str]], None]:
    def look(findings: Findings, folder: Path, written: set[str]) -> None:
        keys = keys_of(folder / path)
        findings.lost += len(written - set(keys))
        findings.doubled += repeats(keys)

    return look


def test_the_store(whole: Path, tmp_path: Path, dice: random.Random, sizes: dict[str, int]) -> None:
    def compare(findings: Findings, folder: Path) -> None:
        findings.compare_runs(folder / "run", whole / "run", to_the_byte=True)

    conclude(
        storm(
            sizes["store"],
            tmp_path,
            (work.store, [str(whole / "run")]),
            lambda: Aim.random(dice, "record", 6, 0.004),
            prepare=nothing,
            look=lambda findings, folder, written: findings.look_at_run(folder / "run", written),
            compare=compare,
        )
    )


def test_run(whole: Path, tmp_path: Path, dice: random.Random, sizes: dict[str, int]) -> None:
    conclude(
        storm(
            sizes["run"],
            tmp_path,
            (work.command, [*RUN, *METHODS, "--out", "run"]),
            lambda: Aim.random(dice, "record", 8, 0.03),
            prepare=nothing,
            look=lambda findings, folder, written: findings.look_at_run(folder / "run", written),
            compare=lambda findings, folder: findings.compare_runs(
                folder / "run", whole / "run", to_the_byte=TO_THE_BYTE
            ),
        )
    )


def test_train(whole: Path, tmp_path: Path, dice: random.Random, sizes: dict[str, int]) -> None:
    def prepare(folder: Path) -> None:
        shutil.copy(whole / "prompts.txt", folder)

    def look(findings: Findings, folder: Path, written: set[str]) -> None:
        training = TrainingFolder(folder / "trained")
        weights = training.adapter / "adapter_model.safetensors"
        if training.adapter.exists():
            findings.differing += not weights.exists() or sha256(weights) != sha256(
                whole / "trained/adapter" / weights.name
            )
            return
        try:
            state = training.load()
        except HnbenchError:
            findings.unreadable += 1
            return
        findings.lost += (state.step if state else 0) < max(map(int, written), default=0)

    def compare(findings: Findings, folder: Path) -> None:
        for place in (folder, whole):
            forget_time(place / "trained")
        findings.compare_trees(folder / "trained", whole / "trained")

    conclude(
        storm(
            sizes["train"],
            tmp_path,
            (work.command, TRAIN),
            lambda: Aim.random(dice, "file", 60, 0.01),
            prepare=prepare,
            look=look,
            compare=compare,
        ),
        records=False,
    )


def forget_time(training: Path) -> None:
    """Take out of a training's files what no two trainings have in common."""
    about = training / "adapter/hnbench.json"
    about.write_text(json.dumps(timeless(json.loads(about.read_text()))))
    log = training / "train.jsonl"
    log.write_text("".join(f"{json.dumps(timeless(line))}\n" for line in lines_of(log)))
    page = training / "index.html"
    page.write_text(re.sub(r"<tr><th[^>]*>[^<]*(second|memory).*</tr>", "", page.read_text()))


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: timeless(item)
            for name, item in value.items()
            if "second" not in name and "memory" not in name
        }
    return value


def test_score(whole: Path, tmp_path: Path, dice: random.Random, sizes: dict[str, int]) -> None:
    def compare(findings: Findings, folder: Path) -> None:
        findings.compare_trees(folder / "scores", whole / "scores")

    conclude(
        storm(
            sizes["score"],
            tmp_path,
            (work.command, SCORE),
            lambda: Aim.random(dice, "record", 15, 0.01),
            prepare=with_run(whole),
            look=look_at_journal("scores/journal.jsonl"),
            compare=compare,
        )
    )


def test_measure(whole: Path, tmp_path: Path, dice: random.Random, sizes: dict[str, int]) -> None:
    def compare(findings: Findings, folder: Path) -> None:
        findings.differing += values_of(folder / "measures/journal.jsonl") != values_of(
            whole / "measures/journal.jsonl"
        )

    conclude(
        storm(
            sizes["measure"],
            tmp_path,
            (work.command, MEASURE),
            lambda: Aim.random(dice, "record", 3, 0.01),
            prepare=with_run(whole),
            look=look_at_journal("measures/journal.jsonl"),
            compare=compare,
        )
    )


def values_of(journal: Path) -> dict[tuple[str, str, str], Any]:
    """What a journal of measures says, however its rows are cut; a value that is said twice is a
    fault.
    """
    found = [
        ((line["measure"], line["label"], key), value)
        for line in lines_of(journal)
        if "values" in line
        for key, value in line["values"].items()
    ]
    assert not repeats(str(key) for key, _ in found)
    return dict(found)


def test_export(whole: Path, tmp_path: Path, dice: random.Random, sizes: dict[str, int]) -> None:
    def look(findings: Findings, folder: Path, _: set[str]) -> None:
        wanted = tree(whole / "exported")
        there = {
            name: value
            for name, value in tree(folder / "exported").items()
            if not name.endswith(".working")
        }
        findings.differing += any(value != wanted.get(name) for name, value in there.items())

    conclude(
        storm(
            sizes["export"],
            tmp_path,
            (work.command, EXPORT),
            lambda: Aim.random(dice, "file", 60, 0.01),
            prepare=with_run(whole),
            look=look,
            compare=lambda findings, folder: findings.compare_trees(
                folder / "exported", whole / "exported"
            ),
        ),
        records=False,
    )


def shown(folder: Path) -> dict[str, str]:
    """The files of a report, without those that it works with."""
    return {
        name: content
        for name, content in tree(folder).items()
        if not name.startswith(".hnbench-report")
    }


def test_report(whole: Path, tmp_path: Path, dice: random.Random, sizes: dict[str, int]) -> None:
    """Of a report that is written over another run's, every file is at every moment of one of the
    two, whole; at last all are of one.
    """
    findings, reports = Findings(), {}
    for name in ("run", "small"):
        # As deep as the folder of the kills, so that links to the run's images are equal.
        (alone := tmp_path / f"{name}-alone").mkdir()
        start(work.command, alone, "report", str(whole / name), "--out", "report")
        reports[name] = shown(alone / "report")
    assert reports["run"] != reports["small"]
    folder = tmp_path / "reports"
    folder.mkdir()
    for name in itertools.cycle(reports):
        aim = (
            Aim.random(dice, "file", 3 * len(reports[name]), 0.05)
            if findings.kills < sizes["report"]
            else None
        )
        told = start(work.command, folder, "report", str(whole / name), "--out", "report", aim=aim)
        findings.kills += not told.finished
        findings.rounds += told.finished
        found = shown(folder / "report") if (folder / "report").exists() else {}
        findings.differing += any(
            content not in [one.get(file) for one in reports.values()]
            for file, content in found.items()
        )
        if aim is None:
            break
    findings.differing += shown(folder / "report") != reports[name]
    findings.left_over += len([path for path in folder.iterdir() if path.name != "report"])
    assert summarise_runs([whole / "run"])
    conclude(findings, records=False)
