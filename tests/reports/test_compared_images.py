"""The gallery of a comparison's page against the records of its runs."""

from __future__ import annotations

import shutil
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from urllib.request import url2pathname

import pytest

from hnbench.errors import UsageError
from hnbench.reports.comparison.comparison import Comparison, compared
from hnbench.reports.comparison.rows import ComparedRow
from hnbench.reports.comparison.write import write_comparison
from hnbench.reports.page.compared_images import matched_rows
from tests.hostile import TEXTS
from tests.journals import journal_rows, write_journal
from tests.reports.compared_runs import LABELS, manifest_of, other_noises, with_method, write
from tests.reports.compared_runs import write_trained as trained
from tests.reports.synthetic import TAGS
from tests.reports.test_page import Parsed, at


def of(*folders: Path, labels: tuple[str, ...] = ()) -> Comparison:
    return compared([(None, folder) for folder in folders], labels=labels)


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnbench.reports.comparison.write.PLOTS", {})


def page_of(comparison: Comparison, out: Path, embed: int | None = None) -> Parsed:
    path = write_comparison(comparison, out, embed=embed).with_name("index.html")
    return Parsed(path.read_text(encoding="utf-8"))


def rows_of(folder: Path, label: str) -> dict[tuple[int, str, int], dict[str, Any]]:
    return {
        (row["base_seed"], row["prompt_id"], row["sample"]): row
        for row in journal_rows(folder / "journal-0000.jsonl")
        if row["label"] == label
    }


def shown_keys(data: dict[str, Any]) -> list[tuple[int, str, int]]:
    rows = data["rows"]
    return [
        (data["seeds"][seed], data["prompts"]["id"][prompt], sample)
        for seed, prompt, sample in zip(rows["seed"], rows["prompt"], rows["sample"], strict=True)
    ]


def link(out: Path, data: dict[str, Any], column: int, row: int) -> Path:
    """The file that the page shows, by the rules of `samples.js`."""
    own = data["columns"][column]
    folder = data["folders"][own["folders"][data["rows"]["seed"][row]]]
    name = b64decode(own["ids"])[32 * row :][:32].hex()
    address = urljoin((out / "index.html").as_uri(), f"{folder}/images/{name[:2]}/{name}.png")
    return Path(url2pathname(address.removeprefix("file://")))


