"""One thing that goes wrong with a folder, chosen by dice: `damage` does it, and says what it
did.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import mutations
from tests.hostile import TEXTS

FREE = frozenset(
    {
        "verdict",
        "rewards",
        "cost",
        "trajectory",
        "displacement",
        "noise_norm",
        "image",
        "noise_sha256",
        "status",
        "error",
    }
)
"""Fields of a record that nothing but its check value protects: whoever makes that anew too is
believed.
"""
NUMBERS = (
    "0",
    "-0.0",
    "1",
    "1.5",
    "-3",
    "1e308",
    "5e-324",
    "9007199254740993",
    "1e-400",
    "1000000",
)
BOMB = 300_000_000
"""Bytes that an xz bomb becomes."""
_TAIL = len(',"check":"01234567"}')


@dataclass(frozen=True)
class Damage:
    """What was done."""

    what: str
    forged: frozenset[str] = frozenset()
    """The fields of records that were changed together with the check value."""
    plan: bool = False
    """Whether it was done to `run.json`, which says how many records there should be."""


def damage(folder: Path, patterns: Sequence[str], dice: random.Random) -> Damage:
    """Do one thing to one of the files that match one of the patterns."""
    found = [path for path in sorted(folder.glob(dice.choice(patterns))) if path.is_file()]
    if not found:  # an earlier damage took them all
        return Damage("nothing")
    path = dice.choice(found)
    name = str(path.relative_to(folder))
    ways: list[tuple[int, Callable[[Path, random.Random], str | Damage]]] = [
        (4, _bytes),
        (2, _thing),
        (1, _neighbour),
    ]
    if path.suffix == ".jsonl":
        ways += [(12, _line), (4, _lines), (1, _packed)]
    if path.suffix == ".json":
        ways += [(12, _document)]
    if path.suffix == ".png":
        ways += [(6, _picture)]
    way = dice.choices([way for _, way in ways], [weight for weight, _ in ways])[0]
    done = way(path, dice)
    plan = path.name == "run.json"
    return (
        Damage(f"{name}: {done}", plan=plan)
        if isinstance(done, str)
        else Damage(f"{name}: {done.what}", done.forged, plan)
    )


def resealed(body: bytes) -> bytes:
    """A line with the check value of this content."""
    if not (body.startswith(b"{") and body.endswith(b"}")):
        return body
    return body[:-1] + b',"check":"' + hashlib.sha256(body).hexdigest()[:8].encode() + b'"}'


def opened(line: bytes) -> tuple[bytes, bytes]:
    """A line's object, and its check value as it stands at its end; empty where it has none."""
    return (
        (line[:-_TAIL] + b"}", line[-_TAIL:])
        if line[-_TAIL:].startswith(b',"check":"')
        else (line, b"")
    )


def _line(path: Path, dice: random.Random) -> Damage:
    """One value of one line, with the old check value, with a new one, or without."""
    lines = path.read_bytes().splitlines()
    if not lines:
        return Damage("nothing")
    number = dice.randrange(len(lines))
    body, tail = opened(lines[number])
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # damaged before
        return Damage("nothing")
    what, changed, fields = _mutated(value, dice)
    form = dice.choice(("old", "new", "no")) if tail else "no"
    forged = frozenset(fields if form == "new" or not tail else ())
    lines[number] = {"old": changed[:-1] + tail, "new": resealed(changed), "no": changed}[form]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return Damage(f"line {number + 1}, {form} check value, {what}", forged)


def _document(path: Path, dice: random.Random) -> str:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return "nothing"
    what, changed, _ = _mutated(value, dice)
    path.write_bytes(changed)
    return what


