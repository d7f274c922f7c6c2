"""The real prompt files, where they are at hand: counts, and what the parses say of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.suites.t2i_compbench import depth_order, parse, prompts, rule_parser, spatial
from hnbench.suites.t2i_compbench.judge import PHRASES
from hnbench.suites.t2i_compbench.numeracy import counted_objects
from hnbench.suites.t2i_compbench.parses import (
    NOT_ASKED,
    PARSED,
    PARSERS,
    Parse,
    key_of,
    load_parses,
    parse_of,
)
from hnbench.suites.t2i_compbench.prompts import (
    CATEGORIES,
    category_prompts,
    countable_objects,
    kinds_of_complex,
)
from hnbench.suites.t2i_compbench.suite import CompBenchSuite
from tests.suites.protocols import tasks_of


@pytest.fixture(autouse=True)
def no_cache() -> None:
    for cached in (category_prompts, kinds_of_complex, countable_objects, load_parses):
        cached.cache_clear()


@pytest.mark.usefixtures("real_prompts")
@pytest.mark.parametrize("category", CATEGORIES)
def test_300_different_prompts_without_line_ends(category: str) -> None:
    found = category_prompts(category)
    assert len(set(found)) == 300
    assert not any(text != text.strip() or "\r" in text for text in found)


@pytest.mark.usefixtures("real_prompts")
def test_the_full_and_the_quick_protocol() -> None:
    suite = CompBenchSuite()
    assert (len(suite.prompts()), len(tasks_of(suite, full=True))) == (2400, 24000)
    quick = Counter(prompt.tag for prompt in suite.subset())
    assert quick == dict.fromkeys(CATEGORIES, 15)
    assert set(tasks_of(suite, full=False)) <= set(tasks_of(suite, full=True))
    part = CompBenchSuite("3d-spatial")
    assert (part.name, part.tags, len(tasks_of(part, full=True))) == (
        "t2i-compbench:3d-spatial",
        ("3d_spatial",),
        3000,
    )


@pytest.mark.usefixtures("real_prompts")
def test_relations_as_counted_upstream() -> None:
    plain = Counter(spatial.relation_in(text) for text in category_prompts("spatial"))
    sides = {
        "on the top of": 56,
        "on the right of": 56,
        "on the bottom of": 52,
        "on the left of": 51,
    }
    assert plain == {**sides, "on side of": 37, "next to": 24, "near": 24}
    depth = Counter(depth_order.relation_in(text) for text in category_prompts("3d_spatial"))
    assert depth == {"in front of": 102, "behind": 83, "hidden": 115}


@pytest.mark.usefixtures("real_prompts")
def test_kinds_of_complex() -> None:
    kinds = kinds_of_complex()
    assert Counter(kinds.values()) == {"spatial": 58, "action": 212, "spatialaction": 30}
    placed = [text for text, kind in kinds.items() if kind != "action"]
    assert sum(spatial.relation_in(text) == "on top of" for text in placed) == 33


@pytest.mark.usefixtures("real_prompts")
def test_every_numeracy_prompt_counts_something() -> None:
    assert all(
        counted_objects(re.findall(r"\w+", text), countable_objects())
        for text in category_prompts("numeracy")
    )


@pytest.mark.usefixtures("real_prompts")
def test_the_parses_that_come_with_hnbench_are_those_of_its_parser() -> None:
    rules = {"name": rule_parser.NAME, "version": rule_parser.VERSION}
    made = parse.parse_all(rules, parse.parse_by_rules)
    shipped = json.loads(Path(parse.__file__).with_name("parses-hnbench-rules.json").read_text())
    assert made == shipped


@pytest.mark.usefixtures("real_prompts")
def test_nouns_that_are_no_labels_as_counted_upstream() -> None:
    """LabelledBox there with spaCy: so many of the 300 spatial prompts name each of these."""
    counted: Counter[str] = Counter()
    for text in category_prompts("spatial"):
        tokens = rule_parser.tokens(text)
        counted.update(
            {
                name
                for name in spatial.objects_of(
                    [token.text for token in tokens if token.pos == "NOUN"]
                )
                if name
            }
        )
    expected = {
        "wallet": 18,
        "mouse": 16,
        "cow": 15,
        "table": 12,
        "phone": 12,
        "sofa": 10,
        "bag": 10,
        "painting": 8,
        "computer": 5,
    }
    assert {name: counted[name] for name in expected} == expected


@pytest.mark.usefixtures("real_prompts")
def test_a_file_of_another_length_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "COUNT", 299)
    with pytest.raises(UsageError, match="has 300 lines; T2I-CompBench's own file has 299"):
        category_prompts("color")


def test_crlf_and_a_missing_last_line_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"\xef\xbb\xbfa cat\r\n\r\na dog")
    monkeypatch.setattr(prompts, "data_file", lambda _: path)
    monkeypatch.setattr(prompts, "COUNT", 2)
    assert category_prompts("color") == ("a cat", "a dog")


@pytest.mark.parametrize(
    ("parser", "name"),
    [("spacy", "spaCy 3.6.1 en_core_web_sm 3.6.0"), ("hnbench-rules", "hnbench-rules 2")],
)
def test_the_shipped_parses(parser: str, name: str) -> None:
    parses = load_parses(parser)
    assert parses.parser == name
    assert len(parses.of) == 300 * len(PARSED)
    for found in parses.of.values():
        assert len(found["words"]) == len(found["tags"].split(" "))
        assert all(start < end for start, end in (*found["chunks"], *found["words"]))


@pytest.mark.usefixtures("real_prompts")
@pytest.mark.parametrize("parser", PARSERS)
def test_every_prompt_that_is_parsed_names_something(parser: str) -> None:
    parses = load_parses(parser)
    for text in (prompt for category in PARSED for prompt in category_prompts(category)):
        found = parse_of(parses, text)
        assert "".join(found.words) == text.replace(" ", "")
        assert set(found.chunks) - NOT_ASKED, text


def test_own_parses_are_taken_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HNBENCH_DATA", str(tmp_path))
    path = tmp_path / "t2i-compbench/parses.json"
    path.parent.mkdir()
    path.write_text(
        f'{{"parser": {{"name": "spaCy", "version": "3"}}, "prompts": {{"{key_of("a cat")}": '
        '{"chunks": [[0, 5]], "words": [[0, 1], [2, 5]], "tags": "DET NOUN"}}}'
    )
    parses = load_parses()
    assert parses.parser == "spaCy 3"
    assert parse_of(parses, "a cat") == Parse(("a cat",), ("a", "cat"), ("DET", "NOUN"))
    with pytest.raises(UsageError, match="spaCy 3 has no parse of 'a dog'"):
        parse_of(parses, "a dog")
    assert load_parses("spacy").parser.startswith("spaCy 3.6.1")
    load_parses.cache_clear()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_parses() == parses
    for content in ("[]", "[" * 100_000, '{"parser": 1}'):
        load_parses.cache_clear()
        path.write_text(content)
        with pytest.raises(UsageError, match="is not a file of parses"):
            load_parses()


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("a green bench and a blue bowl", ["a green bench", "a blue bowl"]),
        ("A black and white cat sits in a white sink.", ["A black and white cat", "a white sink"]),
        (
            "The red hat was on top of the brown coat rack.",
            ["The red hat", "top", "the brown coat rack"],
        ),
        (
            "The black chair is on the left of the white table.",
            ["The black chair", "the left", "the white table"],
        ),
        ("rubber sole shoes and fluffy clouds", ["rubber sole shoes", "fluffy clouds"]),
        (
            "The rough square was nestled between the smooth rectangle and the translucent oval.",
            ["The rough square", "the smooth rectangle", "the translucent oval"],
        ),
        (
            "The leather wallet and fluffy keychain hang on the metallic hook by the wooden door.",
            ["The leather wallet", "fluffy keychain", "the metallic hook", "the wooden door"],
        ),
        (
            "The soft, gentle lullaby of the mother's voice calmed the crying baby.",
            ["The soft, gentle lullaby", "the mother's voice", "the crying baby"],
        ),
        ("they roasted marshmallows", ["they", "marshmallows"]),
    ],
)
def test_noun_chunks(text: str, chunks: list[str]) -> None:
    """As spaCy's conventions have them."""
    assert [text[start:end] for start, end in rule_parser.noun_chunks(text)] == chunks


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(
        UsageError, match="the rules were 'better'; choose one of published, repaired"
    ):
        CompBenchSuite("color", rules="better")
    with pytest.raises(
        UsageError, match="the parser was 'stanza'; choose one of spacy, hnbench-rules"
    ):
        CompBenchSuite("color", parser="stanza")


