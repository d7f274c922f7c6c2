"""The notebook of docs/ runs, without jupyter: its cells, one after another, in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTEBOOK = json.loads((ROOT / "docs" / "python.ipynb").read_text())
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs(tmp_path: Path) -> None:
    checks = [
        "assert run.failed == 0 and len(frame) == run.expected == 192",
        "assert any('HyperNoise scores' in sentence for sentence in report.findings)",
        "assert len(made.images) == 12 and sheet.size == (384, 288)",
    ]
    script = "\n".join([*CELLS, *checks])
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_notebook_shows_what_it_printed() -> None:
    code = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    silent = [index for index, cell in enumerate(code) if not cell["outputs"]]
    assert silent == [0]
