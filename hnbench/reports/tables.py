"""The numbers as tables: flat CSV files for other programs, and a table for the terminal."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hnbench.files.escaping import csv_cell, csv_cells
from hnbench.reports.costs import SECONDS, TFLOPS, unit_of
from hnbench.reports.headroom import headroom
from hnbench.reports.labels import HYPERNOISE, method_of, style_of
from hnbench.reports.notes import foreign_checkpoints, interval_notes, left_out, timing_notes
from hnbench.reports.numbers import number
from hnbench.runs.frame import REWRITER, SCORE
from hnbench.runs.plan import BASE
from hnbench.stats.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    import pandas as pd
    from rich.table import Table

    from hnbench.reports.summary import Row, Summary

    _Column = tuple[str, Callable[[Row], str]]
    """A header, and a function that makes the cell of a row."""

_INTERNAL = ("trajectory", "row", "column", "folder")
"""Columns of a pool's frame that are not written to `records.csv`."""
_OPTIONAL = (
    *(TFLOPS, "peak_memory_bytes", "acceptance", "chosen_prompt"),
    *(f"{REWRITER}{name}" for name in ("calls", "tokens", "seconds", "dropped")),
)
"""Columns that are written only if some record has them."""

_REPEATED = 4
"""How often the values of a column repeat, at least, if they are written in advance."""
_ROWS = 10_000
"""Rows converted to text at a time, so that the text of a large table is never in memory whole."""


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table for programs and spreadsheets. No text or header is taken for a formula by a
    spreadsheet (`csv_cell`).
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        # Not by pandas or `csv`, which look at every cell, although most of them repeat.
        file.write(_line_of([_quoted(csv_cell(str(name))) for name in frame.columns]))
        columns = [_cells_of(column) for _, column in frame.items()]
        for start in range(0, len(frame), _ROWS):
            rows = slice(start, start + _ROWS)
            file.writelines(map(_line_of, zip(*(cells(rows) for cells in columns), strict=True)))


def _line_of(cells: Sequence[str]) -> str:
    line = ",".join(cells)
    # A row with one empty cell would be an empty line, which readers skip.
    return f"{line}\n" if line else '""\n'


def _quoted(cell: str) -> str:
    """A printable text as a cell: in quotes if it has a comma or a quote."""
    return '"{}"'.format(cell.replace('"', '""')) if '"' in cell or "," in cell else cell


def _cells_of(column: pd.Series[Any]) -> Callable[[slice], Sequence[str]]:
    """Makes the cells of some rows of a column."""
    import pandas as pd

    shown = _numbers_shown if pd.api.types.is_float_dtype(column.dtype) else _values_shown
    values = column.to_numpy()
    # Numbers are told apart by their bits: 0 and -0 are equal, but not written alike.
    keys = values.view(np.int64) if shown is _numbers_shown else values
    codes, different = pd.factorize(keys, use_na_sentinel=False)
    if len(different) * _REPEATED > len(values):
        return lambda rows: shown(values[rows].tolist())
    # Costs, verdicts, labels, tags and prompts have few different values, so each is written once.
    cells = shown(different.view(values.dtype).tolist())
    return lambda rows: list(map(cells.__getitem__, codes[rows].tolist()))


def _numbers_shown(numbers: Sequence[float]) -> list[str]:
    return ["" if math.isnan(number) else f"{number:.9g}" for number in numbers]


def _values_shown(values: Sequence[Any]) -> list[str]:
    """Texts, whole numbers and truth values as cells; None and NaN are empty."""
    import pandas as pd

    known = csv_cells({value for value in values if isinstance(value, str)})
    return [
        _quoted(known[value]) if isinstance(value, str) else "" if pd.isna(value) else str(value)
        for value in values
    ]


