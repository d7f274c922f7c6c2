"""The files of a score next to its journal: `scores.json`, `results.jsonl` with GenEval's columns,
and those for the suite's own scripts (`Suite.result_files`).
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from hnbench.errors import PluginError
from hnbench.files.writing import write_whole, writing
from hnbench.guards.answers import shown
from hnbench.images.folder_names import folder_name
from hnbench.images.score_table import to_json
from hnbench.suites.base import JudgedImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hnbench.images.inventory import FoundImage
    from hnbench.images.judging import Scores
    from hnbench.suites.base import Suite, Verdict

RESULT_LINES = "results.jsonl"
"""The file with a line for each image."""


def write_results(scores: Scores, out: Path) -> Path:
    """Write all files, replacing older ones; returns the path of `results.jsonl`, which has one
    line for each image.

    The columns are those of GenEval's own `results.jsonl` (`filename, tag, prompt, correct, reason,
    metadata, details`, the last two as JSON in a text), which its `summary_scores.py` reads.
    Verdicts that grade have `score` too, and images of a run have `label`.
    """
    path = out / RESULT_LINES
    judged = list(zip(scores.inventory.images, scores.verdicts, strict=True))
    files = _files_of(scores.inventory.suite, judged)
    lines = [json.dumps(_line(image, verdict)) + "\n" for image, verdict in judged]
    with writing(out, "The verdicts are kept; then the same command continues."):
        write_whole(path, "".join(lines).encode())
        write_whole(
            out / "scores.json",
            f"{json.dumps(to_json(scores), indent=1, allow_nan=False)}\n".encode(),
        )
        for name, content in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(out / name, content)
    return path


def _files_of(suite: Suite, judged: list[tuple[FoundImage, Verdict]]) -> dict[str, bytes]:
    """The suite's own files by path; in the label's folder, if images have labels."""
    by_label: dict[str, list[JudgedImage]] = {}
    for image, verdict in judged:
        one = JudgedImage(image.prompt, image.number, verdict)
        by_label.setdefault(image.label, []).append(one)
    return {
        f"{folder_name(label)}/{path}" if label else path: content
        for label, found in by_label.items()
        for path, content in _checked(suite, suite.result_files(found)).items()
    }


def _checked(suite: Suite, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The suite's files, if every one is in a folder of its own below the score's folder. The suite
    may be a plug-in, and must not replace the score's files.
    """
    for path, content in files.items():
        if not (isinstance(path, str) and _is_inside(path) and isinstance(content, bytes)):
            raise PluginError(
                f"the suite {suite.name} gave the result file {shown(path)} with {shown(content)};"
                " a path such as folder/file, and its content as bytes, are expected"
            )
    return files


def _is_inside(path: str) -> bool:
    """Whether a relative path leads into a folder below its start, on any operating system."""
    parts = PurePosixPath(path).parts
    return len(parts) > 1 and not {"/", "..", "//"} & set(parts) and not set(path) & set("\\:")


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
