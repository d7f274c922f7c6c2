"""Names, and those that other packages add."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hnbench.catalogue import registry
from hnbench.catalogue.entries import Entry, RewardEntry
from hnbench.catalogue.registry import GENERATORS, MEASURES, METHODS, REWARDS, SUITES, Registry
from hnbench.errors import UsageError
from hnbench.weights.hub import Source

KNOWN = (
    "aesthetic, clip, hpsv2.0, hpsv2.1, hpsv3, human-preference, imagereward, pickscore, redness,"
    " shapes-byobnet, shapes-clip, shapes-efficientnet, shapes-preference, shapes-resnet"
)


def plain(where: str = "") -> str:
    return f"made{where}"


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
                "sdxl-dmd2",
                "sdxl-dmd2-4step",
                "sdxl-lightning",
                "sdxl-hyper",
                "sdxl-hyper-lora",
                "sdxl-lcm",
                "sdxl-tcd",
                "pixart-dmd",
                "sana-sprint-0.6b",
                "sana-sprint-1.6b",
                "flux-schnell",
                "z-image-turbo",
                "flux2-klein",
                "sd3.5-large-turbo",
            ],
        ),
        (
            REWARDS,
            [
                *(
                    "shapes-clip",
                    "shapes-resnet",
                    "shapes-byobnet",
                    "shapes-preference",
                    "shapes-efficientnet",
                    "redness",
                    "hpsv2.1",
                    "hpsv2.0",
                    "imagereward",
                    "pickscore",
                    "clip",
                    "aesthetic",
                    "hpsv3",
                ),
                "human-preference",
            ],
        ),
        (
            SUITES,
            [
                *("geneval-shapes", "t2i-compbench", "parti", "hpdv2", "dpg"),
                *("geneval", "geneval-hf", "geneval2", "genai-bench", "dpg-vlm"),
            ],
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
                *("zero-order", "spectral", "evolution"),
                "prompt-search",
                *("gper", "mpgr", "dno", "hybrid", "oracle"),
                *("pcn", "langevin"),
                "hypernoise",
                "finetune",
                "amortised",
                "hypernoise-random-direction",
                "hypernoise-other-noise",
                "hypernoise-other-prompt",
                "hypernoise-static",
            ],
        ),
    ],
)
def test_the_built_in_names(kind: Registry[Any], names: list[str]) -> None:
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
        Registry("thing", "hnbench.none", Entry, Entry("a", f"{__name__}:plain", "")).get("a")()
        == "made"
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
    assert len(str(caught.value)) < len(KNOWN) + 131


SOURCED = Registry(
    "thing",
    "hnbench.none",
    Entry,
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


def test_a_reward_may_read_files_of_other_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    text = ("hpsv3/data_collator_qwen.py",)
    assert REWARDS.data_files("hpsv3") == REWARDS.data_files("hpsv3@owner/name") == text
    assert REWARDS.data_files("human-preference") == ()
    mixture = RewardEntry("mixed", "nowhere:never", "", weights={"clip": 1.0, "hpsv3": 1.0})
    monkeypatch.setitem(REWARDS.entries, "mixed", mixture)
    assert REWARDS.data_files("mixed") == text


def test_a_package_adds_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(monkeypatch, ("other", f"{__name__}:plain", "other-package"))
    rewards = Registry(
        "reward", "hnbench.rewards", RewardEntry, RewardEntry("own", "nowhere:never", "")
    )
    assert rewards.get("other")() == "made"
    assert rewards.entry("other").package == "other-package"
    assert list(rewards.entries) == ["own", "other"]


def test_two_providers_of_a_name_are_refused_by_naming_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    third_party(monkeypatch, ("own", "elsewhere:Thing", "other-package"))
    rewards = Registry(
        "reward", "hnbench.rewards", RewardEntry, RewardEntry("own", "hnbench.here:load", "")
    )
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
        Registry("reward", "hnbench.rewards", RewardEntry).get("broken")


def test_an_import_fault_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError):
        Registry(
            "reward", "hnbench.none", RewardEntry, RewardEntry("a", "no_such_package:load", "")
        ).get("a")
