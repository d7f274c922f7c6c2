"""The report as GitHub Markdown: findings, plots, tables, coverage, cost, protocol and provenance.

Whatever a run folder says (names, tags, prompts, notes, versions) is `escaped` where it is put into
the text.
"""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnbench.files.escaping import markdown as escaped
from hnbench.files.escaping import markdown_code, printable
from hnbench.reports.headlines import (
    amount,
    headlines,
    interval_notes,
    number,
    probability,
    spanned,
)
from hnbench.reports.labels import BASE, HYPERNOISE, OTHER_NOISE, RANDOM_DIRECTION, style_of
from hnbench.reports.published import beside
from hnbench.stats.intervals import RESAMPLES
from hnbench.stats.paired import FLIPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hnbench.reports.measures import PooledMeasure
    from hnbench.reports.summary import Row, Summary


def markdown(
    summary: Summary, plots: Mapping[str, str], notes: Sequence[str], *, published: bool = False
) -> str:
    """The whole text. `plots` maps a file name in the report's folder to its title; `notes` say
    which plots are absent and why.

    With `published`, numbers of papers are set beside the run's own.
    """
    sections = [
        _title(summary),
        _findings(summary),
        _plots(plots, notes),
        _main_table(summary),
        _tag_table(summary),
        _unseen_table(summary),
        published_section(summary) if published else "",
        _reward_table(summary),
        _measures(summary),
        _cost_table(summary),
        _coverage_table(summary),
        _protocol(summary),
        _provenance(summary),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---:") -> str:
    """A table whose cells are Markdown already."""
    aligned = ["---", *[align] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, aligned, *rows])


def _all_escaped(texts: Iterable[str]) -> list[str]:
    return [escaped(text) for text in texts]


def _named(label: str) -> str:
    return escaped(style_of(label).name)


def _name(row: Row) -> str:
    name = _named(row.label) + ("" if row.coverage.complete else " ⚠")
    return f"**{name}**" if row.label == HYPERNOISE else name


def _title(summary: Summary) -> str:
    pool = summary.pool
    manifest = pool.manifests[0]
    seeds = ", ".join(str(seed) for seed in pool.seeds)
    return (
        f"# {escaped(manifest['suite']['name'])} on {escaped(manifest['generator']['name'])}\n\n"
        f"{_completeness(summary)}\n\n"
        f"{pool.size} ({seeds}), {escaped(manifest['plan']['protocol'])} protocol."
    )


def _completeness(summary: Summary) -> str:
    if not summary.incomplete:
        judged = " and judged" if summary.pool.judged else ""
        return (
            f"Complete: all {summary.pool.planned} planned samples of all {len(summary.rows)}"
            f" methods are there{judged}."
        )
    absent = sum(
        summary.rows[label].coverage.planned - summary.rows[label].coverage.done
        for label in summary.incomplete
    )
    return (
        f"> [!WARNING]\n> **Incomplete: {absent} planned samples failed or are missing**, in"
        f" {len(summary.incomplete)} of {len(summary.rows)} methods, marked ⚠ below. Their means"
        " are over the samples that are there and paired with the base, not over the plan."
    )


def _findings(summary: Summary) -> str:
    lines = [f"- {escaped(headline.sentence)}" for headline in headlines(summary)]
    return "\n".join(["## Findings", "", *lines]) if lines else ""


def _plots(plots: Mapping[str, str], notes: Sequence[str]) -> str:
    images = [f"![{escaped(title)}]({name})" for name, title in plots.items()]
    return "\n\n".join(["## Plots", *images, *(f"_{escaped(note)}_" for note in notes)])


