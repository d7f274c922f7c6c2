"""DPG-Bench's questions through a vision-language model: the file, the rule of dependencies against
brute force, and the answers against a plain forward pass.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from hnbench.errors import UsageError
from hnbench.reports.published import load_published
from hnbench.suites.dpg_vlm import suite as dpg
from hnbench.suites.dpg_vlm.dependencies import counted
from hnbench.suites.dpg_vlm.judge import DependentQuestions, dependent_questions
from hnbench.suites.dpg_vlm.suite import DPGVLMSuite, dpg_vlm, dpg_vlm_protocol, parse
from hnbench.weights.honest_answers import FALSE, TRUE
from hnbench.weights.pinned_files import FILES
from hnbench.weights.vision_language import VisionLanguageModel
from tests.measures.vision_language_models import qwen
from tests.rewards.samples import picture
from tests.suites.protocols import tasks_of

PICTURE = picture((64, 64), 3)
HEADER = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,"
    "question_natural_language"
)
ROWS = [
    ("10", "Two cats, on a mat.", 1, "0", "Are there cats?"),
    ("10", "Two cats, on a mat.", 2, "1", "Are there two cats?"),
    ("10", "Two cats, on a mat.", 3, "0", "Is there a mat?"),
    ("10", "Two cats, on a mat.", 4, "1, 3", 'Are the cats on the "mat"?'),
    ("partiprompts97", "A dog", 1, "0", "Is there a dog?"),
]


def table(rows: Sequence[tuple[str, str, int, str, str]]) -> str:
    """The text of a file as it is published: nine columns, quoted where that is needed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for item, text, number, parents, question in rows:
        writer.writerow(
            [item, text, "", number, parents, "entity", "whole", "entity - whole (x)", question]
        )
    return f"{HEADER}\n{out.getvalue()}"


def test_the_questions_of_a_prompt_are_together() -> None:
    prompts, notes = parse(table(ROWS))
    assert [(one.id, one.text, one.tag) for one in prompts] == [
        ("10", "Two cats, on a mat.", "dpg-vlm"),
        ("partiprompts97", "A dog", "dpg-vlm"),
    ]
    assert prompts[0].metadata["questions"] == [
        [1, "Are there cats?", []],
        [2, "Are there two cats?", [1]],
        [3, "Is there a mat?", []],
        [4, 'Are the cats on the "mat"?', [1, 3]],
    ]
    assert notes == ()


def test_a_question_without_its_parent_is_noted() -> None:
    (prompt, _), notes = parse(table([*ROWS[1:2], *ROWS[4:]]))
    assert prompt.metadata["questions"] == [[2, "Are there two cats?", []]]
    assert notes == ("1 questions depend on one that dpg_bench.csv lacks; they do without it",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "line 2 of DPG-Bench's questions is not one of them"),
        (table([("1", "a", 1, "x", "Is it?")]), "line 2 .* is not one of them"),
        (table([*ROWS, ("1", "a", 1, "0", " ")]), "line 7 .* has no item, no prompt or no quest"),
        (table([("1", " ", 1, "0", "Is it?")]), "line 2 .* has no item, no prompt or no question"),
        (table([("1", "a\x01", 1, "0", "Is it?")]), "line 2 .* a control character"),
        (f"{HEADER}\n1,{'x' * 140000}\n", "field larger than field limit"),
    ],
)
def test_another_file_is_refused(content: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(content)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "dpg_bench.csv").write_text(table(ROWS))
    monkeypatch.setattr(dpg, "data_file", lambda _: tmp_path / "dpg_bench.csv")
    monkeypatch.setattr(dpg, "DPG", 2)
    dpg._published.cache_clear()


@pytest.mark.usefixtures("two")
def test_four_images_of_each_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    suite, protocol = dpg_vlm(), dpg_vlm_protocol()
    assert len(tasks_of(suite, full=True)) == len(tasks_of(protocol, full=True)) == 8
    assert suite.tags == protocol.tags
    dpg._published.cache_clear()
    monkeypatch.setattr(dpg, "DPG", 3)
    with pytest.raises(UsageError, match="has 3 prompts, and the file has 2"):
        dpg_vlm()


def test_the_name_has_the_model_and_is_never_that_of_the_published_scores() -> None:
    default, other = DPGVLMSuite([], vlm=""), DPGVLMSuite([], vlm="owner/name@v1")
    assert default.name == "dpg-vlm@Qwen/Qwen3-VL-8B-Instruct"
    assert other.name == "dpg-vlm@owner/name@v1"
    published = {one.benchmark for one in load_published()}
    assert "dpg" in published
    assert not published & {"dpg-vlm", default.name, other.name}


def test_the_file_is_pinned() -> None:
    file = FILES["dpg/dpg_bench.csv"]
    assert file.origin.licence == "Apache-2.0"
    assert file.url.endswith(f"TencentQQGYLab/ELLA/{file.origin.commit}/dpg_bench/dpg_bench.csv")


def ancestors(question: int, parents: Mapping[int, Sequence[int]]) -> set[int]:
    """All questions on a way up from one, itself included."""
    found, new = {question}, set(parents[question])
    while new:
        found |= new
        new = {above for one in new for above in parents[one]} - found
    return found


