"""The page of a report, parsed as HTML, against its text and its records."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

import pytest
from PIL import Image

from hnbench.reports.headlines import headline_lines
from hnbench.reports.markdown import sections
from hnbench.reports.page.document import json_in_html
from hnbench.reports.page.gallery import address, embedded_rows
from hnbench.reports.page.prose import html_of
from hnbench.reports.pairs import all_pairs
from hnbench.reports.summary import Summary, summarise_runs
from hnbench.reports.write import write_report
from tests.hostile import TEXTS
from tests.reports.synthetic import manifest, write_run
from tests.reports.test_other_suites import FEW, rewrite

VOID = {"meta", "link", "img", "input", "br", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)


class Parsed(HTMLParser):
    """All elements of a page, each with all text inside it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.feed(source)
        self.close()
        assert not self.open, "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(one)
        if tag not in VOID:
            self.open.append(one)

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for one in self.open:
            one.texts.append(data)

    def all(self, tag: str) -> list[Element]:
        return [one for one in self.elements if one.tag == tag]

    def with_id(self, name: str) -> Element:
        (one,) = [one for one in self.elements if one.attributes.get("id") == name]
        return one

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.with_id("data").text)
        return found


def at(values: Any, row: int) -> Any:
    return values[row] if isinstance(values, list) else values


