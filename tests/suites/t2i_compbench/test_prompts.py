"""The real prompt files, where they are at hand: counts, and what the parses say of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.suites.t2i_compbench import depth_order, parse, prompts, rule_parser, spatial
from hnbench.suites.t2i_compbench.numeracy import counted_objects
from hnbench.suites.t2i_compbench.parses import NOT_ASKED, PARSED, Parse, key_of, load_parses, parse_of
from hnbench.suites.t2i_compbench.prompts import CATEGORIES, category_prompts, countable_objects, kinds_of_complex
from hnbench.suites.t2i_compbench.suite import CompBenchSuite


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
    assert (len(suite.prompts()), len(suite.tasks(full=True))) == (2400, 24000)
    quick = Counter(prompt.tag for prompt in suite.subset())
    assert quick == dict.fromkeys(CATEGORIES, 15)
    assert set(suite.tasks(full=False)) <= set(suite.tasks(full=True))
    part = CompBenchSuite("3d-spatial")
    assert (part.name, part.tags, len(part.tasks(full=True))) == ("t2i-compbench:3d-spatial", ("3d_spatial",), 3000)


@pytest.mark.usefixtures("real_prompts")
def test_relations_as_counted_upstream() -> None:
    plain = Counter(spatial.relation_in(text) for text in category_prompts("spatial"))
    sides = {"on the top of": 56, "on the right of": 56, "on the bottom of": 52, "on the left of": 51}
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
    assert all(counted_objects(re.findall(r"\w+", text), countable_objects()) for text in category_prompts("numeracy"))


@pytest.mark.usefixtures("real_prompts")
def test_the_parses_that_come_with_hnbench_are_those_of_its_parser() -> None:
    rules = {"name": rule_parser.NAME, "version": rule_parser.VERSION}
    made = parse.parse_all(rules, parse.parse_by_rules)
    shipped = json.loads(Path(parse.__file__).with_name("parses.json").read_text())
    assert made == shipped


@pytest.mark.usefixtures("real_prompts")
def test_nouns_that_are_no_labels_as_counted_upstream() -> None:
    """Found there with spaCy: so many of the 300 spatial prompts name each of these."""
    counted: Counter[str] = Counter()
    for text in category_prompts("spatial"):
        tokens = rule_parser.tokens(text)
        counted.update({name for name in spatial.objects_of([token.text for token in tokens if token.pos == "NOUN"]) if name})
    expected = {"wallet": 18, "mouse": 16, "cow": 15, "table": 12, "phone": 12, "sofa": 10, "bag": 10, "painting": 8, "computer": 5}
    assert {name: counted[name] for name in expected} == expected


@pytest.mark.usefixtures("real_prompts")
def test_a_file_of_another_length_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "COUNT", 299)
    with pytest.raises(UsageError, match="has 300 lines; there are 299"):
        category_prompts("color")


def test_crlf_and_a_missing_last_line_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"\xef\xbb\xbfa cat\r\n\r\na dog")
    monkeypatch.setattr(prompts, "data_file", lambda _: path)
    monkeypatch.setattr(prompts, "COUNT", 2)
    assert category_prompts("color") == ("a cat", "a dog")


def test_the_shipped_parses() -> None:
    parses = load_parses()
    assert parses.parser == "hnbench-rules 1"
    assert len(parses.of) == 300 * len(PARSED)
    for found in parses.of.values():
        assert len(found["words"]) == len(found["tags"].split(" "))
        assert all(start < end for start, end in (*found["chunks"], *found["words"]))


@pytest.mark.usefixtures("real_prompts")
def test_every_prompt_that_is_parsed_names_something() -> None:
    parses = load_parses()
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
    load_parses.cache_clear()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_parses() == parses
    for content in ("[]", "[" * 100_000, '{"parser": 1}'):
        load_parses.cache_clear()
        path.write_text(content)
        with pytest.raises(UsageError, match="is no file of parses"):
            load_parses()


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("a green bench and a blue bowl", ["a green bench", "a blue bowl"]),
        ("A black and white cat sits in a white sink.", ["A black and white cat", "a white sink"]),
        ("The red hat was on top of the brown coat rack.", ["The red hat", "top", "the brown coat rack"]),
        ("The black chair is on the left of the white table.", ["The black chair", "the left", "the white table"]),
        ("rubber sole shoes and fluffy clouds", ["rubber sole shoes", "fluffy clouds"]),
        ("The rough square was nestled between the smooth rectangle and the translucent oval.",
         ["The rough square", "the smooth rectangle", "the translucent oval"]),
        ("The leather wallet and fluffy keychain hang on the metallic hook by the wooden door.",
         ["The leather wallet", "fluffy keychain", "the metallic hook", "the wooden door"]),
        ("The soft, gentle lullaby of the mother's voice calmed the crying baby.",
         ["The soft, gentle lullaby", "the mother's voice", "the crying baby"]),
        ("they roasted marshmallows", ["they", "marshmallows"]),
    ],
)  # fmt: skip
def test_noun_chunks(text: str, chunks: list[str]) -> None:
    """As spaCy's conventions have them."""
    assert [text[start:end] for start, end in rule_parser.noun_chunks(text)] == chunks


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(UsageError, match="the rules were 'better'; choose one of published, repaired"):
        CompBenchSuite("color", rules="better")
