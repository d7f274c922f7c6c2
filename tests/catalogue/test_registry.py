"""Names, specifications and third-party entries."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hnbench.catalogue import registry
from hnbench.catalogue.registry import (
    GENERATORS,
    MEASURES,
    METHODS,
    REWARDS,
    SUITES,
    Entry,
    Registry,
    find_suite,
    make_method,
    make_suite,
    parse_method,
)
from hnbench.errors import UsageError
from hnbench.weights.hub import Source

KNOWN = (
    "aesthetic, clip, hpsv2.0, hpsv2.1, human-preference, imagereward, pickscore, redness,"
    " shapes-clip, shapes-resnet"
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A method-like factory with one parameter of each type."""

    adapter: Path
    count: int = 1
    rate: float = 0.5
    nesterov: bool = True
    limit: int | None = 3
    note: str = ""


def plain(where: str = "") -> str:
    return f"made{where}"


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        registry,
        "METHODS",
        Registry("method", "hnbench.none", Entry("sample", f"{__name__}:Sample", "for the tests")),
    )


def third_party(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str, str]) -> None:
    """Pretend that packages are installed with these entry points (name, target, package)."""

    def found(*, group: str) -> list[Any]:
        assert group == "hnbench.rewards"
        return [
            SimpleNamespace(name=name, value=value, dist=SimpleNamespace(name=package))
            for name, value, package in points
        ]

    monkeypatch.setattr(registry, "entry_points", found)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            GENERATORS,
            [
                "shapes",
                "sd-turbo",
                "sdxl-turbo",
                "pixart-dmd",
                "sana-sprint-0.6b",
                "sana-sprint-1.6b",
                "flux-schnell",
            ],
        ),
        (
            REWARDS,
            [
                *(
                    "shapes-clip",
                    "shapes-resnet",
                    "redness",
                    "hpsv2.1",
                    "hpsv2.0",
                    "imagereward",
                    "pickscore",
                    "clip",
                    "aesthetic",
                ),
                "human-preference",
            ],
        ),
        (
            SUITES,
            ["geneval-shapes", "t2i-compbench", "parti", "hpdv2", "dpg", "geneval", "geneval-hf"],
        ),
        (
            MEASURES,
            [
                *("lpips", "dino-similarity", "dino-vendi", "cmmd", "fd-dinov2", "vqascore"),
                *("shapes-similarity", "shapes-vendi", "shapes-mmd", "shapes-fd"),
            ],
        ),
        (
            METHODS,
            [
                "random",
                "best-of-n",
                "reno",
                "hypernoise",
                "finetune",
                "hypernoise-random-direction",
                "hypernoise-other-noise",
            ],
        ),
    ],
)
def test_the_built_in_names(kind: Registry, names: list[str]) -> None:
    assert [entry.name for entry in kind.built_in] == names


@pytest.mark.parametrize(
    "entry",
    [entry for kind in (GENERATORS, REWARDS, METHODS, SUITES) for entry in kind.built_in],
    ids=lambda entry: entry.name,
)
def test_every_built_in_factory_can_be_imported(entry: Entry) -> None:
    assert callable(entry.load())


@pytest.mark.parametrize("entry", METHODS.built_in, ids=lambda entry: entry.name)
def test_a_method_answers_to_the_name_that_it_is_registered_under(entry: Entry) -> None:
    factory: Any = entry.load()
    assert factory.name == entry.name


@pytest.mark.parametrize("entry", MEASURES.built_in, ids=lambda entry: entry.name)
def test_a_measure_s_factory_takes_a_device_and_where_its_model_is(entry: Entry) -> None:
    assert list(signature(entry.load()).parameters) == [
        "device",
        *(["where"] if entry.sources else []),
    ]


def test_get_returns_the_factory() -> None:
    assert (
        Registry("thing", "hnbench.none", Entry("a", f"{__name__}:plain", "")).get("a")() == "made"
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("shapes-clp", f"unknown reward 'shapes-clp'; did you mean 'shapes-clip'? known: {KNOWN}"),
        ("zzz", f"unknown reward 'zzz'; known: {KNOWN}"),
        ("", f"unknown reward ''; known: {KNOWN}"),
        ("@folder", f"unknown reward ''; known: {KNOWN}"),
        ("../redness" * 2000, None),
    ],
)
def test_an_unknown_name_is_refused(asked: str, message: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        REWARDS.get(asked)
    if message:
        assert str(caught.value) == message
    assert len(str(caught.value)) < 250


SOURCED = Registry(
    "thing",
    "hnbench.none",
    Entry("a", f"{__name__}:plain", "", sources=(Source("x/y", patterns=("w.pt",)), Source("x/z"))),
)


def test_a_place_follows_the_name(tmp_path: Path) -> None:
    assert SOURCED.get("a@some/where@v1")() == "madesome/where@v1"
    assert SOURCED.sources("a") == (Source("x/y", patterns=("w.pt",)), Source("x/z"))
    assert SOURCED.sources("a@some/where@v1") == (
        Source("some/where", "v1", ("w.pt",)),
        Source("x/z"),
    )
    assert SOURCED.sources(f"a@{tmp_path}") == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("redness@folder", "nothing can follow 'redness'"),
        ("human-preference@x", "nothing can follow"),
        ("clip@", "type clip@FOLDER"),
    ],
)
def test_a_place_where_none_can_be_used(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        REWARDS.entry(name)


def test_a_mixture_needs_what_its_parts_need() -> None:
    parts = REWARDS.entry("human-preference").weights
    assert REWARDS.sources("human-preference") == tuple(
        source for part in parts for source in REWARDS.entry(part).sources
    )
    assert {source.repo for source in REWARDS.sources("human-preference")} >= {
        "xswu/HPSv2",
        "THUDM/ImageReward",
        "yuvalkirstain/PickScore_v1",
    }


def test_a_package_adds_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(monkeypatch, ("other", f"{__name__}:plain", "other-package"))
    rewards = Registry("reward", "hnbench.rewards", Entry("own", "nowhere:never", ""))
    assert rewards.get("other")() == "made"
    assert rewards.entry("other").package == "other-package"
    assert list(rewards.entries) == ["own", "other"]


def test_two_providers_of_a_name_are_refused_by_naming_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    third_party(monkeypatch, ("own", "elsewhere:Thing", "other-package"))
    rewards = Registry("reward", "hnbench.rewards", Entry("own", "hnbench.here:load", ""))
    with pytest.raises(
        UsageError,
        match=(
            r"'own' has two providers: hnbench.here:load of hnbench and elsewhere:Thing of"
            r" other-package"
        ),
    ):
        rewards.get("own")


@pytest.mark.parametrize("target", ["no_such_package:load", f"{__name__}:absent"])
def test_a_package_that_cannot_be_imported_is_named(
    monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    third_party(monkeypatch, ("broken", target, "other-package"))
    with pytest.raises(UsageError, match="'broken' of package other-package cannot be imported"):
        Registry("reward", "hnbench.rewards").get("broken")


def test_an_import_fault_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError):
        Registry("reward", "hnbench.none", Entry("a", "no_such_package:load", "")).get("a")


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
        Registry("method", "hnbench.none", Entry("odd", f"{__name__}:{name}", "")),
    )
    with pytest.raises(UsageError, match=r"the method 'odd' cannot be made: .* is not a dataclass"):
        make_method("odd:rate=1")


INSTANCE = Sample(adapter=Path("adapter"))
