"""Words that a generator never saw."""

from __future__ import annotations

from hnbench.catalogue.vocabulary import unknown_words
from hnbench.shapes.captions import training_prompts
from hnbench.shapes.world import COLOURS, SHAPES


def test_every_word_of_the_training_prompts_is_known() -> None:
    assert not [text for text in training_prompts() if unknown_words("shapes", text)]


def test_words_of_the_world_are_known_and_others_are_not() -> None:
    text = f"A {' '.join(COLOURS)} DOG, dog? {' '.join(SHAPES)} right of 日本語 x-ray"
    assert unknown_words("shapes", text) == ("dog", "日本語", "x", "ray")


def test_nothing_is_known_of_the_words_of_other_generators() -> None:
    assert unknown_words("sd-turbo", "qwertz") == ()
