"""The rewriter that comes with hnbench: three rules that keep the meaning of a short English
prompt. It is no language model, and it knows no word but those below.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

from hnbench.methods.rewriting import MOST_WORDS, Answer, Request, Rewriter

OPENING = "a photo of "
INVERSE = {
    "and": "and",
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}
"""The words between two things -> those between the same things in the other order."""
_JOINT = re.compile(rf" ({'|'.join(INVERSE)}) ")
_VERSION = 1
"""The version of the rules; part of the identity."""
_MOST_RULES = 3
"""The most rules that are applied one after another."""
_TRIES = 100
"""The most changes that are tried for each asked prompt: a long prompt has few forms."""


class Rules(Rewriter):
    """Changes the best prompt and a random one that were tried, in turn, by one to three rules that
    are drawn at random: things in another order, a thing named once more at the end, or the words
    "a photo of" before it or not.
    """

    @property
    def identity(self) -> dict[str, Any]:
        return {"rules": _VERSION}

    def check(self, device: str) -> None:
        """Need nothing."""

    def answer(self, request: Request, device: str) -> Answer:  # noqa: ARG002
        draw = random.Random(request.seed)
        parents = [one.prompt for one in request.tried] or [request.prompt]
        seen = {request.prompt, *parents}
        found: list[str] = []
        for turn in range(_TRIES * request.proposals):
            if len(found) == request.proposals:
                break
            text = draw.choice(parents) if turn % 2 else parents[0]
            for rule in draw.choices(RULES, k=draw.randint(1, _MOST_RULES)):
                text = rule(text, draw)
            if text not in seen and len(text.split()) <= MOST_WORDS:
                seen.add(text)
                found.append(text)
        return Answer(tuple(found))


def turned(prompt: str, draw: random.Random) -> str:
    """The prompt with two neighbours among its things exchanged, and what is between them inverted.
    A prompt of which that could change the meaning stays as it is.

    >>> turned("a photo of a cat left of a red dog", random.Random(0))
    'a photo of a red dog right of a cat'
    """
    opening, things, joints = _parts(prompt)
    if not joints or (len(joints) > 1 and set(joints) != {"and"}):
        return prompt
    at = draw.randrange(len(joints))
    things[at], things[at + 1] = things[at + 1], things[at]
    joints[at] = INVERSE[joints[at]]
    return _joined(opening, things, joints)


def named_again(prompt: str, draw: random.Random) -> str:
    """The prompt with one of its things named once more at the end.

    >>> named_again("a photo of a cat", random.Random(0))
    'a photo of a cat and a cat'
    """
    opening, things, joints = _parts(prompt)
    return _joined(opening, [*things, draw.choice(things)], [*joints, "and"])


def opened(prompt: str, draw: random.Random) -> str:  # noqa: ARG001
    """The prompt without its opening, or with one if it has none.

    >>> opened("a photo of a cat", random.Random(0))
    'a cat'
    """
    return prompt.removeprefix(OPENING) if prompt.startswith(OPENING) else f"{OPENING}{prompt}"


RULES: tuple[Callable[[str, random.Random], str], ...] = (turned, named_again, opened)


def _parts(prompt: str) -> tuple[str, list[str], list[str]]:
    """The opening or nothing, the things, and the words between them."""
    opening = OPENING if prompt.startswith(OPENING) else ""
    parts = _JOINT.split(prompt.removeprefix(OPENING))
    return opening, parts[::2], parts[1::2]


def _joined(opening: str, things: list[str], joints: list[str]) -> str:
    later = (f" {joint} {thing}" for joint, thing in zip(joints, things[1:], strict=True))
    return f"{opening}{things[0]}{''.join(later)}"
