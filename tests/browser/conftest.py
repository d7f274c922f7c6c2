"""A Chromium that reaches nothing but files, and pages that are watched for errors and requests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hnbench.reports.comparison.comparison import compared
from hnbench.reports.comparison.write import write_comparison
from hnbench.reports.summary import summarise_runs
from hnbench.reports.write import write_report
from tests.reports.compared_runs import with_method, write, write_trained
from tests.reports.synthetic import TAGS, manifest, write_run

pytestmark = pytest.mark.browser
LABELS = ("random", "best-of-2", "reno", "hypernoise")
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> 'quoted'",
    "[link](javascript:alert(1))",
    "right to left \u202e override",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "nul\x00byte and emoji \N{FAMILY}",
)


class Watched:
    """A page, and what it did wrong."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("console", lambda message: self.problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        page.on("request", self._request)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.problems.append(f"request: {request.url}")


def expect(found: Any) -> Any:
    """Playwright's assertions about a page or a locator, which wait until they hold. They do not
    evaluate text in the page, which its content security policy forbids.
    """
    return pytest.importorskip("playwright.sync_api").expect(found)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium; name one by CHROMIUM")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with hostile prompts, a failed and a missing sample, and images of the first samples
    only.
    """
    content = manifest(LABELS, 8, 2, 0)
    for prompt, text in zip(content["plan"]["prompts"], HOSTILE, strict=False):
        prompt["text"] = text
    folder = write_run(
        tmp_path_factory.mktemp("browser") / "run",
        LABELS,
        prompts_per_tag=8,
        images=True,
        failed=("reno",),
        missing=("best-of-2",),
        changes={"plan": content["plan"]},
    )
    return write_report(summarise_runs([folder]), folder / "report").with_name("index.html")


@pytest.fixture(scope="session")
def embedded(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page that contains its images, so that it asks for nothing."""
    out = tmp_path_factory.mktemp("embedded")
    return write_report(summarise_runs([report.parents[1]]), out, embed=len(TAGS) * 8).with_name(
        "index.html"
    )


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page that compares two runs with hostile prompts, in folders whose names need quoting."""
    place = tmp_path_factory.mktemp("compared")
    plan = with_method(LABELS, 0, 4, name="random")
    for prompt, text in zip(plan["prompts"], HOSTILE, strict=False):
        prompt["text"] = text
    first = write(place / "a#1 ?", size=4, images=True, plan=plan)
    other = write_trained(place / "b", size=4, images=True, prompts=plan["prompts"])
    found = compared([(None, first), (None, other)])
    return write_comparison(found, place / "out").with_name("index.html")


@pytest.fixture
def opened(chromium: Any, embedded: Path) -> Iterator[Watched]:
    """The embedded page at a desktop's size. Nothing may have gone wrong at the end."""
    watched = Watched(chromium.new_page(viewport={"width": 1280, "height": 900}))
    watched.page.goto(f"{embedded.as_uri()}#images")
    yield watched
    watched.page.close()
    assert watched.problems == []
