"""GenEval 2: its prompts, and its judge through a small random model, against the formula."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from scipy.stats import gmean
from transformers import AutoModelForImageTextToText, AutoProcessor

from hnbench.errors import UsageError
from hnbench.suites.geneval2 import suite as geneval2
from hnbench.suites.geneval2.judge import (
    NUMBERS,
    QWEN3_VL,
    YES,
    SoftTIFA,
    geometric_mean,
    soft_tifa,
    spellings,
)
from hnbench.suites.geneval2.suite import GenEval2Protocol, GenEval2Suite, parse
from hnbench.weights.honest_answers import FALSE, TRUE
from hnbench.weights.pinned_files import FILES
from hnbench.weights.vision_language import VisionLanguageModel
from tests.measures.vision_language_models import qwen
from tests.rewards.samples import picture

PICTURE = picture((64, 64), 3)
DATA = os.environ.get("HNBENCH_DATA", "")
ATOMS = [
    ["How many cats are in the image?", "two"],
    ["Are the cats green?", "Yes"],
    ["Are there any cats in the image?", "Yes"],
]


def line(atoms: int, number: int = 0) -> dict[str, Any]:
    return {
        "prompt": f"{atoms} things, {number}",
        "atom_count": atoms,
        "vqa_list": ATOMS[:2],
        "skills": ["count", "attribute"],
    }


def text(*lines: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in lines)


# As in the published file, the numbers of atoms are mixed.
WHOLE = text(*(line(atoms, number) for number in range(100) for atoms in range(10, 2, -1)))


def test_the_prompts_are_sorted_by_atoms_and_keep_the_numbers_of_their_lines() -> None:
    prompts = parse(WHOLE)
    assert len(prompts) == 800
    assert [one.tag for one in prompts[::100]] == list(GenEval2Suite.tags)
    assert (prompts[0].id, prompts[0].text) == ("007", "3 things, 0")
    assert prompts[0].metadata == {"vqa_list": ATOMS[:2]}


def test_the_protocol_is_one_image_of_each_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geneval2, "_published", lambda: parse(WHOLE))
    suite, protocol = GenEval2Suite(), GenEval2Protocol()
    assert [one.tag for one in suite.prompts()] == [one.tag for one in protocol.prompts()]
    assert len(suite.subset()) == len(protocol.subset()) == 48
    assert {suite.samples(one, full=full) for one in suite.subset() for full in (True, False)} == {
        1
    }
    assert GenEval2Suite(mean="arithmetic").name == "geneval2:mean=arithmetic"
    with pytest.raises(UsageError, match="choose one of geometric, arithmetic"):
        GenEval2Suite(mean="harmonic")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (WHOLE + text(line(3)), "100 prompts of each"),
        (WHOLE.split("\n", 1)[1], "100 prompts of each"),
        (text({"prompt": "a cat"}), "line 1 of GenEval 2's prompts"),
        (text({**line(3), "vqa_list": ["one"]}), "line 1 of GenEval 2's prompts"),
    ],
)
def test_another_file_is_refused(content: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(content)


def test_the_file_is_pinned_and_not_shipped() -> None:
    file = FILES["geneval2/geneval2_data.jsonl"]
    assert file.origin.licence == "CC-BY-NC-4.0"
    assert file.url.endswith(f"/{file.origin.commit}/geneval2_data.jsonl")
    assert not list(Path(geneval2.__file__).parent.glob("*.jsonl"))


@pytest.mark.skipif(
    not (Path(DATA) / "geneval2").is_dir(),
    reason="HNBENCH_DATA names no folder with GenEval 2's prompts, and tests download nothing",
)
def test_the_published_prompts() -> None:
    prompts = GenEval2Suite().prompts()
    assert prompts[0].text == "a green backpack and a pig"
    questions = [atom for one in prompts for atom in one.metadata["vqa_list"]]
    assert len(questions) == 6012
    assert {answer for _, answer in questions} == {"Yes", *NUMBERS[:7]}
    assert all((atom[1] != "Yes") == atom[0].startswith("How many") for atom in questions)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="session")
def model(folder: Path) -> VisionLanguageModel:
    return VisionLanguageModel(folder, "cpu", QWEN3_VL.files)


class Answering:
    """A model whose answers are given: question -> probability of the accepted tokens."""

    fingerprint = "0" * 64

    def __init__(self, answers: dict[str, float], tokens: dict[str, int] | None = None) -> None:
        self.answers, self.tokens = answers, tokens or {}

    def first_tokens(self, texts: tuple[str, ...]) -> frozenset[int]:
        return frozenset(self.tokens.get(text, hash(text.strip().lower())) for text in texts)

    def probability(self, picture: Image.Image, question: str, *tokens: int) -> float:
        return self.answers[question.removesuffix(" Answer in one word.")]


def answering(answers: dict[str, float], mean: Any = "geometric", **given: Any) -> SoftTIFA:
    return SoftTIFA(cast("VisionLanguageModel", Answering(answers, **given)), mean, "stub")


def test_a_grade_is_the_mean_of_its_atoms() -> None:
    values = dict(zip((question for question, _ in ATOMS), (0.9, 0.5, 0.2), strict=True))
    for mean, expected in (("geometric", gmean([0.9, 0.5, 0.2])), ("arithmetic", 1.6 / 3)):
        (verdict,) = answering(values, mean).judge([PICTURE], [{"vqa_list": ATOMS}])
        assert verdict.score == pytest.approx(expected)
        assert verdict.correct is None
        assert verdict.details == {
            "arithmetic": 0.5333,
            "geometric": round(float(gmean([0.9, 0.5, 0.2])), 4),
            "atoms": [0.9, 0.5, 0.2],
        }


def test_one_atom_that_is_missing_makes_the_geometric_mean_zero() -> None:
    assert geometric_mean([0.5, 0.0, 1.0]) == 0
    assert geometric_mean([0.3]) == pytest.approx(0.3)


def test_an_atom_is_the_probability_of_the_answers_first_tokens(
    folder: Path, model: VisionLanguageModel
) -> None:
    processor = AutoProcessor.from_pretrained(folder)
    stock = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    image = PICTURE
    found = SoftTIFA(model, "arithmetic", "qwen").judge([image], [{"vqa_list": ATOMS}])
    for (question, answer), value in zip(ATOMS, found[0].details["atoms"], strict=True):
        accepted = YES if answer == "Yes" else spellings(answer)
        others = {" no", "No", *(text for word in NUMBERS for text in spellings(word)), *YES}
        tokens, of_others = (
            {processor.tokenizer.encode(text, add_special_tokens=False)[0] for text in texts}
            for texts in (accepted, others - set(accepted))
        )
        tokens -= of_others
        content = [
            {"type": "image", "image": image},
            {"type": "text", "text": f"{question} Answer in one word."},
        ]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            logits = stock(**inputs).logits[0, -1].double()
        expected = sum(float(logits.softmax(-1)[token]) for token in tokens)
        assert value == pytest.approx(expected, abs=1e-4)


def test_a_first_token_of_several_answers_is_not_counted() -> None:
    # As in Qwen's tokenizer, a space before a digit is a token of its own.
    space = {f" {digit}": 7 for digit in range(1, 10)}
    judge = answering({}, tokens=space)
    assert 7 not in judge._tokens["two"]
    assert len(judge._tokens["two"]) == 2  # "two" in all spellings, and "2"


def test_answers_that_begin_alike_cannot_be_told_apart() -> None:
    shared = dict.fromkeys([*spellings("two"), *spellings("three")], 7)
    with pytest.raises(UsageError, match="the answer 'two' begins like others in stub"):
        answering({}, tokens=shared)


def test_a_model_that_says_yes_to_a_false_question_is_not_trusted() -> None:
    answering({TRUE: 0.8, FALSE: 0.1}).verify()
    for true, false in ((1.0, 1.0), (0.2, 0.1), (0.4, 0.9)):
        with pytest.raises(UsageError, match="stub cannot be trusted"):
            answering({TRUE: true, FALSE: false}).verify()


@pytest.mark.parametrize(
    ("atom", "value", "said"),
    [
        (["How many cats are in the image?", "many"], 0.5, "one of one, two"),
        (["Is it a cat?", "No"], 0.5, "one of Yes is expected"),
        (["Is it a cat?", "Yes"], math.nan, "not a probability"),
    ],
)
def test_what_cannot_be_graded_is_an_error(atom: list[str], value: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        answering({atom[0]: value}).judge([PICTURE], [{"vqa_list": [atom]}])


def test_the_fingerprint_has_the_model_and_the_mean(folder: Path) -> None:
    one, other = (soft_tifa(mean, str(folder), "cpu") for mean in ("geometric", "arithmetic"))
    assert one.fingerprint != other.fingerprint
    assert one.networks == other.networks == {"vlm": one.model.fingerprint}
    assert (one.name, other.name) == ("soft-tifa-geometric", "soft-tifa-arithmetic")


def test_the_numbers_are_spelled_in_words_and_digits() -> None:
    assert spellings("seven") == ("seven", "Seven", " seven", " Seven", "7", " 7")
    assert all(len(set(spellings(word))) == 6 for word in NUMBERS)
