r"""Reads prompts from files: text lines, CSV and TSV tables, JSON lines, JSON lists. All prompts
from files are read here.

The file's ending decides its kind; a file without an ending is text. All files are UTF-8, with or
without a byte-order mark.

    .txt, none      one prompt per line
    .csv            a table with a header, fields separated by commas, quoted as in RFC 4180
    .tsv            the same with tabs. A file that breaks the rules of quotation, and has no quoted
                    field, is read literally
    .jsonl          in each line a text, or an object with a key for the prompt
    .json           a list of such values

White space around a prompt is removed, and ends of lines inside a prompt become `\n`. A prompt is
valid Unicode without control characters (except tabs and ends of lines) and without byte-order
marks. Every error is a `UsageError` with the place in the file.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

COLUMNS = ("prompt", "Prompt", "text", "caption")
"""Names for the column of a table, or the key of a JSON object, that holds the prompt. The first
existing one is taken.
"""
LONG = 1000
"""The number of characters (about 250 tokens) above which the user gets a note, because CLIP reads
77 tokens, SANA-Sprint 300 and FLUX 512.
"""

_SHOWN = 200
"""The largest number of characters of a path in a message."""
_BOM = "\ufeff"
# str.strip() would keep byte-order marks. 0x3000 is the last character that is white space.
_AROUND = _BOM + "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs."""
_QUOTED = re.compile(r'(?:^|\t)"[^\t\n]*"(?:\t|$)', re.MULTILINE)
"""A TSV field that is written in quotation marks."""


@dataclass(frozen=True)
class PromptFile:
    """A prompt file's content."""

    name: str
    """See `file_name`."""
    texts: tuple[str, ...]
    """Each prompt once, in order; none is empty."""
    notes: tuple[str, ...]
    """Lines that a user should read before the prompts are used."""


def read_prompt_file(path: Path) -> PromptFile:
    """The prompts of a file, each once. Empty ones are left out; a file without any prompt is a
    `UsageError`.
    """
    found = [text for _, text in _entries(path) if text]
    texts = tuple(dict.fromkeys(found))
    if not texts:
        advice = "; write one per line" if ending_of(path) in ("", ".txt") else ""
        raise UsageError(f"the prompt file {shown(path)} has no prompt{advice}")
    name = file_name(path)
    return PromptFile(name, texts, tuple(_notes(name, texts, len(found) - len(texts))))


def read_every_prompt(path: Path) -> tuple[str, ...]:
    """The prompts of a published file, repeats included. An empty prompt is a `UsageError`, because
    leaving it out would change the numbers of all that follow.
    """
    found = list(_entries(path))
    for place, text in found:
        if not text:
            raise UsageError(f"{place} is empty; a published file has a prompt there")
    return tuple(text for _, text in found)


def read_whole_prompt(path: Path) -> str:
    """The whole text file as one prompt, with all its lines. An empty file is a `UsageError`."""
    text = checked_prompt(shown(path), read_text(path))
    if not text:
        raise UsageError(f"the prompt file {shown(path)} has no prompt")
    return text


def is_prompt_file(text: str) -> bool:
    """Whether a text that is not a known name means a prompt file: it has such an ending, it is a
    path, or such a file exists.

    >>> is_prompt_file("prompts.csv")
    True
    >>> is_prompt_file("geneval")
    False
    """
    if ending_of(Path(text)) in _READERS.keys() - {""} or "/" in text.partition(":")[0]:
        return True
    return os.path.isfile(text)  # noqa: PTH113


def file_name(path: Path) -> str:
    """A file's name without its folder; characters that cannot be printed become `_`.

    A file without an ending gets the ending .txt, so that no file has the name of a suite or a set
    of prompts.
    """
    name = "".join(character if character.isprintable() else "_" for character in path.name)
    return name if path.suffix else f"{name}.txt"


def ending_of(path: Path) -> str:
    """A file's ending in lower case; empty if there is none."""
    return path.suffix.lower()