@pytest.fixture(scope="module")
def out(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(summary, tmp_path_factory.mktemp("page") / "report").parent


@pytest.fixture(scope="module")
def page(out: Path) -> Parsed:
    return Parsed((out / "index.html").read_text(encoding="utf-8"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, few_plots: None) -> None:
    """Reports without the grid and with one plot."""
    monkeypatch.setattr("hnbench.reports.write.write_grid", lambda *_: "no grid")


def page_of(folder: Path, **options: Any) -> Parsed:
    path = write_report(summarise_runs([folder]), folder / "report", **options)
    return Parsed(path.with_name("index.html").read_text(encoding="utf-8"))


def test_every_finding_and_every_section_is_there(summary: Summary, page: Parsed) -> None:
    (main,) = page.all("main")
    for sentence in headline_lines(summary):
        assert sentence in page.with_id("findings").text
    headings = [one.text for one in page.all("h2")]
    assert headings[:3] == ["Findings", "Headroom", "Methods"]
    for section in sections(summary, published=False):
        name = section.partition("\n")[0].removeprefix("## ")
        assert name in headings
        rows = re.findall(r"^\| (?!---|method )(.*) \|$", section, flags=re.MULTILINE)
        for cell in re.split(r" \| ", " | ".join(rows)):
            plain = cell.replace("**", "").replace("`", "").replace("\\", "").strip()
            assert plain in main.text.replace("\\", "")


def test_every_link_has_its_target(out: Path, page: Parsed) -> None:
    ids = {one.attributes["id"] for one in page.elements if "id" in one.attributes}
    links = [one.attributes["href"] for one in page.all("a")]
    assert len(links) > 20
    assert not [link for link in links if link[0] == "#" and link[1:] not in ids]
    assert all((out / link).is_file() for link in links if link[0] != "#")
    labels = [one.attributes["for"] for one in page.all("label") if "for" in one.attributes]
    assert set(labels) <= ids


def test_every_plot_is_in_the_page_with_its_title(out: Path, page: Parsed) -> None:
    text = (out / "report.md").read_text()
    found = re.findall(r"!\[(.+)\]\((.+)\.png\)", text)
    titles = {re.sub(r"\\(.)", r"\1", title): name for title, name in found}
    shown = [one.attributes for one in page.all("img")]
    assert len(shown) == len(titles) - 1  # the gallery stands for the grid
    for one in shown:
        name = titles[one["alt"]]
        kind, _, content = one["src"].partition(";base64,")
        assert kind == "data:image/svg+xml"
        assert b64decode(content) == (out / f"{name}.svg").read_bytes()


def test_the_policy_allows_only_the_page_itself(page: Parsed) -> None:
    (policy,) = [
        one.attributes["content"]
        for one in page.all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == "'none'"
    assert parts["img-src"] == "'self' file: data:"
    (style,) = page.all("style")
    _, script = page.all("script")
    for name, one in (("style-src", style), ("script-src", script)):
        digest = b64encode(sha256(one.text.encode()).digest()).decode()
        assert parts[name] == f"'sha256-{digest}'"
    handlers = {name for one in page.elements for name in one.attributes if name[:2] == "on"}
    assert not handlers
    assert not [one for one in page.elements if "style" in one.attributes]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", script.text)


def test_the_data_are_the_records(summary: Summary, run_folder: Path, page: Parsed) -> None:
    data, pool = page.data, summary.pool
    assert [one["label"] for one in data["labels"]] == list(pool.labels)
    assert [one["name"] for one in data["rewards"]] == [
        "optimised (shapes-clip)",
        "shapes-resnet (held out)",
        "redness (held out)",
    ]
    rows = data["rows"]
    keys = {}
    for row, (prompt, sample) in enumerate(zip(rows["prompt"], rows["sample"], strict=True)):
        keys[data["prompts"]["id"][prompt], sample] = row
    assert len(keys) == pool.planned == len(rows["prompt"])
    checked = 0
    for record in pool.frame.to_dict("records"):
        row = keys[record["prompt_id"], record["sample"]]
        column = data["columns"][pool.labels.index(record["label"])]
        assert data["prompts"]["text"][rows["prompt"][row]] == record["prompt"]
        assert column["state"][row] == str(int(record["correct"]))
        for place, name in enumerate(("optimised", "shapes-resnet", "redness")):
            value = record[f"reward:{name}"]
            assert at(column["rewards"][place], row) == pytest.approx(value, rel=6e-4)
        assert at(column["passes"], row) == record["generator_passes"]
        assert at(column["seconds"], row) == pytest.approx(record["seconds"], rel=6e-4)
        assert b64decode(column["ids"])[32 * row :][:32].hex() == record["id"]
        checked += 1
    assert checked == 12 * 72


def test_images_are_linked_where_they_are(
    summary: Summary, run_folder: Path, out: Path, page: Parsed
) -> None:
    (folder,) = page.data["folders"]
    record = summary.pool.frame[summary.pool.frame["sample"] == 0].iloc[0]
    link = urljoin((out / "index.html").as_uri(), f"{folder}/{record['image_path']}")
    assert link == (run_folder / record["image_path"]).as_uri()


@pytest.mark.parametrize("name", ["run", "a b", "a#b?c", "javascript:alert(1)", "50% <i>", "ä"])
def test_the_address_of_a_folder_is_relative_and_quoted(tmp_path: Path, name: str) -> None:
    found = address(tmp_path / name, tmp_path / "out" / "report")
    assert found.startswith("../../")
    assert not re.search(r"[:#?<> ]", found)
    assert unquote(found) == f"../../{name}"


def test_a_folder_on_another_drive_has_an_absolute_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_drive(*_: str) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr("os.path.relpath", other_drive)
    assert address(tmp_path / "a b", tmp_path) == f"{tmp_path.as_uri()}/a%20b"


def test_the_numbers_of_a_pair_are_those_of_the_report(summary: Summary, page: Parsed) -> None:
    shown = page.data["pairs"]
    pairs = all_pairs(summary.pool)
    assert len(shown) == len(pairs) == 66
    for numbers, pair in zip(shown, pairs, strict=True):
        for one, score in zip(numbers, (pair.overall, *pair.tags.values()), strict=True):
            gap = score.difference
            assert one[:3] == pytest.approx([gap.estimate, gap.low, gap.high], rel=6e-4)
            assert one[3:] == [score.wins, score.losses, score.ties]


@pytest.mark.usefixtures("quick")
def test_failed_and_missing_samples_are_shown(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", FEW, failed=("reno",), missing=("hypernoise",))
    page = page_of(folder)
    states = {
        label["label"]: column["state"]
        for label, column in zip(page.data["labels"], page.data["columns"], strict=True)
    }
    assert {label: text.count("f") for label, text in states.items()} == dict.fromkeys(FEW, 0) | {
        "reno": 1
    }
    assert states["hypernoise"].count(" ") == 1
    column = page.data["columns"][FEW.index("reno")]
    error = at(column["error"], states["reno"].index("f"))
    assert page.data["texts"][error] == "NonFinite: the image has NaN"
    (warning,) = [one for one in page.all("blockquote") if one.attributes["class"] == "warning"]
    assert warning.text.strip().startswith("Incomplete: 2 planned samples failed or are missing")


@pytest.mark.usefixtures("quick")
def test_pages_of_other_suites(tmp_path: Path) -> None:
    graded = write_run(tmp_path / "graded", FEW, prompts_per_tag=2)
    rewrite(graded, lambda one: {"correct": None, "reason": "so", "score": 0.25 + one["sample"]})
    data = page_of(graded).data
    assert data["judge"] == "grade"
    assert set(data["columns"][1]["state"]) == {"d"}
    assert data["columns"][1]["score"][:2] == [0.25, 1.25]
    assert data["texts"] == ["so"]
    suite = {**manifest(FEW, 2, 2, 0)["suite"], "judge": None}
    unjudged = write_run(tmp_path / "unjudged", FEW, prompts_per_tag=2, changes={"suite": suite})
    rewrite(unjudged, lambda _: None)
    page = page_of(unjudged)
    assert page.data["judge"] == "none"
    summary = summarise_runs([unjudged])
    gain = summary.rows["best-of-2"].reward_gains["optimised"]
    assert page.data["pairs"][0][0][:3] == pytest.approx(
        [gain.estimate, gain.low, gain.high], rel=6e-4
    )
    single = write_run(tmp_path / "single", ("random",), prompts_per_tag=2)
    assert page_of(single).data["pairs"] == []


@pytest.mark.usefixtures("quick")
def test_several_runs_have_each_its_folder(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"seed{seed}", FEW, prompts_per_tag=2, base_seed=seed)
        for seed in (3, 5)
    ]
    path = write_report(summarise_runs(runs), tmp_path / "both")
    data = Parsed(path.with_name("index.html").read_text(encoding="utf-8")).data
    assert data["folders"] == ["../seed3", "../seed5"]
    assert data["seeds"] == [3, 5]
    assert data["rows"]["seed"] == [0] * 24 + [1] * 24


@pytest.mark.usefixtures("quick")
def test_an_embedded_page_contains_its_pictures(run_folder: Path, tmp_path: Path) -> None:
    summary = summarise_runs([run_folder])
    first = summary.pool.frame[summary.pool.frame["label"] == "random"].iloc[0]
    path = write_report(summary, tmp_path / "report", embed=9)
    page = Parsed(path.with_name("index.html").read_text(encoding="utf-8"))
    data = page.data
    assert data["folders"] == []
    assert data["rows"]["sample"] == [0] * 9
    tags = [data["prompts"]["tag"][prompt] for prompt in data["rows"]["prompt"]]
    assert sorted(tags.count(tag) for tag in range(6)) == [1, 1, 1, 2, 2, 2]
    said = " ".join(page.with_id("images").text.split())
    assert "the first sample of 9 of the 36 prompts" in said
    kind, _, content = data["columns"][0]["pictures"][0].partition(";base64,")
    assert kind == "data:image/webp"
    with (
        Image.open(BytesIO(b64decode(content))) as small,
        Image.open(run_folder / first["image_path"]) as original,
    ):
        assert small.convert("RGB").tobytes() == original.convert("RGB").tobytes()
    assert not [link for link in page.all("a") if link.attributes["href"][0] != "#"]
    # The numbers are still those of all samples.
    assert len(data["pairs"]) == 66
    assert sum(data["pairs"][0][0][3:]) == 72


@pytest.mark.usefixtures("quick")
def test_embedding_reduces_large_images_and_says_which_are_missing(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ("random", "reno"), prompts_per_tag=1, images=True)
    images = sorted(summarise_runs([folder]).pool.frame.query("sample == 0")["image_path"])
    Image.new("RGB", (600, 300), "red").save(folder / images[0])
    (folder / images[1]).write_bytes(b"no picture")
    (folder / images[2]).unlink()
    data = page_of(folder, embed=50).data
    pictures = [one for column in data["columns"] for one in column["pictures"]]
    assert len(pictures) == 12
    assert pictures.count(None) == 2
    sizes = []
    for picture in filter(None, pictures):
        with Image.open(BytesIO(b64decode(picture.partition(",")[2]))) as opened:
            sizes.append(opened.size)
    assert sizes.count((256, 128)) == 1
    assert sizes.count((64, 64)) == 9


def test_embedded_prompts_are_spread_over_the_tags(summary: Summary) -> None:
    starts = embedded_rows(summary.pool, 7).tolist()
    # Six tags of six prompts with two samples each: the first of every tag, and a second one.
    assert starts == [0, 2, 12, 24, 36, 48, 60]
    assert len(embedded_rows(summary.pool, 1000)) == 36


@pytest.mark.usefixtures("quick")
def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", FEW, prompts_per_tag=2, images=True)
    pages = []
    for embed in (None, None, 3, 3):
        write_report(summarise_runs([folder]), folder / "report", embed=embed)
        pages.append((folder / "report" / "index.html").read_bytes())
    assert pages[0] == pages[1] != pages[2] == pages[3]


@pytest.mark.usefixtures("quick")
def test_hostile_texts_are_text(tmp_path: Path) -> None:
    storable = [text for text in TEXTS if text.encode(errors="replace").decode() == text]
    content = manifest(FEW, 1, 1, 0)
    plan = content["plan"]
    plan["prompts"] = [
        {"id": f"p{place}", "text": text, "tag": "counting", "samples": 1}
        for place, text in enumerate(storable)
    ]
    suite = {**content["suite"], "name": "<img src=x onerror=alert(1)>.txt"}
    folder = write_run(tmp_path / "run", FEW, changes={"plan": plan, "suite": suite})
    page = page_of(folder)
    assert page.data["prompts"]["text"] == storable
    assert not {"b", "i"} & {one.tag for one in page.elements}
    assert all(one.attributes["src"].startswith("data:") for one in page.all("img"))
    assert len(page.all("script")) == 2
    assert page.all("title")[0].text == "<img src=x onerror=alert(1)>.txt on shapes"


@pytest.mark.parametrize("text", [*TEXTS, "</script><script>alert(1)</script>", "\u2028\u2029"])
def test_json_in_a_script_element_is_read_back(text: str) -> None:
    source = f'<script type="application/json" id="data">{json_in_html({"text": text})}</script>'
    source.encode("utf-8")
    assert Parsed(source).data == {"text": text}


def test_markdown_becomes_elements_and_other_html_stays_text() -> None:
    made = html_of(
        "> [!WARNING]\n> **Incomplete**\n\n| a | b |\n|---|---:|\n| x | 1 |\n\n"
        "<details><summary>The prompts</summary>\n\n- one\n\n</details>\n\n"
        "<details open ontoggle=alert(1)>\n\na <b>c</b> ![d](http://x.org/y.png)"
    )
    parsed = Parsed(made)
    tags = [one.tag for one in parsed.elements]
    assert tags.count("details") == tags.count("table") == 1
    assert not {"b", "img"} & set(tags)
    assert "&lt;details open ontoggle=alert(1)&gt;" in str(made)
    assert parsed.all("blockquote")[0].attributes == {"class": "warning"}
    assert parsed.all("blockquote")[0].text.strip() == "Incomplete"
    assert [one.attributes.get("class") for one in parsed.all("td")] == [None, "number"]
