"""What a suite's protocol asks for, written out."""

from __future__ import annotations

from hnbench.suites.base import Suite
from hnbench.tasks import Task


def tasks_of(suite: Suite, *, full: bool) -> list[Task]:
    """Every (prompt, sample) pair of the full or the quick protocol, in the suite's order."""
    prompts = suite.prompts() if full else suite.subset()
    return [
        Task(prompt.id, prompt.text, sample)
        for prompt in prompts
        for sample in range(suite.samples(prompt, full=full))
    ]
