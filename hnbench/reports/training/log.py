"""The files of a training's folder that its curves and its page are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from hnbench.errors import StoreError
from hnbench.files.decoding import MalformedError, as_kind, decode
from hnbench.files.reading import content_of, json_of

if TYPE_CHECKING:
    from pathlib import Path


class Evaluated(msgspec.Struct):
    """A paired evaluation on held-out prompts. None stands for a number that was not finite, or
    does not exist.
    """

    gain: float | None
    """The mean gain in reward over the base on the same prompts and noises."""
    gain_standard_error: float | None = None
    reward: float | None = None
    base_reward: float | None = None
    half_squared_norm: float | None = None
    relative_change: float | None = None
    prompts: int = 0
    samples: int = 0


class PairFacts(msgspec.Struct):
    """Facts about a regression's pairs. None stands for a number that was not finite."""

    made: int
    used: int
    """Without those in which no reward was finite."""
    reward: float | None = None
    """The mean reward of the starting noises."""
    found_reward: float | None = None
    """The mean reward of the noises that ReNO found from them."""
    half_squared_norm: float | None = None
    relative_change: float | None = None


class Step(msgspec.Struct):
    """A line of train.jsonl. The line of step 0 has only an evaluation."""

    step: int
    loss: float | None = None
    reward: float | None = None
    half_squared_norm: float | None = None
    relative_change: float | None = None
    gradient_norm: float | None = None
    learning_rate: float | None = None
    skipped: int = 0
    images_per_second: float | None = None
    seconds: float | None = None
    evaluation: Evaluated | None = None
    pairs: PairFacts | None = None


class Identity(msgspec.Struct):
    """training.json: the values that must be equal for a training to be the same training."""

    schema: int
    config: dict[str, Any]
    generator: dict[str, Any]
    reward: str
    prompts: str


@dataclass(frozen=True)
class TrainingRecord:
    """A training's folder as it is now."""

    identity: Identity
    steps: tuple[Step, ...]
    """The lines of the log, in the order of steps."""
    adapter: dict[str, Any] | None
    """The content of the finished adapter's hnbench.json; None before the end."""

    @property
    def done(self) -> int:
        """The last step."""
        return self.steps[-1].step if self.steps else 0

    @property
    def pairs(self) -> PairFacts | None:
        """The pairs of a regression; None for another training, and before they are made."""
        return next((one.pairs for one in self.steps if one.pairs), None)

    @property
    def evaluations(self) -> tuple[tuple[int, Evaluated], ...]:
        """Step and evaluation, in the order of steps."""
        return tuple((one.step, one.evaluation) for one in self.steps if one.evaluation)


def read_training(folder: Path) -> TrainingRecord:
    """The present content of a training's folder. A damaged file is a `StoreError`; a torn last
    line of the log is left out.
    """
    path = folder / "training.json"
    try:
        identity = as_kind(json_of(path, dict[str, Any]), Identity)
        path = folder / "train.jsonl"
        lines = content_of(path).split(b"\n")[:-1] if path.is_file() else []
        steps = tuple(decode(line, Step) for line in lines)
        path = folder / "adapter" / "hnbench.json"
        adapter = json_of(path, dict[str, Any]) if path.is_file() else None
    except MalformedError as error:
        raise StoreError(
            f"{path} cannot be read: {error}; train again in another folder"
        ) from error
    return TrainingRecord(identity, steps, adapter)
