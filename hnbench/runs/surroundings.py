"""The facts about a machine that a bug report needs: versions, device, caches, verified models."""

from __future__ import annotations

import os
from typing import Any

from hnbench.runs.environment import environment
from hnbench.weights.pinned_files import VARIABLE
from hnbench.weights.verified import remembered

VARIABLES = (
    VARIABLE,
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "CUDA_VISIBLE_DEVICES",
)


def surroundings(device: str) -> dict[str, Any]:
    """The environment of a run on this device, the cache folders, the variables that are set, and
    the latest outcome of each check, as JSON types.

    It has no tokens, and no name of a user unless a path has one.
    """
    from huggingface_hub import constants

    latest = {one.check: one for one in remembered()}
    return {
        **environment(device),
        "cache": {
            "models": str(constants.HF_HUB_CACHE),
            "other files": str(constants.HF_ASSETS_CACHE),
        },
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "verified": {
            name: (
                f"{'equal' if one.equal else 'differs'} on {one.device} in {one.dtype}, {one.date}"
            )
            for name, one in latest.items()
        },
    }
