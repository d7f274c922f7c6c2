"""The page of a report as a reader uses it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from hnbench.reports.pairs import all_pairs
from hnbench.reports.summary import summarise_runs
from tests.browser.conftest import HOSTILE, Watched, expect

pytestmark = pytest.mark.browser


def shown_prompts(page: Any) -> list[str]:
    return list(page.locator("article .prompt").all_text_contents())


def column(page: Any, section: str, place: int) -> list[str]:
    cells = page.locator(f"#{section} tbody tr td:nth-child({place})")
    return [text.strip() for text in cells.all_text_contents()]


def count(page: Any) -> int:
    return int(page.locator("#count").text_content().split()[0])


def test_a_table_sorts_by_click_and_by_keyboard(opened: Watched) -> None:
    page = opened.page
    before = column(page, "methods", 1)
    header = page.locator("#methods th", has_text="overall")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    scores = [float(text.split()[0]) for text in column(page, "methods", 2)]
    assert scores == sorted(scores, reverse=True)
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    scores = [float(text.split()[0]) for text in column(page, "methods", 2)]
    assert scores == sorted(scores)
    header.locator("button").press("Space")
    assert header.get_attribute("aria-sort") is None
    assert column(page, "methods", 1) == before


def test_numbers_sort_as_numbers_and_empty_cells_stay_last(opened: Watched) -> None:
    page = opened.page
    button = page.locator("#methods th button", has_text="generator passes")
    button.click()
    assert column(page, "methods", 4 + 1) == ["99", "2", "2", "1"]
    button.click()
    assert column(page, "methods", 5) == ["1", "2", "2", "99"]
    gain = page.locator("#methods th button", has_text="Δ base")
    for _ in range(2):
        gain.click()
        assert column(page, "methods", 1)[-1] == "random noise"


def test_filters_choose_the_samples_of_the_records(opened: Watched, report: Path) -> None:
    page = opened.page
    frame = summarise_runs([report.parents[1]]).pool.frame
    first = frame[frame["sample"] == 0].pivot_table(
        index=["prompt_id", "tag"], columns="label", values="correct"
    )
    assert count(page) == 48
    page.select_option("#a", "random")
    page.select_option("#b", "hypernoise")
    for change, expected in (
        ("gain", (first["random"] < first["hypernoise"]).sum()),
        ("loss", (first["random"] > first["hypernoise"]).sum()),
        ("same", (first["random"] == first["hypernoise"]).sum()),
    ):
        page.select_option("#change", change)
        assert count(page) == expected
    page.select_option("#change", "any")
    page.select_option("#tag", "counting")
    assert count(page) == 8
    assert {text.split(" ·")[0] for text in page.locator(".about").all_text_contents()} == {
        "counting"
    }
    page.select_option("#tag", "")
    page.fill("#q", "COUNTING 3")
    assert shown_prompts(page) == ["a photo of a red circle, counting 3"]
    page.fill("#q", "nothing like this")
    assert page.locator("#nothing").is_visible()
    page.locator("button[type=reset]").click()
    assert count(page) == 48
    rewards = frame[frame["sample"] == 0].pivot_table(
        index="prompt_id", columns="label", values="reward:optimised"
    )
    far = ((rewards["hypernoise"] - rewards["random"]).abs() >= 0.35).sum()
    page.fill("#least", "0.35")
    assert count(page) == far


def test_samples_are_ordered(opened: Watched, report: Path) -> None:
    page = opened.page
    frame = summarise_runs([report.parents[1]]).pool.frame
    first = frame[(frame["sample"] == 0) & (frame["status"] == "done")]
    share = first.groupby("prompt")["correct"].mean()
    smaller = share.where(share <= 0.5, 1 - share)
    found = [text for text in shown_prompts(page) if text in smaller.index]
    values = [smaller[text] for text in found]
    assert len(values) > 10
    assert values == sorted(values, reverse=True)
    page.select_option("#order", "prompt")
    assert shown_prompts(page)[6:8] == [
        "a photo of a red circle, single_object 6",
        "a photo of a red circle, single_object 7",
    ]
    page.select_option("#order", "change")
    rewards = first.pivot_table(index="prompt", columns="label", values="reward:optimised")
    change = (rewards["hypernoise"] - rewards["random"]).sort_values(ascending=False)
    expected = [text for text in change.index if text not in HOSTILE][:3]
    plain = [text for text in shown_prompts(page) if text.startswith("a photo")]
    assert plain[:3] == expected


def test_the_view_is_in_the_address(opened: Watched, embedded: Path, chromium: Any) -> None:
    page = opened.page
    page.locator("input[name=view][value=pair]").check()
    page.select_option("#b", "reno")
    page.fill("#q", "circle & more")
    # The address follows a moment after the last key.
    expect(page).to_have_url(re.compile(r"#images\?.*q=circle"))
    address = page.url
    other = chromium.new_page()
    other.goto(address)
    assert other.locator("input[value=pair]").is_checked()
    assert other.locator("#b").input_value() == "reno"
    assert other.locator("#q").input_value() == "circle & more"
    assert other.locator("#change").input_value() == "differ"
    other.goto(f"{embedded.as_uri()}#images?view=none&b=unknown&tag=counting&least=-1")
    assert other.locator("#tag").input_value() == "counting"
    assert other.locator("#b").input_value() == "hypernoise"
    assert other.locator("#count").text_content() == "8 of 48 samples"
    other.close()


def test_a_against_b_has_the_numbers_of_the_report(opened: Watched, report: Path) -> None:
    page = opened.page
    pairs = {
        (one.first, one.second): one for one in all_pairs(summarise_runs([report.parents[1]]).pool)
    }
    page.locator("input[name=view][value=pair]").check()
    for a, b in (("random", "reno"), ("reno", "random")):
        page.select_option("#a", a)
        page.select_option("#b", b)
        one = pairs["random", "reno"].overall
        sign = 1 if a == "random" else -1
        shown = page.locator("#pair-total strong").text_content().replace("\N{MINUS SIGN}", "-")
        assert float(shown.split()[0]) == pytest.approx(sign * one.difference.estimate, abs=6e-4)
        low = float(shown.split("[")[1].split(",")[0])
        bound = one.difference.low if sign > 0 else -one.difference.high
        assert low == pytest.approx(bound, abs=6e-4)
        wins, losses = (one.wins, one.losses) if sign > 0 else (one.losses, one.wins)
        text = page.locator("#pair-total").text_content()
        assert f"B is higher in {wins} samples, A in {losses}; they are equal in {one.ties}" in text
    assert page.locator("#pair-tags tbody tr").count() == 6
    for row in page.locator("article").all()[:5]:
        verdicts = row.locator(".cell").evaluate_all("all => all.map(one => one.className)")
        assert len(verdicts) == len(set(verdicts)) == 2
    page.select_option("#a", "random")
    assert page.locator("#pair").is_hidden()


def test_the_viewer_opens_steps_and_closes_by_keyboard(opened: Watched) -> None:
    page = opened.page
    page.select_option("#order", "prompt")
    page.locator(".cell").first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#viewer")
    assert dialog.is_visible()
    assert page.locator("#viewer-heading").text_content() == "random noise"
    assert "sample, seed" in page.locator("#viewer-facts").text_content()
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer-heading").text_content() == "best-of-2"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator("#viewer-prompt").text_content() == HOSTILE[2]
    facts = page.locator("#viewer-facts").text_content()
    assert all(
        name in facts for name in ("verdict", "optimised (shapes-clip)", "seconds", "passes")
    )
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    assert page.evaluate("document.activeElement.dataset.key") == "1 2"
    assert page.evaluate("document.activeElement.closest('article').textContent").startswith(
        HOSTILE[2]
    )


def test_failed_and_missing_samples_say_so(opened: Watched) -> None:
    page = opened.page
    page.select_option("#order", "prompt")
    boxes = page.locator("article").first.locator(".missing").all_text_contents()
    assert boxes == ["not done yet", "NonFinite: the image has NaN"]


def test_hostile_prompts_are_text(opened: Watched) -> None:
    page = opened.page
    page.select_option("#order", "prompt")
    assert shown_prompts(page)[:6] == [
        *HOSTILE[:3],
        "right to left \\u202e override",
        HOSTILE[4],
        "nul\\u0000byte and emoji \N{FAMILY}",
    ]
    assert page.locator("article script, article img[src=x], article a").count() == 0
    hebrew = page.locator("article .prompt").nth(4)
    assert hebrew.evaluate("one => getComputedStyle(one).direction") == "rtl"


def test_rows_are_made_and_removed_while_scrolling(opened: Watched) -> None:
    page = opened.page
    made = page.locator("article").count()
    assert 12 <= made < 48
    height = page.evaluate("document.documentElement.scrollHeight")
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    last = page.locator(".block:last-child > *")
    expect(last).not_to_have_count(0)
    assert page.evaluate("document.documentElement.scrollHeight") == pytest.approx(height, abs=2)
    page.evaluate("window.scrollTo(0, 0)")
    expect(last).to_have_count(0)


def test_linked_images_load_and_missing_ones_have_a_box(chromium: Any, report: Path) -> None:
    watched = Watched(chromium.new_page(viewport={"width": 1280, "height": 900}))
    page = watched.page
    page.goto(f"{report.as_uri()}#images?order=prompt&q=single_object+6")
    images = page.locator(".box img")
    expect(images).to_have_count(4)
    for place in range(4):
        expect(images.nth(place)).to_have_js_property("complete", value=True)
    loaded = page.locator(".box img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert loaded == [64] * 4
    boxes = page.locator("article").nth(1).locator(".missing").all_text_contents()
    assert boxes == ["image missing"] * 4
    page.close()
    assert all("ERR_FILE_NOT_FOUND" in one for one in watched.problems)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious(chromium: Any, embedded: Path, scheme: str, width: int) -> None:
    if "AXE" not in os.environ:
        pytest.skip("AXE does not name axe.min.js; `nox -s browser` gets it by npm")
    # The page's policy refuses the script of a test, as it should.
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(embedded.as_uri())
    page.add_script_tag(path=os.environ["AXE"])
    for view in ("", "view=pair", "viewer"):
        if view == "viewer":
            page.locator(".cell").first.click()
        elif view:
            page.evaluate(f"location.hash = '#images?{view}'")
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
