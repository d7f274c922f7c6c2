"""A run's saved images in the layouts that other projects' scripts read, one folder for each label.

Each folder records in `export.json` which run, label and layout it is an export of. The same
command again adds what is missing; a folder that holds anything else is left alone. Files appear
complete or not at all.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError
from hnbench.files.reading import json_of
from hnbench.files.writing import writing
from hnbench.images.folder_names import folder_name
from hnbench.images.layouts import geneval as geneval_layout
from hnbench.images.layouts import t2i_compbench as compbench_layout
from hnbench.runs.plan import Plan, identities_in
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hnbench.images.inventory import FoundImage, Inventory, StageProgress
    from hnbench.runs.store import Run
    from hnbench.suites.base import Suite

Layout = Literal["geneval", "t2i-compbench"]
MARKER = "export.json"
WORKING = ".working"
"""The name of a file while it is written. It is in the export's folder itself, because scripts
count the files in `samples`.
"""


@dataclass(frozen=True)
class _Export:
    """One label's folder: its `export.json`, its images by path, and other files' content by
    path.
    """

    folder: Path
    marker: Mapping[str, Any]
    images: Mapping[str, FoundImage]
    files: Mapping[str, bytes]


def export(
    run: Run, inventory: Inventory, layout: Layout, out: Path, progress: StageProgress
) -> dict[str, Path]:
    """Write the images of a run's inventory, which has been checked; returns label -> folder.

    Prompts that the layout cannot hold, and folders with anything else in them, are `UsageError`s
    before anything is written.
    """
    plan, identities = Plan.from_manifest(run.manifest), identities_in(run.manifest)
    place = _geneval if layout == "geneval" else _compbench
    exports = {}
    for label in dict.fromkeys(image.label for image in inventory.images):
        images, files = place(
            [image for image in inventory.images if image.label == label], inventory.suite
        )
        method = digest([plan.shared, identities[label]])
        marker = {
            "run": method,
            "label": label,
            "layout": layout,
            "plan": digest([[one.id, one.samples] for one in plan.prompts]),
        }
        exports[label] = _Export(out / folder_name(label), marker, images, files)
    for one in exports.values():
        _require_own(one)
    progress.label("exporting", len(inventory.images))
    for one in exports.values():
        _write(one, progress)
    return {label: one.folder for label, one in exports.items()}


def _geneval(
    images: list[FoundImage], suite: Suite
) -> tuple[dict[str, FoundImage], dict[str, bytes]]:
    """The export in GenEval's layout: images and files by path. Folders have the prompts' numbers
    in the suite.
    """
    number = {prompt.id: index for index, prompt in enumerate(suite.prompts())}
    prompts = {image.prompt.id: image.prompt for image in images}
    without = [prompt.id for prompt in prompts.values() if "include" not in prompt.metadata]
    if without:
        raise UsageError(
            f"the prompts of {suite.name} have no GenEval metadata (the objects to find in an"
            " image), which this layout needs; choose `layout` t2i-compbench"
        )
    files = {
        f"{number[name]:05}/{geneval_layout.METADATA}": geneval_layout.metadata_line(prompt)
        for name, prompt in prompts.items()
    }
    return {
        geneval_layout.image_name(number[image.prompt.id], image.sample): image for image in images
    }, files


def _compbench(
    images: list[FoundImage], suite: Suite
) -> tuple[dict[str, FoundImage], dict[str, bytes]]:
    """The export in T2I-CompBench's layout: images by path, numbered in the plan's order."""
    compbench_layout.require_names(dict.fromkeys(image.prompt.text for image in images))
    return {compbench_layout.image_name(image, suite.tags): image for image in images}, {}


def _require_own(one: _Export) -> None:
    """Raise a `UsageError` unless the folder is empty, or this same export, begun or done."""
    try:
        # An export that was killed may have left its working file.
        if not one.folder.exists() or not any(
            path.name != WORKING for path in one.folder.iterdir()
        ):
            return
        found = json_of(one.folder / MARKER, dict[str, Any])
    except (OSError, MalformedError):
        found = None
    if found != one.marker:
        other = "something else" if found is None else "the export of another run, plan or layout"
        raise UsageError(
            f"{one.folder} holds {other}, which is not overwritten; choose another folder as `out`"
        )


def _write(one: _Export, progress: StageProgress) -> None:
    with writing(one.folder, "Then the same command continues."):
        _put(one, MARKER, json.dumps(one.marker, indent=1).encode() + b"\n")
        for name, content in one.files.items():
            _put(one, name, content)
        for name, image in one.images.items():
            _put(one, name, image.read())
            progress.advance(1)


def _put(one: _Export, name: str, content: bytes) -> None:
    """Write one file, unless it exists already. An existing file of other content is a
    `UsageError`.
    """
    path = one.folder / name
    if os.path.lexists(path):
        if not path.is_file() or path.read_bytes() != content:
            raise UsageError(
                f"{path} is not what this export would write; remove it, or choose another folder"
                " as `out`"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    working = one.folder / WORKING
    with working.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    working.replace(path)