def _main_table(summary: Summary) -> str:
    judged = summary.pool.judged
    scores = ["overall [95%]", "Δ base, paired [95%]", "p (Holm)"] if judged else []
    header = ["method", *scores, "generator passes", "all passes", "s/image", "peak memory, MiB"]
    rows = [
        [
            _name(row),
            *(_score_cells(row) if judged else ()),
            *(amount(row.costs[name].estimate) for name in ("nfe", "passes", "seconds")),
            amount(row.peak_memory_bytes / 2**20),
        ]
        for row in summary.rows.values()
    ]
    score = (
        "Overall is the unweighted mean of the tag means."
        if judged
        else "This suite has no judge, so there is no score."
    )
    note = (
        f"{score} Generator passes are forward passes (NFE); all passes are those of generator and"
        " reward, with a backward pass counted as two forward passes. Seconds are those of this"
        " machine at this batch size."
    )
    return "\n\n".join(
        ["## Methods", _table(header, rows), note, *_all_escaped(interval_notes(summary))]
    )


def _score_cells(row: Row) -> list[str]:
    if row.label == BASE:
        return [spanned(row.overall), "", ""]
    return [
        spanned(row.overall),
        spanned(row.gain, sign=True),
        probability(row.p_holm).removeprefix("p ").removeprefix("= "),
    ]


def _unseen_table(summary: Summary) -> str:
    """Which prompts a training saw, and the scores without them; nothing for runs that did not note
    it.
    """
    if not summary.seen:
        return ""
    said = [
        _seen_sentence(_named(name), seen, len(summary.pool.prompts))
        for name, seen in summary.seen.items()
    ]
    parts = ["## Prompts seen in training", "\n".join(f"- {sentence}" for sentence in said)]
    if summary.unseen:
        parts += [f"Without them, {summary.unseen.pool.size}:", _without_table(summary.unseen)]
    texts = {prompt.id: prompt.text for prompt in summary.pool.prompts}
    seen = sorted({texts[prompt] for found in summary.seen.values() for prompt in found or ()})
    if seen:
        listed = "\n".join(f"- {escaped(text)}" for text in seen)
        parts.append(f"<details><summary>The prompts</summary>\n\n{listed}\n\n</details>")
    return "\n\n".join(parts)


def published_section(summary: Summary) -> str:
    """The published numbers of this benchmark and model beside the run's own, or a sentence that
    there are none.
    """
    manifest = summary.pool.manifests[0]
    found = beside(summary)
    suite, generator, steps = (
        manifest["suite"]["name"],
        manifest["generator"]["name"],
        manifest["config"].get("steps"),
    )
    about = f"{escaped(suite)} with {escaped(generator)} at {escaped(str(steps))} step(s)"
    if not found:
        return f"## Published numbers\n\nNone is known of {about}."
    header = ["method", "task", "published", "this run [95%]", "published judge", "source"]
    rows = [
        [
            _named(one.method),
            escaped(one.tag),
            f"{one.value:g}",
            spanned(own) if own else "not in this run",
            escaped(one.judge),
            escaped(f"{one.source}{f' ({one.note})' if one.note else ''}"),
        ]
        for one, own in found
    ]
    judge = manifest["suite"]["judge"]
    caution = (
        f"This run: {summary.pool.size}, {escaped(manifest['plan']['protocol'])} protocol, judge:"
        f" {escaped(judge['name']) if judge else 'none'}. Numbers can be compared only where judge,"
        " prompts, images per prompt and precision are the same; another judge is another scale."
    )
    return (
        f"## Published numbers\n\n{about[0].upper()}{about[1:]}.\n\n"
        f"{_table(header, rows, align='---')}\n\n{caution}"
    )


def _seen_sentence(name: str, seen: Sequence[str] | None, planned: int) -> str:
    if seen is None:
        return f"{name}: its adapter does not say what it was trained on, so this was not checked."
    return f"{name}: {len(seen)} of the {planned} prompts were among its training prompts."


def _without_table(unseen: Summary) -> str:
    if unseen.pool.judged:
        return _table(
            ["method", "overall [95%]", "Δ base, paired [95%]", "p (Holm)"],
            [[_name(row), *_score_cells(row)] for row in unseen.rows.values()],
        )
    names = ["optimised", *unseen.pool.held_out]
    return _table(
        ["method", *_all_escaped(names)],
        [
            [_name(row), *(spanned(row.rewards[name]) for name in names)]
            for row in unseen.rows.values()
        ],
    )


