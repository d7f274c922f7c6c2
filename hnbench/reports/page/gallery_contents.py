"""The images of a gallery, and how its methods and rewards are named and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hnbench.reports.labels import featured, style_of
from hnbench.runs.frame import OPTIMISED, REWARD
from hnbench.runs.plan import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hnbench.reports.labels import Style
    from hnbench.reports.pairs import Pair
    from hnbench.reports.pool import Pool


@dataclass(frozen=True)
class GalleryContents:
    """The images of a gallery and what is said of them."""

    pool: Pool
    """The samples. Those of a row start from the same noise."""
    styles: tuple[Style, ...]
    """The name and colour of each label."""
    shown: tuple[str, ...]
    """The labels that have a column before the reader chooses."""
    judge: str
    """The kind of verdicts: `verdict` for right or wrong, `grade` for other scores, or `none`, if
    labels are compared by the first reward.
    """
    rewards: Mapping[str, str]
    """The column of a reward -> its name."""
    pairs: Sequence[Pair]
    """Every two labels, in the order of `itertools.combinations`."""
    start: Mapping[str, str] = field(default_factory=dict)
    """The first view, by the names in `state.js`; what is not there has the default of a report."""


def of_report(pool: Pool, pairs: Sequence[Pair]) -> GalleryContents:
    """The images of a report: all samples of its runs; `pairs` are `all_pairs` of them."""
    return GalleryContents(
        pool=pool,
        styles=tuple(map(style_of, pool.labels)),
        shown=(BASE, *featured(pool.labels)),
        judge=judge_of(pool),
        rewards={name: reward_name(name, pool) for name in _reward_columns(pool)},
        pairs=pairs,
    )


def judge_of(pool: Pool) -> str:
    """The kind of a pool's verdicts, as `GalleryContents.judge` names it."""
    if not pool.judged:
        return "none"
    done = pool.frame[pool.frame["status"] == "done"]
    return "grade" if len(done) and done["correct"].isna().all() else "verdict"


def reward_name(column: str, *pools: Pool) -> str:
    """The name of a reward's column, with its role if it has the same one in all pools."""
    name = column.removeprefix(REWARD)
    if column == OPTIMISED:
        optimised = pools[0].optimised
        return f"optimised ({next(iter(optimised)) if len(optimised) == 1 else 'total'})"
    roles = {"held out" if name in pool.held_out else "optimised" for pool in pools}
    return f"{name} ({roles.pop()})" if len(roles) == 1 else name


def _reward_columns(pool: Pool) -> list[str]:
    """The total, then the rewards that it consists of, if there are several, then the held-out
    ones; without those that no record has.
    """
    parts = list(pool.optimised) if len(pool.optimised) > 1 else []
    names = [OPTIMISED, *(f"{REWARD}{name}" for name in (*parts, *pool.held_out))]
    return [name for name in names if name in pool.frame]
