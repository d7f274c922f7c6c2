"""The record of one (prompt, sample, label): its fields, its JSON form and its validation.

A record is one line of a journal. It is written when its image is safely on the disk, and never
changed. If a sample is computed again, the later record of the same id counts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from hnbench.files.decoding import MalformedError, Sha256, check_schema, decode, decoded
from hnbench.suites.base import Verdict

SCHEMA = 3
"""The version of records and of `run.json` that this package writes. Since version 2, each line of
a journal has a check value.
"""
RECORD_DIGITS = 7
"""Significant digits of rewards and norms. They are computed in float32, which has no more, and
further digits would double the size of a journal.
"""
TRAJECTORY_DIGITS = 5
"""Significant digits of a trajectory's rewards. Fewer suffice, because they are only plotted."""


Amount = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]


class Cost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The cost of one image, counted around `Method.propose` and nothing else.

    Passes are in units of images (a batch of 16 through the generator is 16 forward passes) and,
    like the seconds, are the batch's total divided by its tasks and multiplied by the label's
    share. A reward pass is one pass of the whole mixture.
    """

    generator_forward: Amount
    generator_backward: Amount
    reward_forward: Amount
    reward_backward: Amount
    seconds: Amount
    peak_memory_bytes: Count | None = None
    """The most memory that the whole batch had allocated on the GPU. None on a CPU; records before
    schema 3 have the resident set of the whole process there, which says nothing of the batch.
    """
    batch_size: Annotated[int, Meta(ge=1)]
    """The number of tasks that were proposed together."""
    flops: Amount | None = None
    """Floating-point operations of generator, hypernetwork and reward (`hnbench.flops`), counted
    for one task alone and multiplied by the label's share; None before schema 3, for a failure, and
    if they could not be counted.
    """
    device: str = ""
    """The name of the GPU or processor that the seconds were measured on; empty before schema 3."""


class Rewriting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The cost of a method's rewriter for one image; its seconds are a part of `Cost.seconds`."""

    calls: Count
    seconds: Amount
    dropped: Count
    """The prompts that were asked for and could not be used."""
    tokens: Count | None = None
    """The tokens that a language model wrote; None for other rewriters."""


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
    """SHA-256 of everything that decides the outcome (`hnbench.runs.identity.RecordIds`)."""
    status: Literal["done", "failed"]
    prompt_id: str
    prompt: str
    tag: str
    sample: Count
    base_seed: int
    label: str
    noise_sha256: Sha256
    """SHA-256 of the starting noise's float32 bytes."""
    displacement: float | None = None
    """L2 norm of (chosen noise - starting noise); None when failed."""
    noise_norm: float | None = None
    """L2 norm of the chosen noise; None when failed."""
    rewards: dict[str, float] = {}
    """Every optimised and held-out reward by name, and their weighted total under `"optimised"`;
    empty when failed.
    """
    initial_rewards: dict[str, float] = {}
    """The same rewards of the base's image of the same sample; empty when failed."""
    verdict: Verdict | None = None
    """None when failed, or if the suite has no judge."""
    cost: Cost
    trajectory: tuple[float | None, ...] | None = None
    """The optimised reward at each iteration or of each candidate; None where it was not finite."""
    acceptance: Annotated[float, Meta(ge=0, le=1)] | None = None
    """The share of a Markov chain's proposals that were accepted; None for other methods."""
    chosen_prompt: str | None = None
    """The prompt that the image was generated from, by a method that looks for another one; None
    for other methods.
    """
    rewriter: Rewriting | None = None
    """None for a method that rewrites no prompt."""
    image: SavedImage | None = None
    error: Failure | None = None
    written: Amount | None = None
    """When the record was made: seconds since 1970-01-01, UTC; None before schema 3."""

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
        """The record as JSON types. What is not known is left out: a verdict's score and details,
        the floating-point operations, the memory, the device, the acceptance, another prompt and
        its rewriter, and the time.
        """
        values: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("flops", "peak_memory_bytes", "device"):
            if values["cost"][name] in (None, ""):
                del values["cost"][name]
        for name in ("acceptance", "chosen_prompt", "rewriter", "written"):
            if values[name] is None:
                del values[name]
        if self.rewriter is not None and self.rewriter.tokens is None:
            del values["rewriter"]["tokens"]
        if self.verdict is not None and self.verdict.score is None:
            values["verdict"].pop("score", None)
        if self.verdict is not None and not self.verdict.details:
            values["verdict"].pop("details", None)
        return values


def image_path(record_id: str) -> str:
    """The path of a record's image in the run folder."""
    return f"images/{record_id[:2]}/{record_id}.png"


_DECODER = msgspec.json.Decoder(Record)
"""Made once: a report decodes a hundred thousand records."""


def read_record(content: bytes) -> Record:
    """The record of a line whose check value was taken off. `MalformedError` for anything else,
    including a record of a newer version.
    """
    try:
        return decoded(content, _DECODER)
    except MalformedError:
        # If the version is newer, that is the cause, and its message is clearer.
        check_schema(decode(content, dict), SCHEMA)
        raise
