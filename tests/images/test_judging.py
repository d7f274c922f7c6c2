"""Scores of drawn images against what was drawn; verdicts are kept, and no image is judged
twice.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from hnbench.errors import StoreError, UsageError
from hnbench.images.finding import find_images
from hnbench.images.judging import Scores, judge_of, score, scores_folder
from hnbench.images.result_files import write_results
from hnbench.images.score_table import (
    correct_lines,
    correct_shares,
    sentences,
    summarise,
    table_of,
    to_json,
)
from hnbench.runs.shards import WHOLE, Shard
from hnbench.suites.base import Prompt, Verdict
from hnbench.suites.prompt_file import PromptSuite
from hnbench.suites.shapes import ShapesJudge, ShapesSuite
from tests.images.conftest import SmallSuite, Stages, draw_png

ONE_WRONG = {
    "single_object": 0.75,
    "two_object": 1.0,
    "counting": 0.5,
    "colors": 1.0,
    "position": 1.0,
    "color_attr": 0.0,
}


class Counting(ShapesJudge):
    """The suite's judge, which counts the images that it is shown and can be interrupted."""

    def __init__(self, patience: int = 1000) -> None:
        self.seen: list[int] = []
        self._patience = patience

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        if sum(self.seen) >= self._patience:
            raise KeyboardInterrupt
        self.seen.append(len(images))
        return super().judge(images, metadata)


class Grading(ShapesJudge):
    name = "grades/by area"

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        return [Verdict(None, score=0.25, details={"size": image.size}) for image in images]


def scored(
    folder: Path,
    suite: SmallSuite,
    judge: ShapesJudge,
    *,
    partial: bool = False,
    batch_size: int = 5,
    shard: Shard = WHOLE,
) -> Scores:
    found = find_images(folder, suite).usable(Stages(), partial=partial)
    out = scores_folder(folder, judge)
    return score(found, judge, out, batch_size=batch_size, progress=Stages(), shard=shard)


def spoil(folder: Path, suite: SmallSuite) -> None:
    """One of four single_object images, two of four counting images and all of color_attr show
    another single shape instead.
    """
    places = {
        "single_object": ["00000/samples/00001"],
        "counting": ["00004/samples/00000", "00005/samples/00001"],
    }
    places["color_attr"] = [
        f"000{number}/samples/0000{sample}" for number in (10, 11) for sample in (0, 1)
    ]
    single = [prompt.text for prompt in suite.prompts() if prompt.tag == "single_object"]
    wrong = next(
        text
        for text in ("a photo of a ring", "a photo of a heart", "a photo of a star")
        if text not in single
    )
    for seed, name in enumerate(name for names in places.values() for name in names):
        draw_png(folder / f"{name}.png", wrong, seed)


@pytest.mark.parametrize("layout", ["geneval", "compbench"])
def test_images_that_show_their_prompts_score_one(
    request: pytest.FixtureRequest, suite: SmallSuite, layout: str
) -> None:
    found = scored(request.getfixturevalue(layout), suite, ShapesJudge())
    lines = summarise(found)
    assert [(line.task, line.prompts, line.images, line.score.estimate) for line in lines] == [
        *((tag, 2, 4, 1.0) for tag in suite.tags),
        ("overall", 12, 24, 1.0),
    ]
    assert sentences(found) == []


def test_overall_is_the_mean_of_the_tasks(geneval: Path, suite: SmallSuite) -> None:
    spoil(geneval, suite)
    lines = {line.task: line for line in summarise(scored(geneval, suite, ShapesJudge()))}
    assert {task: line.score.estimate for task, line in lines.items()} == {
        **ONE_WRONG,
        "overall": pytest.approx(4.25 / 6),
    }
    counting = lines["counting"].score
    assert (counting.low, counting.high) == (0.5, 0.5)
    assert lines["overall"].score.low < 4.25 / 6 < lines["overall"].score.high


def test_a_prompt_is_correct_where_one_of_its_images_is(geneval: Path, suite: SmallSuite) -> None:
    spoil(geneval, suite)
    found = scored(geneval, suite, ShapesJudge())
    (shares,) = correct_shares(found)
    assert shares.label == ""
    assert (shares.images, shares.prompts) == pytest.approx((17 / 24, 10 / 12))
    assert to_json(found)["correct"] == [
        {"label": "", "images": shares.images, "prompts": shares.prompts}
    ]
    line = (
        "70.83% of the images are correct, and 83.33% of the prompts have a correct image; "
        "neither is the score."
    )
    assert correct_lines(found) == [line]
    # as GenEval's summary_scores.py has it
    lines = pd.read_json(write_results(found, geneval.parent), orient="records", lines=True)
    assert lines["correct"].mean() == shares.images
    assert lines.groupby("metadata")["correct"].any().mean() == shares.prompts


