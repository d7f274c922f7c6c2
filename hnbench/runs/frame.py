"""Records as a table for pandas: one row each."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import pandas as pd

    from hnbench.runs.record import Record

REWARD = "reward:"
"""Prefix of the columns that hold rewards by name; `reward:optimised` is their weighted total."""
OPTIMISED = f"{REWARD}optimised"
SCORE = "score"
"""The column of the judge's score: 1 or 0 if it says right or wrong, else its grade; NaN without a
judge.
"""


def frame_of(records: Sequence[Record]) -> pd.DataFrame:
    """Records as a flat table, one row each. Trajectories stay as tuples in the column
    `trajectory`.

    `nfe` is the number of generator forward passes; `passes` counts generator and reward passes
    together, with a backward pass as two forward passes.
    """
    import pandas as pd

    columns: dict[str, Any] = {name: list(map(of, records)) for name, of in _BEFORE_REWARDS.items()}
    for prefix, of_record in (
        (REWARD, attrgetter("rewards")),
        ("initial:", attrgetter("initial_rewards")),
    ):
        for name in dict.fromkeys(name for record in records for name in of_record(record)):
            columns[f"{prefix}{name}"] = _numbers([of_record(one).get(name) for one in records])
    columns |= {name: _numbers(list(map(of, records))) for name, of in _NUMBERS.items()}
    columns["passes"] = sum(columns[name] * weight for name, weight in _PASSES.items())
    columns |= {name: list(map(of, records)) for name, of in _AFTER_NUMBERS.items()}
    return pd.DataFrame(columns)


def _numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """The numbers, with NaN for None."""
    return np.array(values, dtype=np.float64)


def _correct(record: Record) -> float:
    return (
        math.nan
        if record.verdict is None or record.verdict.correct is None
        else float(record.verdict.correct)
    )


_BEFORE_REWARDS: dict[str, Callable[[Record], Any]] = {
    **{
        name: attrgetter(name)
        for name in ("label", "prompt_id", "prompt", "tag", "base_seed", "sample", "status")
    },
    "correct": _correct,
    SCORE: lambda record: math.nan if record.verdict is None else record.verdict.value,
    "reason": lambda record: "" if record.verdict is None else record.verdict.reason,
}
_NUMBERS: dict[str, Callable[[Record], Any]] = {
    "noise_norm": attrgetter("noise_norm"),
    "displacement": attrgetter("displacement"),
    **{
        name: attrgetter(f"cost.{name}")
        for name in ("generator_forward", "generator_backward", "reward_forward", "reward_backward")
    },
    "nfe": attrgetter("cost.generator_forward"),
}
_PASSES = {
    "generator_forward": 1,
    "reward_forward": 1,
    "generator_backward": 2,
    "reward_backward": 2,
}
_AFTER_NUMBERS: dict[str, Callable[[Record], Any]] = {
    **{name: attrgetter(f"cost.{name}") for name in ("seconds", "peak_memory_bytes", "batch_size")},
    "noise_sha256": attrgetter("noise_sha256"),
    "image_path": lambda record: "" if record.image is None else record.image.path,
    "image_sha256": lambda record: "" if record.image is None else record.image.sha256,
    "error": lambda record: (
        "" if record.error is None else f"{record.error.type}: {record.error.message}"
    ),
    "id": attrgetter("id"),
    "trajectory": attrgetter("trajectory"),
}
