"""The prompts that methods chose in place of the original ones, and the cost of the rewriting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.labels import Label, value_in_name
from hnbench.reports.numbers import amount
from hnbench.reports.sections.cells import all_escaped, name_of, named, table
from hnbench.runs.frame import REWRITER

if TYPE_CHECKING:
    import pandas as pd

    from hnbench.reports.summary import Summary

EXAMPLES = 3
"""The prompts of each method that are shown."""
_COSTS = {
    "calls": "calls/image",
    "tokens": "tokens/image",
    "seconds": "s/image",
    "dropped": "dropped/image",
}
"""A part of the rewriter's cost -> its header."""


def section(summary: Summary) -> str:
    """The rewriter's cost, the share of changed prompts and a few of them; empty if no method
    rewrites.
    """
    done = summary.pool.frame[summary.pool.frame["status"] == "done"]
    done = done[done["chosen_prompt"].notna()]
    costs, examples = [], []
    for column, label in enumerate(summary.pool.labels):
        own = done[done["column"] == column]
        if own.empty:
            continue
        changed = own[own["chosen_prompt"] != own["prompt"]]
        costs.append(
            [
                name_of(summary.rows[label]),
                _rewriter(label),
                *(_mean(summary, f"{REWRITER}{name}", column) for name in _COSTS),
                f"{len(changed) / len(own):.0%}",
            ]
        )
        examples += [[named(label), *texts] for texts in _examples(changed)]
    if not costs:
        return ""
    note = (
        "The seconds are a part of the method's. Dropped prompts were asked for, but absent,"
        " repeated or unusable. Rewards and verdicts are for the original prompt."
    )
    header = ["method", "rewriter", *_COSTS.values(), "changed prompts"]
    parts = ["## Chosen prompts", table(header, costs), note]
    if examples:
        shown = table(["method", "prompt", "prompt of the image"], examples, align="---")
        parts += [f"The first {EXAMPLES} changed prompts of each method:", shown]
    return "\n\n".join(parts)


def _rewriter(label: str) -> str:
    """The rewriter, by the identity of the method."""
    identity = label.identity if isinstance(label, Label) else {}
    if "model" in identity:
        return escaped(f"language model {value_in_name(identity['model'])}")
    if "command" in identity:
        return escaped(f"command {value_in_name(identity['command'])}")
    return "built-in rules" if "rules" in identity else ""


def _mean(summary: Summary, name: str, column: int) -> str:
    values = summary.pool.values(name)[:, column]
    known = values[~np.isnan(values)]
    return amount(float(known.mean())) if len(known) else ""


def _examples(changed: pd.DataFrame) -> list[list[str]]:
    first = changed.sort_values("row").drop_duplicates("prompt").head(EXAMPLES)
    return [
        all_escaped(texts) for texts in zip(first["prompt"], first["chosen_prompt"], strict=True)
    ]
