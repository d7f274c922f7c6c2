"""Tables in narrow terminals: no number loses a digit, no two names become the same."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from hnbench.display.fitting import fits, fitted
from tests.reports.synthetic import TAGS, write_run
from tests.terminal import in_terminal

NUMBER = re.compile(r"[-+]?\d*\.\d+")
SHORT = [
    "random",
    *(f"best-of-{n}" for n in (2, 4, 8, 16, 32, 50)),
    "ReNO",
    "HyperNoise",
    "fine-tuning",
    "random dir.",
    "other noise",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("terminal") / "run").parent


Shown = Callable[[str, int], str]


@pytest.fixture(scope="module")
def shown_by(folder: Path) -> Shown:
    """What a command shows in a terminal of so many columns; each is asked once."""

    @cache
    def show(command: str, width: int) -> str:
        return in_terminal(["-m", "hnbench", *command.split()], width, folder)

    return show


@pytest.fixture(scope="module")
def wide(shown_by: Shown) -> str:
    return shown_by("-q report run", 140)


def test_the_wide_table_is_one(wide: str) -> None:
    assert wide.count("method") == wide.count("overall [95%]") == 1


@pytest.mark.parametrize("width", [30, 60, 80])
def test_a_report_has_all_its_names_and_numbers(shown_by: Shown, wide: str, width: int) -> None:
    shown = shown_by("-q report run", width)
    assert "…" not in shown
    paths = ("report.md", "index.html")  # these are not broken
    lines = [line for line in shown.splitlines() if not line.endswith(paths)]
    assert max(map(len, lines)) <= width
    for name in SHORT:
        assert re.search(rf"^{re.escape(name)}(  |$| \d| [-+.])", shown, re.MULTILINE), name
    table = wide[: wide.index("36 prompts")]
    assert len(NUMBER.findall(table)) > 150
    assert not Counter(NUMBER.findall(table)) - Counter(NUMBER.findall(shown))


@pytest.mark.parametrize("width", [60, 80])
def test_the_tasks_come_after_scores_and_passes(shown_by: Shown, width: int) -> None:
    shown = shown_by("-q report run", width)
    first, *_, last = re.split(r"^method.*$", shown, flags=re.MULTILINE)[1:]
    row = next(line for line in first.splitlines() if line.startswith("ReNO"))
    assert re.match(
        r"ReNO +0\.\d{3} \[\.\d{3},\.\d{3}\] +[-+]0\.\d{3} \[-?\.\d{3},\.\d{3}\] +99 ", row
    )
    assert len(
        NUMBER.findall(next(line for line in last.splitlines() if line.startswith("ReNO")))
    ) == len(TAGS)


@pytest.mark.parametrize("width", [30, 60, 80])
@pytest.mark.parametrize("kind", ["rewards"])
def test_a_list_has_all_its_words(shown_by: Shown, kind: str, width: int) -> None:
    def words(columns: int) -> list[str]:
        shown = shown_by(f"list {kind}", columns)
        assert "…" not in shown
        return shown.split()

    found, whole = words(width), set(words(140))
    headers = {"name", "what", "it", "is", "needs", "─" * 138}
    assert not {
        word for word in whole - set(found) - headers if len(word) <= width and "─" not in word
    }
    assert not {
        word for word in whole - headers if "─" not in word and word not in "".join(found)
    }  # the longest have to be divided


def printed(table: Table, width: int) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None)
    for part in fitted([table], console):
        console.print(part)
    return stream.getvalue()


def scores(labels: list[str]) -> Table:
    table = Table("label", "task", box=None, padding=(0, 1, 0, 0))
    for header in ("prompts", "images", "score", "95%"):
        table.add_column(header, justify="right", no_wrap=True)
    for label in labels:
        for task in ("color", "overall"):
            table.add_row(label, task, "300", "3000", "0.6123", "[0.601, 0.645]")
    return table


def test_rows_are_told_apart_by_as_many_columns_as_that_takes() -> None:
    shown = printed(scores(["hypernoise", "random"]), 36)
    tables = [part for part in shown.split("label") if part.strip()]
    assert len(tables) == 3
    assert all(part.count("overall") == 2 for part in tables)
    assert shown.count("[0.601, 0.645]") == 4


def test_what_fits_in_no_table_is_stacked() -> None:
    long = "a-method-of-another-package-with-a-long-name"
    shown = printed(scores([long, f"{long}-2"]), 50)
    assert f"{long} color" in shown.replace("\n", " ")
    assert f"{long}-2 \noverall" in shown
    assert shown.count("  95%: [0.601, 0.645]") == 4
    assert "…" not in shown


def test_what_is_folded_is_whole() -> None:
    table = Table("name", "needs", box=box.SIMPLE_HEAD)
    table.add_row("geneval", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K[x]")
    shown = printed(table, 20)
    assert "laion/CLIP-ViT-H-14-laion2B-s32B-b79K[x]" in shown.replace("\n", "")


@pytest.mark.parametrize("width", range(1, 72, 7))
def test_any_width_ends(width: int) -> None:
    table = scores(["a", "日本語のラベル"])
    table.caption = "a caption of words"
    shown = printed(table, width)
    assert "…" not in shown
    assert fits(table, Console(width=width)) == (width >= 58)


def test_words_share_what_numbers_leave() -> None:
    table = Table("name", "what it is", "size", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    table.add_row("one", "a b " * 30, "unknown")
    shown = printed(table, 60)
    assert max(map(len, shown.splitlines())) <= 60
    assert shown.split().count("a") == 30
    assert "unknown" in shown
