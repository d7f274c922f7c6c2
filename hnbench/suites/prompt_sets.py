"""Well-known prompt sets for which hnbench has no judge: PartiPrompts, the benchmark of HPDv2, and
DPG-Bench. The numbers of prompts are checked.

PartiPrompts are downloaded and checked by SHA-256. The other two are read from the folder named by
`HNBENCH_DATA`. They are neither downloaded nor pinned, because no hash of their files was verified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnbench.errors import UsageError
from hnbench.files.prompt_files import read_every_prompt, read_whole_prompt
from hnbench.suites.base import Prompt
from hnbench.suites.prompt_file import PromptSuite
from hnbench.weights.pinned_files import by_hand, data_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PARTI, HPDV2, DPG = 1632, 800, 1065
"""The number of prompts of each set; for HPDv2, in each style."""
STYLES = ("anime", "concept-art", "paintings", "photo")


def parti() -> PromptSuite:
    """PartiPrompts (Yu et al., arXiv 2206.10789): one image of each. Upstream, only people score
    them.
    """
    texts = read_every_prompt(data_file("partiprompts/PartiPrompts.tsv"))
    _count("PartiPrompts", texts, PARTI)
    return _parti(texts)


def parti_protocol() -> PromptSuite:
    """The protocol of `parti`: its prompts have no texts, and no file is read."""
    return _parti([""] * PARTI)


def _parti(texts: Sequence[str]) -> PromptSuite:
    prompts = [Prompt(f"{index:04d}", text, "parti") for index, text in enumerate(texts)]
    return PromptSuite("parti", prompts, samples=1, quick=64)


def hpdv2() -> PromptSuite:
    """The benchmark prompts of HPDv2 (Wu et al., arXiv 2306.09341): 800 in each of four styles, one
    image of each.
    """
    found = {}
    for style in STYLES:
        path = by_hand(
            f"hpdv2/{style}.json", "benchmark/ of the dataset zhwang/HPDv2 on the Hugging Face Hub"
        )
        texts = read_every_prompt(path)
        _count(str(path), texts, HPDV2)
        found[style] = texts
    return _hpdv2(found)


def hpdv2_protocol() -> PromptSuite:
    """The protocol of `hpdv2`: its prompts have no texts, and no file is read."""
    return _hpdv2({style: [""] * HPDV2 for style in STYLES})


def _hpdv2(texts: Mapping[str, Sequence[str]]) -> PromptSuite:
    prompts = [
        Prompt(f"{style}/{index:04d}", text, style)
        for style, of_style in texts.items()
        for index, text in enumerate(of_style)
    ]
    return PromptSuite("hpdv2", prompts, samples=1, quick=16)


def dpg() -> PromptSuite:
    """The prompts of DPG-Bench (Hu et al., arXiv 2403.05135): four images of each. Its questions,
    and the model that answers them, are not part of hnbench.
    """
    folder = by_hand("dpg/prompts", "dpg_bench/prompts/ of the repository TencentQQGYLab/ELLA")
    paths = sorted(folder.glob("*.txt"))
    _count(str(folder), paths, DPG)
    return _dpg([(path.stem, read_whole_prompt(path)) for path in paths])


def dpg_protocol() -> PromptSuite:
    """The protocol of `dpg`: its prompts have no texts, and no file is read."""
    return _dpg([(str(index), "") for index in range(DPG)])


def _dpg(texts: Sequence[tuple[str, str]]) -> PromptSuite:
    prompts = [Prompt(name, text, "dpg") for name, text in texts]
    return PromptSuite("dpg", prompts, samples=4, quick=16)


def _count(what: str, found: Sequence[str | Path], expected: int) -> None:
    if len(found) != expected:
        raise UsageError(f"{what} has {len(found)} prompts; {expected} are expected")
