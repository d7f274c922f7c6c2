"""An oracle is given the judge's grades, and only an oracle is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import hnbench
from hnbench.errors import UsageError
from hnbench.methods.hybrid import Hybrid
from hnbench.methods.oracle import Oracle
from hnbench.reports.headlines import headlines
from hnbench.reports.labels import has_point, is_oracle, style_of
from hnbench.reports.summary import summarise_runs
from hnbench.runs.judged_reward import JudgedReward
from hnbench.runs.plan import oracles_in
from hnbench.runs.shards import Shard
from hnbench.runs.store import read_run
from hnbench.suites.base import Prompt, Verdict
from hnbench.testing.toys import BrightnessReward
from tests.runs.world import Base, WorldJudge, WorldSuite, run


class GradedJudge(WorldJudge):
    """Grades by the share of red, which the brightness that is optimised does not."""

    @staticmethod
    def verdict(image: Image.Image, about: Mapping[str, Any]) -> Verdict:
        red = sum(image.tobytes()[::3]) / (image.width * image.height * 255)
        return Verdict(None, score=red if about["tag"] == "light" else 1 - red)


class GradedSuite(WorldSuite):
    def __init__(self) -> None:
        super().__init__()
        self.one_judge = GradedJudge()


SETTINGS: dict[str, Any] = {"iterations": 30, "learning_rate": 0.1, "radius": 0.5}


def grades(folder: Path, label: str) -> list[float]:
    return [
        record.verdict.value
        for record in read_run(folder).records
        if record.label == label and record.verdict is not None
    ]


def test_an_oracle_raises_the_grade_and_a_method_does_not_see_it(tmp_path: Path) -> None:
    suite = GradedSuite()
    run(tmp_path, [Base(), Hybrid(**SETTINGS), Oracle(**SETTINGS)], suite=suite)
    base, blind, seeing = (grades(tmp_path, label) for label in ("random", "hybrid", "oracle"))
    assert len(base) == len(blind) == len(seeing) == 12
    # The best of 30 iterates by the judge itself, the first of which is the base's image.
    assert all(one >= other for one, other in zip(seeing, base, strict=True))
    assert sum(seeing) > sum(base) + 0.5
    # Brightness alone makes dark prompts worse.
    assert any(one < other for one, other in zip(blind, base, strict=True))


def test_its_record_has_the_rewards_and_the_passes_of_the_judge(tmp_path: Path) -> None:
    run(tmp_path, [Base(), Oracle(**SETTINGS)], suite=GradedSuite())
    for record in read_run(tmp_path).records:
        assert set(record.rewards) == {"brightness", "red", "optimised"}
        if record.label == "oracle":
            assert record.trajectory is None
            assert record.cost.reward_forward == 30 + 4 * 29
            assert record.cost.generator_backward == 29
            assert record.cost.reward_backward == 0


class Unjudged(WorldSuite):
    def judge(self, *, device: str = "cpu") -> None:  # type: ignore[override]
        del device


def test_a_suite_without_judge_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the suite world has no judge; leave the oracle out"):
        run(tmp_path, [Base(), Oracle(**SETTINGS)], suite=Unjudged())
    assert not (tmp_path / "run.json").exists()


def test_the_grade_is_that_of_the_image_as_it_would_be_saved() -> None:
    judge = GradedJudge()
    reward = JudgedReward(judge, WorldSuite().prompts())
    images = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    texts = [prompt.text for prompt in WorldSuite().prompts()][:3]
    expected = (images[:, 0] * 255).round().mean((1, 2)) / 255
    assert reward.score(images, texts).tolist() == pytest.approx((1 - expected).tolist(), abs=1e-6)
    assert reward.fingerprint == judge.fingerprint
    assert not reward.score(images.requires_grad_(), texts).requires_grad


def twice(other: Mapping[str, Any]) -> Sequence[Prompt]:
    return [Prompt("a", "text", "dark", {"limit": 1}), Prompt("b", "text", "dark", other)]


def test_texts_that_are_judged_in_two_ways_are_refused() -> None:
    JudgedReward(WorldJudge(), twice({"limit": 1}))
    with pytest.raises(UsageError, match="two prompts of the suite have the text 'text'"):
        JudgedReward(WorldJudge(), twice({"limit": 2}))


def test_only_an_oracle_sees_the_judge() -> None:
    assert Oracle().sees_judge
    assert not Hybrid().sees_judge
    assert not isinstance(BrightnessReward(), JudgedReward)


class Seer(Hybrid):
    """An oracle of another package, with a name that says nothing."""

    name = "seer"
    sees_judge = True


def test_a_report_marks_an_oracle_of_another_package(tmp_path: Path) -> None:
    methods = [Base(), Hybrid(**SETTINGS), Seer(**SETTINGS)]
    run(tmp_path, methods, suite=GradedSuite())
    assert oracles_in(read_run(tmp_path).manifest) == ["seer"]
    for _ in range(2):
        summary = summarise_runs([tmp_path])
        assert [label for label in summary.rows if is_oracle(label)] == ["seer"]
        assert np.isnan(summary.rows["seer"].p_holm)
        assert not np.isnan(summary.rows["hybrid"].p_holm)
        (seer,) = [label for label in summary.rows if label == "seer"]
        assert style_of(seer).name == "seer (sees the judge)"
        assert not has_point(seer)
        (found,) = [one for one in headlines(summary) if one.key.startswith("oracle/")]
        assert found.sentence.startswith("seer (sees the judge) reaches 0.")
        assert "it is no method's score" in found.sentence
        # Once more without asking for it: its row is an earlier command's.
        run(tmp_path, methods[:2], suite=GradedSuite())
        assert list(read_run(tmp_path).manifest["earlier"]) == ["seer"]
    run(tmp_path, [*methods, Oracle(**SETTINGS)], suite=GradedSuite())
    assert sorted(oracles_in(read_run(tmp_path).manifest)) == ["oracle", "seer"]


def test_a_run_of_an_older_version_has_its_oracle_by_name(tmp_path: Path) -> None:
    run(tmp_path, [Base(), Oracle(**SETTINGS), Seer(**SETTINGS)], suite=GradedSuite())
    path = tmp_path / "run.json"
    manifest = json.loads(path.read_text())
    assert manifest.pop("oracles") == ["oracle", "seer"]
    path.write_text(json.dumps(manifest))
    assert oracles_in(read_run(tmp_path).manifest) == ["oracle"]
    assert [label for label in summarise_runs([tmp_path]).rows if is_oracle(label)] == ["oracle"]


def test_a_merged_run_has_the_oracles_of_its_parts(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / f"part{number}"
        run(folder, [Base(), Seer(**SETTINGS)], suite=GradedSuite(), shard=Shard(number, 2))
    hnbench.merge([tmp_path / "part1", tmp_path / "part2"], out=tmp_path / "run", progress=False)
    assert read_run(tmp_path / "run").manifest["oracles"] == ["seer"]