def _mutated(value: Any, dice: random.Random) -> tuple[str, bytes, set[str]]:
    """JSON with one thing changed, and the keys at its top that this concerns."""
    places = list(mutations._values(value))
    place, found = dice.choice(places)
    where = mutations._shown(place)
    keys = {str(place[0])} if place else set(value) if isinstance(value, dict) else set()
    way = dice.randrange(10)
    if way < 5:
        name = dice.choice(list(mutations.WRONG))
        return f"{where} is {name}", mutations._with(value, place, mutations.WRONG[name]), keys
    if way == 5 and place and not isinstance(place[-1], int):
        return f"{where} is missing", mutations._dumped(mutations._without(value, place)), keys
    if way == 6 and place and not isinstance(place[-1], int):
        other = mutations._without(value, place)
        name = dice.choice(TEXTS)
        return (
            f"{where} is called {name!r}",
            mutations._dumped(_added(other, place[:-1], name, found)),
            keys,
        )
    if way == 7:
        text = json.dumps(dice.choice(TEXTS))
        return f"{where} is {text}", mutations._with(value, place, text), keys
    if way == 8:
        there, other = dice.choice(places)
        return (
            f"{where} is what {mutations._shown(there)} is",
            mutations._dumped(mutations._replace(value, place, other)),
            keys,
        )
    number = dice.choice(NUMBERS)
    return f"{where} is {number}", mutations._with(value, place, number), keys


def _added(value: Any, place: tuple[str | int, ...], name: str, item: Any) -> Any:
    parent = value
    for key in place:
        parent = parent[key]
    return mutations._replace(value, place, {**parent, name: item})


def _lines(path: Path, dice: random.Random) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    if not lines:
        return "nothing"
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    way = dice.choice(("removed", "doubled", "swapped", "cut", "empty", "cut off", "joined"))
    if way == "removed":
        del lines[one]
    elif way == "doubled":
        lines.insert(other, lines[one])
    elif way == "swapped":
        lines[one], lines[other] = lines[other], lines[one]
    elif way == "cut":
        lines[one] = lines[one][: dice.randrange(len(lines[one]))] + b"\n"
    elif way == "empty":
        lines.insert(one, b"\n")
    elif way == "cut off":
        del lines[one:]
    else:
        lines[one] = lines[one].rstrip(b"\n")
    path.write_bytes(b"".join(lines))
    return f"line {one + 1} {way} ({other + 1})"


def _bytes(path: Path, dice: random.Random) -> str:
    content = bytearray(path.read_bytes())
    if dice.random() < 0.4 or not content:
        what, damaged = dice.choice(list(mutations.damaged(bytes(content))))
        path.write_bytes(damaged)
        return what
    places = [dice.randrange(len(content)) for _ in range(dice.randint(1, 3))]
    for place in places:
        content[place] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    return f"a bit of the bytes {places} flipped"


def _thing(path: Path, dice: random.Random) -> str:
    """Something else of that name."""
    what, put = dice.choice(list(mutations.replaced(path.read_bytes())))
    put(path)
    return what


def _neighbour(path: Path, dice: random.Random) -> str:
    """One more file, of a name that is nearly right."""
    stem, _, ending = path.name.partition(".")
    name = dice.choice(
        (
            f"{stem} (1).{ending}",
            f"{stem}0.{ending}",
            f"{stem}x.{ending}",
            f".{path.name}",
            f"{path.name}.tmp",
            "journal-10000.jsonl",
        )
    )
    other = path.with_name(name)
    if dice.random() < 0.5:
        other.write_bytes(path.read_bytes())
        return f"a copy of it is called {name!r}"
    what, put = dice.choice(list(mutations.replaced(b"x")))
    put(other)
    return f"beside it, {name!r} is {what}"


def _packed(path: Path, dice: random.Random) -> str:
    """The same compressed, whole or damaged; or a bomb."""
    packed = path.with_name(f"{path.name}.xz")
    if dice.random() < 0.1:
        packed.write_bytes(lzma.compress(bytes(BOMB), preset=0))
        return "an xz bomb is beside it"
    packed.write_bytes(lzma.compress(path.read_bytes()))
    path.unlink()
    return f"compressed, and {_bytes(packed, dice)}" if dice.random() < 0.7 else "compressed"


