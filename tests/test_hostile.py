"""Texts of others in every output: shown as text, and as nothing else. JSON keeps them exactly."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from typer.testing import CliRunner, Result

from hnbench.catalogue import registry
from hnbench.catalogue.entries import (
    Entry,
    GeneratorEntry,
    MeasureEntry,
    MethodEntry,
    RewardEntry,
    SuiteEntry,
)
from hnbench.catalogue.registry import Registry
from hnbench.cli.app import app
from hnbench.cli.printing import show_entries, show_values
from hnbench.display import consoles
from hnbench.display.run import RunDisplay
from hnbench.display.screen import Screen
from hnbench.display.stages import StageDisplay
from hnbench.files.escaping import csv_cell, printable
from hnbench.files.prompt_files import file_name
from hnbench.hypernetwork.adapter import LoraAdapter, LoraSettings
from hnbench.hypernetwork.checkpoint import save_adapter
from hnbench.reports.markdown import markdown
from hnbench.reports.summary import summarise_runs
from hnbench.testing.toys import ToyGenerator
from tests.hostile import TEXTS
from tests.hostile_plugins import ALL, LABELS, REWARD, STORABLE, HostileMeasure

PLUGINS = "tests.hostile_plugins"
ARGUMENTS = [text for text in STORABLE if "\x00" not in text]
"""What a command line can hold."""
NAMES = [text for text in ARGUMENTS if "/" not in text]
"""What a file name can hold."""
TAGS = {
    "p",
    "strong",
    "em",
    "code",
    "pre",
    "details",
    "summary",
    "blockquote",
    "img",
    "h1",
    "h2",
    "h3",
    "ul",
    "li",
} | {*("table", "thead", "tbody", "tr", "th", "td")}
"""What a report is made of."""


class Page(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, made: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(made)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.text += dict(attrs).get("alt") or ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def page(source: str) -> Page:
    assert_no_control(source)
    found = Page(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(source))
    assert {tag for tag, _ in found.elements} <= TAGS
    for _, attributes in found.elements:
        assert set(attributes) <= {"src", "alt", "style"}
        assert re.fullmatch(r"[a-z_]+\.png", attributes.get("src") or "x.png")
    return found


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def assert_no_control(shown: str) -> None:
    assert all(character == "\n" or character.isprintable() for character in shown), re.sub(
        r"[ -~\n]", "", shown
    )


@pytest.fixture(autouse=True, scope="module")
def plugins() -> Iterator[None]:
    entries: dict[str, Sequence[Entry]] = {
        "GENERATORS": [
            GeneratorEntry("strange", f"{PLUGINS}:load_generator", ""),
            GeneratorEntry("toy", "tests.toy_plugins:load_generator", ""),
        ],
        "REWARDS": [
            RewardEntry(REWARD, f"{PLUGINS}:load_reward", ""),
            RewardEntry("brightness", "tests.toy_plugins:load_reward", ""),
        ],
        "METHODS": [
            *registry.METHODS.built_in,
            MethodEntry("hostile", f"{PLUGINS}:HostileMethod", ""),
        ],
        "SUITES": [SuiteEntry("hostile", f"{PLUGINS}:HostileSuite", "")],
        "MEASURES": [MeasureEntry("much", f"{PLUGINS}:load_measure", "")],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, known in entries.items():
            kind = name.lower()[:-1]
            toys = Registry(kind, "hnbench.none", type(known[0]), *known)
            patch.setattr(registry, name, toys)
        yield


def hnbench(*arguments: str) -> Result:
    """A command; what it prints is text."""
    done = CliRunner().invoke(app, list(arguments), prog_name="hnbench")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert_no_control(done.output)
    return done


RUN = [
    "run",
    "--generator",
    "strange",
    "--optimise",
    "brightness=1",
    "--hold-out",
    REWARD,
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of a run of all plug-ins with its report, and what was printed."""
    folder = tmp_path_factory.mktemp("hostile") / "run"
    done = hnbench(
        *RUN,
        "--suite",
        "hostile",
        "--method",
        "hostile",
        "--method",
        "best-of-n:n=2",
        "--out",
        str(folder),
    )
    assert done.exit_code == 3, done.output
    return folder, done


