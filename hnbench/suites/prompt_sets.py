"""Well-known prompt sets for which hnbench has no judge: PartiPrompts, the benchmark of HPDv2, and
DPG-Bench. The numbers of prompts are checked.

PartiPrompts are downloaded and checked by SHA-256. The other two are read from the folder named by
`HNBENCH_DATA`. They are neither downloaded nor pinned, because no hash of their files was verified.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.prompt_files import read_every_prompt, read_whole_prompt
from hnbench.suites.base import Prompt
from hnbench.suites.prompt_file import PromptSuite
from hnbench.weights.pinned_files import VARIABLE, data_file

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTI, HPDV2, DPG = 1632, 800, 1065
"""The number of prompts of each set; for HPDv2, in each style."""
STYLES = ("anime", "concept-art", "paintings", "photo")


def parti() -> PromptSuite:
    """PartiPrompts (Yu et al., arXiv 2206.10789): one image of each. Upstream, only people score
    them.
    """
    texts = read_every_prompt(data_file("partiprompts/PartiPrompts.tsv"))
    _count("PartiPrompts", texts, PARTI)
    prompts = [Prompt(f"{index:04d}", text, "parti") for index, text in enumerate(texts)]
    return PromptSuite("parti", prompts, samples=1, quick=64)


def hpdv2() -> PromptSuite:
    """The benchmark prompts of HPDv2 (Wu et al., arXiv 2306.09341): 800 in each of four styles, one
    image of each.
    """
    prompts = []
    for style in STYLES:
        path = _by_hand(
            f"hpdv2/{style}.json", "benchmark/ of the dataset zhwang/HPDv2 on the Hugging Face Hub"
        )
        texts = read_every_prompt(path)
        _count(str(path), texts, HPDV2)
        prompts += [Prompt(f"{style}/{index:04d}", text, style) for index, text in enumerate(texts)]
    return PromptSuite("hpdv2", prompts, samples=1, quick=16)


def dpg() -> PromptSuite:
    """The prompts of DPG-Bench (Hu et al., arXiv 2403.05135): four images of each. Its questions,
    and the model that answers them, are not part of hnbench.
    """
    folder = _by_hand("dpg/prompts", "dpg_bench/prompts/ of the repository TencentQQGYLab/ELLA")
    paths = sorted(folder.glob("*.txt"))
    _count(str(folder), paths, DPG)
    return PromptSuite(
        "dpg",
        [Prompt(path.stem, read_whole_prompt(path), "dpg") for path in paths],
        samples=4,
        quick=16,
    )


def _by_hand(name: str, origin: str) -> Path:
    folder = os.environ.get(VARIABLE)
    if not folder or not (Path(folder) / name).exists():
        raise UsageError(
            f"{name} is not downloaded by hnbench; get it from {origin}, put it at FOLDER/{name}"
            f" and set {VARIABLE}=FOLDER"
        )
    return Path(folder) / name


def _count(what: str, found: Sequence[str | Path], expected: int) -> None:
    if len(found) != expected:
        raise UsageError(f"{what} has {len(found)} prompts; {expected} are expected")
