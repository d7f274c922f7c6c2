"""The prompts of T2I-CompBench. The benchmark consists of the validation files, whose numbers of
prompts are checked.
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
"""The number of prompts of each category."""
KINDS = {"spatial": 58, "action": 212, "spatialaction": 30}
"""The numbers of prompts of the category `complex` about places, about actions, and about both."""


def category_of(part: str) -> str:
    """The category of a part in the suite's name: `3d-spatial` is `3d_spatial`."""
    return part.replace("-", "_")


@cache
def category_prompts(category: str) -> tuple[str, ...]:
    """The 300 prompts of a category, in the file's order."""
    return _lines(f"{category}_val.txt", COUNT)


@cache
def kinds_of_complex() -> dict[str, str]:
    """Prompt of the category `complex` -> `spatial`, `action` or `spatialaction`. A prompt is of
    the third kind if the files of the first two do not have it.
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
    """The part of a prompt that the published 3-in-1 script compares: the text before the first
    full stop, in lower case.
    """
    return line.split(".", maxsplit=1)[0].lower()


@cache
def countable_objects() -> dict[str, str]:
    """Plural -> singular, of the 101 objects that numeracy prompts count."""
    pairs = [line.lower().split(" - ") for line in _lines("new_objects.txt", 101)]
    return {plural.strip(): singular.strip() for singular, plural in pairs}


def _lines(name: str, count: int) -> tuple[str, ...]:
    """The lines of a data file, none of them empty. `UsageError` if there are not `count`."""
    path = data_file(f"t2i-compbench/{name}")
    lines = read_every_prompt(path)
    if len(lines) != count:
        raise UsageError(f"{path} has {len(lines)} lines; T2I-CompBench's own file has {count}")
    return lines
