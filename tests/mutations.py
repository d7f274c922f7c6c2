"""Every way in which a file can be wrong: other values in JSON, other bytes, and other things of
that name.

    for what, text in mutated_json({"schema": 1}):  # JSON texts, each with one value that is not
                                                    what it was
    for what, content in damaged(b"..."):           # the bytes of a file: cut, empty, another
                                                    encoding, ...
    for what, place in replaced(b"..."):            # place(path) puts something at the path:
                                                    damaged bytes, a folder, a link loop, ...

    with only_one_line() as outcomes:               # fails unless every reading succeeds or raises
                                                    a short `HnbenchError`
        outcomes.of(what, lambda: read(path))

`what` says what was done, for a test's message.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from hnbench.errors import HnbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEEP, DEPTH = 3_000, 100_000
"""Levels of nesting: more than any parser in Python goes into, and more than a stack holds."""
WRONG = {
    "null": "null",
    "true": "true",
    "3": "3",
    "-1": "-1",
    "0.5": "0.5",
    "10**9": "1000000000",
    "a whole number of 400 digits": "1" + 399 * "0",
    "1e400": "1e400",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "x": '"x"',
    "a long text": '"' + 10_000 * "x" + '"',
    "an empty text": '""',
    "a lone surrogate": '"\\ud800"',
    "NUL": '"\\u0000"',
    "an escape sequence": '"\\u001b]0;title\\u0007"',
    "a path": '"../../../../etc/passwd"',
    "an open bracket": '"((("',
    "an empty list": "[]",
    "a list with a list": "[[1]]",
    "a list of null": "[null]",
    "an empty object": "{}",
    "an object": '{"x":1}',
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"x":' * DEEP + "1" + "}" * DEEP,
}
"""JSON that stands in the place of a value, by its name."""
LONGEST = 800
"""Characters of a message."""
_HERE = "the value that is replaced"
_SHOWN = 2
"""Of a long list, so many items are replaced in turn."""


def mutated_json(value: Any) -> Iterator[tuple[str, bytes]]:
    """The JSON text of `value` with one value replaced by each of `WRONG`, one left out, or one
    more; each in turn.
    """
    for path, found in _values(value):
        where = _shown(path)
        for what, text in WRONG.items():
            yield f"{where} is {what}", _with(value, path, text)
        if path and not isinstance(path[-1], int):
            yield f"{where} is missing", _dumped(_without(value, path))
        if isinstance(found, dict):
            yield (
                f"{where} has a key more",
                _dumped(_replace(value, path, {**found, "unheard of": 1})),
            )
        if isinstance(found, list) and found:
            yield f"{where} has an item more", _dumped(_replace(value, path, [*found, found[0]]))


def damaged(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The bytes of a file in which something went wrong, in turn."""
    yield "empty", b""
    yield "one newline", b"\n"
    yield "NUL bytes", bytes(len(content))
    for cut in (1, len(content) // 3, len(content) // 2, len(content) - 1):
        yield f"only the first {cut} bytes", content[:cut]
    yield "without its beginning", content[len(content) // 2 :]
    yield "twice", content + content
    yield "with a byte-order mark", b"\xef\xbb\xbf" + content
    yield "UTF-16", content.decode("latin-1").encode("utf-16")
    yield "with a byte that is not UTF-8", content[:2] + b"\xe9" + content[2:]
    yield "with a NUL", content[:2] + b"\0" + content[2:]
    yield "other line ends", content.replace(b"\n", b"\r\n")
    yield "another format", b"PK\x03\x04" + os.urandom(64)
    yield "JSON of another kind", b"[1, 2]\n"
    yield "deep nesting", b"[" * DEPTH + b"\n"


def replaced(content: bytes) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """What may lie at a path instead of a file with this content: a name, and what puts it
    there.
    """
    for what, other in damaged(content):
        yield what, partial(_bytes, other)
    yield "missing", _removed
    yield "a folder", _folder
    yield "a link to itself", partial(_link, None)
    yield "a link to nothing", partial(_link, "nothing")
    yield "a link to its folder", partial(_link, ".")
    yield "a link to an endless device", partial(_link, "/dev/zero")
    yield "a pipe", _pipe


class Outcomes:
    """What became of several readings."""

    def __init__(self) -> None:
        self.read, self.refused = 0, 0
        self.faults: list[str] = []

    def of(self, what: str, read: Callable[[], object]) -> None:
        """Read, and note how it ended."""
        try:
            read()
        except HnbenchError as error:
            self.refused += 1
            told = str(error)
            if len(told) > LONGEST or not told.replace("\n", "").isprintable():
                self.faults.append(f"{what}: {told[:2000]!a}")
        except Exception as error:  # noqa: BLE001
            self.faults.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")
        else:
            self.read += 1


@contextmanager
def only_one_line() -> Iterator[Outcomes]:
    """Readings within the block; at its end, an assertion that each succeeded or was refused by a
    short, printable message.
    """
    outcomes = Outcomes()
    yield outcomes
    assert not outcomes.faults, f"{len(outcomes.faults)} faults, such as " + "; ".join(
        outcomes.faults[:8]
    )


def _values(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    yield path, value
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value[:_SHOWN]))
    for key, item in items:
        yield from _values(item, (*path, key))


def _shown(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{key!r}]" for key in path) or "the whole"


def _replace(value: Any, path: tuple[str | int, ...], other: Any) -> Any:
    """A copy with another value at the path."""
    if not path:
        return other
    key, rest = path[0], path[1:]
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = _replace(value[key], rest, other)
    return copy


def _without(value: Any, path: tuple[str | int, ...]) -> Any:
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    return _replace(
        value, path[:-1], {key: item for key, item in parent.items() if key != path[-1]}
    )


def _with(value: Any, path: tuple[str | int, ...], text: str) -> bytes:
    return _dumped(_replace(value, path, _HERE)).replace(json.dumps(_HERE).encode(), text.encode())


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _bytes(content: bytes, path: Path) -> None:
    _removed(path)
    path.write_bytes(content)


def _folder(path: Path) -> None:
    _removed(path)
    path.mkdir()


def _link(target: str | None, path: Path) -> None:
    _removed(path)
    path.symlink_to(path.name if target is None else target)


def _pipe(path: Path) -> None:
    _removed(path)
    os.mkfifo(path)
