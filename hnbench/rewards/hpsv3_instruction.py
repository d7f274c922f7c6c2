"""The text that HPSv3 reads with an image, from a source file of the package hpsv3 1.0.0 (MIT).

The file is downloaded and pinned like other projects' prompts, and no sentence of it comes with
hnbench. With other words, the weights would give other scores.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.rewards.sources import HPSV3_TEXT
from hnbench.weights.pinned_files import data_file

if TYPE_CHECKING:
    from pathlib import Path

_PARTS = ("INSTRUCTION", "prompt_with_special_token")
"""The file's constants that make the text, in their order."""


def read_instruction() -> str:
    """The text, with `{text_prompt}` for the prompt. The file is parsed, and nothing in it is
    executed.

    Raises `UnavailableError` if the file can be neither found nor downloaded, and `UsageError` for
    a file that is not the pinned one or lacks a part of the text.
    """
    path = data_file(HPSV3_TEXT)
    texts = _constants(path)
    for name in _PARTS:
        if name not in texts:
            raise UsageError(
                f"{path} does not give {name} as a plain string; it must be the file of the"
                " package hpsv3 1.0.0"
            )
    return "".join(texts[name] for name in _PARTS)


def _constants(path: Path) -> dict[str, str]:
    """The strings that a Python file gives names to, outside of functions and classes."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read as Python ({error}); it must be the file of the package hpsv3"
            " 1.0.0"
        ) from error
    found: dict[str, str] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                found[name] = text
    return found