def _tag_table(summary: Summary) -> str:
    if not summary.pool.judged:
        return ""
    tags = summary.pool.tags
    rows = [
        [_name(row), *(spanned(row.tags[tag], digits=2) for tag in tags)]
        for row in summary.rows.values()
    ]
    absent = [tag for tag in summary.pool.manifests[0]["suite"]["tags"] if tag not in tags]
    note = (
        f"\n\nNot in this plan, and so not in the overall score: {', '.join(_all_escaped(absent))}."
        if absent
        else ""
    )
    return f"## By tag\n\n{_table(['method', *_all_escaped(tags)], rows)}{note}"


def _reward_table(summary: Summary) -> str:
    pool = summary.pool
    names = [
        "optimised",
        *(name for name in pool.optimised if len(pool.optimised) > 1),
        *pool.held_out,
    ]
    header = [
        "method",
        *(
            (
                f"{escaped(name)} ({'held out' if name in pool.held_out else 'optimised'})"
                if name != "optimised"
                else name
            )
            for name in names
        ),
    ]
    rows = []
    for row in summary.rows.values():
        gains = [
            (
                ""
                if row.label == BASE or name not in row.standard_gains
                else f" ({spanned(row.standard_gains[name], sign=True, digits=2)} sd)"
            )
            for name in names
        ]
        rows.append(
            [
                _name(row),
                *(
                    f"{number(row.rewards[name].estimate)}{gain}"
                    for name, gain in zip(names, gains, strict=True)
                ),
            ]
        )
    weights = ", ".join(f"{weight:g} x {escaped(name)}" for name, weight in pool.optimised.items())
    note = (
        f"The optimised reward is {weights}. Mean of the saved images' rewards; in brackets the"
        " paired gain over random noise in standard deviations of random noise's rewards. The"
        " optimised reward is what methods selected or ascended on, so its gain is biased in their"
        " favour; no method saw the held-out rewards or the judge."
    )
    return f"## Rewards\n\n{_table(header, rows)}\n\n{note}"


def _measures(summary: Summary) -> str:
    """Diversity, fidelity and what else was measured of the images; nothing where nothing was."""
    if summary.measured is None:
        return ""
    measures = summary.measured.measures
    parts = [
        "## Diversity and fidelity",
        *(f"_{escaped(note)}_" for note in summary.measured.notes),
    ]
    if measures:
        rows = [
            [
                _name(row),
                *(
                    _measure_cell(measure, row.label, len(summary.pool.seeds))
                    for measure in measures
                ),
            ]
            for row in summary.rows.values()
            if any(row.label in measure.labels for measure in measures)
        ]
        parts += [
            _table(
                ["method", *(escaped(measure.definition.measure) for measure in measures)], rows
            ),
            "\n".join(f"- {_described(measure)}" for measure in measures),
            _measures_note(summary),
        ]
    return "\n\n".join(parts)


def _measure_cell(measure: PooledMeasure, label: str, seeds: int) -> str:
    if label in measure.distances:
        one = measure.distances[label]
        return f"{one.mean:.4g}" + (f" ({one.low:.4g} to {one.high:.4g})" if seeds > 1 else "")
    if label not in measure.by_prompt:
        return "" if label == BASE else "not measured"
    compared = measure.by_prompt[label]
    difference = (
        "" if compared.difference is None else f" (Δ {spanned(compared.difference, sign=True)})"
    )
    return f"{spanned(compared.level)}{difference}"


def _described(measure: PooledMeasure) -> str:
    definition = measure.definition
    sizes = sorted({size for one in measure.distances.values() for size in one.images})
    images = f" Sets of {' and '.join(map(str, sizes))} images." if sizes else ""
    return (
        escaped(f"{definition.measure} ({definition.fingerprint[:12]}): {definition.about}.")
        + images
    )


