"""Rewriters: whatever gives other texts for a prompt, from the texts that were tried and their
scores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MOST_WORDS = 77
"""The most words of a rewritten prompt, as in MILS."""


@dataclass(frozen=True)
class Tried:
    """A prompt that was rendered."""

    prompt: str
    score: float
    """The optimised reward of its image for the original prompt, finite, with few digits: what a
    rewriter reads must not depend on the last digits of a sum.
    """


@dataclass(frozen=True)
class Request:
    """The question to a rewriter."""

    prompt: str
    """The original prompt."""
    tried: tuple[Tried, ...]
    """The prompts that were tried and have a score, best first."""
    proposals: int
    """The number of prompts that are asked for."""
    seed: int
    """The seed of the rewriter's random numbers; another one for each sample and round."""


@dataclass(frozen=True)
class Answer:
    """The answer of a rewriter: texts, usable or not, and the tokens that it wrote."""

    texts: tuple[str, ...]
    tokens: int | None = None
    """None for a rewriter without tokens."""


@dataclass(frozen=True)
class RewriterCost:
    """The cost of the rewriter for one sample. It is a part of the method's seconds."""

    calls: int
    seconds: float
    """Wall time."""
    dropped: int
    """The prompts that were asked for and not rendered, because the answer lacked them, repeated
    one or had one that cannot be used.
    """
    tokens: int | None = None
    """The tokens that a language model wrote; None for other rewriters."""


class Rewriter(ABC):
    """A way to rewrite prompts."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that decides its answers, as JSON types; part of the method's identity."""

    @abstractmethod
    def check(self, device: str) -> None:
        """Load what it needs onto the device. `UsageError` if it cannot work."""

    @abstractmethod
    def answer(self, request: Request, device: str) -> Answer:
        """The answer to one request, the same whenever it is asked. An error becomes that of the
        sample.
        """


def usable(texts: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """The texts that can be rendered, without repeated and `known` ones: printable, not empty and
    of at most `MOST_WORDS` words, which single spaces separate.
    """
    seen = set(known)
    for text in texts:
        words = text.split()
        cleaned = " ".join(words)
        if 0 < len(words) <= MOST_WORDS and cleaned.isprintable() and cleaned not in seen:
            seen.add(cleaned)
            yield cleaned
