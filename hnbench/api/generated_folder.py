"""The folder of generated images: the images, their grid, a table, and what they were made from.

generate.json   the settings
grid.png        the first page of the grid; the next ones are grid-2.png and so on
images.csv      a row for each image, with its file
01-LABEL.png    an image, by the number of its prompt and sample in the grid
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.api.arguments import RESULTS
from hnbench.errors import UsageError
from hnbench.files.escaping import csv_cell
from hnbench.files.names import plain_name
from hnbench.files.writing import write_whole, writing
from hnbench.images.folder_names import folder_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from PIL.Image import Image

    from hnbench.api.generate import GeneratedImages

SETTINGS = "generate.json"
"""The file that marks the folder, and says what its images were made from."""
FORMAT = 1
"""The version of the folder's format."""
_WHERE = {"device", "batch_size", "memory"}
"""Arguments that change no image, apart from rounding."""
_NAMED = 60
"""The most characters of a prompt in the folder's name."""


@dataclass(frozen=True)
class GeneratedFiles:
    """The pictures in the folder."""

    grids: tuple[Path, ...]
    """The pages of the grid."""
    images: tuple[Path, ...]


def default_folder(prompts: Sequence[str], seed: int, asked: Mapping[str, Any]) -> Path:
    """The folder in results/ for the images of a call: named after the first prompt, the seed, and
    a hash of the prompts and of all arguments (`asked`) that can change an image.
    """
    kept = {name: value for name, value in asked.items() if name not in _WHERE}
    content = json.dumps([list(prompts), seed, kept], sort_keys=True, default=str)
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    more = f"-and-{len(prompts) - 1}-more" if len(prompts) > 1 else ""
    return RESULTS / plain_name(prompts[0][:_NAMED], ending=f"{more}-seed{seed}-{digest}")


def check_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise a `UsageError` if the folder has anything but images of the same settings."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"`out` was {str(folder)!r}, which is a file; give a folder")
    if not any(folder.iterdir()):
        return
    known = _settings_of(folder)
    if known is None:
        raise UsageError(
            f"`out` was {str(folder)!r}, which has files that were not generated; give an empty or"
            " a new folder"
        )
    if known != _document(settings):
        raise UsageError(
            f"`out` was {str(folder)!r}, which has images of other settings"
            f" ({folder / SETTINGS}); give another folder, or remove that one"
        )


def write_folder(
    folder: Path, made: GeneratedImages, settings: Mapping[str, Any]
) -> GeneratedFiles:
    """Write images into a folder that `check_folder` accepts."""
    from hnbench.runs.pixels import to_png

    images, frame = made.images, made.frame()
    labels = list(dict.fromkeys(one.label for one in images))
    digits = max(2, len(str(len(images) // len(labels))))
    names = [
        f"{index // len(labels) + 1:0{digits}d}-{folder_name(one.label)}.png"
        for index, one in enumerate(images)
    ]
    texts = [name for name in ("prompt", "label", "chosen_prompt") if name in frame]
    table = frame.assign(
        **{
            name: [csv_cell(text) if isinstance(text, str) else "" for text in frame[name]]
            for name in texts
        }
    )
    table.insert(3, "image", names)
    grids: list[Path] = []
    with writing(folder, "The same command starts again."):
        folder.mkdir(parents=True, exist_ok=True)
        # First, so that the same command can continue after an interruption.
        write_whole(folder / SETTINGS, _written(settings))
        for one, name in zip(images, names, strict=True):
            write_whole(folder / name, to_png(one.image))
        for page in _pages(made, len(labels)):
            number = f"-{len(grids) + 1}" if grids else ""
            grids.append(folder / f"grid{number}.png")
            write_whole(grids[-1], to_png(page))
        write_whole(folder / "images.csv", table.to_csv(index=False, lineterminator="\n").encode())
    return GeneratedFiles(tuple(grids), tuple(folder / name for name in names))


def _pages(made: GeneratedImages, columns: int) -> Iterator[Image]:
    """The pages of the grid, with this number of columns."""
    from hnbench.reports.image_grid import GridImage, GridRow, draw_pages

    names, rows = made.reward_names, []
    for start in range(0, len(made.images), columns):
        row = made.images[start : start + columns]
        cells = {
            one.label: GridImage(
                one.image, {name: one.rewards[name] for name in names}, one.cost.seconds
            )
            for one in row
        }
        rows.append(GridRow(row[0].prompt, row[0].sample, cells))
    return draw_pages(rows)


def _settings_of(folder: Path) -> Any:
    """The document in the folder's file of settings; None if there is none, or another kind."""
    path = folder / SETTINGS
    if path.is_symlink() or not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def _document(settings: Mapping[str, Any]) -> Any:
    """The content of the file of settings, as it is read back."""
    return json.loads(json.dumps({"format": FORMAT, "settings": settings}))


def _written(settings: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(_document(settings), indent=1)}\n".encode()
