from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hnbench.reports.headlines import headline_lines
from hnbench.reports.markdown import markdown
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.reports.write import write_report
from tests.reports.synthetic import write_run


@pytest.fixture(scope="module")
def out(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(summary, tmp_path_factory.mktemp("report")).parent


PLOTS = (
    "quality_vs_cost",
    "best_of_n",
    "task_gains",
    "optimised_vs_held_out",
    "trajectories",
    "noise",
)


def test_all_files_are_there_and_small(out: Path) -> None:
    expected = {
        ".hnbench-report.lock",
        "index.html",
        "report.md",
        "records.csv",
        "summary.csv",
        "pairs.csv",
        "headline.json",
        "grid.png",
    }
    expected |= {f"{name}.{ending}" for name in PLOTS for ending in ("png", "svg")}
    assert {path.name for path in out.iterdir()} == expected
    assert sum(path.stat().st_size for path in out.glob("*.[ps][nv]g")) < 2_000_000


def test_the_text_shows_every_picture_and_only_those(out: Path) -> None:
    text = (out / "report.md").read_text()
    shown = re.findall(r"!\[.+\]\((.+)\)", text)
    assert shown == [f"{name}.png" for name in PLOTS] + ["grid.png"]
    assert all((out / name).is_file() for name in shown)


def test_the_text_says_what_it_must(out: Path, summary: Summary) -> None:
    text = (out / "report.md").read_text()
    assert (
        text.splitlines()[2]
        == "Complete: all 72 planned samples of all 12 methods are there and judged."
    )
    for sentence in headline_lines(summary):
        assert sentence in text
    for fact in (
        "torch 2.14.1",
        "detector (111111111111)",
        "reward redness",
        "hnbench run --full",
        "| best-of-4 | 450,000 |",
    ):
        assert fact in text
    assert "/some/where" not in text
    assert "Some CPU" in text
    assert "training ran on" not in text


def test_tables_of_the_text_are_well_formed(out: Path) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", (out / "report.md").read_text(), flags=re.MULTILINE):
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1


def test_files_for_programs(out: Path, summary: Summary) -> None:
    table = pd.read_csv(out / "summary.csv").set_index(["label", "metric"])
    assert table.loc[("reno", "gain/overall"), "low"] == pytest.approx(
        summary.rows["reno"].gain.low, rel=1e-8
    )
    assert len(pd.read_csv(out / "records.csv")) == 12 * 72
    found = {entry["key"]: entry for entry in json.loads((out / "headline.json").read_text())}
    assert found["gain"]["gain"]["estimate"] == summary.rows["hypernoise"].gain.estimate


def test_gaps_are_in_the_first_lines(gappy: Summary) -> None:
    text = markdown(gappy, {}, [])
    assert (
        "**Incomplete: 3 planned samples failed or are missing**, in 3 of 12 methods" in text[:200]
    )
    assert "| ReNO ⚠ | 72 | 71 | 1 | 0 | 71 |" in text
    assert "| **HyperNoise ⚠** | 72 | 71 | 0 | 1 | 71 |" in text
    assert "ReNO: 1 x `NonFinite: the image has NaN`" in text


def test_a_second_report_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    """A pure function of the run: the same bytes again, and no plot of methods that are gone."""
    folder = write_run(
        tmp_path / "run", ("random", "best-of-2"), prompts_per_tag=2, samples=1, images=True
    )
    out = tmp_path / "report"
    path = write_report(summarise_runs([folder]), out)
    assert path == out / "report.md"
    first = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert {
        file.name: file.read_bytes()
        for file in write_report(summarise_runs([folder]), out).parent.iterdir()
    } == first
    content = json.loads((folder / "run.json").read_text())
    content["plan"]["labels"] = ["random"]
    (folder / "run.json").write_text(json.dumps(content))
    for image in folder.rglob("images/*/*.png"):
        image.unlink()
    write_report(summarise_runs([folder]), out)
    left = {file.name for file in path.parent.iterdir()}
    assert "best_of_n.png" in first
    assert not {"best_of_n.png", "best_of_n.svg", "grid.png"} & left
    assert "_The best-of-N curve is not drawn: these runs have no best-of-N._" in path.read_text()


def test_a_report_needs_no_torch() -> None:
    code = (
        "import sys, hnbench.reports.write; sys.exit('torch' in sys.modules or 'matplotlib' in"
        " sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
