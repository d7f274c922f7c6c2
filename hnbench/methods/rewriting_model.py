"""A rewriter that is a language model: it reads the best prompts so far with their scores, and
answers with a numbered list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hnbench.methods.rewriting import MOST_WORDS, Answer, Request, Rewriter
from hnbench.weights.language_model import (
    fingerprint_of_language_model,
    folder_of_language_model,
    language_model,
)

TOKENS_PER_PROMPT = 128
"""The most tokens that the model may write for each asked prompt: 77 words of English have about
100.
"""
_VERSION = 1
"""The version of the question and of the reading of answers; part of the identity."""
_ITEM = re.compile(r"\s*[*_]*\d+\s*[.):][*_]*\s*(?P<text>.*\S)")
_AROUND = "\"'`*_“”‘’ "  # noqa: RUF001


@dataclass(frozen=True)
class ModelRewriter(Rewriter):
    """A causal language model of transformers with a chat template."""

    model: str
    """A local folder, or `owner/name[@revision]` on the Hub."""
    keep: int
    """The number of tried prompts that it is told, the best ones."""

    @property
    def identity(self) -> dict[str, Any]:
        """The SHA-256 of the model's files; from the Hub, they are downloaded for it if needed."""
        folder = folder_of_language_model(self.model)
        return {"model": fingerprint_of_language_model(folder), "question": _VERSION}

    def check(self, device: str) -> None:
        language_model(folder_of_language_model(self.model), device)

    def answer(self, request: Request, device: str) -> Answer:
        model = language_model(folder_of_language_model(self.model), device)
        written = model.reply(
            question(request, self.keep),
            seed=request.seed,
            most_tokens=TOKENS_PER_PROMPT * request.proposals,
        )
        texts = [text for text in listed(written.text) if not model.marks_in(text)]
        return Answer(tuple(texts), written.tokens)


def question(request: Request, keep: int) -> str:
    """The text that the model is asked."""
    tried = "\n".join(f"{one.score:g}: {one.prompt}" for one in request.tried[:keep])
    return (
        "You improve prompts for a text-to-image model. The image has to show exactly this:\n"
        f"{request.prompt}\n\n"
        "Each of these prompts was tried; before it stands the score of its image for the text"
        f" above. Higher is better.\n{tried}\n\n"
        f"Write {request.proposals} new prompts that will score higher. Each describes the same"
        f" content in other words, in fewer than {MOST_WORDS} words. Answer with a numbered list"
        " of the prompts and nothing else."
    )


def listed(text: str) -> Iterator[str]:
    r"""The items of the numbered lists in a text, one a line, without marks around them.

    >>> list(listed('Sure:\n1. a cat\n2) "two dogs"\n**3.** *a bird*\nDone!'))
    ['a cat', 'two dogs', 'a bird']
    """
    for line in text.splitlines():
        if found := _ITEM.match(line):
            yield found["text"].strip(_AROUND)
