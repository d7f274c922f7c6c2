"""A diagnosis of a hypernetwork in sentences and a short table, from its values."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEVEL = 0.05
"""The probability that any statistic of Gaussian noise is said to differ, at most."""


def sentences(values: Mapping[str, Any]) -> list[str]:
    """The size of the change, its KL divergence and Lipschitz constant, and whether the changed
    noise is still Gaussian. `values` are those of `hnbench.hypernetwork.diagnose.diagnose`.
    """
    change = _with_error(values["relative_change"], "{:.1%}")
    return [
        (
            f"The hypernetwork changes the noise by {change} of its norm, over {values['prompts']}"
            f" prompts with {values['samples']} noises each."
        ),
        _divergence(values),
        _lipschitz(values["lipschitz"]),
        _gaussian(values["gaussianity"]["after"]),
    ]


def statistics_table(values: Mapping[str, Any]) -> Table:
    """Each statistic of the noise: expected of Gaussian noise, before and after the change."""
    table = Table("statistic", box=box.SIMPLE_HEAD)
    for header in ("Gaussian", "before", "after", "z after"):
        table.add_column(header, justify="right", no_wrap=True)
    before = dict(_statistics(values["gaussianity"]["before"]))
    for name, after in _statistics(values["gaussianity"]["after"]):
        table.add_row(
            name,
            f"{after['expected']:.4g}",
            f"{before[name]['observed']:.4g}",
            f"{after['observed']:.4g}",
            f"{after['z']:+.1f}",
        )
    return table


def _divergence(values: Mapping[str, Any]) -> str:
    half = _with_error(values["half_squared_norm"])
    if values["kl"] is None:
        return (
            "The KL divergence from Gaussian noise is not known, because the Lipschitz constant may"
            f" reach 1. Without the term of the Jacobian it would be {half}."
        )
    how = "exact" if values["jacobian"]["exact"] else "estimated"
    return (
        f"The KL divergence from Gaussian noise is {_with_error(values['kl'])} ({how}): half the"
        f" squared norm of the change, {half}, plus the term of the Jacobian,"
        f" {_with_error(values['jacobian_term'])}."
    )


def _lipschitz(found: Mapping[str, Any]) -> str:
    meaning = (
        "below 1, so different noises stay different"
        if found["bound"] < 1
        else "not surely below 1, so different noises may become equal"
    )
    return (
        f"The Lipschitz constant of the change is {found['median']:.3g} in the median and"
        f" {found['max']:.3g} at most; with {found['bound_confidence']:.0%} confidence it is at"
        f" most {found['bound']:.3g}: {meaning}."
    )


def _gaussian(after: Mapping[str, Any]) -> str:
    found = dict(_statistics(after))
    limit = NormalDist().inv_cdf(1 - LEVEL / (2 * len(found)))
    different = [name for name, one in found.items() if abs(one["z"]) > limit]
    beyond = f"by more than {limit:.1f} standard errors, the {LEVEL:.0%} level for all together"
    if not different:
        return (
            f"The changed noise cannot be told from Gaussian noise: none of {len(found)} statistics"
            f" differs {beyond}."
        )
    return (
        f"The changed noise is not Gaussian: {len(different)} of {len(found)} statistics differ"
        f" {beyond}: {', '.join(different)}."
    )


def _statistics(noise: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, float]]]:
    """The statistics of `hnbench.hypernetwork.gaussianity.gaussianity` by a name for people."""
    yield "norm of a noise", noise["norm"]
    for name, one in noise["moments"].items():
        yield name.replace("_", " "), one
    yield "variance over positions", noise["position_mean"]
    for axis, one in (noise["lag_one"] or {}).items():
        yield f"correlation of {axis} neighbours", one
    for one in noise["spectrum"] or ():
        yield f"power at frequency {one['frequency']:.2f}", one


def _with_error(value: Mapping[str, float | None], form: str = "{:.3g}") -> str:
    """A mean with its standard error, if it has one."""
    error = value["standard_error"]
    return form.format(value["mean"]) + ("" if error is None else f" ± {form.format(error)}")