BY_HAND = [
    ("a green bench and a blue bowl", ["a green bench", "a blue bowl"]),
    ("a red cup and a blue orange", ["a red cup", "a blue orange"]),
    ("a blue bird and a brown bear", ["a blue bird", "a brown bear"]),
    (
        "The man on the large pink motorcycle has black chaps.",
        ["The man", "the large pink motorcycle", "black chaps"],
    ),
    ("a big balloon and a small marble", ["a big balloon", "a small marble"]),
    (
        "a round watermelon and a square cutting board.",
        ["a round watermelon", "a square cutting board"],
    ),
    (
        "a spherical snowball and a conical snowman hat",
        ["a spherical snowball", "a conical snowman hat"],
    ),
    (
        "The round knob and the square plate were attached to the door.",
        ["The round knob", "the square plate", "the door"],
    ),
    ("a tall oak tree and a short sapling", ["a tall oak tree", "a short sapling"]),
    ("a plastic bag and a fabric pants", ["a plastic bag", "a fabric pants"]),
    ("a leather wallet and a glass window", ["a leather wallet", "a glass window"]),
    ("a fabric jacket and a glass plate", ["a fabric jacket", "a glass plate"]),
    ("a girl on the top of a frog", ["a girl", "the top", "a frog"]),
    ("a bee on the left of a clock", ["a bee", "the left", "a clock"]),
    ("a bird on the right of a man", ["a bird", "the right", "a man"]),
    ("a phone hidden by a man", ["a phone", "a man"]),
    ("a chicken in front of a bowl", ["a chicken", "front", "a bowl"]),
    (
        "The fluffy cat is on the left of the soft pillow.",
        ["The fluffy cat", "the left", "the soft pillow"],
    ),
    (
        "The shiny silver ring sparkled on the rough wooden table.",
        ["The shiny silver ring", "the rough wooden table"],
    ),
    (
        "The soft pillow was on top of the hard rocking chair.",
        ["The soft pillow", "top", "the hard rocking chair"],
    ),
]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(("text", "chunks"), BY_HAND)
def test_shipped_parses_are_what_a_reader_finds(text: str, chunks: list[str], parser: str) -> None:
    assert list(parse_of(load_parses(parser), text).chunks) == chunks