def shown(path: Path) -> str:
    """A path for a message: only its end if it is very long, escaped if it cannot be printed."""
    text = str(path) if len(str(path)) <= _SHOWN else f"...{str(path)[-_SHOWN:]}"
    return text if text.isprintable() else ascii(text)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file without byte-order marks at its beginning, and with one newline
    character for every end of line. A file that cannot be read is a `UsageError`.
    """
    try:
        # Before reading: a pipe could block for ever. A folder fails below, with a good reason.
        if not (path.is_file() or path.is_dir()) and path.exists():
            raise UsageError(
                f"the prompt file {shown(path)} cannot be read (it is a device or a pipe); give a"
                " file"
            )
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"the prompt file {shown(path)} cannot be read ({reason}); give a UTF-8 file that ends"
            f" in {_ENDINGS}"
        ) from error
    try:
        content = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"the prompt file {shown(path)} cannot be read (it is not UTF-8); look at line {line},"
            " and save the file as UTF-8"
        ) from error
    return content.lstrip(_BOM).replace("\r\n", "\n").replace("\r", "\n")


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """The place and the text of each prompt. Texts have been checked, and may be empty."""
    reader = _READERS.get(ending_of(path))
    if reader is None:
        raise UsageError(
            f"the prompt file {shown(path)} ends in {ending_of(path)!r}; a prompt file ends in"
            f" {_ENDINGS}"
        )
    for place, text in reader(path, read_text(path)):
        yield place, checked_prompt(place, text)


def checked_prompt(place: str, text: str) -> str:
    """A prompt's text without white space around it. A forbidden character is a `UsageError` that
    begins with `place`.
    """
    bad = _FORBIDDEN.search(text)
    if bad:
        what = (
            "half of a surrogate pair, which is not valid Unicode"
            if "\ud800" <= bad[0] <= "\udfff"
            else "a control character"
        )
        raise UsageError(f"{place} has {what} (U+{ord(bad[0]):04X}); remove it from the prompt")
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip(_AROUND)
    if _BOM in text:
        raise UsageError(f"{place} has a byte-order mark (U+FEFF) inside the prompt; remove it")
    return text


def normalised(prompt: str) -> str:
    r"""The form of a prompt in which it is compared with others.

    >>> normalised("  A  Red\tRing ")
    'a red ring'
    """
    return " ".join(prompt.casefold().split()).removesuffix(".").rstrip()


def _notes(name: str, texts: Sequence[str], repeats: int) -> Iterator[str]:
    if repeats:
        what = (
            "1 prompt repeats an earlier one and is"
            if repeats == 1
            else f"{repeats} prompts repeat earlier ones and are"
        )
        yield f"{name}: {what} left out"
    long = [text for text in texts if len(text) > LONG]
    if long:
        yield (
            f"{name}: {_number(long)} more than {LONG:,} characters, the longest"
            f" {max(map(len, long)):,}; a text encoder reads the first 77 tokens (CLIP) to 512"
            " tokens (T5 of FLUX) and ignores the rest"
        )
    several = [text for text in texts if "\n" in text]
    if several:
        yield f"{name}: {_number(several)} several lines; the first begins {several[0][:40]!r}"


def _number(texts: Sequence[str]) -> str:
    return "1 prompt has" if len(texts) == 1 else f"{len(texts)} prompts have"


# Text.


def _lines(path: Path, content: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip(_AROUND) or _FORBIDDEN.search(line):
            yield f"{shown(path)}:{number}", line


# Tables.


def _csv(path: Path, content: str) -> Iterator[tuple[str, str]]:
    return _column(path, _quoted_rows(path, content, ","), "comma")


def _tsv(path: Path, content: str) -> Iterator[tuple[str, str]]:
    """The prompts of a TSV file. Some programs quote its fields as in CSV; others, such as that of
    PartiPrompts' authors, write quotation marks literally.
    """
    try:
        rows = list(_quoted_rows(path, content, "\t"))
    except UsageError:
        if _QUOTED.search(content):
            raise
        rows = [
            (number, line.split("\t")) for number, line in enumerate(content.split("\n"), start=1)
        ]
    return _column(path, rows, "tab")


def _quoted_rows(path: Path, content: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the number of its first line."""
    rows = csv.reader(
        io.StringIO(content, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    while True:
        line = rows.line_num + 1
        try:
            row = _next(rows)
        except csv.Error as error:
            raise UsageError(
                f"{shown(path)}:{_opened_in(content, line, delimiter)} {_malformed(str(error))}"
            ) from error
        if row is None:
            return
        yield line, row


def _next(rows: Iterator[list[str]]) -> list[str] | None:
    """The next row, with fields of any length. Python's limit belongs to the whole process, so it
    is lifted only here, and restored.
    """
    before = csv.field_size_limit(sys.maxsize)
    try:
        return next(rows, None)
    finally:
        csv.field_size_limit(before)


def _opened_in(content: str, line: int, delimiter: str) -> int:
    """The line in which the first malformed field begins, of the row that begins in `line`.

    The csv module only knows the line in which it gave up, which may be the end of the file.
    """
    row = content.split("\n", line - 1)[-1]
    field = re.compile(rf' *(?:"(?:[^"]|"")*"|(?!")[^{delimiter}\n]*)(?:{delimiter}|\n)')
    place = 0
    while found := field.match(row, place):
        place = found.end()
    return line + row.count("\n", 0, place)


def _malformed(error: str) -> str:
    """The fault of a row, in words that help more than those of Python's csv module."""
    advice = 'write a field with a quotation mark in it as "a ""red"" cat"'
    if "end of data" in error:
        return f"has a quotation mark that is not closed; {advice}"
    if "expected after" in error:
        return f"has text after a closing quotation mark; {advice}"
    return f"is not a well-formed row ({error}); {advice}"


def _column(
    path: Path, rows: Iterable[tuple[int, list[str]]], delimiter: str
) -> Iterator[tuple[str, str]]:
    """The prompts' column of a table. Rows without any text are left out; every other row must have
    as many fields as the header.
    """
    written = ((line, row) for line, row in rows if any(cell.strip(_AROUND) for cell in row))
    _, header = next(written, (0, []))
    place = _place_of_prompts(path, [name.strip(_AROUND) for name in header], delimiter)
    for line, row in written:
        if len(row) != len(header):
            raise UsageError(
                f"{shown(path)}:{line} has {_fields(row)}, and the header has {len(header)}; put a"
                f" prompt that has a {delimiter} in it between quotation marks"
            )
        yield f"{shown(path)}:{line}", row[place]


def _place_of_prompts(path: Path, header: Sequence[str], delimiter: str) -> int:
    name = next((name for name in COLUMNS if name in header), None)
    if name is None:
        found = ", ".join(header)
        told = f"; it is {found[:60]!r}, read with a {delimiter} between fields" if found else ""
        raise UsageError(
            f"the prompt file {shown(path)} has no column for the prompts; name one {COLUMNS[0]!r}"
            f" in its first line{told}"
        )
    if header.count(name) > 1:
        raise UsageError(
            f"the prompt file {shown(path)} has {header.count(name)} columns {name!r}; give the"
            " others another name"
        )
    return header.index(name)


def _fields(row: Sequence[str]) -> str:
    return "1 field" if len(row) == 1 else f"{len(row)} fields"


# JSON.


def _json_lines(path: Path, content: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip(_AROUND):
            place = f"{shown(path)}:{number}"
            yield place, _prompt_of(place, _parsed(place, line.strip(_AROUND)))


def _json_list(path: Path, content: str) -> Iterator[tuple[str, str]]:
    values = _parsed(shown(path), content)
    if not isinstance(values, list):
        raise UsageError(
            f'{shown(path)} is not a list of texts; write ["a prompt", "another prompt"], or one'
            " value per line in a .jsonl file"
        )
    for number, value in enumerate(values, start=1):
        place = f"{shown(path)}: entry {number}"
        yield place, _prompt_of(place, value)


def _parsed(place: str, text: str) -> Any:
    """The value of a JSON text. Numbers are not used, so whole numbers are read as floats: Python
    refuses to read very long ones.
    """
    try:
        return json.loads(text, parse_int=float, object_pairs_hook=_unambiguous)
    except RecursionError as error:
        raise UsageError(
            f"{place} is nested too deeply to be prompts; write texts, or objects with the key"
            f" {COLUMNS[0]!r}"
        ) from error
    except ValueError as error:
        raise UsageError(f"{place} is not JSON: {error}") from error


def _unambiguous(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs. Python would silently take the last of several prompts."""
    found = dict(pairs)
    for name in COLUMNS:
        if sum(key == name for key, _ in pairs) > 1:
            raise ValueError(f"it has the key {name!r} twice")
    return found


def _prompt_of(place: str, value: Any) -> str:
    if isinstance(value, dict):
        value = next((value[name] for name in COLUMNS if name in value), None)
    if not isinstance(value, str):
        raise UsageError(
            f"{place} is not a prompt; write a text, or an object with the key {COLUMNS[0]!r}"
        )
    return value


_READERS: dict[str, Callable[[Path, str], Iterator[tuple[str, str]]]] = {
    "": _lines,
    ".txt": _lines,
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _json_lines,
    ".json": _json_list,
}
_ENDINGS = ".txt, .csv, .tsv, .jsonl or .json"