def test_a_judge_that_grades_has_no_shares_of_correct_images(
    geneval: Path, suite: SmallSuite
) -> None:
    found = scored(geneval, suite, Grading())
    assert correct_shares(found) == []
    assert to_json(found)["correct"] == []


def test_overall_weighs_tasks_alike_whatever_their_sizes(geneval: Path, suite: SmallSuite) -> None:
    spoil(geneval, suite)
    for name in ("00006", "00007/samples/00000.png", "00010"):
        path = geneval / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    found = scored(geneval, suite, ShapesJudge(), partial=True)
    lines = {line.task: line for line in summarise(found)}
    assert (lines["colors"].images, lines["color_attr"].images, lines["overall"].images) == (
        1,
        2,
        19,
    )
    assert lines["overall"].score.estimate == pytest.approx(4.25 / 6)
    partial, prompts = sentences(found)
    assert partial.startswith("PARTIAL: 2 prompts without images (colors/0000 ")
    assert "1 prompts with another number of images (colors/0001 has 1 of 2)" in partial
    assert prompts == "10 of the 12 prompts of small-shapes are in it."
    assert to_json(found)["complete"] is False


def test_tasks_that_are_not_there_are_named(geneval: Path, suite: SmallSuite) -> None:
    for number in (2, 3):
        shutil.rmtree(geneval / f"{number:05}")
    found = scored(geneval, suite, ShapesJudge(), partial=True)
    assert "Overall is the mean of 5 of 6 tasks; without two_object." in sentences(found)
    assert "10 of the 12 prompts of small-shapes are in it." in sentences(found)
    assert "two_object" not in [line.task for line in summarise(found)]


def test_nothing_is_judged_twice(geneval: Path, suite: SmallSuite) -> None:
    judge = Counting()
    first = scored(geneval, suite, judge)
    assert (first.new, judge.seen) == (24, [5, 5, 5, 5, 4])
    shutil.move(geneval / "00000", geneval / "00123")
    again = scored(geneval, suite, judge)
    assert (again.new, len(judge.seen)) == (0, 5)
    assert summarise(again) == summarise(first)
    draw_png(geneval / "00123/samples/00001.png", suite.prompts()[0].text, 99)
    assert scored(geneval, suite, judge).new == 1


def test_an_interrupted_score_continues(geneval: Path, suite: SmallSuite) -> None:
    with pytest.raises(KeyboardInterrupt):
        scored(geneval, suite, Counting(patience=10))
    journal = scores_folder(geneval, ShapesJudge()) / "journal.jsonl"
    assert len(journal.read_text().splitlines()) == 10
    with journal.open("ab") as file:
        file.write(b'{"schema":1,"key":"torn')
    judge = Counting()
    assert scored(geneval, suite, judge).new == sum(judge.seen) == 14
    assert len([json.loads(line) for line in journal.read_text().splitlines()]) == 24


