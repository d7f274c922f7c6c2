"""The data of the gallery: all samples of a page by column, as compact JSON types.

`gallery.js` reads it. A row is one planned sample (prompt, sample and base seed); each method has a
value per row in every column. Texts that repeat are stored once and named by their index.
"""

from __future__ import annotations

import math
import os
from base64 import b64encode
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from hnbench.reports.page.thumbnails import thumbnail
from hnbench.runs.frame import SCORE

if TYPE_CHECKING:
    import pandas as pd

    from hnbench.reports.page.gallery_contents import GalleryContents
    from hnbench.reports.pairs import Pair
    from hnbench.reports.pool import Pool
    from hnbench.stats.intervals import Indices, Interval

DIGITS = 4
"""Significant digits of all numbers in the page."""
_ABSENT, _FAILED, _DONE, _WRONG, _RIGHT = " fd01"
"""The state of a sample, one character each. `d` is done without a verdict of right or wrong."""
_ID_BYTES = 32


def gallery(contents: GalleryContents, place: Path, embed: int | None) -> dict[str, Any]:
    """The data of a gallery in a page in the folder `place`.

    Without `embed`, images are linked. With it, the page contains small pictures of the first
    sample of at most `embed` prompts, and no other rows.
    """
    pool = contents.pool
    rows = np.arange(pool.planned) if embed is None else embedded_rows(pool, embed)
    texts: dict[str, int] = {}
    return {
        "labels": [
            {"label": label, "name": style.name, "short": style.short, "colour": style.colour}
            for label, style in zip(pool.labels, contents.styles, strict=True)
        ],
        "shown": list(contents.shown),
        "start": dict(contents.start),
        "tags": list(pool.tags),
        "prompts": {
            "id": [prompt.id for prompt in pool.prompts],
            "text": [prompt.text for prompt in pool.prompts],
            "tag": pool.strata.tolist(),
        },
        "seeds": list(pool.seeds),
        "rows": _rows(pool, rows),
        "rewards": [{"name": name} for name in contents.rewards.values()],
        "judge": contents.judge,
        "columns": [
            _column(contents, at, rows, texts, embedded=embed is not None)
            for at in range(len(pool.labels))
        ],
        "texts": list(texts),
        "folders": [] if embed is not None else [address(one, place) for one in pool.folders],
        "embedded": embed is not None,
        "pairs": [_pair(one) for one in contents.pairs],
    }


def address(folder: Path, place: Path) -> str:
    """The address of a run folder for a page in the folder `place`: relative, or absolute if they
    are on different drives.
    """
    # Links are not resolved: a browser takes `..` from an address as a text, too.
    target, start = os.path.abspath(folder), os.path.abspath(place)  # noqa: PTH100
    try:
        return quote(Path(os.path.relpath(target, start)).as_posix())
    except ValueError:  # another drive of Windows
        return Path(target).as_uri()


def embedded_rows(pool: Pool, limit: int) -> Indices:
    """The rows of the first sample, under the first base seed, of at most `limit` prompts. They are
    taken from all tags in turn, and are in the plan's order.
    """
    by_tag: list[list[int]] = [[] for _ in pool.tags]
    for at, tag in enumerate(pool.strata.tolist()):
        by_tag[tag].append(at)
    turns = (at for turn in zip_longest(*by_tag) for at in turn if at is not None)
    chosen = sorted(islice(turns, limit))
    starts = np.cumsum([0, *(prompt.samples for prompt in pool.prompts)])
    return starts[chosen].astype(np.intp)


def _rows(pool: Pool, rows: Indices) -> dict[str, list[int]]:
    prompts = pool.clusters
    per_seed = pool.planned // len(pool.seeds)
    samples = np.concatenate([np.arange(prompt.samples) for prompt in pool.prompts])
    return {
        "prompt": prompts[rows].tolist(),
        "sample": samples[rows % per_seed].tolist(),
        "seed": (rows // per_seed).tolist(),
    }


def _column(
    contents: GalleryContents, at: int, rows: Indices, texts: dict[str, int], *, embedded: bool
) -> dict[str, Any]:
    """The samples of one label."""
    pool = contents.pool
    own = pool.frame[pool.frame["column"] == at].set_index("row")
    frame = own[~own.index.duplicated()].reindex(rows)
    state = _states(frame)
    column: dict[str, Any] = {
        "state": "".join(state),
        "rewards": [_numbers(frame[name]) for name in contents.rewards],
        "passes": _numbers(frame["generator_passes"]),
        "seconds": _numbers(frame["seconds"]),
        "reason": _indices(frame["reason"], texts),
        "error": _indices(frame["error"], texts),
    }
    if frame["chosen_prompt"].notna().any():
        column["chosen"] = _indices(frame["chosen_prompt"], texts)
    if contents.judge == "grade":
        column["score"] = _numbers(frame[SCORE])
    if embedded:
        column["pictures"] = [
            thumbnail(Path(folder) / path) if one not in (_ABSENT, _FAILED) else None
            for one, folder, path in zip(state, frame["folder"], frame["image_path"], strict=True)
        ]
    else:
        column["ids"] = _ids(frame["id"])
        column["folders"] = _folders(pool, own)
    return column


def _folders(pool: Pool, own: pd.DataFrame) -> list[int]:
    """The run folder of a label's records under each base seed, by its index in the pool's folders;
    -1 if there is no record.
    """
    places = {str(folder): at for at, folder in enumerate(pool.folders)}
    found = dict(zip(own["base_seed"], own["folder"], strict=True))
    return [places[found[seed]] if seed in found else -1 for seed in pool.seeds]


def _states(frame: pd.DataFrame) -> list[str]:
    return [
        _ABSENT
        if status != status  # noqa: PLR0124 - NaN: no record
        else _FAILED
        if status == "failed"
        else _DONE
        if math.isnan(correct)
        else (_RIGHT if correct else _WRONG)
        for status, correct in zip(frame["status"], frame["correct"], strict=True)
    ]


def _numbers(column: pd.Series[Any]) -> float | list[float | None] | None:
    """The numbers with `DIGITS` digits, None for NaN; one number if all are equal."""
    values = column.to_numpy(dtype=np.float64)
    if len(values) and (values == values[0]).all():
        return _rounded(values[0])
    rounded = [_rounded(value) for value in values.tolist()]
    return rounded[0] if len(set(rounded)) == 1 else rounded


def _rounded(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() else short


def _indices(column: pd.Series[Any], texts: dict[str, int]) -> int | list[int]:
    """The texts by their index in `texts`, which grows, or -1 for none; one number if all are
    equal.
    """
    found = [
        texts.setdefault(text, len(texts)) if isinstance(text, str) and text else -1
        for text in column.tolist()
    ]
    return found[0] if len(set(found)) == 1 else found


def _ids(column: pd.Series[Any]) -> str:
    """The records' ids, 32 bytes each, in base64; an absent record has 32 zero bytes."""
    absent = bytes(_ID_BYTES)
    return b64encode(
        b"".join(bytes.fromhex(one) if isinstance(one, str) else absent for one in column.tolist())
    ).decode("ascii")


def _pair(pair: Pair) -> list[Any]:
    """The numbers of a pair: difference, low, high, wins, losses, ties; first overall, then a list
    of the same for each tag.
    """
    return [
        [*_bounds(one.difference), one.wins, one.losses, one.ties]
        for one in (pair.overall, *pair.tags.values())
    ]


def _bounds(interval: Interval) -> list[float | None]:
    return [_rounded(value) for value in (interval.estimate, interval.low, interval.high)]