def test_rows_are_matched_once_for_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is looked for among all pairs, of which there are many."""
    calls: list[Comparison] = []

    def counted(comparison: Comparison) -> list[ComparedRow]:
        calls.append(comparison)
        return matched_rows(comparison)

    for module in ("comparison", "compared_images"):
        monkeypatch.setattr(f"hnbench.reports.page.{module}.matched_rows", counted)
    comparison = of(write(tmp_path / "a"), trained(tmp_path / "b"))
    page_of(comparison, tmp_path / "out")
    assert calls == [comparison]


def test_the_images_of_both_runs_are_side_by_side_and_linked_where_they_are(
    tmp_path: Path,
) -> None:
    """Each run pools two seeds, which come in another order in the other run."""
    first = {seed: write(tmp_path / f"a#{seed} ?", seed=seed, images=True) for seed in (0, 1)}
    other = {seed: trained(tmp_path / f"b{seed}", seed=seed, images=True) for seed in (1, 0)}
    found = of(*first.values(), *other.values())
    data = page_of(found, tmp_path / "out").data
    names = [one["name"] for one in data["labels"]]
    assert names == [level.row.name for level in found.levels]
    keys = shown_keys(data)
    assert len(set(keys)) == len(keys) == 2 * 2 * 3 * len(TAGS)
    checked = 0
    for column, level in enumerate(found.levels):
        folders = other if level.row.group is found.groups[1] else first
        records = {
            key: record
            for folder in folders.values()
            for key, record in rows_of(folder, level.row.label).items()
        }
        for row, key in enumerate(keys):
            record = records[key]
            assert data["columns"][column]["state"][row] == str(int(record["verdict"]["correct"]))
            value = at(data["columns"][column]["rewards"][0], row)
            assert value == pytest.approx(record["rewards"]["optimised"], rel=6e-4)
            image = link(tmp_path / "out", data, column, row)
            assert image == folders[key[0]] / record["image"]["path"]
            assert image.is_file() == (key[2] == 0)
            checked += 1
    assert checked == 5 * 72


def test_wins_and_losses_are_counted_over_the_records(tmp_path: Path) -> None:
    first, other = write(tmp_path / "a"), trained(tmp_path / "b")
    found = of(first, other)
    data = page_of(found, tmp_path / "out").data
    names = [one["label"] for one in data["labels"]]
    assert data["start"] == {
        "view": "pair",
        "order": "gain",
        "a": found.contrasts[0].reference.name,
        "b": found.contrasts[0].row.name,
    }
    # (0, 1), (0, 2), ...; the last two are the two hypernetworks
    assert len(data["pairs"]) == 10
    assert names[3:] == [data["start"]["a"], data["start"]["b"]]
    ours, theirs = rows_of(first, "hypernoise"), rows_of(other, "hypernoise")
    overall, *tags = data["pairs"][-1]
    interval = found.contrasts[0].metrics["score"].overall
    assert overall[:3] == pytest.approx(
        [interval.estimate, interval.low, interval.high], rel=6e-4, abs=1e-9
    )
    for numbers, kept in zip((overall, *tags), (TAGS, *((tag,) for tag in TAGS)), strict=True):
        changes = Counter(
            theirs[key]["verdict"]["correct"] - row["verdict"]["correct"]
            for key, row in ours.items()
            if row["tag"] in kept
        )
        assert numbers[3:] == [changes[1], changes[-1], changes[0]]
    assert overall[3] > 0
    assert overall[4] > 0


def test_samples_that_a_run_did_not_plan_have_no_row(tmp_path: Path) -> None:
    """One run has more prompts, more seeds and fewer samples."""
    plan = with_method(LABELS, 0, 2, name="hypernoise", adapter="e" * 64)
    for prompt in plan["prompts"]:
        prompt["samples"] = 1
    wide = [write(tmp_path / f"a{seed}", seed=seed) for seed in (0, 1)]
    narrow = write(tmp_path / "b", plan=plan)
    found = of(*wide, narrow)
    data = page_of(found, tmp_path / "out").data
    assert sorted(shown_keys(data)) == sorted(
        (0, f"{tag}/{index:04d}", 0) for tag in TAGS for index in range(2)
    )
    assert all(" " not in column["state"] for column in data["columns"])


def test_a_missing_sample_keeps_its_row(tmp_path: Path) -> None:
    first, other = write(tmp_path / "a"), trained(tmp_path / "b")
    rows = journal_rows(other / "journal-0000.jsonl")
    gone = next(row for row in rows if row["label"] == "hypernoise")
    write_journal(other / "journal-0000.jsonl", [row for row in rows if row is not gone])
    data = page_of(of(first, other), tmp_path / "out").data
    row = shown_keys(data).index((0, gone["prompt_id"], gone["sample"]))
    assert data["columns"][-1]["state"][row] == " "
    assert data["columns"][-1]["state"].count(" ") == 1


def test_runs_of_other_noises_have_no_gallery_and_the_page_says_so(tmp_path: Path) -> None:
    plan = with_method(LABELS, 0, 3, name="hypernoise", adapter="e" * 64)
    first = write(tmp_path / "a")
    other = write(tmp_path / "b", plan=plan, change=other_noises)
    page = page_of(of(first, other), tmp_path / "out")
    assert page.data is None
    assert "have no starting noise in common" in " ".join(page.with_id("images").text.split())
    assert not [one for one in page.elements if one.attributes.get("id") == "filters"]
    # A third run with the noises of the first one is shown beside it, and the page names the rest.
    third = trained(tmp_path / "c", adapter="f" * 64)
    found = of(first, other, third)
    page = page_of(found, tmp_path / "three")
    names = [one["name"] for one in page.data["labels"]]
    left = [level.row.name for level in found.levels if level.row.group is found.groups[1]]
    assert names == [level.row.name for level in found.levels if level.row.name not in left]
    assert all(name in page.with_id("images").text for name in left)
    assert page.data["start"]["b"] == names[-1]


def test_two_settings_of_one_run_and_rewards_in_common(tmp_path: Path) -> None:
    first = write(tmp_path / "a")
    data = page_of(of(first, labels=("random", "reno")), tmp_path / "one").data
    assert [one["label"] for one in data["labels"]] == ["random", "reno"]
    assert len({one["colour"] for one in data["labels"]}) == 2
    suite, rewards = manifest_of(first)["suite"], manifest_of(first)["rewards"]
    other = write(
        tmp_path / "b",
        suite={**suite, "judge": {"name": "other", "fingerprint": "8" * 64}},
        rewards={**rewards, "fingerprints": {**rewards["fingerprints"], "redness": "7" * 64}},
        plan=with_method(LABELS, 0, 3, name="hypernoise", adapter="e" * 64),
    )
    found = of(first, other)
    data = page_of(found, tmp_path / "two").data
    assert data["judge"] == "none"
    assert [one["name"] for one in data["rewards"]] == [
        "optimised (shapes-clip)",
        "shapes-clip (optimised)",
        "shapes-resnet (held out)",
    ]
    (one,) = [one for one in found.contrasts if one.row.label == "hypernoise"]
    pairs = {(pair.first.name, pair.second.name): pair.scores for pair in found.pairs}
    shown = pairs[one.reference.name, one.row.name]
    assert shown is not None
    ours, theirs = rows_of(first, "hypernoise"), rows_of(other, "hypernoise")
    name = "optimised"
    wins = sum(theirs[key]["rewards"][name] > row["rewards"][name] for key, row in ours.items())
    assert shown.overall.wins == wins


def test_an_embedded_page_contains_the_pictures_of_both_runs(tmp_path: Path) -> None:
    first, other = write(tmp_path / "a", images=True), trained(tmp_path / "b", images=True)
    found = of(first, other)
    page = page_of(found, tmp_path / "out", embed=6)
    assert page.data["folders"] == []
    assert "the first sample of 6 of the 18 prompts" in " ".join(
        page.with_id("images").text.split()
    )
    pictures = [column["pictures"] for column in page.data["columns"]]
    assert [len(column) for column in pictures] == [6] * 5
    assert all(one.startswith("data:image/webp;base64,") for column in pictures for one in column)
    # Without the folder of the second run, only its pictures are missing.
    shutil.rmtree(other / "images")
    pictures = [
        column["pictures"] for column in page_of(found, tmp_path / "out", embed=6).data["columns"]
    ]
    assert [column.count(None) for column in pictures] == [0, 0, 0, 0, 6]


def test_embedding_no_prompt_is_refused(tmp_path: Path) -> None:
    import hnbench

    with pytest.raises(UsageError, match="`embed` is 0"):
        hnbench.compare(tmp_path, embed=0)


def test_hostile_prompts_are_text(tmp_path: Path) -> None:
    storable = [text for text in TEXTS if text.encode(errors="replace").decode() == text]
    plan = with_method(LABELS, 0, 1, name="random")
    plan["prompts"] = [
        {"id": f"p{place}", "text": text, "tag": "counting", "samples": 1}
        for place, text in enumerate(storable)
    ]
    first = write(tmp_path / "a", plan=plan)
    methods = with_method(LABELS, 0, 1, name="hypernoise", adapter="<i>")["methods"]
    other = write(tmp_path / "b", plan={**plan, "methods": methods})
    page = page_of(of(first, other), tmp_path / "out")
    assert page.data["prompts"]["text"] == storable
    assert not {"b", "i", "img"} & {one.tag for one in page.elements}
    assert len(page.all("script")) == 2


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    folders = write(tmp_path / "a", images=True), trained(tmp_path / "b", images=True)
    pages = []
    for embed in (None, None, 3, 3):
        write_comparison(of(*folders), tmp_path / "out", embed=embed)
        pages.append((tmp_path / "out/index.html").read_bytes())
    assert pages[0] == pages[1] != pages[2] == pages[3]