def records_frame(summary: Summary) -> pd.DataFrame:
    """One row per planned record that exists, without trajectories, and without operations,
    memory, acceptance, chosen prompts and costs of a rewriter if no record has them.
    """
    frame = summary.pool.frame
    # If the judge says only right or wrong, the score repeats the column `correct`.
    repeated = [SCORE] if frame[SCORE].equals(frame["correct"]) else []
    unknown = [name for name in _OPTIONAL if frame[name].isna().all()]
    left = (*_INTERNAL, *repeated, *unknown)
    return frame.drop(columns=[name for name in left if name in frame]).rename(
        columns=lambda name: str(name).replace(":", "_")
    )


def summary_frame(summary: Summary) -> pd.DataFrame:
    """One row per (label, metric): role, estimate, low, high, n (samples paired with the base) and
    p_holm, if the metric has one.

    Metrics: `overall`, `tag/<tag>` and `reward/<name>`, each also as the paired difference to the
    base, `gain/...`; `standard_gain/<name>` in the base's standard deviations; `cost/...` per
    image; `peak_memory_bytes`, if it was measured on a GPU. HyperNoise also has `minus/<label>`,
    `share_of_reno/...` and `equivalent_best_of_n`. Scores without the prompts that a training saw
    are `unseen/overall` and `unseen/gain/overall`. The role of a reward is `optimised` or
    `held_out`. The results of `hnbench measure` are `measure/<name>` and `gain/measure/<name>`,
    with n in prompts; for a distance between sets, low and high are the smallest and the largest of
    the base seeds, and n is the number of seeds. The base also has `within_prompt_sd/<name>` and
    `between_prompt_sd/<name>`, the spread of its rewards, without an interval.
    """
    import pandas as pd

    roles = {
        **dict.fromkeys(["optimised", *summary.pool.optimised], "optimised"),
        **dict.fromkeys(summary.pool.held_out, "held_out"),
    }
    lines = [
        *(line for row in summary.rows.values() for line in _lines(row)),
        *_hypernoise_lines(summary),
        *_unseen_lines(summary),
    ]
    lines += [*_headroom_lines(summary), *_measure_lines(summary)]
    frame = pd.DataFrame(
        lines if summary.pool.judged else [line for line in lines if not _is_score(line["metric"])]
    )
    parts = frame["metric"].str.rpartition("/")
    frame.insert(
        2,
        "role",
        parts[2].map(roles).where(parts[0].isin(["reward", "gain/reward", "standard_gain"]), ""),
    )
    return frame


def pairs_frame(summary: Summary) -> pd.DataFrame:
    """One row per two labels: the second one's mean score minus the first one's (of the optimised
    reward without a judge) with its paired interval, the samples that it won, lost and tied, and
    the smallest difference that such a run tells from zero.
    """
    import pandas as pd

    lines = [
        {
            "first": pair.first,
            "second": pair.second,
            **{
                name: getattr(pair.overall.difference, name) for name in ("estimate", "low", "high")
            },
            **{name: getattr(pair.overall, name) for name in ("wins", "losses", "ties")},
            "detectable": pair.detectable,
        }
        for pair in summary.pairs
    ]
    columns = ["first", "second", "estimate", "low", "high", "wins", "losses", "ties", "detectable"]
    return pd.DataFrame(lines, columns=columns)


def _line(row: Row, metric: str, interval: Interval, p_holm: float = math.nan) -> dict[str, Any]:
    bounds = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {"label": row.label, "metric": metric, **bounds, "n": row.pairs, "p_holm": p_holm}


def _hypernoise_lines(summary: Summary) -> Iterator[dict[str, Any]]:
    if summary.hypernoise is None:
        return
    row = summary.rows[summary.hypernoise]
    for one in summary.comparisons:
        yield _line(row, f"minus/{one.against}", one.gain, one.p_holm)
    if summary.shares:
        for name, share in {"gain": summary.shares.gain, **summary.shares.costs}.items():
            yield _line(row, f"share_of_reno/{name}", share)
    if summary.equivalent:
        yield _line(row, "equivalent_best_of_n", summary.equivalent)


