"""What is known of one (prompt, sample, label): its JSON form and its validation.

A record is one line of a journal. It is written once its image is safely on the disk, and never
changed; when a sample is computed again, the later record of the same id wins.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from hnbench.files.decoding import MalformedError, Sha256, decode
from hnbench.suites.base import Verdict

SCHEMA = 2
"""The version of the record and of `run.json` that this package writes. From 2 on, each line of a
journal has a check value.
"""
DIGITS = 7
"""Significant digits of rewards and norms: float32, which they are computed in, has no more, and
the others would double a journal.
"""
TRAJECTORY_DIGITS = 5
"""Of a trajectory's rewards, which are drawn and not computed with."""


Amount = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


class Cost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What one image cost, counted around `Method.propose` and nothing else.

    Passes are in units of images (a batch of 16 through the generator is 16 forward passes) and,
    like the seconds, are the batch's total divided by its tasks and multiplied by the label's
    share. A reward pass is one pass of the whole mixture.
    """

    generator_forward: Amount
    generator_backward: Amount
    reward_forward: Amount
    reward_backward: Amount
    seconds: Amount
    peak_memory_bytes: Count
    """Of the whole batch: allocated on the GPU; on a CPU, the process's resident set so far."""
    batch_size: Annotated[int, Meta(ge=1)]
    """Tasks that were proposed together."""


class SavedImage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A PNG file of the run folder: its path relative to the folder, and the SHA-256 of the
    file.
    """

    path: str
    sha256: Sha256


class Failure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Why a sample has no image that can be judged."""

    type: str
    message: str


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One (prompt, sample, label) of a run. Rewards and verdict are those of the saved image.

    A done record has an image, rewards and norms and, where the suite has a judge, a verdict; a
    failed one has an error and none of them. Anything else is a `ValueError`.
    """

    schema: Annotated[int, Meta(ge=1, le=SCHEMA)] = SCHEMA
    id: Sha256
    """SHA-256 over all that decides the outcome (`hnbench.runs.identity.record_id`)."""
    status: Literal["done", "failed"]
    prompt_id: str
    prompt: str
    tag: str
    sample: Count
    base_seed: int
    label: str
    noise_sha256: Sha256
    """Of the starting noise's float32 bytes."""
    displacement: float | None = None
    """L2 norm of (chosen noise - starting noise); None when failed."""
    noise_norm: float | None = None
    """L2 norm of the chosen noise; None when failed."""
    rewards: dict[str, float] = {}
    """Every optimised and held-out reward by name, and their weighted total under `"optimised"`;
    empty when failed.
    """
    initial_rewards: dict[str, float] = {}
    """The same of the base image of the same sample; empty when failed."""
    verdict: Verdict | None = None
    """None when failed, or where the suite has no judge."""
    cost: Cost
    trajectory: tuple[float | None, ...] | None = None
    """The optimised reward at each iteration or of each candidate; None where it was not finite."""
    image: SavedImage | None = None
    error: Failure | None = None

    def __post_init__(self) -> None:
        own = (
            self.displacement,
            self.noise_norm,
            self.rewards or None,
            self.initial_rewards or None,
            self.image,
        )
        if self.status == "done" and (None in own or self.error is not None):
            raise ValueError("a done record has an image, rewards and norms, and no error")
        if self.status == "failed" and (
            self.error is None
            or self.verdict is not None
            or any(value is not None for value in own)
        ):
            raise ValueError(
                "a failed record has an error, and no image, rewards, norms or verdict"
            )
        if self.image is not None and self.image.path != image_path(self.id):
            raise ValueError(
                f"image.path is {self.image.path!r}; it must be {image_path(self.id)!r}"
            )

    def to_json(self) -> dict[str, Any]:
        """The record as JSON types. Of a verdict, a score and details are written where there are
        any.
        """
        values: dict[str, Any] = msgspec.to_builtins(self)
        if self.verdict is not None and self.verdict.score is None:
            values["verdict"].pop("score", None)
        if self.verdict is not None and not self.verdict.details:
            values["verdict"].pop("details", None)
        return values


def image_path(record_id: str) -> str:
    """Where a record's image lies in the run folder."""
    return f"images/{record_id[:2]}/{record_id}.png"


def read_record(content: bytes) -> Record:
    """The record of a line without its check value. Anything else is a `MalformedError`, also a
    record of a newer version.
    """
    try:
        return decode(content, Record)
    except MalformedError as error:
        newer = _newer_schema(content)
        if newer is None:
            raise
        raise MalformedError(
            f"a newer hnbench wrote it (schema {newer}; this version reads up to {SCHEMA}):"
            " upgrade it"
        ) from error


def _newer_schema(content: bytes) -> int | None:
    class AnySchema(Struct):
        schema: int

    try:
        schema = decode(content, AnySchema).schema
    except MalformedError:
        return None
    return schema if schema > SCHEMA else None


def to_digits(value: float, digits: int) -> float:
    """The number rounded to `digits` significant digits; one that is not finite is unchanged."""
    return float(f"{value:.{digits}g}")
