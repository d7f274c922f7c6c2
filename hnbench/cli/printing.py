"""The small tables that commands print on stdout. Everything is shown as plain text: no markup of
rich, no control characters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich import box, filesize
from rich.table import Table
from rich.text import Text

from hnbench.display import consoles
from hnbench.display.fitting import fits, fitted
from hnbench.display.pace import span
from hnbench.files.escaping import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from hnbench.api.generate import GeneratedImages
    from hnbench.api.plan import RunPlan
    from hnbench.catalogue.entries import Entry
    from hnbench.hypernetwork.publish import PushPlan
    from hnbench.weights.hub import Source

_PROMPT = 40
"""The most characters of a prompt in a table."""


def show_entries(entries: Iterable[Entry]) -> None:
    """Print a table of names: what each is, and what it needs."""
    table = Table("name", "what it is", "needs", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    for entry in entries:
        table.add_row(entry.name, entry.summary, needs_of(entry))
    _print(consoles.stdout(), table)


def needs_of(entry: Entry) -> str:
    """The requirements of a name beyond hnbench itself; empty if there are none."""
    repos = dict.fromkeys(source.repo for source in entry.sources)
    return entry.needs or ", ".join([*repos, *entry.data_files])


def show_downloads(
    downloads: Mapping[Source, Sequence[str]], sizes: Mapping[Source, int | None]
) -> None:
    """Print what is downloaded, from where, and its `sizes` in bytes (None: unknown)."""
    table = Table("for", "from the Hub", "files", "size", box=box.SIMPLE_HEAD)
    for source, names in downloads.items():
        bytes_ = sizes[source]
        size = "unknown" if bytes_ is None else filesize.decimal(bytes_)
        table.add_row(
            ", ".join(names), str(source), ", ".join(need[0][0] for need in source.needs), size
        )
    _print(consoles.stdout(), table)


def show_push(plan: PushPlan) -> None:
    """Print the files of an upload, and what becomes of the repository."""
    table = Table("file", "size", "in the repository", box=box.SIMPLE_HEAD)
    for name, size in plan.files.items():
        there = "unknown" if plan.existing is None else "new"
        if name in plan.overwritten:
            there = "overwritten"
        table.add_row(consoles.plain(name), filesize.decimal(size), there)
    _print(consoles.stdout(), table)
    total = filesize.decimal(sum(plan.files.values()))
    kept = len(plan.existing or ()) - len(plan.overwritten)
    state = plan.remark or f"it exists; {kept} of its other files stay as they are"
    consoles.say(consoles.stdout(), f"{len(plan.files)} files, {total}, to {plan.repo}: {state}")


def show_plan(plan: RunPlan) -> None:
    """Print what a run takes: a table by method, then downloads, disk and time in sentences."""
    from hnbench.api.plan import COUNTED
    from hnbench.reports.costs import unit_of
    from hnbench.reports.numbers import amount

    measured = plan.trial is not None
    table = Table("method", box=box.SIMPLE_HEAD)
    names = [
        "images",
        "done",
        "generator\nforward",
        "generator\nbackward",
        "reward\nforward",
        "reward\nbackward",
    ]
    frame = plan.frame()
    unit, factor = unit_of([frame["flops"].min() / 1e12])  # the smallest is at least 1
    names += [unit, *(["s/sample", "time", "memory"] if measured else [])]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for label, row in frame.iterrows():
        cells = [f"{row[name]:,.0f}" if row[name] >= 0 else "?" for name in COUNTED]
        cells.append(amount(row["flops"] / 1e12 * factor) if row["flops"] >= 0 else "?")
        table.add_row(str(label), *cells, *(_measured(row.to_dict()) if measured else []))
    console = consoles.stdout()
    _print(console, table)
    for sentence in plan.sentences():
        consoles.say(console, sentence)


def show_power(plan: RunPlan, difference: float) -> None:
    """Print the differences that a run can tell from zero, and what `difference` needs: for the
    pairs with the base and with HyperNoise; the others are in the JSON.
    """
    from hnbench.reports.labels import HYPERNOISE, method_of, style_of
    from hnbench.reports.numbers import number
    from hnbench.runs.plan import BASE

    table = Table("difference between", "and", box=box.SIMPLE_HEAD)
    for name in ("detectable", "seeds", "prompts"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in plan.power:
        if {BASE, HYPERNOISE}.isdisjoint(map(method_of, (one.first, one.second))):
            continue
        seeds = "no number" if one.seeds is None and one.prompts else one.seeds
        needed = [
            f"{value:,}" if isinstance(value, int) else value or "?"
            for value in (seeds, one.prompts)
        ]
        table.add_row(
            *(style_of(label).short for label in (one.first, one.second)),
            number(one.detectable),
            *needed,
        )
    console = consoles.stdout()
    _print(console, table)
    consoles.say(
        console,
        "detectable: the smallest difference in the overall score that this run finds in 80 of 100"
        f" cases (two-sided test at 5%). seeds: that many runs of this size find {difference:g}."
        f" prompts: one run with that many prompts, instead of {plan.prompts:,}, finds it.",
    )


def _measured(row: Mapping[Any, float]) -> list[str]:
    """The measured cells of a method; a question mark, or nothing, for what is not known."""

    def text(name: str, form: Callable[[float], str]) -> str:
        return form(row[name]) if row[name] >= 0 else ""

    return [
        text("seconds_per_image", lambda value: f"{value:.3g}"),
        text("seconds", span),
        text("peak_memory_bytes", lambda value: filesize.decimal(int(value))),
    ]


def show_images(made: GeneratedImages) -> None:
    """Print a row for each image: its method, rewards, operations, seconds and file."""
    from hnbench.reports.costs import unit_of
    from hnbench.reports.numbers import amount

    work = [math.nan if one.cost.flops is None else one.cost.flops / 1e12 for one in made.images]
    unit, factor = unit_of(work)
    several = len({(one.prompt, one.sample) for one in made.images}) > 1
    rewards = made.reward_names
    table = Table(*(["prompt", "sample"] if several else []), "method", box=box.SIMPLE_HEAD)
    for name in (*rewards, unit, "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("image", no_wrap=True)
    for one, path, tflops in zip(made.images, made.paths, work, strict=True):
        place = [_shortened(one.prompt), str(one.sample)] if several else []
        table.add_row(
            *place,
            one.label,
            *(f"{one.rewards[name]:.4g}" for name in rewards),
            "?" if math.isnan(tflops) else amount(tflops * factor),
            f"{one.cost.seconds:.3g}",
            path.name,
        )
    console = consoles.stdout()
    _print(console, table)
    consoles.say(console, f"The images: {made.folder}")
    for path in made.grids:
        consoles.say(console, f"The grid: {path}")


def _shortened(prompt: str) -> str:
    """The beginning of a prompt, for a table."""
    return prompt if len(prompt) <= _PROMPT else f"{prompt[: _PROMPT - 3]}..."


def show_values(values: Mapping[str, Any]) -> None:
    """Print nested values, one per line, by their dotted names."""
    table = Table("what", "value", box=box.SIMPLE_HEAD)
    for name, value in _flat(values):
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    _print(consoles.stdout(), table)


def show_report(
    table: Table,
    sentences: Iterable[str],
    paths: Mapping[str, Path],
    *,
    narrow: Sequence[Table] = (),
) -> None:
    """Print a report's main table (or the `narrow` ones, if that one does not fit), its findings,
    and the `paths` of its files by name.
    """
    console = consoles.stdout()
    _print(console, *([table] if not narrow or fits(table, console) else narrow))
    for sentence in sentences:
        console.print(Text(f"\n{printable(sentence)}"))
    console.print()
    for name, path in paths.items():
        consoles.say(console, f"The {name}: {path}")


def show_lines(lines: Iterable[str]) -> None:
    """Print lines of text."""
    console = consoles.stdout()
    for line in lines:
        consoles.say(console, line)


def show_scores(table: Table, sentences: Iterable[str], where: str) -> None:
    """Print the results for a folder's images: the sentences that a reader must know, the table,
    and `where` the details are.
    """
    console = consoles.stdout()
    for sentence in sentences:
        consoles.say(console, sentence)
    _print(console, table)
    console.print()
    consoles.say(console, where)


def _print(console: Console, *tables: Table) -> None:
    for part in fitted(tables, console):
        console.print(part)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