def _unseen_lines(summary: Summary) -> Iterator[dict[str, Any]]:
    """Scores without the prompts that a training saw."""
    for row in summary.unseen.rows.values() if summary.unseen else ():
        yield _line(row, "unseen/overall", row.overall)
        if row.label != BASE:
            yield _line(row, "unseen/gain/overall", row.gain, row.p_holm)


def _headroom_lines(summary: Summary) -> Iterator[dict[str, Any]]:
    """The spread of the base's rewards."""
    row = summary.rows[BASE]
    for name, one in headroom(summary.pool).items():
        for metric, value in (("within", one.within), ("between", one.between)):
            interval = Interval(value, math.nan, math.nan)
            yield _line(row, f"{metric}_prompt_sd/{name}", interval)


def _measure_lines(summary: Summary) -> Iterator[dict[str, Any]]:
    for measure in summary.measured.measures if summary.measured else ():
        name = measure.definition.measure
        for label, one in measure.by_prompt.items():
            yield {**_line(summary.rows[label], f"measure/{name}", one.level), "n": one.prompts}
            if one.difference is not None:
                yield {
                    **_line(summary.rows[label], f"gain/measure/{name}", one.difference),
                    "n": one.prompts,
                }
        for label, distance in measure.distances.items():
            interval = Interval(distance.mean, distance.low, distance.high)
            yield {
                **_line(summary.rows[label], f"measure/{name}", interval),
                "n": len(summary.pool.seeds),
            }


def _is_score(metric: str) -> bool:
    return metric.rpartition("/")[2] == "overall" or "tag" in metric.split("/")


def _lines(row: Row) -> Iterator[dict[str, Any]]:
    line = partial(_line, row)
    yield line("overall", row.overall)
    yield from (line(f"tag/{tag}", interval) for tag, interval in row.tags.items())
    yield from (line(f"reward/{name}", interval) for name, interval in row.rewards.items())
    if row.label != BASE:
        yield line("gain/overall", row.gain, row.p_holm)
        yield from (
            line(f"gain/tag/{tag}", interval, row.tag_p_holm[tag])
            for tag, interval in row.tag_gains.items()
        )
        yield from (
            line(f"gain/reward/{name}", interval) for name, interval in row.reward_gains.items()
        )
        yield from (
            line(f"standard_gain/{name}", interval) for name, interval in row.standard_gains.items()
        )
    yield from (line(f"cost/{name}", interval) for name, interval in row.costs.items())
    if not math.isnan(row.peak_memory_bytes):
        yield line("peak_memory_bytes", Interval(row.peak_memory_bytes, math.nan, math.nan))


def console_table(summary: Summary) -> Table:
    """The main table for a terminal of at least 120 columns (with up to six tags); `narrow_tables`
    are for smaller ones.

    `optimised` and `held-out` are gains over the base in its standard deviations; the latter is
    averaged over the held-out rewards.
    """
    tags = summary.pool.tags if summary.pool.judged else ()
    return _table(
        summary,
        [
            *_score_columns(summary),
            *_tag_columns(tags, _short_names(tags)),
            *_reward_columns(summary),
            *_cost_columns(summary),
        ],
    )


def narrow_tables(summary: Summary) -> list[Table]:
    """The numbers of `console_table` as two tables, the second with a column for each tag; only the
    first if the suite has no judge.
    """
    scores, costs = _score_columns(summary), _cost_columns(summary)
    first = _table(summary, [*scores, *costs, *_reward_columns(summary)])
    if not summary.pool.judged:
        return [first]
    first.caption, caption = None, first.caption
    names = [tag.replace("_", "\n") for tag in summary.pool.tags]
    second = _table(summary, list(_tag_columns(summary.pool.tags, names)))
    second.caption = caption
    return [first, second]