def test_another_judge_judges_anew(
    geneval: Path, suite: SmallSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(geneval, suite, ShapesJudge())
    monkeypatch.setattr("hnbench.shapes.detector.THRESHOLD", 0.7)
    assert scored(geneval, suite, ShapesJudge()).new == 24


def test_the_same_image_for_another_prompt_is_another_verdict(
    geneval: Path, suite: SmallSuite
) -> None:
    shutil.copy(geneval / "00000/samples/00000.png", geneval / "00001/samples/00000.png")
    found = scored(geneval, suite, ShapesJudge())
    assert [verdict.correct for verdict in found.verdicts[:3]] == [True, True, False]


def test_results_have_geneval_s_columns(geneval: Path, suite: SmallSuite) -> None:
    spoil(geneval, suite)
    found = scored(geneval, suite, ShapesJudge())
    path = write_results(found, scores_folder(geneval, ShapesJudge()))
    frame = pd.read_json(path, orient="records", lines=True)
    assert list(frame.columns) == [
        "filename",
        "tag",
        "prompt",
        "correct",
        "reason",
        "metadata",
        "details",
    ]
    assert frame.groupby("tag")["correct"].mean().to_dict() == ONE_WRONG
    assert frame.groupby("metadata").ngroups == 12
    assert json.loads(frame["metadata"][0]) == suite.prompts()[0].metadata
    assert frame["filename"][1] == "00000/samples/00001.png"
    assert "expected" in frame["reason"][1]
    written = json.loads((path.parent / "scores.json").read_text())
    assert written["judge"] == {"name": "shapes-detector", "fingerprint": ShapesJudge().fingerprint}
    assert [line["score"]["estimate"] for line in written["scores"][:-1]] == list(
        ONE_WRONG.values()
    )


def test_grades_are_kept_as_grades(geneval: Path, suite: SmallSuite) -> None:
    found = scored(geneval, suite, Grading())
    again = scored(geneval, suite, Grading())
    assert again.new == 0
    assert {line.score.estimate for line in summarise(again)} == {0.25}
    folder = scores_folder(geneval, Grading())
    assert folder.name == "scores-grades_by_area"
    line = json.loads(write_results(found, folder).read_text().splitlines()[0])
    assert (line["correct"], line["score"], json.loads(line["details"])) == (
        None,
        0.25,
        {"size": [64, 64]},
    )


def test_the_table_shows_every_task(geneval: Path, suite: SmallSuite) -> None:
    table = table_of(scored(geneval, suite, ShapesJudge()))
    assert [column.header for column in table.columns] == [
        "task",
        "prompts",
        "images",
        "score",
        "95%",
    ]
    assert list(table.columns[0].cells) == [*suite.tags, "overall"]
    assert list(table.columns[3].cells) == ["1.0000"] * 7


def test_a_damaged_journal_is_told_by_its_line(geneval: Path, suite: SmallSuite) -> None:
    scored(geneval, suite, ShapesJudge())
    path = scores_folder(geneval, ShapesJudge()) / "journal.jsonl"
    lines = path.read_text().splitlines()
    for damaged in (
        "{",
        "7",
        '{"schema": "new", "key": "a"}',
        json.dumps({**json.loads(lines[2]), "verdict": {"correct": "yes"}}),
    ):
        path.write_text("\n".join([*lines[:2], damaged, *lines[3:]]) + "\n")
        with pytest.raises(StoreError, match=r"journal\.jsonl:3 is damaged"):
            scored(geneval, suite, ShapesJudge())


def test_a_judge_that_fails_its_check_judges_nothing(geneval: Path, suite: SmallSuite) -> None:
    class Blind(Counting):
        def verify(self) -> None:
            raise UsageError("sees nothing")

    with pytest.raises(UsageError, match="sees nothing"):
        scored(geneval, suite, Blind())
    assert not (scores_folder(geneval, Blind()) / "journal.jsonl").exists()
    scored(geneval, suite, Counting())
    assert scored(geneval, suite, Blind()).new == 0


def test_one_process_at_a_time(geneval: Path, suite: SmallSuite) -> None:
    folder = scores_folder(geneval, ShapesJudge())
    folder.mkdir()
    with FileLock(folder / ".lock"), pytest.raises(StoreError, match="in use by another process"):
        scored(geneval, suite, ShapesJudge())


def test_shards_judge_every_image_once_and_their_union_is_the_score(
    tmp_path: Path, geneval: Path, suite: SmallSuite
) -> None:
    spoil(geneval, suite)
    shutil.copytree(geneval, tmp_path / "copy")
    whole = scored(tmp_path / "copy", suite, ShapesJudge())
    seen, found = [], None
    for turn, number in enumerate((2, 3, 1), start=1):
        judge = Counting()
        found = scored(geneval, suite, judge, shard=Shard(number, 3))
        seen.append(sum(judge.seen))
        assert (found.new, found.missing) == (8, 24 - 8 * turn)
        assert len(found.verdicts) == len(found.inventory.images) == 8 * turn
    assert found
    assert seen == [8, 8, 8]
    assert found.verdicts == whole.verdicts
    assert [one.name for one in found.inventory.images] == [
        one.name for one in whole.inventory.images
    ]
    folder = scores_folder(geneval, ShapesJudge())
    assert sorted(path.name for path in folder.glob("*.jsonl")) == [
        f"journal-{number}-of-3.jsonl" for number in (1, 2, 3)
    ]
    assert scored(geneval, suite, Counting()).new == 0, "a single process knows them all"
    # What one of them did not do, any other does.
    (folder / "journal-2-of-3.jsonl").unlink()
    assert scored(geneval, suite, Counting(), shard=Shard(1, 2)).missing == 4
    assert scored(geneval, suite, Counting()).new == 4


def test_an_image_that_changes_meanwhile_is_told(geneval: Path, suite: SmallSuite) -> None:
    found = find_images(geneval, suite).usable(Stages(), partial=False)
    draw_png(geneval / "00000/samples/00000.png", suite.prompts()[0].text, 1234)
    with pytest.raises(UsageError, match="was changed: its SHA-256"):
        score(found, ShapesJudge(), geneval / "scores", batch_size=4, progress=Stages())


def test_a_suite_without_a_judge_cannot_score() -> None:
    with pytest.raises(UsageError, match="the suite mine has no judge"):
        judge_of(PromptSuite("mine", [Prompt("0", "a", "b")], samples=1, quick=1), "cpu")
    assert judge_of(ShapesSuite(), "cpu").name == "shapes-detector"
