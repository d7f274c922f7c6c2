"""What users type for suites and methods."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hnbench.catalogue import registry
from hnbench.catalogue.entries import MethodEntry
from hnbench.catalogue.registry import Registry
from hnbench.catalogue.specifications import find_suite, make_method, make_suite, parse_method
from hnbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A method-like factory with one parameter of each type."""

    adapter: Path
    count: int = 1
    rate: float = 0.5
    nesterov: bool = True
    limit: int | None = 3
    note: str = ""


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        registry,
        "METHODS",
        Registry(
            "method",
            "hnbench.none",
            MethodEntry,
            MethodEntry("sample", f"{__name__}:Sample", "for the tests"),
        ),
    )


@pytest.mark.parametrize(
    ("specification", "name", "given"),
    [
        ("geneval-shapes", "geneval-shapes", {}),
        ("t2i-compbench", "t2i-compbench", {}),
        ("t2i-compbench:3d-spatial", "t2i-compbench", {"part": "3d-spatial"}),
        (
            "t2i-compbench:spatial, detector=a/b@c",
            "t2i-compbench",
            {"part": "spatial", "detector": "a/b@c"},
        ),
        ("t2i-compbench:rules=repaired", "t2i-compbench", {"rules": "repaired"}),
        ("some/where/parti.txt", "FILE", {"path": Path("some/where/parti.txt")}),
        ("a:b=c.JSONL", "FILE", {"path": Path("a:b=c.JSONL")}),
        ("list.json", "FILE", {"path": Path("list.json")}),
        ("./notes.md", "FILE", {"path": Path("notes.md")}),
        ("./parti", "FILE", {"path": Path("parti")}),
        (
            "t2i-compbench:detector=some/where.json",
            "t2i-compbench",
            {"detector": "some/where.json"},
        ),
    ],
)
def test_what_a_suite_s_specification_says(
    specification: str, name: str, given: dict[str, Any]
) -> None:
    entry, found = find_suite(specification)
    assert (entry.name, found) == (name, given)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("partii", "unknown suite 'partii'; did you mean 'parti'? "),
        (
            "t2i-compbench:colour",
            "the suite 't2i-compbench' has no part 'colour'; did you mean 'color'? ",
        ),
        ("t2i-compbench:", "the suite 't2i-compbench' has no part ''; known: 3d-spatial, color"),
        ("parti:photo", "the suite 'parti' has no part 'photo'; known: none"),
        (
            "t2i-compbench:color,detectr=x",
            "the suite 't2i-compbench' has no option 'detectr'; did you mean 'detector'? ",
        ),
        (
            "t2i-compbench:color,shape",
            "suite 't2i-compbench:color,shape': give part once, and a value with it",
        ),
        ("t2i-compbench:clip=", "suite 't2i-compbench:clip=': give clip once, and a value with it"),
    ],
)
def test_a_wrong_suite_is_refused_before_anything_is_imported(
    specification: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        find_suite(specification)
    assert str(caught.value).startswith(message)


def test_a_suite_is_made_with_what_it_was_given() -> None:
    assert make_suite("t2i-compbench:non-spatial,rules=repaired").tags == ("non_spatial",)
    with pytest.raises(UsageError, match=r"no-such-file\.txt cannot be read"):
        make_suite("no-such-file.txt")


def test_parse_method() -> None:
    assert parse_method("reno") == ("reno", {})
    assert parse_method("reno: iterations=5, learning_rate=1e-2") == (
        "reno",
        {"iterations": "5", "learning_rate": "1e-2"},
    )
    assert parse_method("hypernoise:adapter=a=b") == ("hypernoise", {"adapter": "a=b"})


@pytest.mark.parametrize("text", ["reno:", "reno:5", "reno:=5", "reno:a=1,,b=2", "reno:a=1,a=2"])
def test_a_malformed_specification_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"method 'reno:"):
        parse_method(text)


@pytest.mark.usefixtures("sample")
def test_values_take_the_types_of_the_fields() -> None:
    made: object = make_method(
        "sample:adapter=some/where,count=4,rate=1e-3,nesterov=false,limit=none,note=x"
    )
    assert made == Sample(
        adapter=Path("some/where"), count=4, rate=1e-3, nesterov=False, limit=None, note="x"
    )


@pytest.mark.usefixtures("sample")
def test_what_is_typed_wins_over_defaults() -> None:
    made: object = make_method("sample:count=4", {"adapter": Path("a"), "count": 2, "rate": 2.0})
    assert made == Sample(adapter=Path("a"), count=4, rate=2.0)


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sample:cuont=4",
            (
                "method 'sample' has no parameter 'cuont'; did you mean 'count'? known: adapter,"
                " count, limit, nesterov, note, rate"
            ),
        ),
        ("sample:count=4.5", "method 'sample': count was '4.5'; it must be a whole number"),
        ("sample:rate=fast", "method 'sample': rate was 'fast'; it must be a number"),
        (
            "sample:nesterov=maybe",
            "method 'sample': nesterov was 'maybe'; it must be true or false",
        ),
        ("sample:limit=few", "method 'sample': limit was 'few'; it must be a whole number or none"),
        ("sample", "method 'sample' needs adapter; type sample:adapter=VALUE"),
        ("sampel", "unknown method 'sampel'; did you mean 'sample'? known: sample"),
    ],
)
def test_bad_values_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_method(text)
    assert str(caught.value) == message


def test_the_parameters_of_a_real_method() -> None:
    made = make_method("best-of-n:n=5")
    assert made.labels == ("best-of-2", "best-of-4", "best-of-5")


def not_a_dataclass(rate: float = 0.5) -> Sample:
    return Sample(adapter=Path("adapter"), rate=rate)


class NotADataclass:
    """A method's class whose author forgot the decorator."""


@pytest.mark.parametrize("name", ["not_a_dataclass", "NotADataclass", "INSTANCE"])
def test_a_method_that_is_no_dataclass_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(
        registry,
        "METHODS",
        Registry(
            "method", "hnbench.none", MethodEntry, MethodEntry("odd", f"{__name__}:{name}", "")
        ),
    )
    with pytest.raises(UsageError, match=r"the method 'odd' cannot be made: .* is not a dataclass"):
        make_method("odd:rate=1")


INSTANCE = Sample(adapter=Path("adapter"))
