"""The built-in rewriter keeps the meaning, and stays within the words that *shapes* knows."""

from __future__ import annotations

import random

import pytest

from hnbench.methods.rewriting import Request, Tried
from hnbench.methods.rewriting_rules import OPENING, Rules, named_again, opened, turned
from hnbench.shapes.captions import by_text, evaluation_captions, holds

WORDS = {word for text in by_text() for word in text.split()}


@pytest.mark.parametrize("tag", ["two_object", "position", "color_attr"])
def test_things_in_another_order_are_the_same_scene(tag: str) -> None:
    captions = [one for one in evaluation_captions() if one.tag == tag]
    for caption in captions:
        other = by_text()[turned(caption.text, random.Random(0))]
        assert other != caption
        assert holds(caption, other)
        assert holds(other, caption)


def test_what_an_exchange_could_change_stays() -> None:
    draw = random.Random(0)
    for text in ("a cat", "a cat above a dog and a bird", "a candle andes"):
        assert turned(text, draw) == text
    assert turned("a cat and a dog and a bird", draw) in {
        "a dog and a cat and a bird",
        "a cat and a bird and a dog",
    }


def test_the_other_rules() -> None:
    draw = random.Random(0)
    assert named_again("a cat above a dog", draw) in {
        "a cat above a dog and a dog",
        "a cat above a dog and a cat",
    }
    assert opened(opened("a cat", draw), draw) == "a cat"
    assert opened("a cat", draw) == f"{OPENING}a cat"


def test_answers_are_new_known_words_and_the_same_again() -> None:
    for caption in evaluation_captions()[::7]:
        tried = (Tried(f"{caption.text} and a cat", 2.0), Tried(caption.text, 1.0))
        request = Request(caption.text, tried, 5, 3)
        texts = Rules().answer(request, "cpu").texts
        assert len({*texts, caption.text}) == 6
        assert {word for text in texts for word in text.split()} <= WORDS | {"cat"}
        assert Rules().answer(request, "cpu").texts == texts
        other = Request(caption.text, tried, 5, 4)
        assert Rules().answer(other, "cpu").texts != texts


def test_a_prompt_without_other_forms_gives_fewer() -> None:
    long = " ".join(["word"] * 60)
    request = Request(long, (Tried(long, 1.0),), 5, 0)
    assert set(Rules().answer(request, "cpu").texts) == {f"{OPENING}{long}"}