def _measures_note(summary: Summary) -> str:
    text = (
        "By prompt: the mean, over prompts within tags and over tags, and in brackets Δ, the paired"
        " difference to random noise. Distances to random noise's images: the mean over base seeds,"
        " and the smallest and the largest."
    )
    controls = [
        style_of(label).name for label in (RANDOM_DIRECTION, OTHER_NOISE) if label in summary.rows
    ]
    if HYPERNOISE in summary.rows and controls:
        text += (
            " A distance is not zero for a change that means nothing: the distances of"
            f" {' and '.join(controls)}, whose change of the noise is as large as HyperNoise's, are"
            " the floor of what a change of that size does."
        )
    return text


def _cost_table(summary: Summary) -> str:
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
            [_named(one.against), _images(one.by_passes), _images(one.by_seconds)]
            for one in summary.break_even
        ]
        parts += [
            "Images after which HyperNoise's training is paid back by its cheaper images, against:",
            _table(["method", "by passes", "by seconds"], rows),
        ]
        if other := _other_device(summary, training):
            parts.append(
                "By seconds only if training and generation were equally fast: training ran on"
                f" {escaped(other)}."
            )
    return "\n\n".join(parts)


def _other_device(summary: Summary, training: Mapping[str, Any]) -> str:
    """The device of HyperNoise's training, where the runs were made on none of that name."""
    trained_on = training.get(HYPERNOISE, {}).get("device")
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
        "seconds",
    )
    header = ["method", *(name.replace("_", " ") for name in columns), "all passes", "device"]
    rows = [
        [
            _named(name),
            *(amount(float(entry.get(column, math.nan))) for column in columns),
            amount(summary.training_passes[name]),
            escaped(str(entry.get("device", "n/a"))),
        ]
        for name, entry in training.items()
    ]
    return _table(header, rows)


def _images(value: float) -> str:
    return "never: it costs less per image" if math.isinf(value) else amount(value)


def _coverage_table(summary: Summary) -> str:
    rows = []
    for row in summary.rows.values():
        coverage = row.coverage
        counts = (coverage.planned, coverage.done, coverage.failed, coverage.missing, row.pairs)
        rows.append([_name(row), *(str(count) for count in counts)])
    table = _table(["method", "planned", "done", "failed", "missing", "paired with base"], rows)
    failed = summary.pool.frame.loc[summary.pool.frame["status"] == "failed", ["label", "error"]]
    failures = Counter(zip(failed["label"], failed["error"], strict=True)).most_common(10)
    listed = [
        f"- {_named(label)}: {count} x {markdown_code(error[:200])}"
        for (label, error), count in failures
    ]
    failed_so = ["Failures:\n\n" + "\n".join(listed)] if listed else []
    return "\n\n".join(["## Coverage", table, *failed_so, " ".join(_integrity(summary))])


def _integrity(summary: Summary) -> Iterator[str]:
    """What is known of records and images being what was written."""
    pool = summary.pool
    yield "Every record says what the plan asked for."
    if pool.unchecked:
        yield (
            f"{pool.unchecked:,} lines of the journals have no check value (an older hnbench wrote"
            " them): changes in them are not seen."
        )
    else:
        yield "The check value of every line fits its content."
    images = int((pool.frame["status"] == "done").sum())
    if pool.damaged is None:
        yield "Images were not compared with their records (`hnbench report --check` does that)."
    elif pool.damaged:
        yield (
            f"**{len(pool.damaged):,} of {images:,} images are missing or not the files that were"
            " written.**"
        )
    else:
        yield f"All {images:,} images are the files that were written (SHA-256)."


