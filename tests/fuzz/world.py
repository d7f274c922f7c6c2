"""A folder with one of everything that the commands read, made by the commands themselves."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from hnbench.catalogue import registry
from hnbench.hypernetwork.config import TrainingConfig
from hnbench.hypernetwork.trainer import Trainer
from tests.fuzz.calls import Called, call
from tests.toy_plugins import toy_registries

TOYS = ["--generator", "toy", "--optimise", "brightness=1.0"]
MODELS = [*TOYS, "--hold-out", "red", "--device", "cpu"]
HYPERNOISE = ["--method", "hypernoise", "--hypernetwork", "trained/adapter"]
RUN = [
    "run",
    "--suite",
    "toy-suite",
    *MODELS,
    "--method",
    "best-of-n:n=2",
    *HYPERNOISE,
    "--no-report",
    "--out",
    "run",
]
MEASURE = ["measure", "run", "--measure", "lpips", "--measure", "shift", "--device", "cpu"]
SCORE = ["score", "run", "--suite", "toy-suite", "--device", "cpu"]
EXPORT = ["export", "run", "--layout", "t2i-compbench", "--out", "exported"]
TRAIN = [
    "train",
    *TOYS,
    "--prompts",
    "prompts.txt",
    "--rank",
    "2",
    "--steps",
    "3",
    "--device",
    "cpu",
    "--out",
]
DIAGNOSE = [
    "diagnose",
    "--generator",
    "toy",
    "--hypernetwork",
    "trained/adapter",
    "--prompts",
    "prompts.txt",
    "--limit",
    "1",
]
DIAGNOSE += ["--samples", "1", "--device", "cpu", "--out", "diagnosis.json"]
REPORT = ["report", "run"]
PROMPTS = {
    "prompts.txt": "low 0\nlow 1\n\nhigh 0\nhigh 1\n",
    "prompts.csv": 'prompt,number\nlow 0,1\n"high, 1",2\n',
    "prompts.tsv": "number\tprompt\n1\tlow 0\n2\thigh 1\n",
    "prompts.jsonl": '"low 0"\n{"prompt": "high 1", "more": [1, {"a": null}]}\n',
    "prompts.json": '["low 0", {"prompt": "high 1"}]\n',
}
COMPLETE = "Complete:"
_WITH_IMPORTS = 300
"""Seconds that a first command may take."""


@dataclass(frozen=True)
class Part:
    """What is damaged together, and the commands that read it."""

    weight: int
    """How often, beside the other parts."""
    files: tuple[str, ...]
    """Patterns."""
    commands: tuple[list[str], ...]


PARTS = {
    "run": Part(
        60,
        ("run/run.json", "run/journal-*.jsonl", "run/journal-*.jsonl", "run/images/*/*.png"),
        (
            REPORT,
            SCORE,
            MEASURE,
            ["export", "run", "--layout", "t2i-compbench", "--out", "anew"],
            RUN,
            REPORT,
        ),
    ),
    "measures": Part(8, ("run/measures/journal.jsonl",), (REPORT, MEASURE)),
    "scores": Part(5, ("run/scores-red/*",), (SCORE,)),
    "report": Part(2, ("run/report/*",), (REPORT,)),
    "export": Part(
        6,
        ("exported/random/export.json", "exported/random/samples/*"),
        (
            EXPORT,
            [
                "score",
                "exported/random",
                "--suite",
                "toy-suite",
                "--quick",
                "--device",
                "cpu",
                "--out",
                "scores",
            ],
        ),
    ),
    "adapter": Part(
        8,
        ("trained/adapter/*",),
        (
            [
                "run",
                "--suite",
                "toy-suite",
                *MODELS,
                *HYPERNOISE,
                "--limit",
                "1",
                "--no-report",
                "--out",
                "other",
            ],
            DIAGNOSE,
            [*TRAIN, "trained"],
        ),
    ),
    "training": Part(7, ("begun/*.json*", "begun/state/*/*"), ([*TRAIN, "begun"],)),
    "prompts": Part(4, tuple(PROMPTS), ()),
}
"""Of `prompts`, the commands depend on the file."""


def commands_of_prompts(name: str) -> list[list[str]]:
    """What reads a prompt file."""
    return [
        [
            "run",
            "--suite",
            name,
            *MODELS,
            "--method",
            "random",
            "--limit",
            "2",
            "--no-report",
            "--out",
            "other",
        ],
        [
            "train",
            *TOYS,
            "--prompts",
            name,
            "--rank",
            "2",
            "--steps",
            "1",
            "--device",
            "cpu",
            "--out",
            "other-training",
        ],
    ]


@contextmanager
def toys() -> Iterator[None]:
    """Toys for models, and trainings that save their state often."""
    defaults = TrainingConfig.__init__.__kwdefaults__
    with ExitStack() as stack:
        for name, known in toy_registries().items():
            stack.enter_context(patch.object(registry, name, known))
        stack.enter_context(patch.dict(defaults or {}, save_every=2))
        yield


def make_world(folder: Path) -> None:
    """Fill a folder, in which this process works from now on."""
    folder.mkdir()
    os.chdir(folder)
    for name, text in PROMPTS.items():
        (folder / name).write_text(text)
    for arguments in ([*TRAIN, "trained"], RUN, MEASURE, SCORE, EXPORT, REPORT):
        require(call(*arguments, seconds=_WITH_IMPORTS))
    begin_training()


def begin_training() -> None:
    """A training that was stopped after its second step, which it saved."""
    advance = Trainer._advance

    def stop(trainer: Trainer) -> object:
        if trainer.step == 2:
            raise KeyboardInterrupt
        return advance(trainer)

    with patch.object(Trainer, "_advance", stop):
        call(*TRAIN, "begun")
    assert list(Path("begun/state").iterdir())


def require(called: Called) -> None:
    """Of a command that must succeed."""
    assert (called.code, called.fault) == (0, ""), called


def rows_of(report: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """The records that a report is made of, by label, prompt and sample."""
    with (report / "records.csv").open(newline="", encoding="utf-8") as file:
        return {
            (row["label"], row["prompt_id"], row["sample"]): row for row in csv.DictReader(file)
        }
