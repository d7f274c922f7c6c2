from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib import font_manager

from hnbench.reports import glyphs
from hnbench.reports.glyphs import drawable, drawable_with
from hnbench.reports.summary import summarise_runs
from hnbench.reports.write import write_report
from tests.reports.synthetic import TAGS, write_run

STRANGE = [
    "日本語の赤い円",
    "a 🙂 cat",
    "nul \x00 here",
    "esc \x1b[31m",
    "\u202eright to left",
    "ქართული ᚠᚢᚦ",
    "$\\frac{a",
    "a\nb\tc",
]


@pytest.mark.filterwarnings("error")
def test_a_report_of_any_prompts_has_no_remarks(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prompts = [
        {"id": f"{tag}/{i}", "text": STRANGE[i], "tag": tag, "samples": 1}
        for tag in TAGS[:1]
        for i in range(len(STRANGE))
    ]
    plan = {
        "protocol": "quick",
        "labels": ["random", "reno"],
        "methods": [{"name": "random"}, {"name": "reno"}],
    }
    changes = {"plan": {**plan, "method_of": {"random": 0, "reno": 1}, "prompts": prompts}}
    run = write_run(tmp_path / "run", labels=("random", "reno"), images=True, changes=changes)
    write_report(summarise_runs([run]), tmp_path / "report")
    assert (tmp_path / "report/grid.png").is_file()
    assert "".join(capfd.readouterr()) == ""


def test_what_no_font_has_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "_installed_with", lambda _: None)
    assert drawable_with("a 日 é \x00") == ("a \\u65e5 é \\x00", ["DejaVu Sans"])
    assert drawable("🙂\x7f") == "\\U0001f642\\x7f"
    assert drawable("plain\n text") == "plain text"


def test_an_installed_font_draws_what_the_main_one_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "_installed_with", {"日": "Some CJK", "🙂": "Some Emoji"}.get)
    assert drawable_with("a 日\x00") == ("a 日\\x00", ["DejaVu Sans", "Some CJK"])
    assert drawable_with("日🙂日 🦀") == (
        "日🙂日 \\U0001f980",
        ["DejaVu Sans", "Some CJK", "Some Emoji"],
    )


def test_the_font_of_boxes_is_no_font() -> None:
    """Matplotlib brings one that has a box for every character."""
    names: list[Any] = [
        entry.name for entry in font_manager.fontManager.ttflist if "LastResort" in entry.fname
    ]
    assert {glyphs._installed_with(one) for one in "\U00010a00\U00016800"}.isdisjoint(names)
