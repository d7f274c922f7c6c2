"""The images of two runs side by side, as a reader of `hnbench compare` uses them."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import HOSTILE, Watched, expect
from tests.journals import journal_rows

pytestmark = pytest.mark.browser
NOT_ON_THE_DISK = "ERR_FILE_NOT_FOUND"
"""Only the first samples of the made-up runs have images."""


def gains(comparison: Path) -> dict[tuple[str, int], int]:
    """Prompt and sample -> the change of the verdict from the first run's hypernetwork to that of
    the other, from the journals.
    """
    verdicts = [
        {
            (row["prompt"], row["sample"]): row["verdict"]["correct"]
            for row in journal_rows(comparison.parents[1] / name / "journal-0000.jsonl")
            if row["label"] == "hypernoise"
        }
        for name in ("a#1 ?", "b")
    ]
    return {key: verdicts[1][key] - one for key, one in verdicts[0].items()}


@pytest.fixture
def watched(chromium: Any, comparison: Path) -> Any:
    found = Watched(chromium.new_page(viewport={"width": 1280, "height": 900}))
    found.page.goto(f"{comparison.as_uri()}#images")
    yield found
    found.page.close()
    assert [one for one in found.problems if NOT_ON_THE_DISK not in one] == []


def shown(page: Any) -> list[tuple[str, int]]:
    """Prompt and sample of the rows that are made."""
    found = []
    for row in page.locator("article").all():
        about = row.locator(".about").text_content()
        found.append(
            (row.locator(".prompt").text_content(), int(about.split("sample ")[1].split(" ")[0]))
        )
    return found


def test_the_first_view_has_both_runs_gains_first(watched: Watched, comparison: Path) -> None:
    page = watched.page
    names = page.locator("article").first.locator(".name").all_text_contents()
    assert names == ["hypernoise (adapter=ab)", "hypernoise (adapter=eeeeeeee)"]
    assert page.locator("#count").text_content() == "48 of 48 samples"
    expected = gains(comparison)
    visible = {key: value for key, value in expected.items() if key[0] not in HOSTILE}
    values = [visible[key] for key in shown(page) if key in visible]
    assert len(values) >= 10
    assert values == sorted(values, reverse=True)
    wins, losses = (sum(value == sign for value in expected.values()) for sign in (1, -1))
    assert wins > 0
    assert losses > 0
    text = page.locator("#pair-total").text_content()
    assert f"B is higher in {wins} samples, A in {losses}; they are equal in" in text


def test_samples_are_filtered_by_task_and_by_change_of_verdict(
    watched: Watched, comparison: Path
) -> None:
    page = watched.page
    expected = gains(comparison)
    for change, sign in (("gain", 1), ("loss", -1)):
        page.select_option("#change", change)
        assert set(shown(page)) == {key for key, value in expected.items() if value == sign}
    page.select_option("#change", "any")
    page.select_option("#tag", "counting")
    assert page.locator("#count").text_content() == "8 of 48 samples"
    assert all("counting" in prompt for prompt, _ in shown(page))
    # Within the same change of verdict, the larger growth of the reward comes first.
    page.select_option("#change", "same")
    grown = []
    for row in page.locator("article").all():
        a, b = (
            float(text.removeprefix("reward ").replace("\N{MINUS SIGN}", "-"))
            for text in row.locator(".figures").all_text_contents()
        )
        grown.append(b - a)
    assert len(grown) > 3
    assert all(x >= y - 2e-3 for x, y in itertools.pairwise(grown))
    page.locator("button[type=reset]").click()
    assert page.locator("#order").input_value() == "gain"
    assert page.locator("#count").text_content() == "48 of 48 samples"


def test_images_load_from_both_folders_and_missing_ones_are_said(
    chromium: Any, comparison: Path, tmp_path: Path
) -> None:
    place = tmp_path / "moved together"
    shutil.copytree(comparison.parents[1], place)
    for moved, loaded in ((False, 2), (True, 1)):
        if moved:
            (place / "b").rename(tmp_path / "elsewhere")
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{(place / 'out' / 'index.html').as_uri()}#images?q=colors+2")
        row = page.locator("article").filter(has_text="sample 0")
        other = page.locator("article").filter(has_text="sample 1")
        expect(other.locator(".missing")).to_have_text(["image missing"] * 2)
        expect(row.locator(".missing")).to_have_count(2 - loaded)
        expect(row.locator(".box img")).to_have_count(loaded)
        for image in row.locator(".box img").all():
            expect(image).to_have_js_property("naturalWidth", 64)
            assert image.get_attribute("loading") == "lazy"
            assert image.get_attribute("src").startswith("../")
        page.close()


def test_hostile_prompts_are_text_and_the_viewer_opens(watched: Watched) -> None:
    page = watched.page
    page.select_option("#order", "prompt")
    prompts = page.locator("article .prompt").all_text_contents()
    assert prompts[:6:2] == list(HOSTILE[:3])
    assert page.locator("article script, article img[src=x], article a").count() == 0
    page.locator(".cell").nth(1).click()
    assert page.locator("#viewer-heading").text_content() == "hypernoise (adapter=eeeeeeee)"
    assert "verdict" in page.locator("#viewer-facts").text_content()
    page.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious(
    chromium: Any, comparison: Path, scheme: str, width: int
) -> None:
    if "AXE" not in os.environ:
        pytest.skip("AXE does not name axe.min.js; `nox -s browser` gets it by npm")
    # The page's policy refuses the script of a test, as it should.
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(comparison.as_uri())
    page.add_script_tag(path=os.environ["AXE"])
    result = page.evaluate("axe.run()")
    assert len(result["passes"]) > 10
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]][:3])
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()
