"""The file of operations, against new counts, closed forms and the sizes of published files."""

from __future__ import annotations

import io
from itertools import pairwise
from math import prod

import pytest

from benchmarks.published_operations import GENERATORS, OWN_REWARDS, REWARDS, rows_of, write
from hnbench.catalogue import registry
from hnbench.catalogue.operations import FILE, operations_of


def test_every_built_in_model_was_counted() -> None:
    """A mixture has no row: its parts are added."""
    lines = FILE.read_text(encoding="utf-8").splitlines()[1:]
    listed = dict.fromkeys(line.split(",")[0] for line in lines)
    rewards = [entry.name for entry in registry.REWARDS.built_in if not entry.weights]
    assert set(listed) == {entry.name for entry in registry.GENERATORS.built_in} | set(rewards)
    assert list(listed) == [*GENERATORS, *OWN_REWARDS, *REWARDS]
    for name in listed:
        parts = {"reward"} if name in rewards else {"backbone", "decoder"}
        assert parts <= set(operations_of(name)), name


@pytest.mark.parametrize("name", ["shapes", *OWN_REWARDS, "aesthetic"])
def test_counted_again_it_is_the_same(name: str) -> None:
    assert rows_of(name) == operations_of(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GENERATORS[1:], *REWARDS])
def test_every_published_row_is_the_same(name: str) -> None:
    assert rows_of(name) == operations_of(name)


def test_what_is_written_is_the_file() -> None:
    written = io.StringIO()
    write(["redness"], written)
    header, row = written.getvalue().splitlines()
    assert [header, row] == [
        line
        for line in FILE.read_text(encoding="utf-8").splitlines()
        if line.startswith(("model,", "redness,"))
    ]


def test_an_unknown_model_has_no_parts() -> None:
    assert dict(operations_of("nobody")) == {}


def test_the_tower_of_clip_is_its_closed_form() -> None:
    """ViT-L/14 at 224 pixels: 24 layers of 12 matrices of 1024x1024 and two products of attention
    over 257 tokens, 256 patches of 14x14 pixels, a projection to 768, and the head.
    """
    tokens, width, layers = 257, 1024, 24
    sizes = (768, 1024, 128, 64, 16, 1)
    head = sum(2 * prod(pair) for pair in pairwise(sizes))
    patches = 2 * (tokens - 1) * (3 * 14 * 14) * width
    attention = 4 * tokens**2 * width
    matrices = 2 * tokens * 12 * width**2
    expected = patches + layers * (matrices + attention) + 2 * width * 768 + head
    assert operations_of("aesthetic")["reward"].forward == expected


@pytest.mark.parametrize(
    ("name", "gigabytes", "bytes_each"),
    [
        ("sd-turbo", 1.73, 2),
        ("sdxl-turbo", 5.14, 2),
        ("pixart-dmd", 2.44, 4),
        ("flux2-klein", 7.75, 2),
    ],
)
def test_a_backbone_is_as_large_as_the_published_file(
    name: str, gigabytes: float, bytes_each: int
) -> None:
    found = operations_of(name)["backbone"].parameters * bytes_each / 1e9
    assert found == pytest.approx(gigabytes, abs=0.006)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("sana-sprint-0.6b", 0.6),
        ("sana-sprint-1.6b", 1.6),
        ("flux-schnell", 11.9),
        ("z-image-turbo", 6.15),
        ("sd3.5-large-turbo", 8.0),
    ],
)
def test_a_backbone_has_the_parameters_of_its_name(name: str, billions: float) -> None:
    found = operations_of(name)["backbone"].parameters / 1e9
    assert found == pytest.approx(billions, rel=0.02)


def test_the_parts_of_sd_turbo_were_counted_before() -> None:
    """TFLOP of another count, of the same networks at 512 pixels."""
    found = {
        "sd-turbo": operations_of("sd-turbo")["backbone"].forward / 1e12,
        "hpsv2.1": operations_of("hpsv2.1")["reward"].forward / 1e12,
        "imagereward": operations_of("imagereward")["reward"].forward / 1e12,
    }
    assert found == pytest.approx(
        {"sd-turbo": 0.804, "hpsv2.1": 0.335, "imagereward": 0.138}, abs=6e-4
    )
    assert operations_of("sd-turbo")["decoder"].forward / 1e12 == pytest.approx(2.515, abs=6e-4)
