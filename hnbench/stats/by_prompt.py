"""Means of values per prompt, and their paired differences to those of a base.

Prompts are the clusters and tags the strata, as for scores (`hnbench.stats.intervals`). In a table,
a prompt counts for a label only if the label and the base have the same number of values of it, so
means and differences are over the same prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hnbench.stats.intervals import ClusterBootstrap, Interval

Table = Mapping[str, Mapping[str, Sequence[float]]]
"""Label -> prompt -> its values; one table for each base seed."""


@dataclass(frozen=True)
class Compared:
    """One label's mean, and its paired difference to the base. The difference is None for the base
    itself, and without a base.
    """

    prompts: int
    """The number of prompts averaged; a prompt present in several tables counts once."""
    level: Interval
    difference: Interval | None


def compare(
    tables: Sequence[Table], tag_of: Mapping[str, str], base: str | None
) -> dict[str, Compared]:
    """Label -> its mean (over prompts within tags, then over tags) and its paired difference to
    `base`, if there is one. Only the prompts of `tag_of` (prompt -> tag) count.
    """
    tags = list(dict.fromkeys(tag_of.values()))
    prompts = {prompt: index for index, prompt in enumerate(tag_of)}
    bootstrap = ClusterBootstrap(
        np.array([tags.index(tag) for tag in tag_of.values()], dtype=np.intp)
    )
    labels = list(dict.fromkeys(label for table in tables for label in table))
    sums, counts, differences = (np.zeros((len(prompts), len(labels))) for _ in range(3))
    for table in tables:
        for column, label in enumerate(labels):
            reference = table.get(label if base is None else base, {})
            for prompt, values in table.get(label, {}).items():
                # With different numbers of values, the two means would be over different samples.
                if prompt in prompts and len(values) == len(reference.get(prompt, ())):
                    place = (prompts[prompt], column)
                    sums[place] += math.fsum(values)
                    counts[place] += len(values)
                    differences[place] += math.fsum(values) - math.fsum(reference[prompt])
    levels, gains = bootstrap.means(sums, counts), bootstrap.means(differences, counts)
    return {
        label: Compared(
            int((counts[:, column] > 0).sum()),
            levels.overall(column).interval,
            None if base in (None, label) else gains.overall(column).interval,
        )
        for column, label in enumerate(labels)
    }
