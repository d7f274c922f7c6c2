"""Training prompts against GenEval 2's: equal, in another order, of one template, or new."""

from __future__ import annotations

import json
import random
import sys
from itertools import product
from pathlib import Path

import pytest

from hnbench.catalogue.contamination import lines_of, main
from hnbench.errors import UsageError
from hnbench.hypernetwork.seen import prompt_hashes, read_hashes, write_hashes
from hnbench.methods.training import Training
from hnbench.suites.base import Prompt
from hnbench.suites.geneval2.suite import GenEval2Suite
from hnbench.suites.geneval2.templates import LOOK, THING, TrainedTexts, parts, template, vocabulary

QUESTIONS = [
    ["How many owls are in the image?", "two"],
    ["Are there any owls in the image?", "Yes"],
    ["Are the owls golden?", "Yes"],
    ["Are the owls on top of the ladders?", "Yes"],
    ["Are there any ladders in the image?", "Yes"],
    ["Is the lamp shiny?", "Yes"],
    ["Are there any lamps in the image?", "Yes"],
]
WORDS = {
    **dict.fromkeys(["owls", "owl", "ladders", "ladder", "lamps", "lamp"], THING),
    **dict.fromkeys(["golden", "shiny"], LOOK),
}
TEXTS = [
    "two golden owls on top of a ladder",
    "a lamp and two owls",
    "three ladders, and a shiny lamp",
    "a lamp chasing two owls",
]
PROMPTS = tuple(
    Prompt(f"{number:03d}", text, f"{number + 3}_atoms", {"vqa_list": QUESTIONS})
    for number, text in enumerate(TEXTS)
)


def test_the_words_come_from_the_questions() -> None:
    assert vocabulary(PROMPTS) == WORDS


def test_a_template_keeps_what_is_no_count_look_or_thing() -> None:
    assert [template(text, WORDS) for text in TEXTS] == [
        "[count] [look] [thing] on top of [count] [thing]",
        "[count] [thing] and [count] [thing]",
        "[count] [thing], and [count] [look] [thing]",
        "[count] [thing] chasing [count] [thing]",
    ]
    assert template("an  Owl.", WORDS) == "[count] [thing]"


def test_the_order_of_joined_parts_does_not_matter_but_that_of_a_relation_does() -> None:
    assert parts("a lamp and two owls") == parts("two owls, and a lamp")
    assert parts("a lamp chasing two owls") != parts("two owls chasing a lamp")


def test_the_likeness_is_known_by_how_a_prompt_was_made() -> None:
    drawn = random.Random(1)
    groups = [
        " ".join(one)
        for one in product(("a", "two", "seven"), ("golden", "shiny"), ("owl", "lamps", "ladder"))
    ]
    for _ in range(200):
        first, second, other = drawn.sample(groups, 3)
        training = TrainedTexts.of([f"{first} and {second}", f"{first} behind {second}"], WORDS)
        assert training.likeness(f"{first.upper()}  and {second}.") == "equal"
        assert training.likeness(f"{second} and {first}") == "in another order"
        assert training.likeness(f"{second} behind {first}") == "of the same template"
        assert training.likeness(f"{other} and {first}") == "of the same template"
        assert training.likeness(f"{other} under {first}") == "new"
        assert training.likeness(f"a kite and {first}") == "new"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training split in the form of GenEval 2's own file."""
    monkeypatch.setattr(GenEval2Suite, "prompts", lambda _: PROMPTS)
    made = tmp_path / "train.jsonl"
    lines = ["Two owls and a lamp", "three lamps, and a golden owl", "A lamp chasing two owls."]
    made.write_text("".join(f"{json.dumps({'prompt': line})}\n" for line in lines))
    return made


def test_what_the_command_says(file: Path) -> None:
    assert lines_of([str(file)]) == [
        "1 of GenEval 2's 4 prompts are equal",
        "1 of GenEval 2's 4 prompts are in another order",
        "1 of GenEval 2's 4 prompts are of the same template",
        "1 of GenEval 2's 4 prompts are new",
    ]


def test_an_adapter_is_looked_up_by_its_hashes(file: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    asked = [str(file), "--adapter", str(adapter)]
    assert lines_of(asked)[4:] == [
        f"{adapter} has no prompts.sha256: what it was trained on is not known"
    ]
    write_hashes(adapter, ["two owls and a lamp", "a lamp and two owls", "a cat"])
    assert lines_of(asked)[4:] == [
        f"1 of these 3 training prompts are among those of {adapter}",
        f"1 of GenEval 2's 4 prompts are among those of {adapter}",
    ]


def test_what_is_noted_is_what_a_report_leaves_out(file: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    asked = [str(file), "--adapter", str(adapter), "--note"]
    assert lines_of(asked)[4].startswith("3 of these 3 training prompts")
    hashes = read_hashes(adapter)
    entry = Training(seen=hashes).to_json({prompt.id: prompt.text for prompt in PROMPTS})
    assert entry["seen_prompts"] == ["003"]  # the equal one, and no likeness
    with pytest.raises(UsageError, match=r"has a prompts\.sha256 already"):
        lines_of(asked)
    with pytest.raises(UsageError, match="there is no folder"):
        lines_of([str(file), "--adapter", str(tmp_path / "nothing"), "--note"])
    with pytest.raises(SystemExit):
        lines_of([str(file), "--note"])


def test_an_adapter_s_prompts_are_found_among_geneval2_s() -> None:
    """By the same function as those of any suite."""
    seen = prompt_hashes([TEXTS[0].upper(), f" {TEXTS[2]}."])
    texts = {prompt.id: prompt.text for prompt in PROMPTS}
    assert Training(seen=seen).to_json(texts)["seen_prompts"] == ["000", "002"]


def test_the_command_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["contamination", str(file)])
    main()
    assert capsys.readouterr().out.splitlines()[0] == "1 of GenEval 2's 4 prompts are equal"
    monkeypatch.setattr(sys, "argv", ["contamination", "nothing.txt"])
    with pytest.raises(SystemExit, match=r"error: there is no prompt file nothing\.txt"):
        main()