@pytest.mark.parametrize(
    ("text", "spacy", "rules"),
    [
        ("a green acorn and a brown leaf", ["a brown leaf"], ["a green acorn", "a brown leaf"]),
        (
            (
                "The wooden crate and glass bottle hold the metallic soda on the fabric picnic"
                " blanket."
            ),
            ["The wooden crate and glass bottle", "the metallic soda", "the fabric picnic blanket"],
            ["The wooden crate", "glass bottle", "the metallic soda", "the fabric picnic blanket"],
        ),
    ],
)
def test_where_spacy_s_model_is_known_to_err_its_errors_are_kept(
    text: str, spacy: list[str], rules: list[str]
) -> None:
    """They are the published protocol's; a parser without them is there under a name of its own."""
    assert list(parse_of(load_parses(), text).chunks) == spacy
    assert [text[start:end] for start, end in rule_parser.noun_chunks(text)] == rules


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("a red rose and a white carnation", ["a red rose", "a white carnation"]),
        ("a white rose and a red carnation", ["a white rose", "a red carnation"]),
        ("a blue rose and a green tulip", ["a blue rose", "a green tulip"]),
        ("a green rose and a blue tulip", ["a green rose", "a blue tulip"]),
        ("The glowing moon rose above the distant hill", ["The glowing moon", "the distant hill"]),
        ("a short sapling", ["a short sapling"]),
        ("the moon that fascinated him the most.", ["the moon", "that", "him"]),
        ("the triangular cone held a tasty treat", ["the triangular cone", "a tasty treat"]),
        ("rectangular shelves held books", ["rectangular shelves", "books"]),
    ],
)
def test_the_rules_ask_for_things_only(text: str, chunks: list[str]) -> None:
    assert [text[start:end] for start, end in rule_parser.noun_chunks(text)] == chunks


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("The soft pillow was on top of the hard rocking chair.", ("pillow", "chair")),
        (
            "The rough brown burlap sack lay next to the smooth white satin ribbon.",
            ("sack", "ribbon"),
        ),
        ("The soft yellow duckling swam next to the sleek black swan.", ("duckling", "swan")),
    ],
)
def test_the_rules_objects_are_things(text: str, objects: tuple[str, str]) -> None:
    parse = parse_of(load_parses("hnbench-rules"), text)
    assert spatial.objects_of_complex(parse.words, parse.tags) == objects


@pytest.mark.usefixtures("real_prompts")
def test_the_two_parsers_agree_as_far_as_the_documentation_says() -> None:
    def asked(parser: str, prompt: str) -> list[str]:
        return [
            chunk
            for chunk in parse_of(load_parses(parser), prompt).chunks
            if chunk not in NOT_ASKED
        ][:PHRASES]

    same = {
        category: sum(
            asked("spacy", text) == asked("hnbench-rules", text)
            for text in category_prompts(category)
        )
        for category in ("color", "shape", "texture", "complex")
    }
    page = (Path(__file__).parents[3] / "docs" / "t2i-compbench.md").read_text()
    assert all(f"{category} {number}" in page for category, number in same.items()), same
