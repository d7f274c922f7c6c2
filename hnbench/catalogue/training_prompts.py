"""Prompts to train on: from a file, or a named set (`hnbench list prompts`).

A named set is a function that takes the folder with other projects' prompt files, or None for the
cache and the network (see `hnbench.weights.pinned_files`), and returns the prompts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.catalogue import registry
from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError, decode
from hnbench.files.prompt_files import read_every_prompt, read_prompt_file, read_text, shown
from hnbench.weights.pinned_files import data_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMPBENCH_CATEGORIES = (
    "color",
    "complex",
    "texture",
    "shape",
    "spatial",
    "non_spatial",
    "numeracy",
)
"""The categories that the official training code reads: all except 3d_spatial."""


def find_prompts(
    given: str, data: Path | None = None, tell: Callable[[str], None] = lambda _: None
) -> tuple[str, ...]:
    """The prompts of a named set, or of a prompt file. A file with the name of a set needs a path,
    as in `./hypernoise`.

    `tell` is called with each line that a user should know about a file's prompts. Raises
    `UsageError` for a name that is neither, and for a file that cannot be used.
    """
    if is_set(given):
        return tuple(registry.PROMPTS.get(given)(data))
    if not os.path.exists(given):  # noqa: PTH110
        known = ", ".join(registry.PROMPTS.entries)
        raise UsageError(
            f"there is no prompt file {shown(Path(given))}, and no prompt set of that name; give a"
            f" file or one of: {known}"
        )
    file = read_prompt_file(Path(given))
    for note in file.notes:
        tell(note)
    return file.texts


def is_set(given: str) -> bool:
    """Whether prompts are given by the name of a set."""
    return given in registry.PROMPTS.entries


def shapes(_data: Path | None = None) -> Sequence[str]:
    """The embedded world's captions, without those of its evaluation."""
    from hnbench.shapes.captions import training_prompts

    return training_prompts()


def t2i_compbench(data: Path | None = None) -> list[str]:
    """T2I-CompBench's 4,900 training prompts, 700 per category."""
    files = [
        data_file(f"t2i-compbench/{category}_train.txt", data) for category in COMPBENCH_CATEGORIES
    ]
    return [prompt for file in files for prompt in read_every_prompt(file)]


def abc_6k(data: Path | None = None) -> Sequence[str]:
    """ABC-6K's 6,434 prompts, each with two coloured things; 46 of them are repeats."""
    return read_every_prompt(data_file("training/abc-6k.txt", data))


def pick_a_pic(data: Path | None = None) -> list[str]:
    """The prompts of Pick-a-Pic that HyperNoise was trained on, in the order of its list, repeats
    included.

    Users typed them, and nobody filtered them. The list is a JSON object whose values are the
    prompts.
    """
    path = data_file("training/pickapic-prompts.json", data)
    try:
        listed = decode(read_text(path), dict[str, str])
    except MalformedError as error:
        raise UsageError(
            f"{path} is not a JSON object of texts ({error}); remove it, and it is downloaded again"
        ) from error
    return [text.strip() for text in listed.values() if text.strip()]


def hypernoise(data: Path | None = None) -> list[str]:
    """HyperNoise's training prompts: T2I-CompBench, ABC-6K and Pick-a-Pic, repeats included."""
    return [*t2i_compbench(data), *abc_6k(data), *pick_a_pic(data)]


def hypernoise_examples(data: Path | None = None) -> Sequence[str]:
    """The 25 example prompts that come with the official code."""
    return read_every_prompt(data_file("training/hypernoise-examples.txt", data))
