"""The data of the checks: sound entries, pinned inputs, and a check for every published reward and
measure.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from hnbench.catalogue import registry
from hnbench.catalogue.entries import Entry
from hnbench.errors import UsageError
from hnbench.verification.reference import (
    FOLDER,
    KINDS,
    PinnedInput,
    Reference,
    all_references,
    choose,
    field_names,
    read_references,
)

KNOWN = all_references()
ENTRY: dict[str, Any] = {
    "name": "a",
    "component": "redness",
    "kind": "reward",
    "about": "it",
    "truth": "published",
    "function": "math:sqrt",
    "source": "somebody",
    "expected": {"x": 1.0},
    "tolerance": {"float32": 0.1},
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_every_key_of_an_entry_is_known(path: Path) -> None:
    entries = json.loads(path.read_text(encoding="utf-8"))
    assert not {key for entry in entries for key in entry} - set(field_names())
    assert not {key for entry in entries for item in entry.get("inputs", ()) for key in item} - set(
        PinnedInput.__dataclass_fields__
    )


def test_names_are_unique_and_no_component_has_the_name_of_a_check() -> None:
    names = [one.name for one in KNOWN]
    assert len(set(names)) == len(names)
    assert not {one.component for one in KNOWN} & set(names)


@pytest.mark.parametrize("one", KNOWN, ids=lambda one: one.name)
def test_an_entry_is_sound(one: Reference) -> None:
    assert one.kind in KINDS
    assert one.about
    assert one.source
    assert (one.download > 0) != one.component.startswith("shapes")  # which comes with the package
    assert one.dtype in ("float32", "bfloat16", "float16")
    assert all(value > 0 for value in one.tolerance.values())
    assert set(one.tolerance) <= {"float32", "bfloat16", "float16"}
    assert all(isinstance(value, (int, float, str)) for value in one.expected.values())
    assert callable(EntryPoint(one.name, one.function, "").load())
    names = [item.name for item in one.inputs]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "/" in name or name.startswith(".")]


@pytest.mark.parametrize(
    "item", [item for one in KNOWN for item in one.inputs], ids=lambda item: item.name
)
def test_an_input_is_pinned_or_says_why_it_is_not(item: PinnedInput) -> None:
    assert bool(item.url) != bool(item.repo)
    assert re.fullmatch("|[0-9a-f]{64}", item.sha256)
    if item.url:
        assert item.url.startswith("https://")
        in_address = re.search("/[0-9a-f]{40}/", item.url)
        assert bool(in_address or item.sha256) != bool(item.unpinned)
    else:
        assert re.fullmatch("[^/]+/[^/]+", item.repo)
        assert bool(re.fullmatch("[0-9a-f]{7,40}", item.revision) or item.sha256) != bool(
            item.unpinned
        )
        assert item.path
        assert item.kind in ("model", "dataset")


def published() -> list[str]:
    """Every reward and measure of `hnbench list` that is made of published weights, and the
    mixtures of them.
    """
    entries = [*registry.REWARDS.entries.values(), *registry.MEASURES.entries.values()]
    return [entry.name for entry in entries if is_published(entry)] + ["lpips"]


def is_published(entry: Entry) -> bool:
    parts = [registry.REWARDS.entries[name] for name in entry.components()]
    return bool(entry.sources) or any(map(is_published, parts))


@pytest.mark.parametrize("name", published())
def test_every_published_reward_and_measure_has_a_check(name: str) -> None:
    found = choose([name], KNOWN)
    assert {one.kind for one in found} <= {"reward", "measure"}
    weights = registry.REWARDS.entries[name].weights if name in registry.REWARDS.entries else {}
    assert {re.split("[:@]", one.component)[0] for one in found} == set(weights or {name})


def test_a_component_is_a_name_that_hnbench_knows() -> None:
    for one in KNOWN:
        if one.kind in ("reward", "measure"):
            registries: dict[str, registry.Registry[Any]] = {
                "reward": registry.REWARDS,
                "measure": registry.MEASURES,
            }
            assert registries[one.kind].entry(one.component)


def test_checks_are_chosen_by_component_family_mixture_or_name() -> None:
    def made(name: str, component: str) -> Reference:
        return Reference(**{**ENTRY, "name": name, "component": component})

    known = [
        made("one", "geneval:counting"),
        made("two", "clip@owner/name"),
        made("three", "clip"),
        made("four", "hpsv2.1"),
    ]

    def names(*typed: str) -> list[str]:
        return [one.name for one in choose(typed, known)]

    assert names("geneval") == ["one"]
    assert names("clip") == ["two", "three"]
    assert names("clip@owner/name", "clip") == ["two", "three"]
    assert names("four", "three", "four") == ["four", "three"]
    assert names("human-preference") == ["two", "three", "four"]


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(
        UsageError,
        match=(
            r"there is no check 'imagerewrd'; did you mean 'imagereward'\? known: .*hpsv2\.0.*lpips"
        ),
    ):
        choose(["imagereward", "imagerewrd"], KNOWN)
    with pytest.raises(UsageError, match=r"there is no check 'zzzz'; known: "):
        choose(["zzzz"], KNOWN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tolerence": {}}, "a.json: a: .*tolerence"),
        ({"kind": "model"}, "a.json: a: kind, tolerance"),
        ({"tolerance": {"bfloat16": 1.0}}, "a.json: a: kind, tolerance"),
        ({"expected": {}}, "a.json: a: kind, tolerance"),
        ({"truth": "independent"}, "a.json: a: kind, tolerance"),
        ({"inputs": [{"name": "x", "sha": ""}]}, "a.json: a: .*sha"),
    ],
)
def test_an_unsound_entry_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{**ENTRY, **change}]))
    with pytest.raises(ValueError, match=message):
        read_references(path)


def test_what_decides_the_verdict_is_in_the_digest() -> None:
    made = Reference(**ENTRY)
    others = [
        Reference(**{**ENTRY, **change})
        for change in (
            {"expected": {"x": 2.0}},
            {"tolerance": {"float32": 1.0}},
            {"given": {"a": 1}},
        )
    ]
    others.append(Reference(**{**ENTRY, "inputs": (PinnedInput(name="x", sha256="0" * 64),)}))
    assert len({made.digest, *(other.digest for other in others)}) == 5
    assert Reference(**{**ENTRY, "about": "said otherwise"}).digest == made.digest
