"""The task of a method: everything that it may know of a sample, the prompt and the index.

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
