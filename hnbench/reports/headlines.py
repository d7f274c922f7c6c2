"""The sentences at the beginning of a report, each with the numbers that it states."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

from hnbench.reports.costs import PASSES, SECONDS, TFLOPS, in_words, with_unit
from hnbench.reports.headroom import SMALL, headroom
from hnbench.reports.labels import (
    CONTROLS,
    HYPERNOISE,
    OTHER_NOISE,
    OTHER_PROMPT,
    RENO,
    RIVAL,
    STATIC,
    best_of_labels,
    is_control,
    is_oracle,
    method_of,
    rows_of,
    style_of,
)
from hnbench.reports.numbers import amount, candidates, candidates_between, probability, spanned
from hnbench.runs.plan import BASE, ORACLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hnbench.reports.summary import Row, Summary
    from hnbench.stats.intervals import Interval


@dataclass(frozen=True)
class Headline:
    """One finding: a key for machines, a sentence for people, and its numbers."""

    key: str
    sentence: str
    numbers: dict[str, Interval | float]

    def to_json(self) -> dict[str, Any]:
        """The headline as JSON types; numbers that are not finite are None."""
        return {
            "key": self.key,
            "sentence": self.sentence,
            **{name: _json(value) for name, value in self.numbers.items()},
        }


def headlines(summary: Summary) -> list[Headline]:
    """The findings, most important first. Incomplete labels come before everything else."""
    methods = (
        [*_hypernoise(summary), *_others(summary)] if summary.pool.judged else _unjudged(summary)
    )
    return [
        *_gaps(summary),
        *_small_headroom(summary),
        *methods,
        *_oracle(summary),
        *_reward_hacking(summary),
    ]


def headline_lines(summary: Summary) -> list[str]:
    """The findings as sentences, most important first."""
    return [headline.sentence for headline in headlines(summary)]


def _json(value: Interval | float) -> Any:
    if is_dataclass(value):
        return {name: _json(item) for name, item in asdict(value).items()}
    return value if math.isfinite(value) else None


def _gaps(summary: Summary) -> Iterator[Headline]:
    for label in summary.incomplete:
        coverage = summary.rows[label].coverage
        yield Headline(
            f"incomplete/{label}",
            f"INCOMPLETE: {style_of(label).name} has {coverage.done} of {coverage.planned} planned"
            f" samples ({coverage.failed} failed, {coverage.missing} missing); its means are over"
            " those that are there and paired with the base.",
            {
                "planned": float(coverage.planned),
                "done": float(coverage.done),
                "failed": float(coverage.failed),
                "missing": float(coverage.missing),
            },
        )


def _small_headroom(summary: Summary) -> Iterator[Headline]:
    found = headroom(summary.pool).get("optimised")
    if found is not None and found.share < SMALL:
        yield Headline(
            "small_headroom",
            "This generator hardly reacts to the noise: of the variance of random noise's"
            f" optimised reward, {found.share:.1%} is within prompts, so no choice of the noise can"
            " gain much.",
            {"share_within_prompts": found.share, "within": found.within, "between": found.between},
        )


def _reward_hacking(summary: Summary) -> Iterator[Headline]:
    """Methods whose optimised reward rises while what they did not see is not shown to rise."""
    rising = [row for row in summary.rows.values() if _rises(row)]
    if summary.pool.judged:
        found = {row.label: {"judge": row.gain} for row in rising if row.gain.low <= 0}
        yield from _not_following(summary, "judge", "the judge's score is not", found)
    unseen = {row.label: _held_out_gains(summary, row) for row in rising}
    found = {
        label: gains
        for label, gains in unseen.items()
        if gains and all(one.low <= 0 for one in gains.values())
    }
    yield from _not_following(summary, "held_out", "no held-out reward is", found)


def _rises(row: Row) -> bool:
    """Whether the optimised reward of a method, which is no control, is shown to rise."""
    left = row.label == BASE or is_control(row.label) or is_oracle(row.label)
    if left or "optimised" not in row.standard_gains:
        return False
    return row.standard_gains["optimised"].low > 0


def _held_out_gains(summary: Summary, row: Row) -> dict[str, Interval]:
    return {
        name: row.standard_gains[name]
        for name in summary.pool.held_out
        if name in row.standard_gains
    }


def _not_following(
    summary: Summary, key: str, what: str, found: Mapping[str, Mapping[str, Interval]]
) -> Iterator[Headline]:
    """One sentence about the labels of `found`, with the gains that do not follow by name."""
    if not found:
        return
    rises = {label: summary.rows[label].standard_gains["optimised"] for label in found}
    listed = "; ".join(
        f"{style_of(label).name} by {spanned(rises[label], sign=True, digits=2)} sd,"
        f" {', '.join(f'{name} {spanned(one, sign=True)}' for name, one in gains.items())}"
        for label, gains in found.items()
    )
    falls = all(one.high < 0 for gains in found.values() for one in gains.values())
    doubt = "" if falls else ", or the run is too small to tell"
    yield Headline(
        f"not_following/{key}",
        f"The optimised reward rises, but {what} shown to rise with it, so the reward is"
        f" exploited{doubt}: {listed}.",
        {
            **{f"{label}/optimised": one for label, one in rises.items()},
            **{
                f"{label}/{name}": one
                for label, gains in found.items()
                for name, one in gains.items()
            },
        },
    )


def _hypernoise(summary: Summary) -> Iterator[Headline]:
    # Runs without HyperNoise have their findings from `_others`.
    if summary.hypernoise is None:
        return
    row, name = summary.rows[summary.hypernoise], style_of(summary.hypernoise).name
    yield Headline(
        "gain",
        f"{name} scores {spanned(row.overall)} overall, random noise"
        f" {spanned(summary.rows[BASE].overall)}: a paired difference of"
        f" {spanned(row.gain, sign=True)} ({probability(row.p_holm)}), at"
        f" {with_unit(summary.work, row.costs[summary.work].estimate)} per image."
        f"{_doubt(row.gain)}",
        {
            "overall": row.overall,
            "base": summary.rows[BASE].overall,
            "gain": row.gain,
            "p_holm": row.p_holm,
        },
    )
    yield from _contamination(summary)
    yield from _against_reno(summary)
    yield from _against_search(summary)
    yield from _against_controls(summary)
    yield from _parts(summary)
    yield from _transfer(summary, summary.hypernoise)
    yield from _paid_back(summary)


def _unjudged(summary: Summary) -> Iterator[Headline]:
    """The findings of a suite without a judge: there are only rewards."""
    yield Headline(
        "no_judge",
        "This suite has no judge: there are rewards only, and the optimised one favours whatever"
        " chose or ascended by it.",
        {},
    )
    for label in summary.rows:
        if label != BASE:
            yield from _transfer(summary, label)
    yield from _paid_back(summary)


def _contamination(summary: Summary) -> Iterator[Headline]:
    number = len({prompt for seen in summary.seen.values() for prompt in seen or ()})
    if not number:
        return
    sentence = (
        f"{number} of the {len(summary.pool.prompts)} prompts were among the training prompts"
    )
    if summary.unseen is None:
        yield Headline(
            "contamination",
            f"{sentence}: no score is left without them.",
            {"seen_prompts": float(number)},
        )
        return
    name = style_of(summary.hypernoise or HYPERNOISE).name
    row, base = (summary.unseen.rows[label] for label in (summary.hypernoise or HYPERNOISE, BASE))
    yield Headline(
        "contamination",
        f"{sentence}; without them {name} scores {spanned(row.overall)} overall, random noise"
        f" {spanned(base.overall)}: a paired difference of {spanned(row.gain, sign=True)}"
        f" ({probability(row.p_holm)}).",
        {
            "seen_prompts": float(number),
            "overall": row.overall,
            "base": base.overall,
            "gain": row.gain,
            "p_holm": row.p_holm,
        },
    )


def _against_reno(summary: Summary) -> Iterator[Headline]:
    if summary.reno is None:
        return
    reno, shares, name = (
        summary.rows[summary.reno].gain,
        summary.shares,
        style_of(summary.reno).name,
    )
    if shares is None:
        yield Headline(
            "share_of_reno",
            f"{name}'s own difference to random noise, {spanned(reno, sign=True)}, cannot be told"
            " from zero, so no share of it is stated.",
            {"reno_gain": reno},
        )
        return
    work = shares.costs[summary.work]
    whose = {TFLOPS: "its FLOPs", PASSES: "its generator passes (forward and backward)"}
    yield Headline(
        "share_of_reno",
        f"That is {spanned(shares.gain, percent=True)} of {name}'s gain"
        f" ({spanned(reno, sign=True)}), at {spanned(work, percent=True)} of"
        f" {whose[summary.work]} and {spanned(shares.costs[SECONDS], percent=True)} of its"
        " seconds.",
        {
            "reno_gain": reno,
            "share_of_gain": shares.gain,
            **{f"share_of_{name}": share for name, share in shares.costs.items()},
        },
    )


def _against_search(summary: Summary) -> Iterator[Headline]:
    name = style_of(summary.hypernoise or HYPERNOISE).name
    if summary.equivalent:
        largest = max(best_of_labels(summary.pool.labels))
        yield Headline(
            "equivalent_best_of_n",
            _equivalence(name, summary.equivalent, largest),
            {"n": summary.equivalent, "largest_n": float(largest)},
        )
    for comparison in summary.comparisons:
        if comparison.against == RIVAL:
            yield Headline(
                "against_best_of_2",
                f"Against best-of-2, search at the same number of generator passes, {name}"
                f" differs by {spanned(comparison.gain, sign=True)}"
                f" ({probability(comparison.p_holm)}).{_doubt(comparison.gain)}",
                {"gain": comparison.gain, "p_holm": comparison.p_holm},
            )


def _equivalence(name: str, equivalent: Interval, largest: int) -> str:
    bracket = candidates_between(equivalent, largest)
    if math.isinf(equivalent.estimate):
        return f"No best-of-N up to N = {largest} reaches {name}'s score [{bracket}]."
    if equivalent.estimate <= 1:
        return f"Random noise already reaches {name}'s score (best-of-1) [{bracket}]."
    return (
        f"Best-of-N reaches {name}'s score at N ≈ {candidates(equivalent.estimate, largest)}"
        f" [{bracket}], read off the measured curve, linear in log N."
    )


def _against_controls(summary: Summary) -> Iterator[Headline]:
    controls = [one for one in summary.comparisons if method_of(one.against) in CONTROLS]
    if controls:
        name = style_of(summary.hypernoise or HYPERNOISE).name
        listed = "; ".join(
            f"{style_of(one.against).name} {spanned(one.gain, sign=True)},"
            f" {probability(one.p_holm)}"
            for one in controls
        )
        numbers: dict[str, Interval | float] = {one.against: one.gain for one in controls}
        yield Headline("over_controls", f"{name} minus each control: {listed}.", numbers)


def _parts(summary: Summary) -> Iterator[Headline]:
    """The parts of the gain by what they depend on, as far as the controls say it."""
    lost = {method_of(one.against): one.gain for one in summary.comparisons}
    parts = {
        "this_noise": ("is lost with the change for another noise", lost.get(OTHER_NOISE)),
        "this_prompt": ("is lost with the change for another prompt", lost.get(OTHER_PROMPT)),
        "neither": (
            "is left with the mean change",
            next((summary.rows[label].gain for label in rows_of(summary.rows, STATIC)), None),
        ),
    }
    known = {name: (text, gain) for name, (text, gain) in parts.items() if gain is not None}
    # Without a control of the prompt, the findings on the controls say the same.
    if known.keys() & {"this_prompt", "neither"}:
        gain = summary.rows[summary.hypernoise or HYPERNOISE].gain
        listed = ", ".join(f"{spanned(one, sign=True)} {text}" for text, one in known.values())
        yield Headline(
            "parts_of_gain",
            f"Of {style_of(summary.hypernoise or HYPERNOISE).name}'s gain of"
            f" {spanned(gain, sign=True)}, {listed}. These parts can overlap.",
            {"gain": gain, **{name: one for name, (_, one) in known.items()}},
        )


def _transfer(summary: Summary, label: str) -> Iterator[Headline]:
    gains = summary.rows[label].standard_gains
    held_out = [name for name in summary.pool.held_out if name in gains]
    if "optimised" not in gains or not (held_out or not summary.pool.judged):
        return
    listed = ", ".join(
        f"{name} by {spanned(gains[name], sign=True, digits=2)}" for name in held_out
    )
    others = f" and the held-out {listed}" if listed else ""
    yield Headline(
        "held_out_rewards" if label == summary.hypernoise else f"held_out_rewards/{label}",
        f"In standard deviations of random noise's rewards, {style_of(label).name} moves the"
        f" optimised reward by {spanned(gains['optimised'], sign=True, digits=2)}{others}.",
        {"optimised": gains["optimised"], **{name: gains[name] for name in held_out}},
    )


def _paid_back(summary: Summary) -> Iterator[Headline]:
    unit = summary.paid_in
    for one in summary.break_even:
        if summary.hypernoise is None or one.against != summary.reno:
            continue
        cost = summary.training[summary.hypernoise][unit]
        yield Headline(
            "break_even",
            f"Training {style_of(summary.hypernoise).name} took {with_unit(unit, cost)}; against"
            f" {style_of(one.against).name} that is paid back"
            f" {_after(one.by_work, unit)} and {_after(one.by_seconds, SECONDS)}.",
            {
                f"training_{unit}": cost,
                f"images_by_{unit}": one.by_work,
                "images_by_seconds": one.by_seconds,
            },
        )


def _after(images: float, cost: str) -> str:
    unit = in_words(cost)
    if math.isnan(images):
        return f"at an unknown number of images in {unit}"
    return f"never in {unit}" if math.isinf(images) else f"after {amount(images)} images in {unit}"


def _others(summary: Summary) -> Iterator[Headline]:
    """The differences of the other methods, if the runs have no HyperNoise; else those of the
    settings of HyperNoise and ReNO that the findings above do not speak of.
    """
    rows: list[str] = [label for label in summary.rows if label != BASE and not is_oracle(label)]
    if summary.hypernoise is not None:
        rows = [*rows_of(rows, HYPERNOISE)[1:], *rows_of(rows, RENO)[1:]]
    compared = {one.against: one for one in summary.comparisons}
    for label in rows:
        row = summary.rows[label]
        sentence = (
            f"{style_of(label).name} scores {spanned(row.overall)} overall,"
            f" {spanned(row.gain, sign=True)} against random noise ({probability(row.p_holm)})."
            f"{_doubt(row.gain)}"
        )
        numbers: dict[str, Interval | float] = {
            "overall": row.overall,
            "gain": row.gain,
            "p_holm": row.p_holm,
        }
        if (one := compared.get(label)) and summary.hypernoise is not None:
            sentence += (
                f" {style_of(summary.hypernoise).name} differs from it by"
                f" {spanned(one.gain, sign=True)} ({probability(one.p_holm)}).{_doubt(one.gain)}"
            )
            numbers["minus"] = one.gain
        yield Headline(f"gain/{label}", sentence, numbers)


def _oracle(summary: Summary) -> Iterator[Headline]:
    """The score that an oracle reaches."""
    for label in filter(is_oracle, summary.rows):
        row = summary.rows[label]
        built_in = method_of(label) == ORACLE
        subject = "Ascent by the judge's own grades" if built_in else style_of(label).name
        yield Headline(
            f"oracle/{label}",
            f"{subject} reaches {spanned(row.overall)} overall,"
            f" {spanned(row.gain, sign=True)} against random noise: it is no method's score, but a"
            " choice of the noise can reach it.",
            {"overall": row.overall, "gain": row.gain},
        )


def _doubt(gain: Interval) -> str:
    return "" if gain.excludes_zero or math.isnan(gain.low) else " This cannot be told from zero."
