"""The whole way in the embedded world: run, measure, report."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from hnbench.cli.app import app
from hnbench.measures.diversity import mean_similarity
from hnbench.measures.fidelity import mean_discrepancy
from hnbench.runs.store import read_run
from hnbench.shapes.models import load_efficientnet
from hnbench.weights.pictures import to_bytes

pytestmark = pytest.mark.usefixtures("few_plots")


@torch.no_grad()
def features(folder: Path, label: str) -> dict[str, torch.Tensor]:
    """By prompt, from the run's own image files."""
    reward = load_efficientnet(device="cpu", dtype="float32")
    pictures: dict[str, list[Image.Image]] = {}
    for record in read_run(folder).records:
        if record.label == label and record.image:
            pictures.setdefault(record.prompt_id, []).append(Image.open(folder / record.image.path))
    return {
        prompt: reward.image_features(to_bytes(shown).float() / 255)
        for prompt, shown in pictures.items()
    }


def test_run_measure_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    common = ["--device", "cpu"]
    run = [
        "run",
        "--suite",
        "geneval-shapes",
        "--limit",
        "6",
        "--method",
        "best-of-n:n=2",
        "--out",
        "run",
        "--no-report",
        *common,
    ]
    for arguments in (run, ["measure", "run", *common], ["report", "run"]):
        done = CliRunner().invoke(app, arguments, prog_name="hnbench")
        assert done.exit_code == 0, done.output
    with (tmp_path / "run/report/summary.csv").open() as file:
        rows = {
            (row["label"], row["metric"]): float(row["estimate"]) for row in csv.DictReader(file)
        }
    base, ours = (features(tmp_path / "run", label) for label in ("random", "best-of-2"))
    for label, found in (("random", base), ("best-of-2", ours)):
        expected = sum(mean_similarity(each) for each in found.values()) / 6
        assert rows[label, "measure/shapes-similarity"] == pytest.approx(expected, abs=1e-4)
        assert 1 < rows[label, "measure/shapes-vendi"] < 4
    distance = mean_discrepancy(torch.cat(list(ours.values())), torch.cat(list(base.values())))
    assert rows["best-of-2", "measure/shapes-mmd"] == pytest.approx(distance, rel=1e-3)
    assert rows["best-of-2", "measure/shapes-fd"] > 0
    assert ("random", "measure/shapes-fd") not in rows
    report = (tmp_path / "run/report/report.md").read_text()
    assert "| method | shapes-similarity | shapes-vendi | shapes-mmd | shapes-fd |" in report
