"""The cost of training the trained methods, and when it is paid back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.costs import SECONDS, TFLOPS, in_words, unit_of
from hnbench.reports.numbers import amount
from hnbench.reports.sections.cells import named, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hnbench.reports.summary import Summary


def section(summary: Summary) -> str:
    """The costs of all trainings; empty if no method was trained."""
    training = {
        name: entry
        for manifest in reversed(summary.pool.manifests)
        for name, entry in manifest.get("training", {}).items()
    }
    if not training:
        return ""
    parts = ["## Cost of training", _training_table(summary, training)]
    if summary.break_even:
        rows = [
            [named(one.against), _images(one.by_work), _images(one.by_seconds)]
            for one in summary.break_even
        ]
        parts += [
            "Images after which HyperNoise's cheaper images have paid for its training, against:",
            table(["method", f"by {in_words(summary.paid_in)}", "by seconds"], rows),
        ]
        if other := _other_device(summary, training):
            parts.append(
                "The numbers by seconds hold only if training and generation were equally fast:"
                f" training ran on {escaped(other)}."
            )
    return "\n\n".join(parts)


def _other_device(summary: Summary, training: Mapping[str, Any]) -> str:
    """The device of HyperNoise's training, if none of the runs used a device of that name; else an
    empty text.
    """
    trained_on = training.get(summary.hypernoise or "", {}).get("device")
    used = {manifest.get("environment", {}).get("device") for manifest in summary.pool.manifests}
    used |= {
        session.get("device")
        for manifest in summary.pool.manifests
        for session in manifest.get("sessions", [])
    }
    return str(trained_on) if trained_on and trained_on not in used else ""


def _training_table(summary: Summary, training: Mapping[str, Any]) -> str:
    columns = (
        "steps",
        "images",
        "generator_forward",
        "generator_backward",
        "reward_forward",
        "reward_backward",
    )
    work = [costs[TFLOPS] for costs in summary.training.values()]
    unit, factor = unit_of(work)
    counted = not all(map(math.isnan, work))
    header = [
        "method",
        *(name.replace("_", " ") for name in columns),
        *([unit] if counted else ()),
        "seconds",
        "device",
    ]
    rows = [
        [
            named(name),
            *(amount(float(entry.get(column, math.nan))) for column in columns),
            *([amount(summary.training[name][TFLOPS] * factor)] if counted else ()),
            amount(summary.training[name][SECONDS]),
            escaped(str(entry.get("device", "n/a"))),
        ]
        for name, entry in training.items()
    ]
    return table(header, rows)


def _images(value: float) -> str:
    return "never: it costs no more per image" if math.isinf(value) else amount(value)
