"""A small run analysed by brute force, in plain Python, to compare a report's numbers with.

Two prompts per tag make everything enumerable. A bootstrap that draws n - 1 of a tag's n = 2
prompts draws one of them, so six tags have 2^6 = 64 resamples, each with a probability of 1/64.
The bounds of a 95% interval with six degrees of freedom are the 29th smallest and the 29th largest
of 4,000 draws; each resample is drawn some 62 times, so they are the smallest and the largest
of the 64. A sign-flip test has 2^12 patterns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tests.journals import journal_rows
from tests.reports.synthetic import TAGS

Of = Callable[[dict[str, Any]], float]
Chosen = Mapping[str, Sequence[str]]
"""Tag -> prompts, as often as they were drawn."""
Statistic = Callable[[Chosen], float]
Span = tuple[float, float, float]
"""Estimate, low, high."""


def correct(record: dict[str, Any]) -> float:
    return float(record["verdict"]["correct"])


def reward(name: str) -> Of:
    return lambda record: float(record["rewards"][name])


def cost(name: str) -> Of:
    """`tflops`, `generator_passes` or `seconds`, counted from the record's parts."""

    def counted(record: dict[str, Any]) -> float:
        parts = record["cost"]
        passes = parts["generator_forward"] + parts["generator_backward"]
        tflops = parts.get("flops", math.nan) / 1e12
        found = {"tflops": tflops, "generator_passes": passes, "seconds": parts["seconds"]}
        return float(found[name])

    return counted


@dataclass(frozen=True)
class ByHand:
    """The done records of a run with two prompts per tag, without some prompts."""

    records: tuple[dict[str, Any], ...]

    @staticmethod
    def of(folder: Path, *, without: Sequence[str] = ()) -> ByHand:
        rows = journal_rows(folder / "journal-0000.jsonl")
        return ByHand(tuple(r for r in rows if r["prompt_id"] not in without and not r["error"]))

    @property
    def prompts(self) -> dict[str, list[str]]:
        """Tag -> its prompts."""
        found: dict[str, list[str]] = {}
        for record in self.records:
            own = found.setdefault(record["tag"], [])
            if record["prompt_id"] not in own:
                own.append(record["prompt_id"])
        return {tag: found[tag] for tag in TAGS if tag in found}

    def values(self, label: str, of: Of) -> dict[str, dict[int, float]]:
        """Prompt -> sample -> value."""
        found: dict[str, dict[int, float]] = {}
        for record in self.records:
            if record["label"] == label:
                found.setdefault(record["prompt_id"], {})[record["sample"]] = of(record)
        return found

    def differences(self, label: str, base: str, of: Of) -> dict[str, dict[int, float]]:
        """As `values`, of the samples that both labels have."""
        ours, theirs = self.values(label, of), self.values(base, of)
        return {
            prompt: {
                sample: value - theirs[prompt][sample]
                for sample, value in samples.items()
                if sample in theirs.get(prompt, {})
            }
            for prompt, samples in ours.items()
        }

    def mean(self, values: Mapping[str, Mapping[int, float]]) -> Statistic:
        """The mean of the tags' means, over the prompts that a resample has."""

        def statistic(chosen: Chosen) -> float:
            means = []
            for prompts in chosen.values():
                drawn = [value for prompt in prompts for value in values[prompt].values()]
                means.append(math.fsum(drawn) / len(drawn))
            return math.fsum(means) / len(means)

        return statistic

    def level(self, label: str, of: Of = correct) -> Statistic:
        return self.mean(self.values(label, of))

    def gain(self, label: str, base: str = "random", of: Of = correct) -> Statistic:
        return self.mean(self.differences(label, base, of))

    def span(self, statistic: Statistic, tags: Sequence[str] = TAGS) -> Span:
        """A statistic of all prompts of some tags, and its extremes over all resamples."""
        prompts = {tag: found for tag, found in self.prompts.items() if tag in tags}
        assert {len(found) for found in prompts.values()} == {2}
        drawn = [
            statistic({tag: [one] for tag, one in zip(prompts, ones, strict=True)})
            for ones in product(*prompts.values())
        ]
        return statistic(prompts), min(drawn), max(drawn)

    def p_value(self, label: str, base: str = "random", tags: Sequence[str] = TAGS) -> float:
        """Two-sided, by all sign patterns of the prompts of some tags."""
        values = self.differences(label, base, correct)
        prompts = {tag: found for tag, found in self.prompts.items() if tag in tags}
        parts = []
        for found in prompts.values():
            count = sum(len(values[prompt]) for prompt in found)
            parts += [sum(values[prompt].values()) / count for prompt in found]
        parts = [part for part in parts if part]
        observed = abs(math.fsum(parts)) - 1e-9
        sums = [0.0]
        for part in parts:
            sums = [total + signed for total in sums for signed in (part, -part)]
        return sum(abs(total) >= observed for total in sums) / len(sums)


def holm_by_hand(p_values: Mapping[Any, float]) -> dict[Any, float]:
    """Holm's adjusted p-values by their definition.

    The largest, over all hypotheses that are at least as clear, of their p-value times the number
    of those that are no clearer; at most 1.
    """
    return {
        key: min(
            1.0,
            max(
                clearer * sum(other >= clearer for other in p_values.values())
                for clearer in p_values.values()
                if clearer <= own
            ),
        )
        for key, own in p_values.items()
    }


def deviation(values: Sequence[float]) -> float:
    """The standard deviation with n - 1."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