def test_json_keeps_the_texts(run: tuple[Path, Result]) -> None:
    folder, _ = run
    records = [
        json.loads(line) for line in (folder / "journal-0000.jsonl").read_text().splitlines()
    ]
    assert {record["prompt"] for record in records} == set(STORABLE)
    assert {record["label"] for record in records} == {"random", "best-of-2", *LABELS}
    assert {record["verdict"]["reason"] for record in records if record.get("verdict")} == set(
        STORABLE
    )
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["suite"]["tags"] == STORABLE
    assert manifest["generator"]["name"] == ALL
    json.loads((folder / "report/headline.json").read_text())


def test_csv_has_no_formula_and_no_control_character(run: tuple[Path, Result]) -> None:
    for name in ("records.csv", "summary.csv"):
        text = (run[0] / "report" / name).read_text()
        assert_no_control(text)
        for cell in (cell for row in csv.reader(io.StringIO(text), strict=True) for cell in row):
            assert not cell.strip().startswith(("=", "+", "-", "@")) or re.fullmatch(
                r"-[\d.e+-]+|-inf", cell
            ), cell
    rows = list(
        csv.DictReader(io.StringIO((run[0] / "report/records.csv").read_text()), strict=True)
    )
    assert (
        {row["prompt"] for row in rows}
        == {row["tag"] for row in rows}
        == {csv_cell(text) for text in STORABLE}
    )
    assert {row["reason"] for row in rows} == {csv_cell(text) for text in STORABLE} | {""}
    assert {row["label"] for row in rows} == {
        csv_cell(text) for text in ("random", "best-of-2", *LABELS)
    }


def test_the_report_is_text(run: tuple[Path, Result]) -> None:
    found = page((run[0] / "report/report.md").read_text())
    shown = squeezed(found.text)
    for text in (ALL, *STORABLE, *LABELS, REWARD):
        assert squeezed(printable(text)) in shown
    widths = [tag for tag, _ in found.elements if tag in ("th", "td", "tr", "table")]
    for table in "".join(
        {"table": "T", "tr": "r", "th": "c", "td": "c"}[tag] for tag in widths
    ).split("T")[1:]:
        assert len({len(row) for row in table.split("r")[1:]}) == 1


def test_prompts_seen_in_training_are_listed_as_text(run: tuple[Path, Result]) -> None:
    """In the whole text, and in each line of the list."""
    made = markdown(replace(summarise_runs([run[0]]), seen={"*method*": STORABLE}), {}, [])
    page(made)
    lines = (
        made.partition("<summary>The prompts</summary>")[2]
        .partition("</details>")[0]
        .strip()
        .splitlines()
    )
    shown = [squeezed(page(line).text) for line in lines]
    assert sorted(shown) == sorted(squeezed(printable(text)) for text in STORABLE)


def test_plots_are_drawings(run: tuple[Path, Result]) -> None:
    plots = list((run[0] / "report").glob("*.svg"))
    assert plots
    for path in plots:
        assert_no_control(path.read_text())
        tags = {element.tag.rpartition("}")[2] for element in ET.parse(path).iter()}  # noqa: S314
        assert not tags & {"script", "a", "image", "foreignObject", "b", "img"}


def test_the_terminal_shows_the_texts(run: tuple[Path, Result]) -> None:
    shown = squeezed(run[1].stdout)
    for label in LABELS:
        assert squeezed(printable(label)) in shown
    assert squeezed(printable(REWARD)) in shown


def test_score_measure_and_export_show_the_texts(run: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = run
    scored = hnbench(
        "score",
        str(folder),
        "--suite",
        "hostile",
        "--partial",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "scores"),
    )
    assert scored.exit_code == 0, scored.output
    for text in (*STORABLE, *LABELS):
        assert squeezed(printable(text)) in squeezed(scored.stdout)
    lines = [
        json.loads(line) for line in (tmp_path / "scores/results.jsonl").read_text().splitlines()
    ]
    assert {line["prompt"] for line in lines} == {line["tag"] for line in lines} == set(STORABLE)
    measured = hnbench(
        "measure",
        str(folder),
        "--suite",
        "hostile",
        "--measure",
        "much",
        "--partial",
        "--device",
        "cpu",
    )
    assert measured.exit_code == 0, measured.output
    assert squeezed(printable(HostileMeasure.about)) in squeezed(measured.stdout)
    exported = hnbench(
        "export",
        str(folder),
        "--layout",
        "geneval",
        "--partial",
        "--out",
        str(tmp_path / "exported"),
    )
    assert exported.exit_code == 0, exported.output
    for label in LABELS:
        assert f"{printable(label)}: " in exported.stdout
    assert len(list((tmp_path / "exported").iterdir())) == len(LABELS) + 2


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_file_of_any_name_gives_its_report_that_title(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"x{name}.txt").write_text("a red circle\n")
    done = hnbench(
        *RUN, "--suite", f"x{name}.txt", "--method", "random", "--out", "out", "--no-report"
    )
    assert done.exit_code == 0, done.output
    title = page(markdown(summarise_runs([Path("out")]), {}, [])).text.splitlines()[0]
    assert squeezed(title) == squeezed(printable(f"{file_name(Path(f'x{name}.txt'))} on {ALL}"))


