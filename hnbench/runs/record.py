"""What is known of one (prompt, sample, label): its JSON form and its validation.

A record is one line of a journal. It is written once its image is safely on the disk, and never changed; when a
sample is computed again, the later record of the same id wins.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from hnbench.suites.base import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = 1
"""The version of the record and of `run.json` that this package writes."""
DIGITS = 7
"""Significant digits of rewards and norms: float32, which they are computed in, has no more, and the others would double a journal."""
TRAJECTORY_DIGITS = 5
"""Of a trajectory's rewards, which are drawn and not computed with."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one image cost, counted around `Method.propose` and nothing else.

    Passes are in units of images (a batch of 16 through the generator is 16 forward passes) and, like the seconds, are
    the batch's total divided by its tasks and multiplied by the label's share. A reward pass is one pass of the whole mixture.
    """

    generator_forward: float
    generator_backward: float
    reward_forward: float
    reward_backward: float
    seconds: float
    peak_memory_bytes: int
    """Of the whole batch: allocated on the GPU; on a CPU, the process's resident set so far."""
    batch_size: int
    """Tasks that were proposed together."""


@dataclass(frozen=True, kw_only=True)
class SavedImage:
    """A PNG file of the run folder: its path relative to the folder, and the SHA-256 of the file."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a sample has no image that can be judged."""

    type: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """One (prompt, sample, label) of a run. Rewards and verdict are those of the saved image."""

    id: str
    """SHA-256 over all that decides the outcome (`hnbench.runs.identity.record_id`)."""
    status: Literal["done", "failed"]
    prompt_id: str
    prompt: str
    tag: str
    sample: int
    base_seed: int
    label: str
    noise_sha256: str
    """Of the starting noise's float32 bytes."""
    displacement: float | None = None
    """L2 norm of (chosen noise - starting noise); None when failed."""
    noise_norm: float | None = None
    """L2 norm of the chosen noise; None when failed."""
    rewards: dict[str, float] = field(default_factory=dict)
    """Every optimised and held-out reward by name, and their weighted total under `"optimised"`; empty when failed."""
    initial_rewards: dict[str, float] = field(default_factory=dict)
    """The same of the base image of the same sample; empty when failed."""
    verdict: Verdict | None = None
    """None when failed, or where the suite has no judge."""
    cost: Cost
    trajectory: tuple[float | None, ...] | None = None
    """The optimised reward at each iteration or of each candidate; None where it was not finite."""
    image: SavedImage | None = None
    error: Failure | None = None

    def to_json(self) -> dict[str, Any]:
        """The record as JSON types."""
        values = asdict(self)
        if self.verdict is not None and self.verdict.score is None:
            del values["verdict"]["score"]
        values["trajectory"] = None if self.trajectory is None else list(self.trajectory)
        if self.verdict is not None and not self.verdict.details:
            del values["verdict"]["details"]
        return {"schema": SCHEMA, **values}

    @staticmethod
    def from_json(value: Any) -> Record:
        """The record that `to_json` wrote; `ValueError` says what is wrong with anything else."""
        _require(isinstance(value, dict), "a record must be a JSON object")
        values = {name: item for name, item in value.items() if name != "schema"}
        _require_keys("a record", values, Record)
        for name, check in _CHECKS.items():
            _require(check(values[name]), f"{name} is {values[name]!r}")
        done = values["status"] == "done"
        if done != (values["error"] is None) or done != (values["image"] is not None) or (values["verdict"] and not done):
            raise ValueError("a done record has an image and, where there is a judge, a verdict; a failed one has an error")
        if isinstance(values["verdict"], dict):
            values["verdict"] = {"score": None, "details": {}, **values["verdict"]}
        trajectory = values["trajectory"]
        values["trajectory"] = None if trajectory is None else tuple(trajectory)
        for name, kind in (("verdict", Verdict), ("cost", Cost), ("image", SavedImage), ("error", Failure)):
            values[name] = _nested(name, values[name], kind)
        return Record(**values)


def to_digits(value: float, digits: int) -> float:
    """The number with so many significant digits; a number that is not finite stays what it is."""
    return float(f"{value:.{digits}g}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_number_or_none(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_rewards(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(item) for item in value.values())


def _is_trajectory(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(_is_number_or_none(item) for item in value))


def _is_hash(value: Any) -> bool:
    """The id is also a file name: nothing but 64 hexadecimal digits may pass."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "id": _is_hash,
    "status": lambda value: value in ("done", "failed"),
    "prompt_id": _is_text,
    "prompt": _is_text,
    "tag": _is_text,
    "sample": _is_whole,
    "base_seed": _is_whole,
    "label": _is_text,
    "noise_sha256": _is_hash,
    "displacement": _is_number_or_none,
    "noise_norm": _is_number_or_none,
    "rewards": _is_rewards,
    "initial_rewards": _is_rewards,
    "trajectory": _is_trajectory,
}


_CHECK_OF: dict[str, Callable[[Any], bool]] = {
    "float": _is_number,
    "int": _is_whole,
    "str": _is_text,
    "bool | None": lambda value: value is None or isinstance(value, bool),
    "float | None": _is_number_or_none,
    "Mapping[str, Any]": lambda value: isinstance(value, dict),
}
"""By the annotation of a nested object's field, which is a string: these modules postpone annotations."""


def _nested(name: str, value: Any, kind: type) -> Any:
    if value is None and name != "cost":
        return None
    _require(isinstance(value, dict), f"{name} is {value!r}")
    _require_keys(name, value, kind)
    for item in fields(kind):
        _require(_CHECK_OF[str(item.type)](value[item.name]), f"{name}.{item.name} is {value[item.name]!r}")
    return kind(**value)


def _require_keys(what: str, values: dict[str, Any], kind: type) -> None:
    wrong = sorted({item.name for item in fields(kind)} ^ set(values))
    _require(not wrong, f"{what} has missing or unknown fields: {', '.join(wrong)}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
