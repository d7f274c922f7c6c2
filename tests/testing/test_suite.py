from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hnbench.catalogue.specifications import make_suite
from hnbench.errors import UsageError
from hnbench.suites.base import Judge, Prompt, Verdict
from hnbench.suites.shapes import ShapesSuite
from hnbench.testing import ContractError, check_suite
from tests.runs.world import WorldSuite
from tests.toy_plugins import RedJudge, ToySuite


@pytest.mark.parametrize("suite", [ShapesSuite(), ToySuite(), WorldSuite()])
def test_the_suites_here_keep_the_contract(suite: Any) -> None:
    check_suite(suite)


def test_a_suite_without_a_judge_keeps_the_contract(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a cat\na dog\n")
    check_suite(make_suite(str(tmp_path / "p.txt")))


class Made(ToySuite):
    """The toy suite with some of its answers replaced."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def prompts(self) -> tuple[Prompt, ...]:
        found: tuple[Prompt, ...] = self.answers.get("prompts", super().prompts())
        return found

    def subset(self) -> tuple[Prompt, ...]:
        found: tuple[Prompt, ...] = self.answers.get("subset", super().subset())
        return found

    def samples(self, prompt: Prompt, *, full: bool) -> int:
        found: int = self.answers.get("samples", 2)
        return found

    def judge(self, *, device: str = "cpu") -> Any:
        made = self.answers.get("judge", RedJudge)
        return made()


PROMPTS = ToySuite().prompts()


class Short(RedJudge):
    def judge(self, images: Sequence[Image.Image], metadata: Any) -> list[Verdict]:
        return super().judge(images, metadata)[:1]


class Graded(RedJudge):
    """Marks by the batch."""

    def judge(
        self, images: Sequence[Image.Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        return [Verdict(None, score=1 / len(images)) for _ in images]


class Painting(RedJudge):
    def judge(self, images: Sequence[Image.Image], metadata: Any) -> list[Verdict]:
        for image in images:
            image.paste((0, 0, 0), (0, 0, 4, 4))
        return super().judge(images, metadata)


class Noting(RedJudge):
    def judge(self, images: Sequence[Image.Image], metadata: Any) -> list[Verdict]:
        for about in metadata:
            about["limit"] = 0.4
        return super().judge(images, metadata)


class Anonymous(Judge):
    name = "red"
    fingerprint = "red"

    def judge(self, images: Sequence[Image.Image], metadata: Any) -> list[Verdict]:
        return []


class Blind(RedJudge):
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.number = self.made

    @property
    def fingerprint(self) -> str:
        return f"{self.number:064x}"


def with_tags(*tags: str) -> Made:
    suite = Made(prompts=PROMPTS)
    suite.tags = tags  # type: ignore[assignment]
    return suite


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Made(prompts=(*PROMPTS, PROMPTS[0])), r"ids of the prompts have to differ; \['low/0'\]"),
        (Made(prompts=list(PROMPTS)), r"prompts\(\) has to return a tuple"),
        (Made(prompts=(replace(PROMPTS[0], text=""),)), "text of the prompt 'low/0'"),
        (with_tags("low", "other"), r"those of the suite; they differ in \['high', 'other'\]"),
        (with_tags("low", "low"), "tags has to be a tuple of different"),
        (
            Made(subset=PROMPTS[::-1]),
            r"subset\(\) has to return some of prompts\(\), in their order",
        ),
        (Made(subset=(replace(PROMPTS[0], id="new"),)), r"some of prompts\(\)"),
        (Made(samples=0), r"above 0; got 0 for 'low/0'"),
        (Made(samples=2.0), r"samples\(\) has to return a whole number"),
        (Made(judge=Short), "gave 1 verdicts for 2 items"),
        (Made(judge=Graded), "a verdict must not depend on the other images"),
        (Made(judge=Painting), "must not change the images and the metadata"),
        (Made(judge=Noting), "must not change the images and the metadata"),
        (Made(judge=Anonymous), "a SHA-256"),
        (Made(judge=Blind), "the same judge each time"),
    ],
)
def test_a_broken_rule_is_named(broken: ToySuite, rule: str) -> None:
    with pytest.raises(ContractError, match=rule) as raised:
        check_suite(broken)
    assert str(raised.value).startswith(("the suite toy-suite", "the judge red"))


def test_a_judge_that_fails_its_own_check_is_told() -> None:
    class Failing(RedJudge):
        def verify(self) -> None:
            raise UsageError("nothing was found in the picture")

    with pytest.raises(UsageError, match="nothing was found"):
        check_suite(Made(judge=Failing))
