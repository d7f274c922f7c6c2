"""A comparison as GitHub Markdown, and as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.files.escaping import markdown as escaped
from hnbench.reports.costs import in_words
from hnbench.reports.numbers import number, probability, spanned
from hnbench.reports.sections.cells import all_escaped, table
from hnbench.runs.frame import REWARD, SCORE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from hnbench.reports.comparison.comparison import Comparison, Contrast
    from hnbench.stats.intervals import Interval


def markdown(comparison: Comparison, plots: Mapping[str, str], left: Sequence[str]) -> str:
    """The whole text. `plots` maps file names to titles; `left` says which plots are absent."""
    images = [f"![{escaped(title)}]({name})" for name, title in plots.items()]
    parts = [
        f"# {title(comparison)}",
        lead(comparison),
        *sections(comparison),
        "## Plots",
        *images,
        *(f"_{escaped(note)}_" for note in left),
    ]
    return "\n\n".join(parts) + "\n"


def title(comparison: Comparison) -> str:
    """The suite and the runs, without the sign of a heading."""
    names = " and ".join(all_escaped(group.name for group in comparison.groups))
    return f"{escaped(comparison.groups[0].manifest['suite']['name'])}: {names}"


def sections(comparison: Comparison) -> list[str]:
    """The sections, each with its heading, the differences first."""
    notes = "\n".join(f"- {escaped(note)}" for note in comparison.notes)
    found = {
        f"Differences in {escaped(metric_name(comparison.main))}": _differences(comparison),
        "Rows": _levels(comparison),
        "Differences by tag": _by_tag(comparison),
        "Differences in rewards": _rewards(comparison),
        "What is left out, and how rows are paired": notes,
    }
    return [f"## {heading}\n\n{body}" for heading, body in found.items() if body]


def lead(comparison: Comparison) -> str:
    """The paragraph under the title: the prompts, and how the numbers are made."""
    return (
        f"{comparison.prompts} prompts, which all runs have. Intervals are 95%; prompts are"
        " resampled within their tags. p-values are those of a sign-flip test over prompts,"
        " adjusted after Holm over the table. Rows with the same noises are paired sample by"
        " sample, all others by the means of their prompts."
    )


def metric_name(metric: str) -> str:
    """The name of a metric in a sentence."""
    return metric if metric == SCORE else f"reward {metric.removeprefix(REWARD)}"


def title_of(contrast: Contrast) -> str:
    """A row and its reference in words."""
    return f"{contrast.row.name} minus {contrast.reference.name}"


def _differences(comparison: Comparison) -> str:
    costs = list(dict.fromkeys(cost for one in comparison.contrasts for cost in one.cost_ratios))
    return table(
        ["row", "minus", "difference [95%]", "p (Holm)", "paired by", "samples"]
        + [f"{in_words(cost)}, ratio" for cost in costs],
        [
            [
                escaped(one.row.name),
                escaped(one.reference.name),
                spanned(one.metrics[comparison.main].overall, sign=True),
                _p(one.p_holm),
                one.pairing,
                _samples(one, comparison.main),
                *(_ratio(one.cost_ratios.get(cost)) for cost in costs),
            ]
            for one in comparison.contrasts
        ],
    )


def _samples(contrast: Contrast, main: str) -> str:
    found = contrast.metrics[main]
    if found.samples == found.reference_samples:
        return str(found.samples)
    return f"{found.samples} and {found.reference_samples}"


def _ratio(ratio: Interval | None) -> str:
    return "not compared" if ratio is None else number(ratio.estimate, digits=3)


def _p(value: float) -> str:
    return probability(value).removeprefix("p ").removeprefix("= ")


def _levels(comparison: Comparison) -> str:
    costs = list(dict.fromkeys(cost for one in comparison.levels for cost in one.costs))
    return table(
        ["row", *all_escaped(map(metric_name, comparison.metrics)), "done", "planned"]
        + [f"{in_words(cost)} ({cost})" for cost in costs],
        [
            [
                escaped(level.row.name),
                *(spanned(level.metrics[metric]) for metric in comparison.metrics),
                str(level.done),
                str(level.planned),
                *(
                    f"{level.costs[cost].estimate:.3g}" if cost in level.costs else ""
                    for cost in costs
                ),
            ]
            for level in comparison.levels
        ],
    )


def _by_tag(comparison: Comparison) -> str:
    return table(
        ["tag", *all_escaped(map(title_of, comparison.contrasts))],
        [
            [
                escaped(tag),
                *(
                    f"{spanned(one.metrics[comparison.main].tags[tag], sign=True)},"
                    f" {probability(one.tag_p_holm[tag])}"
                    for one in comparison.contrasts
                ),
            ]
            for tag in comparison.tags
        ],
    )


def _rewards(comparison: Comparison) -> str:
    others = [metric for metric in comparison.metrics if metric != comparison.main]
    if not others:
        return ""
    return table(
        ["row", "minus", *all_escaped(one.removeprefix(REWARD) for one in others)],
        [
            [
                escaped(one.row.name),
                escaped(one.reference.name),
                *(spanned(one.metrics[metric].overall, sign=True) for metric in others),
            ]
            for one in comparison.contrasts
        ],
    )


def console_table(comparison: Comparison) -> Table:
    """The differences as a table for the terminal."""
    from rich import box
    from rich.table import Table

    main = comparison.main
    costs = list(dict.fromkeys(cost for one in comparison.contrasts for cost in one.cost_ratios))
    found = Table(box=box.SIMPLE_HEAD)
    found.add_column("row")
    found.add_column("minus")
    for header in (f"{metric_name(main)}:\ndifference", "95%", "p (Holm)", "samples"):
        found.add_column(header, justify="right")
    for cost in costs:
        found.add_column(f"{in_words(cost)}\nratio", justify="right")
    for one in comparison.contrasts:
        value = one.metrics[main].overall
        found.add_row(
            one.row.name,
            one.reference.name,
            number(value.estimate, sign=True),
            f"{number(value.low, sign=True)} {number(value.high, sign=True)}",
            _p(one.p_holm),
            _samples(one, main),
            *(_ratio(one.cost_ratios.get(cost)) for cost in costs),
        )
    return found
