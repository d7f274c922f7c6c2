"""Finds the evaluation prompts that an adapter was trained on: by hash, so that an adapter need not
carry its prompts.

Two prompts are the same if they differ only in capitals, white space and a final full stop. The
hashes are the first 64 bits of the SHA-256 of the normalised text, one per line of `prompts.sha256`
in the adapter's folder: 17 bytes per prompt.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError
from hnbench.files.prompt_files import normalised
from hnbench.files.reading import content_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE = "prompts.sha256"
_DIGITS = 16
_HASH = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")


def prompt_hash(prompt: str) -> str:
    """The hash of a prompt: 16 hexadecimal digits."""
    return hashlib.sha256(normalised(prompt).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def prompt_hashes(prompts: Iterable[str]) -> frozenset[str]:
    """The hashes of prompts, without repeats."""
    return frozenset(map(prompt_hash, prompts))


def is_hash(text: object) -> bool:
    """Whether a value has the form of a `prompt_hash`."""
    return isinstance(text, str) and _HASH.fullmatch(text) is not None


def write_hashes(folder: Path, prompts: Iterable[str]) -> None:
    """Write the hashes of all prompts that a training saw, its own evaluation included."""
    (folder / FILE).write_text(
        "".join(f"{line}\n" for line in sorted(prompt_hashes(prompts))),
        encoding="ascii",
        newline="\n",
    )


def read_hashes(folder: Path) -> frozenset[str] | None:
    """The hashes of the prompts that an adapter was trained on; None if its folder has no such
    file.

    A file with anything but hashes is a `UsageError`: no prompt would be found in it, which would
    look like no contamination.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    try:
        known = frozenset(content_of(path).decode("ascii").split())
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} cannot be read: it is not ASCII; remove it, and contamination is not checked"
        ) from error
    except MalformedError as error:
        raise UsageError(
            f"{path} cannot be read: {error}; remove it, and contamination is not checked"
        ) from error
    if not known or not all(map(is_hash, known)):
        raise UsageError(
            f"{path} is damaged: it does not hold {_DIGITS} hexadecimal digits per line; remove it,"
            " and contamination is not checked"
        )
    return known


def seen_prompts(hashes: frozenset[str] | None, prompts: Mapping[str, str]) -> list[str] | None:
    """The ids of the `prompts` (id -> text) whose hash is among `hashes`; None if `hashes` is
    None.
    """
    if hashes is None:
        return None
    return [prompt_id for prompt_id, text in prompts.items() if prompt_hash(text) in hashes]