def _picture(path: Path, dice: random.Random) -> str:
    """Another image, or one that says that it is huge."""
    if dice.random() < 0.5:
        other = dice.choice(sorted(path.parents[1].rglob("*.png")))
        if other.is_file():
            path.write_bytes(other.read_bytes())
        return f"it is a copy of {other.name}"
    size = dice.choice((0, 1, 60_000, 2**31 - 1))
    header = b"IHDR" + struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    content = path.read_bytes()
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    return f"it says that it is {size} pixels wide"


Records = list[dict[str, Any]]
Apply = Callable[[Records], None]


def _each(field: str, change: Callable[[dict[str, Any]], Any]) -> Apply:
    def apply(records: Records) -> None:
        for record in records:
            record[field] = change(record)

    return apply


def _swap(one: str, other: str) -> Callable[[dict[str, Any]], str]:
    return lambda record: {one: other, other: one}.get(record["label"], record["label"])


def _without_wrong_verdicts(records: Records) -> None:
    for record in records:
        if record["label"] == "hypernoise" and record["verdict"]["correct"] is False:
            record["verdict"] = None


def _more(field: str, by: float) -> Apply:
    return _each(field, lambda record: {name: value + by for name, value in record[field].items()})


AGAINST_THE_PLAN: dict[str, Apply] = {
    "labels swapped": _each("label", _swap("random", "hypernoise")),
    "another tag": _each("tag", lambda record: {"low": "high", "high": "low"}[record["tag"]]),
    "another prompt": _each("prompt", lambda record: f"{record['prompt']}!"),
    "another prompt's id": _each(
        "prompt_id",
        lambda record: {"low/0": "low/1", "low/1": "low/0"}.get(
            record["prompt_id"], record["prompt_id"]
        ),
    ),
    "samples swapped": _each("sample", lambda record: 1 - record["sample"]),
    "a negative sample": _each("sample", lambda record: -3),
    "a sample far away": _each("sample", lambda record: 1_000_000),
    "another seed": _each("base_seed", lambda record: 7),
    "no verdicts": _each("verdict", lambda record: None),
    "wrong verdicts removed": _without_wrong_verdicts,
    "no rewards of the base": _each("initial_rewards", lambda record: {}),
    "other rewards of the base": _more("initial_rewards", 100.0),
}
"""Changes that contradict run.json, or other records: refused, whatever the check value says."""
AGAINST_THE_CHECK: dict[str, Apply] = {
    **AGAINST_THE_PLAN,
    "verdicts true, with the reason why not": _each(
        "verdict", lambda record: {**record["verdict"], "correct": True}
    ),
    "verdicts turned": _each(
        "verdict", lambda record: {**record["verdict"], "correct": not record["verdict"]["correct"]}
    ),
    "a score beside": _each("verdict", lambda record: {**record["verdict"], "score": 0.0}),
    "other rewards": _more("rewards", 100.0),
    "cheaper": _each("cost", lambda record: {**record["cost"], "seconds": 0.0}),
    "negative passes": _each("cost", lambda record: {**record["cost"], "generator_forward": -5.0}),
    "another course": _each("trajectory", lambda record: [0.5, 0.6]),
    "not displaced": _each("displacement", lambda record: 0.0),
}
"""Changes of what the check value is of."""


def change(journal: Path, apply: Apply, *, reseal: bool) -> None:
    """Apply a change to the records of a journal; their check values are as they were, or made
    anew.
    """
    lines = [opened(line) for line in journal.read_bytes().splitlines()]
    records = [json.loads(body) for body, _ in lines]
    apply(records)
    bodies = [json.dumps(record, separators=(",", ":")).encode() for record in records]
    changed = [
        resealed(body) if reseal else body[:-1] + tail if tail else body
        for body, (_, tail) in zip(bodies, lines, strict=True)
    ]
    journal.write_bytes(b"".join(line + b"\n" for line in changed))
