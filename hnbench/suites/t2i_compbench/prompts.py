"""The prompts of T2I-CompBench: the validation files, which are the benchmark, with their counts
checked.
"""

from __future__ import annotations

from functools import cache

from hnbench.errors import UsageError
from hnbench.files.prompt_files import read_every_prompt
from hnbench.weights.pinned_files import data_file

CATEGORIES = (
    "color",
    "shape",
    "texture",
    "spatial",
    "3d_spatial",
    "numeracy",
    "non_spatial",
    "complex",
)
COUNT = 300
"""Prompts of each category."""
KINDS = {"spatial": 58, "action": 212, "spatialaction": 30}
"""How many prompts of the category `complex` are about where things are, what they do, or both."""


def category_of(part: str) -> str:
    """The category that a part of the suite is named after: `3d-spatial` is `3d_spatial`."""
    return part.replace("-", "_")


@cache
def category_prompts(category: str) -> tuple[str, ...]:
    """The 300 prompts of a category, in the file's order."""
    return _lines(f"{category}_val.txt", COUNT)


@cache
def kinds_of_complex() -> dict[str, str]:
    """Prompt -> `spatial`, `action` or `spatialaction`, for the category `complex`. What is in
    neither of the first two is the third.
    """
    lists = {
        kind: {comparable(line) for line in _lines(f"complex_val_{kind}.txt", count)}
        for kind, count in KINDS.items()
    }

    def kind_of(prompt: str) -> str:
        return next(
            (kind for kind in ("spatial", "action") if comparable(prompt) in lists[kind]),
            "spatialaction",
        )

    return {prompt: kind_of(prompt) for prompt in category_prompts("complex")}


def comparable(line: str) -> str:
    """What the published 3-in-1 script compares prompts by: the text before the first full stop, in
    lower case.
    """
    return line.split(".", maxsplit=1)[0].lower()


@cache
def countable_objects() -> dict[str, str]:
    """Plural -> singular of the 101 objects that numeracy prompts count."""
    pairs = [line.lower().split(" - ") for line in _lines("new_objects.txt", 101)]
    return {plural.strip(): singular.strip() for singular, plural in pairs}


def _lines(name: str, count: int) -> tuple[str, ...]:
    """The lines of a file, none of them empty."""
    path = data_file(f"t2i-compbench/{name}")
    lines = read_every_prompt(path)
    if len(lines) != count:
        raise UsageError(f"{path} has {len(lines)} lines; there are {count} in T2I-CompBench's")
    return lines