@pytest.mark.parametrize("text", ARGUMENTS)
def test_errors_show_what_was_typed_as_text(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [
        ["report", "--", text],
        ["report", "a", "--out", "b", f"--{text}"],
        ["score", "a", f"b{text}", "--suite", "hostile"],
        ["score", f"x{text}", "--suite", "hostile"],
        ["export", f"x{text}", "--layout", "geneval", "--out", "o"],
        ["measure", f"x{text}", "--measure", "much"],
        ["run", "--suite", text, "--method", "random"],
        [*RUN, "--suite", "hostile", "--method", f"x{text}"],
        ["run", "--suite", "hostile", "--generator", f"x{text}"],
        ["run", "--suite", "hostile", "--optimise", f"x{text}=1"],
        ["train", "--prompts", f"x{text}.txt"],
        ["diagnose", "--hypernetwork", f"x{text}"],
        ["list", f"x{text}"],
        ["verify", f"x{text}"],
        ["verify", "--explain", f"x{text}"],
        ["fetch", "--measure", f"x{text}"],
        ["push", f"x{text}", "owner/name"],
        [f"x{text}"],
        [f"--x{text}"],
    ]
    for command in commands:
        assert hnbench(*command).exit_code in (2, 4), command


@pytest.mark.parametrize("text", STORABLE)
def test_a_model_card_shows_names_as_text(text: str, tmp_path: Path) -> None:
    generator = ToyGenerator()
    description: dict[str, Any] = {
        "kind": "hypernoise",
        "generator": {
            "name": text,
            "fingerprint": text,
            "backbone": text,
            "last_layer": text,
            "noise_shape": [1],
            "base": text,
            "pipeline": text,
        },
        "config": {"rewards": {text: 2.0}, "rank": 4, "lora_alpha": 8},
        "training": {"seconds": 12.5, "steps": 3, "images": 12, "device": text},
    }
    save_adapter(
        tmp_path / "a",
        LoraAdapter(generator.backbone, LoraSettings(4, 8)),
        generator.backbone,
        description,
    )
    _, front, body = (tmp_path / "a/README.md").read_text().split("---\n", 2)
    yaml: Any = pytest.importorskip("yaml")
    tags = ["lora", "text-to-image", "noise-hypernetwork", "test-time-optimization"]
    assert yaml.safe_load(front) == {
        "library_name": "peft",
        "pipeline_tag": "text-to-image",
        "tags": tags,
    }
    found = page(body)
    assert [tag for tag, _ in found.elements].count("td") == 10
    assert "```" not in body
    assert squeezed(found.text).count(squeezed(printable(text))) >= 5
    assert json.loads((tmp_path / "a/hnbench.json").read_text())["generator"]["name"] == text


@pytest.mark.parametrize("text", TEXTS)
def test_tables_and_lines_show_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_entries([Entry(text, "x:y", text, needs=text), Entry("plain", "x:y", "plain")])
    show_values({text: {text: text}})
    Screen(shown=True).announce(text)
    shown = capsys.readouterr()
    assert_no_control(shown.out + shown.err)
    assert squeezed(shown.out).count(squeezed(printable(text))) >= 3
    assert shown.err == f"{printable(text)}\n"


_OF_RICH = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@pytest.mark.parametrize("text", TEXTS)
def test_bars_on_a_terminal_show_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(
        consoles, "stderr", lambda: Console(file=written, force_terminal=True, width=200)
    )
    bars = RunDisplay()
    bars.start(2)
    bars.label(text)
    bars.advance(2)
    bars.done()
    with StageDisplay() as stages:
        stages.label(text, 1)
        stages.advance(1)
    shown = _OF_RICH.sub("", written.getvalue())
    assert_no_control(shown)
    assert printable(text) in shown
    assert not re.search(r"\x1b\[31m", written.getvalue())
