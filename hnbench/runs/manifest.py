"""`run.json`: what is measured, the plan of the latest command, the environment and the sessions.
It is read and checked here only.

It is checked against a schema first, and then for two things that a schema cannot say: its parts
must fit each other, and its identity must follow from its content.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from hnbench.errors import StoreError
from hnbench.files.decoding import (
    MalformedError,
    NewerSchemaError,
    Sha256,
    as_kind,
    check_schema,
)
from hnbench.files.escaping import quoted
from hnbench.files.reading import json_of
from hnbench.runs.identity import shared_identity
from hnbench.runs.record import SCHEMA, Amount
from hnbench.seeds import digest

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "run.json"
MOST_SAMPLES = 10_000
"""The most samples of a prompt. Protocols ask for a few dozen at most. Without a limit, a damaged
number could fill the memory, because all planned samples are listed when a plan is read.
"""


class _Judge(Struct):
    name: str
    fingerprint: str


class _Suite(Struct):
    name: str
    version: str
    tags: list[str]
    judge: _Judge | None


class _Generator(Struct):
    name: str
    fingerprint: str
    details: dict[str, Any] = {}


class _Rewards(Struct):
    optimised: dict[str, float]
    held_out: list[str]
    fingerprints: dict[str, str]
    sources: dict[str, str] = {}


class _Prompt(Struct, forbid_unknown_fields=True):
    id: str
    text: str
    tag: str
    samples: Annotated[int, Meta(ge=1, le=MOST_SAMPLES)]


class _Plan(Struct, forbid_unknown_fields=True):
    protocol: Literal["quick", "full"]
    labels: Annotated[list[str], Meta(min_length=1)]
    methods: list[dict[str, Any]]
    method_of: dict[str, Annotated[int, Meta(ge=0)]]
    prompts: Annotated[list[_Prompt], Meta(min_length=1)]


class _Training(Struct):
    generator_forward: Amount = 0
    generator_backward: Amount = 0
    reward_forward: Amount = 0
    reward_backward: Amount = 0
    flops: Amount | None = None
    seconds: Amount = 0
    images: Amount = 0
    steps: Amount = 0
    device: str = ""
    checkpoint: str = ""
    seen_prompts: list[str] | None = None


class _Environment(Struct):
    hnbench: str = ""
    packages: dict[str, str | None] = {}
    device: str = ""


class _Verified(Struct):
    check: str
    equal: bool
    difference: float
    date: str
    device: str
    dtype: str


class _Session(Struct):
    started: str = ""
    argv: list[str] = []
    device: str = ""
    device_name: str = ""
    host: str = ""
    shard: str = ""
    journal: str = ""
    batch_size: int = 0
    gradient_batch_size: int | None = None
    environment: str = ""


class _Manifest(Struct):
    """The fields of every `run.json` that are read. Other fields may have values of any kind."""

    schema: Annotated[int, Meta(ge=1)]
    config: dict[str, Any]
    identity_fields: list[str]
    suite: _Suite
    generator: _Generator
    rewards: _Rewards
    identity: Sha256
    plan: _Plan
    noise_between_steps: str | UnsetType = UNSET
    earlier: dict[str, dict[str, Any]] = {}
    oracles: list[str] = []
    training: dict[str, _Training] = {}
    skipped: dict[str, str] = {}
    environment: _Environment = field(default_factory=_Environment)
    verified: dict[str, list[_Verified]] = {}
    sessions: list[_Session] = []


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The checked content of a folder's `run.json`; None if it has none. `StoreError` if the file
    is damaged, or was written by a newer hnbench.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return None
    try:
        value = json_of(path, dict[str, Any])
        check_schema(value, SCHEMA)
        _require_whole(value)
    except NewerSchemaError as error:
        raise StoreError(f"{path} cannot be used: {error}, or give another folder.") from error
    except MalformedError as error:
        raise StoreError(
            f"{path} is damaged: {error}. Put a whole copy back, or give another folder."
        ) from error
    return value


def _require_whole(value: dict[str, Any]) -> None:
    found = as_kind(value, _Manifest)
    plan, rewards = found.plan, found.rewards
    _require_seed(found.config)
    _require_known("plan.labels", plan.labels, plan.method_of)
    _require_known("plan.method_of", plan.method_of.values(), range(len(plan.methods)))
    _require_known("rewards", [*rewards.optimised, *rewards.held_out], rewards.fingerprints)
    _require_known("identity_fields", found.identity_fields, found.config)
    _require_distinct("plan.labels", plan.labels)
    _require_distinct("plan.prompts", [prompt.id for prompt in plan.prompts])
    if digest(shared_identity(value)) != found.identity:
        raise MalformedError(
            "its identity is not that of its content: something that decides the results was"
            " changed"
        )


def _require_seed(config: Mapping[str, Any]) -> None:
    seed = config.get("base_seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise MalformedError("config.base_seed is missing or not a whole number")


def _require_known(what: str, names: Any, known: Any) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise MalformedError(f"{what} has {quoted(unknown[0])}, which is described nowhere")


def _require_distinct(what: str, names: list[str]) -> None:
    # Counting every name takes long for thousands of prompts, so it is done only for an error.
    twice = (
        sorted({name for name in names if names.count(name) > 1})
        if len(set(names)) != len(names)
        else []
    )
    if twice:
        raise MalformedError(f"{what} has {quoted(twice[0])} twice")
