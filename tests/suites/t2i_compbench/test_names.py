"""Nouns and labels, and which prompts a detector can satisfy at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hnbench.suites.t2i_compbench.depth_order import depth_score
from hnbench.suites.t2i_compbench.detections import LabelledBox
from hnbench.suites.t2i_compbench.names import OTHER_THINGS, OTHER_WORDS, named
from hnbench.suites.t2i_compbench.numeracy import counted_objects, numeracy_score
from hnbench.suites.t2i_compbench.parses import load_parses, parse_of
from hnbench.suites.t2i_compbench.prompts import (
    category_prompts,
    countable_objects,
    kinds_of_complex,
)
from hnbench.suites.t2i_compbench.spatial import (
    Rules,
    objects_of,
    objects_of_complex,
    spatial_score,
)

OBJECTS365 = [
    label.lower()
    for label in json.loads(Path(__file__).with_name("objects365.json").read_text())["labels"]
]
"""What the default detector can say; see `source` in the file."""
BOX = (0.0, 0.0, 100.0, 100.0)


@pytest.mark.parametrize(
    ("noun", "labels", "places"),
    [
        ("cat", ["dog", "cat", "cattle", "cat"], [1, 3]),
        ("picture", ["picture/frame"], [0]),
        ("frame", ["picture/frame"], [0]),
        ("turtle", ["tortoise/turtle"], [0]),
        ("table", ["dining table", "table tennis", "coffee table"], [0, 2]),
        ("table", ["dining table", "table"], [1]),
        ("board", ["cutting/chopping board"], [0]),
        ("dog", ["hot dog"], []),
        ("phone", ["head phone"], []),
        ("phone", ["cell phone", "telephone"], [0, 1]),
        ("headphones", ["head phone"], [0]),
        ("bear", ["teddy bear"], []),
        ("teddy bear", ["teddy bear"], [0]),
        ("bat", ["baseball bat"], []),
        ("egg", ["egg tart"], []),
        ("toilet", ["toilet paper"], []),
        ("sofa", ["couch"], [0]),
        ("television", ["monitor/tv", "tv"], [0, 1]),
        ("bag", ["handbag/satchel"], [0]),
        ("wallet", ["wallet/purse"], [0]),
        ("bird", ["pigeon", "wild bird"], [1]),
        ("ship", ["boat"], [0]),
        ("ship", ["boat", "ship"], [1]),
        ("apple", ["pineapple"], []),
        (None, ["none"], []),
    ],
)
def test_the_labels_that_a_noun_names(
    noun: str | None, labels: list[str], places: list[int]
) -> None:
    assert named(noun, labels) == places


@pytest.mark.parametrize(
    ("noun", "label"),
    [("picture", "picture/frame"), ("turtle", "tortoise/turtle"), ("sofa", "couch")],
)
def test_all_repaired_rules_name_alike(noun: str, label: str) -> None:
    found, depth = (
        [LabelledBox(label, 0.8, BOX), LabelledBox("cat", 0.8, BOX)],
        np.zeros((480, 480)),
    )
    assert depth_score((noun, "cat"), "behind", found, depth, "repaired") == (0.4, "not behind")
    score, reason = spatial_score((noun, "cat"), "next to", found, "repaired")
    assert (score, reason) == (0.9, "")
    assert numeracy_score([(noun, 1), ("cat", 1)], found, "repaired") == (1.0, "")


@pytest.mark.parametrize("noun", ["sofa", "picture", "table"])
def test_the_published_rules_know_no_other_words(noun: str) -> None:
    found = [
        LabelledBox("couch", 0.9, BOX),
        LabelledBox("picture/frame", 0.9, BOX),
        LabelledBox("dining table", 0.9, BOX),
    ]
    assert spatial_score((noun, noun), "next to", found, "published") == (
        0.0,
        f"not found: {noun}, {noun}",
    )


def test_other_words_are_labels_of_a_detector() -> None:
    coco = {"sofa", "tv"}  # in COCO's vocabulary, old and new
    parts = {part for label in OBJECTS365 for part in (label, *label.split("/"), label.split()[-1])}
    assert {word for words in OTHER_WORDS.values() for word in words} - parts - coco == set()
    assert OTHER_THINGS - set(OBJECTS365) == {"teddy bear"}


def findable(rules: Rules) -> dict[str, int]:
    """How many prompts of a category name nothing that the default detector has no label for."""
    parses = load_parses("spacy")

    def labelled(noun: str | None, *, within: bool) -> bool:
        if rules == "repaired":
            return bool(named(noun, OBJECTS365))
        return any(str(noun) in label if within else noun == label for label in OBJECTS365)

    def nouns(prompt: str) -> tuple[str | None, str | None]:
        parse = parse_of(parses, prompt)
        return objects_of(
            [word for word, tag in zip(parse.words, parse.tags, strict=True) if tag == "NOUN"]
        )

    def around(prompt: str) -> tuple[str | None, str | None]:
        parse = parse_of(parses, prompt)
        return objects_of_complex(parse.words, parse.tags)

    placed = [prompt for prompt, kind in kinds_of_complex().items() if kind != "action"]
    counted = [
        counted_objects(re.findall(r"\w+", prompt), countable_objects())
        for prompt in category_prompts("numeracy")
    ]
    found = [
        LabelledBox(label, 0.9, (10.0 * place, 0.0, 10.0 * place + 5, 5.0))
        for place, label in enumerate(OBJECTS365)
    ]
    return {
        "spatial": sum(
            all(labelled(noun, within=False) for noun in nouns(prompt))
            for prompt in category_prompts("spatial")
        ),
        "3d-spatial": sum(
            all(labelled(noun, within=True) for noun in nouns(prompt))
            for prompt in category_prompts("3d_spatial")
        ),
        "numeracy": sum(
            all(numeracy_score([(name, 999)], found, rules)[0] > 0 for name, _ in objects)
            for objects in counted
        ),
        "complex": sum(
            all(labelled(noun, within=False) for noun in around(prompt)) for prompt in placed
        ),
    }


@pytest.mark.usefixtures("real_prompts")
@pytest.mark.parametrize("rules", ["published", "repaired"])
def test_the_ceilings_are_those_of_the_documentation(rules: Rules) -> None:
    numbers = findable(rules)
    page = (Path(__file__).parents[3] / "docs" / "t2i-compbench.md").read_text()
    (row,) = re.findall(rf"\| `{rules}` \|(.*)\|\n", page)
    assert [int(cell) for cell in row.split("|")] == list(numbers.values()), numbers
