"""Compares training prompts with GenEval 2's: `python -m hnbench.catalogue.contamination PROMPTS
[--adapter FOLDER [--note]]`.

PROMPTS is a prompt file, such as a public training split, or a named set. With `--adapter FOLDER`,
it also says how many of PROMPTS and of GenEval 2's an adapter was trained on, by its
`prompts.sha256`; `--note` writes this file for an adapter that was trained on PROMPTS by other
code, so that reports can leave out what it saw.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from hnbench.catalogue.training_prompts import find_prompts
from hnbench.errors import UsageError
from hnbench.hypernetwork.seen import FILE, prompt_hashes, read_hashes, seen_prompts, write_hashes
from hnbench.suites.geneval2.suite import GenEval2Suite
from hnbench.suites.geneval2.templates import Likeness, TrainedTexts, vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hnbench.suites.base import Prompt


def likeness_lines(prompts: Sequence[Prompt], training: Sequence[str]) -> list[str]:
    """A line for each likeness, with the number of GenEval 2's prompts that it holds for."""
    known = TrainedTexts.of(training, vocabulary(prompts))
    found = Counter(known.likeness(prompt.text) for prompt in prompts)
    return [
        f"{found[kind]} of GenEval 2's {len(prompts)} prompts are {kind}"
        for kind in get_args(Likeness)
    ]


def adapter_lines(prompts: Sequence[Prompt], training: Sequence[str], folder: Path) -> list[str]:
    """The numbers of the training prompts, and of GenEval 2's, that an adapter was trained on."""
    hashes = read_hashes(folder)
    if hashes is None:
        return [f"{folder} has no {FILE}: what it was trained on is not known"]
    distinct = prompt_hashes(training)
    seen = seen_prompts(hashes, {prompt.id: prompt.text for prompt in prompts}) or []
    counts = {
        f"these {len(distinct)} training prompts": len(distinct & hashes),
        f"GenEval 2's {len(prompts)} prompts": len(seen),
    }
    return [f"{count} of {what} are among those of {folder}" for what, count in counts.items()]


def note(folder: Path, training: Sequence[str]) -> None:
    """Write that an adapter was trained on these prompts. `UsageError` if its folder does not
    exist, or says it already.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give that of an adapter")
    if os.path.lexists(folder / FILE):
        raise UsageError(f"{folder} has a {FILE} already; remove it to write another one")
    write_hashes(folder, training)


def lines_of(arguments: Sequence[str] | None = None) -> list[str]:
    """The lines that the command prints, for its arguments."""
    parser = argparse.ArgumentParser(description="Compare training prompts with GenEval 2's.")
    parser.add_argument("prompts", metavar="PROMPTS", help="a prompt file, or a named set")
    parser.add_argument("--adapter", metavar="FOLDER", type=Path, help="an adapter to look up")
    parser.add_argument(
        "--note", action="store_true", help="write that the adapter was trained on PROMPTS"
    )
    given = parser.parse_args(arguments)
    if given.note and given.adapter is None:
        parser.error("--note needs --adapter FOLDER")
    said: list[str] = []
    training = find_prompts(given.prompts, tell=said.append)
    prompts = GenEval2Suite().prompts()
    if given.note:
        note(given.adapter, training)
    said += likeness_lines(prompts, training)
    return said + (adapter_lines(prompts, training, given.adapter) if given.adapter else [])


def main() -> None:
    """Print what the command line asks for; a `UsageError` is one line on stderr."""
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines_of()))
    except UsageError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
