"""A summary in which every number is another one, so a text that states the wrong one is seen.

The numbers are made up: they agree with no records and with none of each other.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hnbench.reports.summary import (
    BreakEven,
    LabelCoverage,
    PairedDifference,
    Row,
    Shares,
    Summary,
    summarise_runs,
)
from hnbench.stats.intervals import Interval
from tests.reports.synthetic import TAGS, write_run

LABELS = (
    "random",
    "best-of-2",
    "best-of-8",
    "reno",
    "hypernoise",
    "finetune",
    "hypernoise-random-direction",
    "hypernoise-other-noise",
)
NONE = Interval(float("nan"), float("nan"), float("nan"))


def interval(estimate: float, reach: float) -> Interval:
    return Interval(estimate, round(estimate - reach, 6), round(estimate + reach, 6))


def around(estimate: float, below: float, above: float) -> Interval:
    return Interval(estimate, round(estimate - below, 6), round(estimate + above, 6))


def made_up_row(label: str, coverage: LabelCoverage, *, counted: bool) -> Row:
    """Numbers that tell the label and the field: the label's place is in the second decimal."""
    place = LABELS.index(label) / 100
    rewards = ("optimised", "shapes-clip", "shapes-resnet", "redness")
    return Row(
        label=label,
        coverage=coverage,
        pairs=11 + LABELS.index(label),
        overall=around(0.501 + place, 0.02, 0.03),
        tags={tag: interval(0.202 + place + at / 10, 0.04) for at, tag in enumerate(TAGS)},
        gain=around(0.103 + place, 0.05, 0.06),
        p_holm=0.014 + place,
        tag_gains={tag: around(at / 10 - 0.196 + place, 0.05, 0.04) for at, tag in enumerate(TAGS)},
        tag_p_holm={tag: 0.025 + place + at / 10 for at, tag in enumerate(TAGS)},
        rewards={name: interval(1.06 + place + at, 0.07) for at, name in enumerate(rewards)},
        reward_gains={name: interval(5.07 + place + at, 0.08) for at, name in enumerate(rewards)},
        standard_gains={
            name: around(0.31 + 2 * place + at, 0.11, 0.22) for at, name in enumerate(rewards)
        },
        costs={
            **({"tflops": interval(0.03026 + place, 0.0015)} if counted else {}),
            "generator_passes": interval(2 + 100 * place, 0),
            "seconds": interval(0.00704 + place, 0.001),
        },
        peak_memory_bytes=(7 + LABELS.index(label)) * 2.0**20,
    )


def made_up(folder: Path, *, counted: bool = True) -> Summary:
    """Of a run of 12 prompts that is written into `folder`; with `counted`, floating-point
    operations are known.
    """
    found = summarise_runs([write_run(folder, LABELS, prompts_per_tag=2, samples=2)])
    rows = {
        label: made_up_row(label, row.coverage, counted=counted)
        for label, row in found.rows.items()
    }
    controls = ("finetune", "hypernoise-random-direction", "hypernoise-other-noise")
    return replace(
        found,
        rows=rows,
        comparisons=(
            PairedDifference("best-of-2", around(0.0411, 0.021, 0.032), 0.0217),
            *(
                PairedDifference(label, around(0.0512 + at / 100, 0.013, 0.014), 0.0318 + at / 100)
                for at, label in enumerate(controls)
            ),
        ),
        shares=Shares(
            around(0.613, 0.12, 0.23),
            {
                **({"tflops": around(0.0215, 0.003, 0.004)} if counted else {}),
                "generator_passes": around(0.0414, 0.01, 0.02),
                "seconds": around(0.0816, 0.005, 0.006),
            },
        ),
        equivalent=Interval(5.67, 4.56, 6.78),
        curve={1: rows["random"].overall, 2: interval(0.566, 0.01), 8: interval(0.588, 0.015)},
        break_even=(
            BreakEven("best-of-2", 11_111.0, 22_222.0),
            BreakEven("reno", 33_333.0, 44_444.0),
        ),
        paid_in="tflops" if counted else "generator_passes",
        training={
            "hypernoise": made_up_training(5.0, counted=counted),
            "finetune": made_up_training(6.0, counted=counted),
        },
    )


def made_up_training(size: float, *, counted: bool) -> dict[str, float]:
    return {
        "tflops": 1.11111 * size if counted else float("nan"),
        "generator_passes": 1_111_111 * size,
        "seconds": 77.7 * size,
    }


def changed(summary: Summary, label: str, **fields: object) -> Summary:
    """The same with other fields in one row."""
    row = replace(summary.rows[label], **fields)  # type: ignore[arg-type]
    return replace(summary, rows={**summary.rows, label: row})
