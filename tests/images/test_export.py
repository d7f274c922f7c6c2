"""A run's images in other projects' layouts: what is written, what is refused, and that a score of
it is the run's own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hnbench.errors import UsageError
from hnbench.generators.base import Conditioning, Generator
from hnbench.images.export import Layout, export
from hnbench.images.finding import find_images
from hnbench.images.inventory import NOT_DONE, UNREADABLE, Inventory
from hnbench.images.judging import score
from hnbench.images.layouts.run import read_run_images
from hnbench.images.layouts.t2i_compbench import require_names
from hnbench.images.score_table import summarise
from hnbench.methods.base import Outcome
from hnbench.rewards.base import Reward
from hnbench.runs.store import read_run
from hnbench.seeds import NoiseSource, seed_of
from hnbench.shapes.captions import by_text
from hnbench.shapes.drawing import draw
from hnbench.suites.shapes import ShapesJudge
from hnbench.tasks import Task
from hnbench.testing.toys import RedReward, ToyGenerator
from tests.images.conftest import SmallSuite, Stages
from tests.runs.world import WorldMethod, WorldSuite, run
from tests.suites.protocols import tasks_of


@dataclass
class Drawn(WorldMethod):
    """Draws a scene of the prompt where a coin says so, and of one fixed caption elsewhere; with
    another coin for each label.
    """

    name = "random"

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name,)

    def propose(
        self, tasks: Sequence[Task], generator: Generator, reward: Reward, noises: NoiseSource
    ) -> Iterator[Outcome]:
        del generator, reward
        for task in tasks:
            rng = np.random.default_rng(seed_of(self.name, task.prompt, task.sample))
            text = task.prompt if rng.random() < 0.6 else "a photo of a ring"
            image = torch.from_numpy(draw(by_text()[text].scene(rng), rng)).permute(2, 0, 1) / 255
            yield Outcome(task, self.name, image, noises.draw(task))


class Other(Drawn):
    name = "other"


class Large(ToyGenerator):
    """Its images are as large as the scenes that the methods draw."""

    def generate(self, noise: Tensor, conditioning: Conditioning, steps: int = 1) -> Tensor:
        return (
            super()
            .generate(noise, conditioning, steps)
            .repeat_interleave(8, 2)
            .repeat_interleave(8, 3)
        )


@pytest.fixture
def folder(tmp_path: Path, suite: SmallSuite) -> Path:
    run(tmp_path / "run", [Drawn(), Other()], suite=suite, generator=Large(), reward=RedReward())
    return tmp_path / "run"


def exported(
    folder: Path,
    suite: SmallSuite,
    out: Path,
    layout: Layout = "geneval",
    labels: Sequence[str] = (),
    *,
    partial: bool = False,
) -> dict[str, Path]:
    run = read_run(folder)
    return export(
        run,
        read_run_images(run, suite, labels).usable(Stages(), partial=partial),
        layout,
        out,
        Stages(),
    )


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def verdicts(found: Inventory) -> dict[tuple[str, int], bool | None]:
    found = found.usable(Stages(), partial=False)
    scores = score(found, ShapesJudge(), found.folder / "scores", batch_size=7, progress=Stages())
    return {
        (image.prompt.id, image.sample): verdict.correct
        for image, verdict in zip(found.images, scores.verdicts, strict=True)
    }


@pytest.mark.parametrize("layout", ["geneval", "t2i-compbench"])
def test_the_score_of_an_export_is_the_run_s_own(
    folder: Path, suite: SmallSuite, tmp_path: Path, layout: Layout
) -> None:
    places = exported(folder, suite, tmp_path / "out", layout)
    assert places == {"random": tmp_path / "out/random", "other": tmp_path / "out/other"}
    rights = []
    for label, place in places.items():
        own = {
            (record.prompt_id, record.sample): record.verdict and record.verdict.correct
            for record in read_run(folder).records
            if record.label == label
        }
        assert len(own) == 24
        assert 0 < sum(map(bool, own.values())) < 24
        assert verdicts(find_images(place, suite)) == own
        rights.append(own)
    assert rights[0] != rights[1]


def test_a_run_is_scored_label_by_label(folder: Path, suite: SmallSuite) -> None:
    found = find_images(folder, suite).usable(Stages(), partial=False)
    scores = score(found, ShapesJudge(), folder / "scores", batch_size=9, progress=Stages())
    lines = {
        line.label: line.score.estimate for line in summarise(scores) if line.task == "overall"
    }
    records = read_run(folder).records
    for label in ("random", "other"):
        by_tag = [
            [
                record.verdict.value
                for record in records
                if record.verdict and (record.label, record.tag) == (label, tag)
            ]
            for tag in suite.tags
        ]
        assert lines[label] == pytest.approx(
            sum(sum(values) / len(values) for values in by_tag) / 6
        )
    assert {image.label for image in find_images(folder, suite, labels=["other"]).images} == {
        "other"
    }
    with pytest.raises(UsageError, match="no label 'reno'; choose from: random, other"):
        find_images(folder, suite, labels=["reno"])
    with pytest.raises(UsageError, match="leave out `quick`"):
        find_images(folder, suite, quick=True)


def test_what_geneval_s_layout_is(folder: Path, suite: SmallSuite, tmp_path: Path) -> None:
    place = exported(folder, suite, tmp_path, labels=["other"])["other"]
    names = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert names == {
        "export.json",
        *(f"{number:05}/metadata.jsonl" for number in range(12)),
        *(f"{number:05}/samples/0000{sample}.png" for number in range(12) for sample in (0, 1)),
    }
    assert json.loads((place / "00004/metadata.jsonl").read_text()) == suite.prompts()[4].metadata
    (record,) = [
        each
        for each in read_run(folder).records
        if (each.label, each.prompt_id, each.sample) == ("other", suite.prompts()[4].id, 1)
    ]
    assert record.image
    assert (
        hashlib.sha256((place / "00004/samples/00001.png").read_bytes()).hexdigest()
        == record.image.sha256
    )


def test_what_compbench_s_layout_is(folder: Path, suite: SmallSuite, tmp_path: Path) -> None:
    place = exported(folder, suite, tmp_path, "t2i-compbench", ["other"])["other"]
    first, second = (prompt.text for prompt in suite.prompts() if prompt.tag == "colors")
    assert sorted(path.name for path in (place / "colors/samples").iterdir()) == sorted(
        [
            f"{first}_000000.png",
            f"{first}_000001.png",
            f"{second}_000002.png",
            f"{second}_000003.png",
        ]
    )


def test_the_same_export_again_adds_what_is_missing(
    folder: Path, suite: SmallSuite, tmp_path: Path
) -> None:
    (tmp_path / "out/random").mkdir(parents=True)
    (tmp_path / "out/random/.working").write_bytes(b"of an export that was killed at once")
    place = exported(folder, suite, tmp_path / "out")["random"]
    before = content(place)
    (place / "00003/samples/00001.png").unlink()
    (place / ".working").write_bytes(b"of a killed export")
    exported(folder, suite, tmp_path / "out")
    after = content(place)
    assert {name for name in before if after[name] != before[name]} == {"00003/samples/00001.png"}
    assert after.keys() == before.keys()


@pytest.mark.parametrize("case", ["other layout", "other folder", "other file"])
def test_something_else_is_not_written_over(
    folder: Path, suite: SmallSuite, tmp_path: Path, case: str
) -> None:
    out = tmp_path / "out"
    layout: Layout = "geneval"
    if case == "other folder":
        (out / "other").mkdir(parents=True)
        (out / "other/thesis.tex").write_text("years")
        message = "holds something else"
    else:
        exported(folder, suite, out)
        (out / "random/00000/samples/00000.png").write_bytes(b"mine")
        message = "is not what this export would write"
    if case == "other layout":
        layout, message = "t2i-compbench", "holds the export of another run, plan or layout"
    before = content(out)
    with pytest.raises(UsageError, match=message):
        exported(folder, suite, out, layout)
    assert content(out) == before


def test_an_incomplete_run_is_exported_on_request_only(
    folder: Path, suite: SmallSuite, tmp_path: Path
) -> None:
    images = [
        record.image.path
        for record in read_run(folder).records
        if record.image and record.label == "other"
    ]
    (folder / images[0]).write_bytes((folder / images[1]).read_bytes())
    with pytest.raises(UsageError, match="1 images that cannot be read"):
        exported(folder, suite, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    journals = sorted(folder.glob("journal-*.jsonl"))
    journals[-1].write_text(
        "".join(line + "\n" for line in journals[-1].read_text().splitlines()[:-1])
    )
    found = read_run_images(read_run(folder), suite)
    assert {kind: len(where) for kind, where in found.problems.items()} == {NOT_DONE: 1}
    assert {
        kind: len(where) for kind, where in found.usable(Stages(), partial=True).problems.items()
    } == {NOT_DONE: 1, UNREADABLE: 1}
    places = exported(folder, suite, tmp_path / "out", partial=True)
    assert len(list(places["other"].glob("*/samples/*"))) == 22
    assert len(list(places["random"].glob("*/samples/*"))) == 24


def test_a_suite_without_geneval_s_metadata(tmp_path: Path) -> None:
    world = WorldSuite()
    run(tmp_path / "run", suite=world)
    found = read_run_images(read_run(tmp_path / "run"), world).usable(Stages(), partial=False)
    with pytest.raises(UsageError, match="the prompts of world have no GenEval metadata"):
        export(read_run(tmp_path / "run"), found, "geneval", tmp_path / "out", Stages())
    folders = export(read_run(tmp_path / "run"), found, "t2i-compbench", tmp_path / "out", Stages())
    assert set(folders) == {
        "random",
        "best-of-2",
        "best-of-4",
        "climb",
    }
    assert len(list((tmp_path / "out/climb/light/samples").iterdir())) == 6


def test_a_run_s_plan_is_enough(folder: Path, suite: SmallSuite, tmp_path: Path) -> None:
    own, planned = read_run_images(read_run(folder), suite), read_run_images(read_run(folder), None)
    assert [
        (image.name, image.prompt.text, image.prompt.tag, image.number) for image in planned.images
    ] == [(image.name, image.prompt.text, image.prompt.tag, image.number) for image in own.images]
    assert (planned.complete, planned.suite.name, planned.suite.tags) == (
        True,
        suite.name,
        suite.tags,
    )
    assert set(tasks_of(planned.suite, full=False)) == set(tasks_of(suite, full=True))
    usable = planned.usable(Stages(), partial=False)
    export(read_run(folder), usable, "t2i-compbench", tmp_path / "planned", Stages())
    exported(folder, suite, tmp_path / "own", "t2i-compbench")
    names = [
        {
            path.relative_to(tmp_path / place): path.read_bytes()
            for path in (tmp_path / place).rglob("*.png")
        }
        for place in ("own", "planned")
    ]
    assert names[0] == names[1] != {}


def test_labels_that_cannot_name_a_folder_have_folders_of_their_own(
    tmp_path: Path, suite: SmallSuite
) -> None:
    class Up(Drawn):
        name = "../up"

    class Down(Drawn):
        name = "..\\up"

    run(
        tmp_path / "run",
        [Drawn(), Up(), Down()],
        suite=suite,
        generator=Large(),
        reward=RedReward(),
    )
    places = exported(tmp_path / "run", suite, tmp_path / "out")
    assert len(set(places.values())) == 3
    assert all(
        place.parent == tmp_path / "out" and re.fullmatch(r"random|_up-[0-9a-f]{8}", place.name)
        for place in places.values()
    )
    assert {len(list(place.glob("*/samples/*.png"))) for place in places.values()} == {24}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("../../etc/passwd", "has the character '/'"),
        ("a\\b", "has the character"),
        ("snake_case", "has the character '_'"),
        ("a\0b", "has the character"),
        ("two\nlines", "has the character"),
        ("half \ud800 a character", "has the character"),
        (".hidden", "begins with a dot"),
        ("..", "begins with a dot"),
        ("", "is empty"),
        (" a ", "begins or ends with a space"),
        ("a" * 151, "is longer than 150 characters"),
        ("日" * 100, "than a file name can be"),
    ],
)
def test_prompts_that_are_no_file_names(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        require_names(["a photo of a ring.", text])


def test_prompts_that_are_file_names() -> None:
    require_names(["a photo of a ring.", "a" * 150, "l'été à 5 °C, “quoted”; $HOME * ?"])


def test_no_prompt_becomes_a_path(tmp_path: Path) -> None:
    class Climbing(WorldSuite):
        def prompts(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            first, *others = super().prompts()
            return (
                type(first)(first.id, "../../../out of here", first.tag, first.metadata),
                *others,
            )

    run(tmp_path / "run", suite=Climbing())
    found = read_run_images(read_run(tmp_path / "run"), Climbing()).usable(Stages(), partial=False)
    with pytest.raises(UsageError, match="has the character '/'"):
        export(read_run(tmp_path / "run"), found, "t2i-compbench", tmp_path / "a/b/c/d", Stages())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
