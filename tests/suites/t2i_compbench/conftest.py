"""Small random models of the real classes, saved as the real ones are, and the real prompts where
they are at hand.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.suites.t2i_compbench import tiny

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden.json").read_text())


@pytest.fixture(scope="session")
def real_prompts() -> None:
    """Skip where the prompt files of T2I-CompBench are not on this machine."""
    folder = os.environ.get("HNBENCH_DATA")
    if not folder or not (Path(folder) / "t2i-compbench").is_dir():
        pytest.skip(
            "HNBENCH_DATA names no folder with T2I-CompBench's prompt files, and tests download"
            " nothing"
        )


@pytest.fixture(scope="session")
def blip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.blip(tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def detector_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.detector(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="session")
def depth_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.depth(tmp_path_factory.mktemp("depth"))
