"""GenEval's folders: `00000/metadata.jsonl`, one JSON object, and `00000/samples/*.png`, for every
prompt.

The published evaluation (djghosh13/geneval, `evaluation/evaluate_images.py`) skips whatever it does
not know, so if prompts are missing, its mean just covers fewer of them; here that is a problem. A
folder's prompt is found by its metadata, not by its number.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

from hnbench.files.decoding import MalformedError, decode
from hnbench.files.reading import content_of
from hnbench.images.inventory import (
    NOT_ASKED_FOR,
    TWICE,
    UNKNOWN,
    Findings,
    FoundImage,
    expected_of,
)
from hnbench.images.verdict_journal import PREFIX
from hnbench.measures.journal import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hnbench.images.inventory import Inventory
    from hnbench.suites.base import Prompt, Suite

METADATA = "metadata.jsonl"
SAMPLES = "samples"
_IMAGE = re.compile(r"[0-9]+\.png")


def is_geneval(folder: Path) -> bool:
    """Whether a folder has any numbered folder with metadata inside."""
    return any(child.name.isdigit() and (child / METADATA).is_file() for child in folder.iterdir())


def read_geneval(folder: Path, suite: Suite, *, full: bool) -> Inventory:
    """The images in a folder of this layout. Files next to the numbered folders, and next to
    `samples`, are ignored.
    """
    findings = Findings()
    expected = expected_of(suite, full=full)
    by_text = {prompt.text: prompt for prompt, _ in expected}
    seen: dict[str, str] = {}
    for child in sorted(path for path in folder.iterdir() if path.is_dir() and not _is_ours(path)):
        prompt = _prompt_of(child, by_text) if child.name.isdigit() else None
        if prompt is None:
            findings.problem(NOT_ASKED_FOR if (child / METADATA).is_file() else UNKNOWN, child.name)
        elif prompt.id in seen:
            findings.problem(TWICE, f"{seen[prompt.id]} and {child.name}")
        else:
            seen[prompt.id] = child.name
            _add_images(findings, folder, child, prompt)
    findings.compare(expected)
    return findings.inventory(folder, "geneval", suite)


def _is_ours(path: Path) -> bool:
    return path.name == FOLDER or path.name.startswith((PREFIX, "."))


def _prompt_of(child: Path, by_text: dict[str, Prompt]) -> Prompt | None:
    """The suite's prompt that has exactly the folder's metadata; None if there is none."""
    try:
        # Some editors put a byte-order mark first, which is not JSON.
        metadata = decode(content_of(child / METADATA).removeprefix(BOM_UTF8), dict[str, Any])
    except MalformedError:
        return None
    text = metadata.get("prompt")
    prompt = by_text.get(text) if isinstance(text, str) else None
    return prompt if prompt is not None and metadata == metadata_of(prompt) else None


def _add_images(findings: Findings, folder: Path, child: Path, prompt: Prompt) -> None:
    images = []
    for path in _listed(child / SAMPLES):
        if _IMAGE.fullmatch(path.name) and path.is_file():
            images.append(path)
        else:
            findings.problem(UNKNOWN, path.relative_to(folder).as_posix())
    # By number, not by name: 10.png comes after 9.png.
    for sample, path in enumerate(sorted(images, key=lambda path: (int(path.stem), path.name))):
        findings.images.append(
            FoundImage(folder, path.relative_to(folder).as_posix(), prompt, sample)
        )


def _listed(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def metadata_of(prompt: Prompt) -> Any:
    """The object in a prompt's `metadata.jsonl`, as JSON types."""
    return json.loads(json.dumps({**prompt.metadata, "tag": prompt.tag, "prompt": prompt.text}))


def metadata_line(prompt: Prompt) -> bytes:
    """The content of `metadata.jsonl`."""
    return json.dumps(metadata_of(prompt)).encode() + b"\n"


def image_name(number: int, sample: int) -> str:
    """An image's path in the layout, from its prompt's number and its own."""
    return f"{number:05}/{SAMPLES}/{sample:05}.png"
