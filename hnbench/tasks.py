"""What a method may know of one sample: the prompt's text and which sample of it, nothing more.

The metadata that a judge checks stays with the suite, so no method can look at it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Task:
    """One sample of one prompt."""

    prompt_id: str
    prompt: str
    sample: int
