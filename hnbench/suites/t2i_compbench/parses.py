"""The parses of the fixed prompts, computed once. So the scores do not depend on the parser that a
user has installed.

The published scripts parse with spaCy's en_core_web_sm 3.5.0 while they score. Two files of parses
come with hnbench: `spacy`, made with version 3.6.0 of the same model, and `hnbench-rules`, made
with `rule_parser`. `python -m hnbench.suites.t2i_compbench.parse` makes another file. If it is put
at `t2i-compbench/parses.json` in the folder named by `HNBENCH_DATA`, it is used unless a parser is
chosen. The parser's name and version are part of the judge's name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from hnbench.errors import UsageError
from hnbench.files.decoding import MalformedError, decode
from hnbench.files.prompt_files import read_text
from hnbench.seeds import digest
from hnbench.weights.pinned_files import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "t2i-compbench/parses.json"
"""The user's own file of parses, in the folder named by `HNBENCH_DATA`."""
PARSERS = ("spacy", "hnbench-rules")
"""The files that come with hnbench; the first is the default."""
PARSED = ("color", "shape", "texture", "spatial", "3d_spatial", "complex")
"""The categories whose scorers need a parse."""
NOT_ASKED = frozenset({"top", "the side", "the left", "the right"})
"""Noun chunks that are not things. The published script does not ask about them either."""


@dataclass(frozen=True)
class Parses:
    """The parses of one parser."""

    parser: str
    """Its name and version."""
    of: Mapping[str, Mapping[str, Any]]
    """A prompt's key -> its `chunks` and `words` (the beginnings and ends of noun chunks and
    tokens) and `tags` (the tokens' parts of speech), each in order.
    """

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of the parser's name and all parses."""
        return digest([self.parser, {prompt: dict(parse) for prompt, parse in self.of.items()}])


_Place = Annotated[int, msgspec.Meta(ge=0)]


class _Parser(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    version: str


class _Parse(msgspec.Struct, forbid_unknown_fields=True):
    chunks: list[tuple[_Place, _Place]]
    words: list[tuple[_Place, _Place]]
    tags: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    parser: _Parser
    prompts: dict[str, _Parse]


@cache
def load_parses(parser: str = "") -> Parses:
    """The parses of one of `PARSERS`. Without a name, those of the user's own file, if there is
    one, or else of the default. `UsageError` if the file cannot be read.
    """
    folder = os.environ.get(VARIABLE)
    own = Path(folder) / FILE if folder and not parser else None
    path = (
        own
        if own and own.is_file()
        else Path(__file__).with_name(f"parses-{parser or PARSERS[0]}.json")
    )
    try:
        found = decode(read_text(path), _File)
        return Parses(
            f"{found.parser.name} {found.parser.version}", msgspec.to_builtins(found.prompts)
        )
    except MalformedError as error:
        raise UsageError(
            f"{path} is not a file of parses ({error}); make it again: python -m"
            " hnbench.suites.t2i_compbench.parse FILE"
        ) from error


def key_of(prompt: str) -> str:
    """A prompt's key in the file, which does not contain the prompts themselves."""
    return sha256(prompt.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Parse:
    """The parse of one prompt."""

    chunks: tuple[str, ...]
    """The noun chunks, in order."""
    words: tuple[str, ...]
    """The tokens, in order."""
    tags: tuple[str, ...]
    """The tokens' parts of speech."""


def parse_of(parses: Parses, prompt: str) -> Parse:
    """The parse of one prompt; `UsageError` if the file does not have it."""
    try:
        found = parses.of[key_of(prompt)]
        chunks, words = (
            tuple(prompt[start:end] for start, end in found[part]) for part in ("chunks", "words")
        )
        return Parse(chunks, words, tuple(found["tags"].split(" ")))
    except KeyError:
        raise UsageError(
            f"{parses.parser} has no parse of {prompt!r}; make the file again: python -m"
            " hnbench.suites.t2i_compbench.parse FILE"
        ) from None
