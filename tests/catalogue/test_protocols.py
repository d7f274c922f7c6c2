"""Published suites without their files: the same numbers as with them."""

from __future__ import annotations

from collections import Counter

import pytest

from hnbench.catalogue import registry
from hnbench.catalogue.specifications import make_protocol, make_suite
from hnbench.errors import UnavailableError
from hnbench.suites.base import Suite

NUMBERS = {
    "geneval": (553, 2212, 42, 168),
    "geneval-hf": (553, 2212, 42, 168),
    "geneval2": (800, 800, 48, 48),
    "t2i-compbench": (2400, 24000, 120, 240),
    "t2i-compbench:3d-spatial": (300, 3000, 15, 30),
    "parti": (1632, 1632, 64, 64),
    "hpdv2": (3200, 3200, 64, 64),
    "genai-bench": (1600, 1600, 64, 64),
    "dpg-vlm": (1065, 4260, 16, 64),
    "dpg": (1065, 4260, 16, 64),
}
"""Prompts and images under the full protocol, then under the quick one."""


def numbers_of(suite: Suite) -> dict[str, Counter[str]]:
    """Prompts and images by tag."""
    found = {}
    for full, prompts in ((True, suite.prompts()), (False, suite.subset())):
        found[f"prompts, {full}"] = Counter(prompt.tag for prompt in prompts)
        found[f"images, {full}"] = Counter(
            prompt.tag for prompt in prompts for _ in range(suite.samples(prompt, full=full))
        )
    return found


def test_every_suite_that_needs_files_has_a_protocol() -> None:
    needing = {entry.name for entry in registry.SUITES.built_in if entry.needs}
    assert needing == {name.partition(":")[0] for name in NUMBERS}
    for entry in registry.SUITES.built_in:
        assert bool(entry.protocol) == bool(entry.needs), entry.name
    assert make_protocol("geneval-shapes") is None


@pytest.mark.parametrize("name", NUMBERS)
def test_the_published_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr("hnbench.weights.pinned_files.fetch", refuse)
    suite = make_protocol(name)
    assert suite is not None
    found = numbers_of(suite)
    assert tuple(one.total() for one in found.values()) == NUMBERS[name]
    assert set(found["prompts, True"]) == set(suite.tags)
    assert not any(prompt.text for prompt in suite.prompts())
    assert len({prompt.id for prompt in suite.prompts()}) == NUMBERS[name][0]


@pytest.mark.parametrize("name", NUMBERS)
def test_the_files_have_the_same_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    try:
        real = make_suite(name)
        found = numbers_of(real)
    except UnavailableError:
        pytest.skip("HNBENCH_DATA names no folder with the files, and tests download nothing")
    protocol = make_protocol(name)
    assert protocol is not None
    assert numbers_of(protocol) == found
    assert protocol.tags == real.tags
