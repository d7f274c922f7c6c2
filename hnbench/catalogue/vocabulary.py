"""The words that a generator was trained on, where they are known."""

from __future__ import annotations

import re
from functools import cache

SHAPES = "shapes"
"""The generator of the embedded world, the only one whose words are all known."""


def unknown_words(generator: str, prompt: str) -> tuple[str, ...]:
    """The words of a prompt, in lower case and each once, that the generator never saw in training.
    Empty for a generator whose words are not known.

    >>> unknown_words("shapes", "a red dog and a Blue circle, barking dog")
    ('dog', 'barking')
    """
    if generator != SHAPES:
        return ()
    words = re.findall(r"[^\W_]+", prompt.lower())
    return tuple(dict.fromkeys(word for word in words if word not in _words_of_shapes()))


@cache
def _words_of_shapes() -> frozenset[str]:
    from hnbench.shapes.captions import by_text

    return frozenset(word for text in by_text() for word in text.split())
