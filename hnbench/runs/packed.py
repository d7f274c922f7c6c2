"""A journal as columns (`hnbench.files.columns`), compressed by `xz`: the same lines, byte for
byte, in less than half of the bytes of the lines compressed by `xz`.

Most of what is left are the SHA-256s of images and noises, which nothing compresses. So an id, also
a SHA-256, is not stored but computed from what it identifies (`hnbench.runs.identity`), and the
path of an image from the id. A line that would not come back as it was is stored as it is.

The file is one line of JSON, the header (`_Header`), and the parts of the columns behind it. The
rows are sorted by label; the first part has the label's number of each line.
"""

from __future__ import annotations

import json
import lzma
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hnbench.errors import StoreError
from hnbench.files.columns import Columns, Rows, to_columns
from hnbench.files.decimals import as_bytes, from_bytes
from hnbench.files.decoding import NewerSchemaError, Sha256, check_schema, decode
from hnbench.files.digits import to_digits
from hnbench.files.journal import TOO_LARGE, damaged, sealed, unpacked_limit, unsealed
from hnbench.runs.identity import RecordIds, shared_identity
from hnbench.runs.plan import OPTIMISED, identities_in
from hnbench.runs.record import RECORD_DIGITS, image_path
from hnbench.seeds import canonical
from hnbench.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hnbench.files.columns import Place

SCHEMA = 1
"""The version of the file."""
_FILTERS = [
    # Bytes of numbers are neither text nor instructions: what surrounds a byte tells nothing of it.
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}
]
_CHECKED = "check"
"""In a row, whether its line has a check value."""


