"""The committed report is what today's code makes of the committed records, to the byte.

PNG files are not compared: their bytes depend on libraries that compress and draw. The same plots
are compared as SVG. Two things of the committed folder cannot be made from it: `grid.png`, because
the runs' images are not kept, and so the line of the text that shows it. `records.csv` and the page
are not kept there, because they are large; `records.csv` is compared with the journals.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import matplotlib as mpl
import pytest

from benchmarks.reference_run import EQUAL_SEEDS, SEEDS
from hnbench.reports.summary import summarise_runs
from hnbench.reports.write import write_report
from hnbench.runs.journals import journals_of, lines_of

REFERENCE = Path(__file__).parents[2] / "results" / "geneval-shapes"
RUNS = [REFERENCE / f"seed{seed}" for seed in SEEDS]
KEPT = REFERENCE / "report"
EQUAL = REFERENCE.with_name("equal-budget")
EQUAL_RUNS = [EQUAL / f"seed{seed}" for seed in EQUAL_SEEDS]
PLOTS = (
    "best_of_n",
    "noise",
    "optimised_vs_held_out",
    "quality_vs_cost",
    "task_gains",
    "trajectories",
)
LABELS = 15
"""The rows of the table."""
GRID = "![The same prompts and starting noises by method](grid.png)"
NO_GRID = "_The grid of images is not drawn: the images of these runs are not on this disk._"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report made again, as `hnbench report` does."""
    return write_report(
        summarise_runs(RUNS), tmp_path_factory.mktemp("reference") / "report"
    ).parent


def test_the_committed_folder_is_a_whole_report() -> None:
    names = {"report.md", "summary.csv", "pairs.csv", "headline.json", "grid.png"}
    names |= {f"{name}.{ending}" for name in PLOTS for ending in ("png", "svg")}
    assert {path.name for path in KEPT.iterdir()} == names


LETTERS = pytest.mark.skipif(
    mpl.__version_info__ < (3, 11), reason="matplotlib before 3.11 has letters of other sizes"
)


@pytest.mark.parametrize(
    "name",
    [
        "headline.json",
        "summary.csv",
        "pairs.csv",
        *(pytest.param(f"{name}.svg", marks=LETTERS) for name in PLOTS),
    ],
)
def test_a_file_is_made_again_to_the_byte(made: Path, name: str) -> None:
    assert (made / name).read_bytes() == (KEPT / name).read_bytes()


def test_the_text_is_made_again_but_for_the_grid(made: Path) -> None:
    kept = (KEPT / "report.md").read_bytes()
    assert kept.count(GRID.encode()) == 1
    assert (made / "report.md").read_bytes() == kept.replace(GRID.encode(), NO_GRID.encode())


def test_all_plots_are_drawn_as_png_and_there_is_nothing_else(made: Path) -> None:
    drawn = {path.name for path in made.glob("*.png")}
    assert drawn == {f"{name}.png" for name in PLOTS}
    others = {path.name for path in made.iterdir()} - {path.name for path in KEPT.iterdir()}
    assert others == {"index.html", "records.csv", ".hnbench-report.lock"}


def test_the_table_of_records_says_what_the_journals_say(made: Path) -> None:
    with (made / "records.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(SEEDS) * LABELS * 2016
    lines = [line for path in journals_of(RUNS[-1]) for line in lines_of(path)]
    records = [json.loads(line) for line in lines[::97]]
    assert len({record["label"] for record in records}) == LABELS
    for record in records:
        row, cost = rows[record["id"]], record["cost"]
        for name in ("label", "prompt_id", "prompt", "tag", "status", "noise_sha256"):
            assert row[name] == record[name]
        assert (row["base_seed"], row["sample"]) == (str(SEEDS[-1]), str(record["sample"]))
        assert float(row["correct"]) == record["verdict"]["correct"]
        for name, value in record["rewards"].items():
            assert float(row[f"reward_{name}"]) == value
        passes = cost["generator_forward"] + cost["generator_backward"]
        assert float(row["generator_passes"]) == passes
        assert float(row["tflops"]) == pytest.approx(cost["flops"] / 1e12, rel=1e-8)
        assert "peak_memory_bytes" not in row
        assert float(row["seconds"]) == pytest.approx(cost["seconds"], rel=1e-8)
        assert row["image_sha256"] == record["image"]["sha256"]


def test_the_readme_has_the_table_and_the_findings_of_the_report() -> None:
    report = (KEPT / "report.md").read_text(encoding="utf-8")
    readme = (REFERENCE.parents[1] / "README.md").read_text(encoding="utf-8")
    table = report[report.index("| method | overall") :].split("\n\n", 1)[0]
    assert len(table.splitlines()) == 2 + LABELS
    findings = report.split("## Findings\n\n", 1)[1].split("\n\n", 1)[0]
    assert len(findings.splitlines()) > 5
    assert f"{table}\n\n{findings}\n" in readme


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of all methods at equal budget, made again."""
    out = tmp_path_factory.mktemp("equal") / "report"
    return write_report(summarise_runs(EQUAL_RUNS), out).parent


@pytest.mark.parametrize("name", ["summary.csv", "headline.json"])
def test_the_numbers_at_equal_budget_are_made_again_to_the_byte(equal: Path, name: str) -> None:
    assert (equal / name).read_bytes() == (EQUAL / "report" / name).read_bytes()


def test_the_table_at_equal_budget_is_that_of_the_report(equal: Path) -> None:
    text = (equal / "report.md").read_text(encoding="utf-8")
    table = text[text.index("| method | overall") :].split("\n\n", 1)[0]
    assert len(table.splitlines()) == 2 + 28
    assert table in (EQUAL / "README.md").read_text(encoding="utf-8")
