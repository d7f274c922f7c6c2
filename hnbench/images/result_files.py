"""The files that scoring writes next to the journal: `scores.json`, and `results.jsonl` in
GenEval's columns.

T2I-CompBench's suites also get the result files of its own scripts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hnbench.files.writing import write_whole, writing
from hnbench.images.layouts.t2i_compbench import result_files
from hnbench.images.score_table import to_json
from hnbench.suites.t2i_compbench.suite import CompBenchSuite

if TYPE_CHECKING:
    from pathlib import Path

    from hnbench.images.inventory import FoundImage
    from hnbench.images.judging import Scores
    from hnbench.suites.base import Verdict


def write_results(scores: Scores, out: Path) -> Path:
    """Write all files again; returns the path of `results.jsonl`, one line for each image.

    The columns are those of GenEval's own `results.jsonl` (`filename, tag, prompt, correct, reason,
    metadata, details`, the last two as JSON in a text), which its `summary_scores.py` reads.
    Graded verdicts also have `score`, images of a run `label`.
    """
    path = out / "results.jsonl"
    judged = list(zip(scores.inventory.images, scores.verdicts, strict=True))
    lines = [json.dumps(_line(image, verdict)) + "\n" for image, verdict in judged]
    with writing(out, "The verdicts are kept; then the same command continues."):
        write_whole(path, "".join(lines).encode())
        write_whole(
            out / "scores.json",
            f"{json.dumps(to_json(scores), indent=1, allow_nan=False)}\n".encode(),
        )
        if isinstance(scores.inventory.suite, CompBenchSuite):
            for name, answers in result_files(judged, scores.inventory.suite.tags).items():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(out / name, json.dumps(answers, allow_nan=False).encode())
    return path


def _line(image: FoundImage, verdict: Verdict) -> dict[str, Any]:
    line: dict[str, Any] = {
        "filename": image.name,
        "tag": image.prompt.tag,
        "prompt": image.prompt.text,
        "correct": verdict.correct,
        "reason": verdict.reason,
        "metadata": json.dumps(dict(image.prompt.metadata)),
        "details": json.dumps(dict(verdict.details)),
    }
    if verdict.score is not None:
        line["score"] = verdict.score
    return {**line, "label": image.label} if image.label else line