class _Header(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The first line of the file."""

    schema: int = SCHEMA
    sha256: Sha256
    """The digest of all lines, with their ends."""
    lines: int
    whole: dict[int, str]
    """Number of a line, from 0 -> the line, for those that are not in the columns."""
    shared: dict[str, Any]
    """The part of the identity that all ids of the run share (`shared_identity`)."""
    methods: dict[str, dict[str, Any]]
    """Label -> identity of its method, as in the ids."""
    weights: dict[str, float]
    """Optimised reward -> weight."""
    labels: int
    """The number of bytes of the labels' numbers."""
    shapes: list[list[tuple[tuple[str, ...], str]]]
    columns: list[tuple[tuple[str, ...], str, tuple[str, ...] | None]]
    sizes: list[int]
    """The number of bytes of each part of the columns."""


class _Derived:
    """The fields of a record that follow from others: its id, its image's path, and the optimised
    reward if that is the rounded total of its parts.
    """

    def __init__(
        self,
        shared: Mapping[str, Any],
        methods: Mapping[str, Mapping[str, Any]],
        weights: Mapping[str, float],
    ) -> None:
        self._ids = RecordIds(shared)
        self._methods = {label: canonical(method) for label, method in methods.items()}
        self._weights = weights

    def taken_out(self, line: bytes) -> dict[str, Any]:
        """The record of a line, without what follows from the rest."""
        body, checked = unsealed(line)
        row: dict[str, Any] = json.loads(body)
        if row["label"] in self._methods:
            row["id"] = None
        if row.get("image"):
            row["image"]["path"] = None
        rewards = row.get("rewards", {})
        if OPTIMISED in rewards and self._total(rewards) == rewards[OPTIMISED]:
            rewards[OPTIMISED] = None
        row[_CHECKED] = checked
        return row

    def line_of(self, row: dict[str, Any]) -> bytes:
        """The line of a row of `taken_out`, with its end. The row is changed."""
        if row["id"] is None:
            task = Task(row["prompt_id"], row["prompt"], row["sample"])
            row["id"] = self._ids.of(task, self._methods[row["label"]], row["label"])
        if row.get("image"):
            row["image"]["path"] = image_path(row["id"])
        rewards = row.get("rewards", {})
        if OPTIMISED in rewards and rewards[OPTIMISED] is None:
            rewards[OPTIMISED] = self._total(rewards)
        if row.pop(_CHECKED):
            return sealed(row)
        return json.dumps(row, separators=(",", ":")).encode() + b"\n"

    def _total(self, rewards: Mapping[str, float]) -> float | None:
        if not self._weights.keys() <= rewards.keys():
            return None
        total = sum(weight * rewards[name] for name, weight in self._weights.items())
        return to_digits(total, RECORD_DIGITS)


def packed(lines: Sequence[bytes], manifest: Mapping[str, Any]) -> bytes:
    """The content of a file that has the lines of a journal, given without their ends. All of them
    must be records. `manifest` is the `run.json` of the run, which knows what its ids are made of.
    """
    about = {
        "shared": shared_identity(manifest),
        "methods": identities_in(manifest),
        "weights": manifest["rewards"]["optimised"],
    }
    derived = _Derived(**about)
    rows, whole = [], {}
    for number, line in enumerate(lines):
        if derived.line_of(derived.taken_out(line)) == line + b"\n":
            rows.append(derived.taken_out(line))
        else:
            whole[number] = line.decode()
    labels = {
        label: place for place, label in enumerate(dict.fromkeys(row["label"] for row in rows))
    }
    label_of = [labels[row["label"]] for row in rows]
    order = as_bytes(label_of)
    # Stable: of one label, the rows keep their order.
    table = to_columns([rows[place] for place in np.argsort(label_of, kind="stable")], _key_of)
    header = _Header(
        sha256=sha256(b"".join(line + b"\n" for line in lines)).hexdigest(),
        lines=len(lines),
        whole=whole,
        labels=len(order),
        shapes=table.shapes,
        columns=table.columns,
        sizes=list(map(len, table.parts)),
        **about,
    )
    content = b"".join([msgspec.json.encode(header), b"\n", order, *table.parts])
    return lzma.compress(content, filters=_FILTERS)


def _key_of(place: Place) -> Place | None:
    """The field that decides another one, in most records."""
    match place[0]:
        case "label" | "noise_sha256":
            return None
        case "prompt" | "tag":
            return ("prompt_id",)
        case "prompt_id" | "sample" | "base_seed" | "initial_rewards" | "trajectory":
            return ("noise_sha256",)
        case "rewards" | "verdict" | "displacement" | "noise_norm":
            return ("image", "sha256")
        case "image":
            # Several labels may choose the same image of a sample.
            return ("noise_sha256",)
        case _:
            return ("label",)


def packed_lines(path: Path) -> Iterator[bytes]:
    """The lines of a packed journal, without their ends. `StoreError` if the file is damaged,
    cannot be read, or unpacks to far more than a journal would.
    """
    try:
        limit = unpacked_limit(path)
        with lzma.open(path) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise damaged(path, TOO_LARGE)
        yield from _lines_in(path, content, limit)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    except (lzma.LZMAError, EOFError) as error:
        raise damaged(path, str(error)) from error
    except NewerSchemaError as error:
        raise StoreError(f"{path} cannot be used: {error}.") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"its columns do not fit together ({error})") from error


def _lines_in(path: Path, content: bytes, limit: int) -> Iterator[bytes]:
    first, _, rest = content.partition(b"\n")
    check_schema(decode(first, dict), SCHEMA)
    header = decode(first, _Header)
    ends = list(accumulate([header.labels, *header.sizes], initial=0))
    if min(header.labels, *header.sizes) < 0 or ends[-1] != len(rest):
        raise ValueError("it has not as many bytes as it says")
    if header.whole and not 0 <= min(header.whole) <= max(header.whole) < header.lines:
        raise ValueError("it has lines behind the last one")
    order, *parts = (rest[one:other] for one, other in pairwise(ends))
    count = header.lines - len(header.whole)
    rows = Rows(Columns(count, header.shapes, header.columns, parts), limit)
    places = np.empty(count, dtype=np.int64)
    places[np.argsort(from_bytes(order, count), kind="stable")] = np.arange(count)
    derived = _Derived(header.shared, header.methods, header.weights)
    found, following = sha256(), iter(places.tolist())
    for number in range(header.lines):
        line = (
            header.whole[number].encode() + b"\n"
            if number in header.whole
            else derived.line_of(rows.row(next(following)))
        )
        limit -= len(line)
        if limit < 0:
            raise damaged(path, TOO_LARGE)
        found.update(line)
        yield line[:-1]
    if found.hexdigest() != header.sha256:
        raise damaged(path, "its lines are not those that were packed")
