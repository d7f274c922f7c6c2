"""Makes a file of parses: `python -m hnbench.suites.t2i_compbench.parse FILE [--spacy MODEL]`.

With `--spacy MODEL`, the prompts are parsed as in the published scripts, which used en_core_web_sm
3.5.0. spaCy must be installed; MODEL is the name of an installed model, or the folder of one.
Without it, the parser is `rule_parser`.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.suites.t2i_compbench import rule_parser
from hnbench.suites.t2i_compbench.parses import PARSED, key_of
from hnbench.suites.t2i_compbench.prompts import category_prompts

if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[str], dict[str, Any]]


def parse_by_rules(text: str) -> dict[str, Any]:
    """One prompt, parsed by the word lists."""
    tokens = rule_parser.tokens(text)
    return {
        "chunks": [list(span) for span in rule_parser.noun_chunks(text)],
        "words": [[token.start, token.end] for token in tokens],
        "tags": " ".join(token.pos for token in tokens),
    }


def spacy_parser(model: str) -> tuple[dict[str, str], Parse]:
    """A spaCy model's name and version, and its function that parses one prompt."""
    # spaCy is not a dependency: only this script needs it.
    spacy = import_module("spacy")

    pipeline = spacy.load(model)

    def parse(text: str) -> dict[str, Any]:
        document = pipeline(text)
        return {
            "chunks": [[chunk.start_char, chunk.end_char] for chunk in document.noun_chunks],
            "words": [[token.idx, token.idx + len(token.text)] for token in document],
            "tags": " ".join(token.pos_ for token in document),
        }

    return {
        "name": f"spaCy {spacy.__version__} {pipeline.meta['lang']}_{pipeline.meta['name']}",
        "version": pipeline.meta["version"],
    }, parse


def parse_all(parser: dict[str, str], parse: Parse) -> dict[str, Any]:
    """The file's content: the parser's name, and the parses of all prompts whose category needs
    them.
    """
    prompts = [prompt for category in PARSED for prompt in category_prompts(category)]
    return {"parser": parser, "prompts": {key_of(prompt): parse(prompt) for prompt in prompts}}


def main() -> None:
    """Write the file that the command line names."""
    arguments = argparse.ArgumentParser(description="Parse T2I-CompBench's prompts.")
    arguments.add_argument("file", type=Path)
    arguments.add_argument(
        "--spacy", metavar="MODEL", help="a spaCy model: the name of an installed one, or a folder"
    )
    given = arguments.parse_args()
    rules = {"name": rule_parser.NAME, "version": rule_parser.VERSION}, parse_by_rules
    content = parse_all(*(spacy_parser(given.spacy) if given.spacy else rules))
    lines = [
        f'"{key}": {json.dumps(parse, separators=(",", ":"))}'
        for key, parse in content["prompts"].items()
    ]
    text = (
        f'{{"parser": {json.dumps(content["parser"])}, "prompts": {{\n'
        + ",\n".join(lines)
        + "\n}}\n"
    )
    given.file.parent.mkdir(parents=True, exist_ok=True)
    given.file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
