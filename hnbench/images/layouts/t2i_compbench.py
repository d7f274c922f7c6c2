"""T2I-CompBench's folders: `samples/{prompt}_{index:06d}.png`, all images of a category in one
folder.

Its evaluation (Karine-Huang/T2I-CompBench) reads the prompt from the name, up to the first `_`, and
sorts by the number. Images of several categories may be in one `samples`, or each in its own
`CATEGORY/samples`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.images.folder_names import folder_name
from hnbench.images.inventory import NOT_ASKED_FOR, UNKNOWN, Findings, FoundImage, expected_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hnbench.images.inventory import Inventory
    from hnbench.suites.base import Suite

SAMPLES = "samples"
LONGEST = 150
"""The largest number of characters of a prompt in a file name: the length of T2I-CompBench's
longest.
"""
_NAME_BYTES = 255
"""The largest number of bytes in a file's name on common file systems."""
_IMAGE = re.compile(r"([^_]+)_([0-9]{6,})\.png")


def is_compbench(folder: Path, suite: Suite) -> bool:
    """Whether a folder has `samples`, or one of the suite's categories with `samples` in it."""
    return bool(_sections(folder, suite))


def _sections(folder: Path, suite: Suite) -> list[Path]:
    return [
        path
        for path in (folder / SAMPLES, *(folder / folder_name(tag) / SAMPLES for tag in suite.tags))
        if path.is_dir()
    ]


def read_compbench(folder: Path, suite: Suite, *, full: bool) -> Inventory:
    """The images in a folder of this layout. Any other file in `samples` is a problem, because it
    would shift the published script's numbers.
    """
    findings = Findings()
    expected = expected_of(suite, full=full)
    by_text = {prompt.text: prompt for prompt, _ in expected}
    found = []
    for section in _sections(folder, suite):
        for path in sorted(section.iterdir()):
            name = path.relative_to(folder).as_posix()
            parts = _IMAGE.fullmatch(path.name)
            if parts is None or not path.is_file():
                findings.problem(UNKNOWN, name)
            elif parts[1] not in by_text:
                findings.problem(NOT_ASKED_FOR, name)
            else:
                found.append((by_text[parts[1]], int(parts[2]), name))
    place = {prompt.id: index for index, (prompt, _) in enumerate(expected)}
    counted: dict[str, int] = {}
    for prompt, number, name in sorted(found, key=lambda item: (place[item[0].id], *item[1:])):
        sample = counted[prompt.id] = counted.get(prompt.id, -1) + 1
        findings.images.append(FoundImage(folder, name, prompt, sample, number=number))
    findings.compare(expected)
    return findings.inventory(folder, "t2i-compbench", suite)


def image_name(image: FoundImage, tags: Sequence[str]) -> str:
    """An image's path in the layout, for a suite with these tags. The prompt must have passed
    `require_names`.
    """
    return f"{_category_folder(image, tags)}{SAMPLES}/{image.prompt.text}_{image.number:06d}.png"


def _category_folder(image: FoundImage, tags: Sequence[str]) -> str:
    """The folder of an image's category, if there are several: the published scripts read one."""
    return f"{folder_name(image.prompt.tag)}/" if len(tags) > 1 else ""


def require_names(prompts: Iterable[str]) -> None:
    """Raise a `UsageError` for prompts that cannot be part of a file name, or that the published
    script would not read back.
    """
    for text in prompts:
        if wrong := _wrong_in(text):
            shown = text if len(text) <= 60 else f"{text[:57]}..."
            raise UsageError(
                f"the prompt {shown!r} {wrong}, and this layout has prompts in file names; choose"
                " `layout` geneval"
            )


def _wrong_in(text: str) -> str:
    forbidden = sorted(
        character for character in set(text) if character in "/\\_" or not character.isprintable()
    )
    if forbidden:
        return f"has the character {forbidden[0]!r}"
    if not text or text.startswith(".") or text != text.strip():
        return "is empty, or begins with a dot, or begins or ends with a space"
    if len(text) > LONGEST or len(f"{text}_000000.png".encode()) > _NAME_BYTES:
        return f"is longer than {LONGEST} characters, or than a file name can be"
    return ""