def test_a_question_counts_if_it_and_all_above_it_were_answered_with_yes() -> None:
    drawn = random.Random(0)
    for _ in range(60):
        number = drawn.randint(1, 6)
        parents = {
            question: drawn.sample(range(1, question), drawn.randint(0, min(2, question - 1)))
            for question in range(1, number + 1)
        }
        for answers in itertools.product([False, True], repeat=number):
            yes = dict(enumerate(answers, 1))
            assert counted(yes, parents) == {
                question: all(yes[above] for above in ancestors(question, parents))
                for question in parents
            }
            assert yes == dict(enumerate(answers, 1))  # what was given is as it was


def test_a_parent_that_comes_later_is_taken_by_its_own_answer() -> None:
    yes = {1: True, 2: True, 3: False}
    assert counted(yes, {1: [2], 2: [3], 3: []}) == {1: True, 2: False, 3: False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen(tmp_path_factory.mktemp("qwen"))


class Answering:
    """A model whose answers are given: question -> probabilities of yes and of no."""

    fingerprint = "0" * 64

    def __init__(self, answers: Mapping[str, tuple[float, float]], alike: bool = False) -> None:
        self.answers, self.alike = answers, alike

    def first_tokens(self, texts: Sequence[str]) -> frozenset[int]:
        return frozenset({7} if self.alike else {7, 1 if "Yes" in texts else 2})

    def probabilities(
        self, shown: Image.Image, question: str, yes: Sequence[int], no: Sequence[int]
    ) -> tuple[float, float]:
        assert (list(yes), list(no)) == ([1], [2])  # 7 is how both begin
        assert question.endswith(" Please answer yes or no.")
        return self.answers[question.removesuffix(" Please answer yes or no.")]


def answering(
    answers: Mapping[str, tuple[float, float]], alike: bool = False
) -> DependentQuestions:
    model = cast("VisionLanguageModel", Answering(answers, alike))
    return DependentQuestions(model, "dpg-vlm@stub", "stub")


def test_a_grade_is_the_share_of_the_questions_that_count() -> None:
    (cats, dog), _ = parse(table(ROWS))
    judge = answering(
        {
            "Are there cats?": (0.6, 0.2),
            "Are there two cats?": (0.1, 0.3),
            "Is there a mat?": (0.2, 0.2),  # as probable as no
            'Are the cats on the "mat"?': (0.9, 0.1),
            "Is there a dog?": (0.02, 0.01),
        }
    )
    first, second = judge.judge([PICTURE, PICTURE], [cats.metadata, dog.metadata])
    assert (first.score, first.correct) == (0.25, None)
    assert first.details == {
        "yes": [0.75, 0.25, 0.5, 0.9],
        "counted": [True, False, False, False],
    }
    assert second.score == 1


def test_an_answer_is_the_more_probable_of_yes_and_no(folder: Path) -> None:
    questions = [[number, f"Is there thing {number}?", []] for number in range(6)]
    judge = dependent_questions("dpg-vlm@tiny", str(folder), "cpu")
    (verdict,) = judge.judge([PICTURE], [{"questions": questions}])
    processor = AutoProcessor.from_pretrained(folder)
    stock = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    begins = [
        {
            processor.tokenizer.encode(f"{space}{word}", add_special_tokens=False)[0]
            for space in ("", " ")
            for word in words
        }
        for words in (("Yes", "yes"), ("No", "no"))
    ]
    expected = []
    for _, question, _ in questions:
        content = [
            {"type": "image", "image": PICTURE},
            {"type": "text", "text": f"{question} Please answer yes or no."},
        ]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            chances = stock(**inputs).logits[0, -1].double().softmax(-1)
        yes, no = (
            sum(float(chances[token]) for token in one - other)
            for one, other in (begins, begins[::-1])
        )
        expected.append(yes / (yes + no))
    assert verdict.details["yes"] == pytest.approx(expected, abs=1e-4)
    assert verdict.score == pytest.approx(sum(one > 0.5 for one in expected) / 6)


def test_a_model_that_says_yes_to_a_false_question_is_not_trusted() -> None:
    answering({TRUE: (0.8, 0.1), FALSE: (0.1, 0.4)}).verify()
    for true, false in (((0.9, 0.1), (0.9, 0.1)), ((0.1, 0.2), (0.1, 0.2))):
        with pytest.raises(UsageError, match="stub cannot be trusted"):
            answering({TRUE: true, FALSE: false}).verify()


def test_answers_that_begin_alike_cannot_be_told_apart() -> None:
    with pytest.raises(UsageError, match="yes and no begin alike in stub"):
        answering({}, alike=True)


@pytest.mark.parametrize("chances", [(math.nan, 0.1), (0.0, 0.0)])
def test_what_is_no_answer_is_an_error(chances: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match=r"stub gave .* to 'Is it\?'"):
        answering({"Is it?": chances}).judge([PICTURE], [{"questions": [[1, "Is it?", []]]}])


def test_the_fingerprint_has_the_model(folder: Path, tmp_path: Path) -> None:
    suite = DPGVLMSuite([], vlm=str(folder))
    one, other = suite.judge(), DPGVLMSuite([], vlm=str(qwen(tmp_path, seed=1))).judge()
    assert one.name == suite.name == f"dpg-vlm@{folder}"
    assert one.fingerprint != other.fingerprint
    assert one.networks["vlm"] != other.networks["vlm"]
