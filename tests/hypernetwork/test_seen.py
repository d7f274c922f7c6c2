from __future__ import annotations

import os
from pathlib import Path

import pytest

from hnbench.errors import UsageError
from hnbench.hypernetwork.seen import FILE, prompt_hash, read_hashes, seen_prompts, write_hashes

DATA = Path(os.environ.get("HNBENCH_DATA") or "nowhere")


def test_capitals_white_space_and_a_full_stop_make_no_other_prompt() -> None:
    assert len({prompt_hash(text) for text in ("A red  car.", "a red car", " a RED car .")}) == 1
    assert prompt_hash("a red car") != prompt_hash("a red cars")
    assert prompt_hash("a red car") != prompt_hash("a red car!")


def test_what_was_written_is_found(tmp_path: Path) -> None:
    write_hashes(tmp_path, ["a cat", "A cat.", "a dog"])
    assert len((tmp_path / FILE).read_text().split()) == 2
    assert seen_prompts(read_hashes(tmp_path), {"1": "A CAT", "2": "a cow", "3": "a dog"}) == [
        "1",
        "3",
    ]


def test_an_adapter_that_does_not_say(tmp_path: Path) -> None:
    assert seen_prompts(read_hashes(tmp_path), {"1": "a cat"}) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "cannot be read"),
        (b"\xef\xbb\xbf0123456789abcdef\n", "cannot be read"),
        (b"", "is damaged"),
        (b"0123456789abcde\n", "is damaged"),
        (b"0123456789abcdef\nversion https://git-lfs.github.com/spec/v1\n", "is damaged"),
        (b"0123456789ABCDEF\n", "is damaged"),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_hashes(tmp_path)


def test_line_ends_of_other_systems_are_no_damage(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(f"{prompt_hash('a cat')}\r\n".encode())
    assert seen_prompts(read_hashes(tmp_path), {"1": "a cat"}) == ["1"]


@pytest.mark.skipif(
    not (DATA / "training").is_dir(),
    reason="HNBENCH_DATA names no folder with the training prompts, and tests download nothing",
)
def test_hypernoise_was_trained_on_51_colour_prompts(tmp_path: Path) -> None:
    """Of 300 in each category. Exactly the same text have 30 of the 51; 19 more differ in nothing
    but the space before a full stop.
    """

    def lines(name: str) -> list[str]:
        return [
            line.strip()
            for line in (DATA / name).read_text(encoding="utf-8-sig").splitlines()
            if line.strip()
        ]

    trained = ("color", "complex", "texture", "shape", "spatial", "non_spatial", "numeracy")
    write_hashes(
        tmp_path,
        [
            *lines("training/abc-6k.txt"),
            *(text for name in trained for text in lines(f"t2i-compbench/{name}_train.txt")),
        ],
    )
    found = {}
    for name in (*trained, "3d_spatial"):
        found[name] = len(
            seen_prompts(
                read_hashes(tmp_path),
                {text: text for text in lines(f"t2i-compbench/{name}_val.txt")},
            )
            or []
        )
    assert {name: number for name, number in found.items() if number} == {
        "color": 51,
        "shape": 4,
        "spatial": 2,
    }
