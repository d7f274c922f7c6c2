"""What a parser found in the fixed prompts, computed once: the scores depend on it, and not on what is installed here.

The published scripts parse with spaCy's en_core_web_sm while they score. The file that comes with hnbench was made by `rule_parser`, and
says so; `python -m hnbench.suites.t2i_compbench.parse` makes one with a spaCy model, which is taken instead when it lies at
`t2i-compbench/parses.json` in the folder that `HNBENCH_DATA` names. The parser's name and version are part of the judge's name.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.data import VARIABLE
from hnbench.errors import UsageError
from hnbench.seeds import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "t2i-compbench/parses.json"
PARSED = ("color", "shape", "texture", "spatial", "3d_spatial", "complex")
"""The categories whose scorers need a parse."""
NOT_ASKED = frozenset({"top", "the side", "the left", "the right"})
"""Noun chunks that are no things, which the published script leaves out."""


@dataclass(frozen=True)
class Parses:
    """The parses of one parser."""

    parser: str
    """Its name and version."""
    of: Mapping[str, Mapping[str, Any]]
    """Prompt -> `chunks` (noun chunks), `words` and `tags` (tokens and their parts of speech, between spaces), each in order."""

    @property
    def fingerprint(self) -> str:
        """A SHA-256 over all that was parsed."""
        return digest([self.parser, {prompt: dict(parse) for prompt, parse in self.of.items()}])


@cache
def load_parses() -> Parses:
    """The parses of the user's own file, where there is one, else of the file that comes with hnbench."""
    folder = os.environ.get(VARIABLE)
    own = Path(folder) / FILE if folder else None
    path = own if own and own.is_file() else Path(__file__).with_name("parses.json")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Parses(f"{value['parser']['name']} {value['parser']['version']}", value["prompts"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is no file of parses ({error!r}); make it anew: python -m hnbench.suites.t2i_compbench.parse FILE"
        ) from error


def parse_of(parses: Parses, prompt: str) -> Mapping[str, Any]:
    """The parse of one prompt; `UsageError` where the file does not have it."""
    try:
        return parses.of[prompt]
    except KeyError:
        raise UsageError(
            f"{parses.parser} has no parse of {prompt!r}; make the file anew: python -m hnbench.suites.t2i_compbench.parse FILE"
        ) from None
