"""GenEval 2's prompts that an adapter was trained on: found in a run, left out in its report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from PIL.Image import Image

from hnbench.catalogue import registry
from hnbench.catalogue.entries import SuiteEntry
from hnbench.catalogue.registry import Registry
from hnbench.reports.summary import summarise_runs
from hnbench.suites.base import Judge, Verdict
from hnbench.suites.geneval2.suite import GenEval2Suite, parse
from tests.cli.conftest import Hnbench
from tests.cli.test_prompt_files import MODELS, REWARD, SHORT
from tests.journals import journal_rows

pytestmark = pytest.mark.usefixtures("few_plots")

LINES = [
    {
        "prompt": f"{number} owls and {atoms} lamps",
        "atom_count": atoms,
        "vqa_list": [["Are there any owls in the image?", "Yes"]],
    }
    for number in range(100)
    for atoms in range(10, 2, -1)
]


class Reddish(Judge):
    """Grades by the first pixel."""

    name, fingerprint = "reddish", "1" * 64

    def judge(
        self, images: Sequence[Image], metadata: Sequence[Mapping[str, Any]]
    ) -> list[Verdict]:
        assert all("vqa_list" in about for about in metadata)
        return [Verdict(None, score=image.convert("RGB").tobytes()[0] / 255) for image in images]


@pytest.fixture
def geneval2(hnbench: Hnbench, monkeypatch: pytest.MonkeyPatch) -> Hnbench:
    prompts = parse("".join(f"{json.dumps(line)}\n" for line in LINES))
    entry = SuiteEntry("geneval2", "hnbench.suites.geneval2.suite:GenEval2Suite", "")
    suites = Registry("suite", "hnbench.suites", SuiteEntry, entry)
    monkeypatch.setattr(registry, "SUITES", suites)
    monkeypatch.setattr(GenEval2Suite, "prompts", lambda _: prompts)
    monkeypatch.setattr(GenEval2Suite, "judge", lambda _, **__: Reddish())
    return hnbench


def test_the_scores_without_the_seen_prompts_of_geneval2(geneval2: Hnbench) -> None:
    # All prompts of three atoms that the quick protocol has, and one of four.
    texts = [f"{number} OWLS and 3  lamps." for number in range(6)]
    Path("train.txt").write_text("\n".join([*texts, "2 owls and 4 lamps", "a kite"]))
    trained = geneval2("train", *MODELS, *REWARD, *SHORT, "--prompts", "train.txt", "--out", "t")
    assert trained.exit_code == 0, trained.output
    method = ["--method", "hypernoise", "--hypernetwork", "t/adapter"]
    result = geneval2("run", "--suite", "geneval2", *MODELS, *REWARD, *method, "--out", "run")
    assert result.exit_code == 0, result.output
    seen = json.loads(Path("run/run.json").read_text())["training"]["hypernoise"]["seen_prompts"]
    planned = json.loads(Path("run/run.json").read_text())["plan"]["prompts"]
    known = {one["id"]: one["text"] for one in planned}
    assert [known[one] for one in seen] == [
        *(f"{number} owls and 3 lamps" for number in range(6)),
        "2 owls and 4 lamps",
    ]
    text = Path("run/report/report.md").read_text()
    assert "7 of the 48 prompts were among its training prompts" in text
    assert "Without them, 41 prompts" in text
    unseen = summarise_runs([Path("run")]).unseen
    assert unseen is not None
    assert unseen.pool.tags == GenEval2Suite.tags[1:]  # none of three atoms is left
    tags: dict[str, list[float]] = {}
    for record in journal_rows(Path("run/journal-0000.jsonl")):
        if record["label"] == "hypernoise" and record["prompt_id"] not in seen:
            tags.setdefault(record["tag"], []).append(record["verdict"]["score"])
    assert [len(tags[tag]) for tag in unseen.pool.tags] == [5, *[6] * 6]
    assert unseen.rows["hypernoise"].overall.estimate == pytest.approx(
        fmean(map(fmean, tags.values()))
    )