def _table(summary: Summary, columns: Sequence[_Column]) -> Table:
    from rich.table import Table

    table = Table(
        box=None,
        padding=(0, 1, 0, 0),
        header_style="bold",
        caption=_caption(summary),
        caption_justify="left",
    )
    table.add_column("method", no_wrap=True)
    for header, _ in columns:
        table.add_column(header, justify="right", no_wrap=True)
    for row in summary.rows.values():
        name = style_of(row.label).short + ("" if row.coverage.complete else " (!)")
        table.add_row(
            name,
            *(cell(row) for _, cell in columns),
            style="bold" if method_of(row.label) == HYPERNOISE else "",
        )
    return table


def _score_columns(summary: Summary) -> list[_Column]:
    if not summary.pool.judged:
        return []
    return [
        ("overall [95%]", lambda row: _tight(row.overall)),
        ("Δ base [95%]", lambda row: "" if row.label == BASE else _tight(row.gain, sign=True)),
    ]


def _tag_columns(tags: Sequence[str], names: Sequence[str]) -> Iterator[_Column]:
    def column(tag: str) -> Callable[[Row], str]:
        return lambda row: number(row.tags[tag].estimate)

    return ((name, column(tag)) for tag, name in zip(tags, names, strict=True))


def _short_names(tags: Sequence[str]) -> list[str]:
    """The tags' names with at most six letters a line, unless two of them would become equal."""
    short = ["\n".join(word[:6] for word in tag.split("_")) for tag in tags]
    # A table that is too wide is better than two tags with the same name.
    return short if len(set(short)) == len(short) else [tag.replace("_", "\n") for tag in tags]


def _reward_columns(summary: Summary) -> list[_Column]:
    def optimised(row: Row) -> str:
        return (
            ""
            if row.label == BASE or "optimised" not in row.standard_gains
            else _gain(row.standard_gains["optimised"].estimate)
        )

    def held_out(row: Row) -> str:
        gains = [
            row.standard_gains[name].estimate
            for name in summary.pool.held_out
            if name in row.standard_gains
        ]
        return "" if row.label == BASE or not gains else _gain(sum(gains) / len(gains))

    return [("opti-\nmised", optimised), ("held-\nout", held_out)]


def _cost_columns(summary: Summary) -> list[_Column]:
    work = summary.work
    unit, factor = ("passes", 1.0)
    if work == TFLOPS:
        unit, factor = unit_of(row.costs[TFLOPS].estimate for row in summary.rows.values())
    return [
        (f"{unit}\n/img", lambda row: _brief(row.costs[work].estimate * factor)),
        ("s/img", lambda row: _brief(row.costs[SECONDS].estimate)),
    ]


def _gain(value: float) -> str:
    return number(value, sign=True, digits=2)


def _tight(interval: Interval, *, sign: bool = False) -> str:
    """The interval as "0.623 [.601,.645]"."""
    bounds = ",".join(
        number(value).replace("0.", ".", 1) for value in (interval.low, interval.high)
    )
    return f"{number(interval.estimate, sign=sign)} [{bounds}]"


def _brief(value: float) -> str:
    return (
        number(value)
        if not math.isfinite(value)
        else f"{value:.0f}"
        if value >= 99.5
        else f"{value:.2g}"
    )


def _caption(summary: Summary) -> str:
    pool = summary.pool
    work = (
        "FLOP: floating-point operations of generator, hypernetwork and reward."
        if summary.work == TFLOPS
        else "passes: of the generator, forward + backward."
    )
    units = "optimised, held-out: gain over random noise in its standard deviations"
    lines = [
        f"{pool.size}; "
        + (
            "overall = mean of the tag means; 95% by cluster bootstrap over prompts."
            if pool.judged
            else "no judge: rewards only."
        ),
        (f"{units} (held-out: mean of {', '.join(pool.held_out) or 'none'}). {work}"),
    ]
    if summary.incomplete:
        lines.append(
            "(!) some planned samples failed or are missing: see the coverage table of the report."
        )
    told = (*left_out(pool), *foreign_checkpoints(pool))
    notes = (*told, *timing_notes(summary), *interval_notes(summary))
    return "\n".join([*lines, *notes])