def _protocol(summary: Summary) -> str:
    pool, manifest = summary.pool, summary.pool.manifests[0]
    config = manifest["config"]
    facts = [
        ("suite", f"{manifest['suite']['name']} {manifest['suite']['version']}"),
        (
            "judge",
            (
                f"{judge['name']} ({judge['fingerprint'][:12]})"
                if (judge := manifest["suite"]["judge"])
                else "none: rewards only"
            ),
        ),
        (
            "generator",
            f"{manifest['generator']['name']} ({manifest['generator']['fingerprint'][:12]})",
        ),
        ("steps, dtype", f"{config.get('steps', 'n/a')}, {config.get('dtype', 'n/a')}"),
        (
            "starting noise",
            (
                f"{config.get('noise_policy', 'n/a')}, the same for every method; base seeds"
                f" {', '.join(map(str, pool.seeds))}"
            ),
        ),
        *(
            (f"reward {name}", fingerprint[:12])
            for name, fingerprint in manifest["rewards"]["fingerprints"].items()
        ),
        (
            "methods",
            "; ".join(json.dumps(method, sort_keys=True) for method in manifest["plan"]["methods"]),
        ),
    ]
    text = (
        "The unit of the statistics is the prompt: all its samples and base seeds form one"
        " cluster. Intervals are 95% expanded percentile intervals of a bootstrap of prompts"
        f" within tags ({RESAMPLES:,} resamples, the same for every method); ratios are taken draw"
        " by draw. Differences are paired by prompt, sample and seed. p-values flip the signs of"
        f" whole prompts ({FLIPS:,} flips) and are adjusted by Holm's method over the methods of"
        " the table; intervals are not adjusted. An interval of zero width means that all samples"
        " agreed, not that nothing is uncertain. Seconds are shared by the samples of a batch:"
        " their intervals show the spread between prompts only."
    )
    return (
        f"## Protocol\n\n{_table(['', 'value'], map(_all_escaped, facts), align='---')}\n\n{text}"
    )


def _provenance(summary: Summary) -> str:
    parts = ["## Provenance"]
    for folder, manifest in zip(summary.pool.folders, summary.pool.manifests, strict=True):
        environment = dict(manifest.get("environment", {}))
        packages = environment.pop("packages", None) or {}
        versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        facts = [
            (name, value if isinstance(value, str) else json.dumps(value, sort_keys=True))
            for name, value in environment.items()
        ]
        rows = [
            _all_escaped(fact)
            for fact in [("identity", manifest["identity"]), *facts, ("packages", versions)]
        ]
        rows += [
            [f"verified: {escaped(name)}", _verified(found)]
            for name, found in manifest.get("verified", {}).items()
        ]
        parts += [f"### {escaped(folder.name)}", _table(["", "value"], rows, align="---")]
        if len({session.get("environment") for session in manifest.get("sessions", [])}) > 1:
            parts.append(
                "Not all sessions of this run had the environment above, which is the latest one's."
            )
        parts += ["```\n" + "\n".join(_commands(manifest)) + "\n```"]
    return "\n\n".join(parts)


def _verified(found: Sequence[Mapping[str, Any]]) -> str:
    """What `hnbench verify` had found of a model on the machine of the run, when it was made."""
    said = [
        escaped(
            f"{one['check']} {'equal' if one['equal'] else 'DIFFERS'} ({one['date']},"
            f" {one['device']}, {one['dtype']}, at {one['difference']:.0%} of its tolerance)"
        )
        for one in found
    ]
    return "; ".join(said) or "not on this machine (`hnbench verify --list` says how)"


def _commands(manifest: Mapping[str, Any]) -> list[str]:
    lines = []
    for session in manifest.get("sessions", []):
        about = [
            str(session.get("started", "")),
            f"device {session.get('device', 'n/a')}",
            f"batch size {session.get('batch_size', 'n/a')}",
        ]
        program, *arguments = [str(part) for part in session.get("argv", ["hnbench"])] or [
            "hnbench"
        ]
        lines.append(
            printable(f"{shlex.join([Path(program).name, *arguments])}    # {', '.join(about)}")
        )
    return lines
