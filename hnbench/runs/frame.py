"""Records as a table for pandas: one row each."""

from __future__ import annotations

import math
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from hnbench.runs.record import Record

REWARD = "reward:"
"""Prefix of the columns that hold rewards by name; `reward:optimised` is their weighted total."""
OPTIMISED = f"{REWARD}optimised"
PASSES = "passes_"
"""Prefix of the columns that count passes of one kind, so that every `reward_...` is a reward."""
REWRITER = "rewriter_"
"""Prefix of the columns of a rewriter's cost."""
MEMORY_SINCE = 3
"""The schema since which a record has memory only if it was measured on a GPU."""
SCORE = "score"
"""The column of the judge's score: 1 or 0 if it says right or wrong, else its grade; NaN without a
judge.
"""


def frame_of(records: Sequence[Record], cpu_seeds: Collection[int] = ()) -> pd.DataFrame:
    """Records as a flat table, one row each. The column `trajectory` has an array or None.

    `generator_passes` are forward and backward passes, each counted as one; `tflops` are 10^12
    floating-point operations. `cpu_seeds` are the base seeds of runs on a CPU (`on_cpu`): their
    records before schema 3 have the memory of the whole process, which is left out.
    """
    import pandas as pd

    columns: dict[str, Any] = {
        name: _copied(list(map(of, records))) for name, of in _BEFORE_REWARDS.items()
    }
    for prefix, of_record in (
        (REWARD, attrgetter("rewards")),
        ("initial:", attrgetter("initial_rewards")),
    ):
        found = list(map(of_record, records))
        # Nearly all records have the same names, so names are collected set by set.
        for name in dict.fromkeys(chain.from_iterable(dict.fromkeys(map(tuple, found)))):
            columns[f"{prefix}{name}"] = _numbers([one.get(name) for one in found])
    columns |= {name: _numbers(list(map(of, records))) for name, of in _NUMBERS.items()}
    columns["generator_passes"] = (
        columns[f"{PASSES}generator_forward"] + columns[f"{PASSES}generator_backward"]
    )
    columns["peak_memory_bytes"] = _numbers(
        [
            None
            if record.schema < MEMORY_SINCE and record.base_seed in cpu_seeds
            else record.cost.peak_memory_bytes
            for record in records
        ]
    )
    columns |= {name: _copied(list(map(of, records))) for name, of in _AFTER_NUMBERS.items()}
    columns["trajectory"] = [
        # float32 holds the digits that a record has of them.
        None if record.trajectory is None else np.array(record.trajectory, dtype=np.float32)
        for record in records
    ]
    # Without another copy of all numbers.
    return pd.DataFrame(columns, copy=False)


def on_cpu(manifest: Mapping[str, Any]) -> bool:
    """Whether any session of a run was on a CPU, by its `run.json`."""
    devices = [str(session.get("device", "")) for session in manifest.get("sessions", [])]
    return not devices or not all(device.startswith("cuda") for device in devices)


def _numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """The numbers, with NaN for None."""
    return np.array(values, dtype=np.float64)


def _copied(values: list[Any]) -> list[Any]:
    """The values, with one copy of each text.

    Python returns memory in large pieces. A text of a record in each of them would keep all of the
    records' memory, which is most of what a report of a large run needs.
    """
    copies: dict[str, str] = {}
    return [
        # Encoded and decoded, a text is a new object.
        (copies.get(value) or copies.setdefault(value, value.encode().decode()))
        if isinstance(value, str)
        else value
        for value in values
    ]


def _correct(record: Record) -> float:
    return (
        math.nan
        if record.verdict is None or record.verdict.correct is None
        else float(record.verdict.correct)
    )


def _of_rewriter(name: str, record: Record) -> float | None:
    found: float | None = getattr(record.rewriter, name, None)
    return found


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
        f"{PASSES}{name}": attrgetter(f"cost.{name}")
        for name in ("generator_forward", "generator_backward", "reward_forward", "reward_backward")
    },
    "tflops": lambda record: None if record.cost.flops is None else record.cost.flops / 1e12,
    "seconds": attrgetter("cost.seconds"),
    "acceptance": attrgetter("acceptance"),
    **{
        f"{REWRITER}{name}": partial(_of_rewriter, name)
        for name in ("calls", "tokens", "seconds", "dropped")
    },
}
_AFTER_NUMBERS: dict[str, Callable[[Record], Any]] = {
    "chosen_prompt": attrgetter("chosen_prompt"),
    "batch_size": attrgetter("cost.batch_size"),
    "device": attrgetter("cost.device"),
    "noise_sha256": attrgetter("noise_sha256"),
    "image_path": lambda record: "" if record.image is None else record.image.path,
    "image_sha256": lambda record: "" if record.image is None else record.image.sha256,
    "error": lambda record: (
        "" if record.error is None else f"{record.error.type}: {record.error.message}"
    ),
    "id": attrgetter("id"),
}
