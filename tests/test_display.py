"""What the displays say, written to a terminal that is a string."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from hnbench import display
from hnbench.display import RunDisplay, StageDisplay, TrainingDisplay, figures, paired_gain, show_entries, show_report, show_values
from hnbench.registry import Entry

EVALUATION = {"gain": 0.03125, "gain_standard_error": 0.0040, "reward": 0.6}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(display, "Console", lambda **keywords: Console(file=written, width=keywords.get("width") or 140))
    return written


def lines(screen: io.StringIO) -> list[str]:
    return [re.sub(r"[━╸╺ ]+", " ", line).strip() for line in screen.getvalue().splitlines() if line.strip()]


def test_a_run_shows_its_total_and_the_methods_that_did_something(screen: io.StringIO) -> None:
    shown = RunDisplay()
    shown.start(10)
    shown.advance(4)
    for name, counts in (("random", []), ("reno", [2, 1]), ("hypernoise", [3])):
        shown.label(name)
        for count in counts:
            shown.advance(count)
    shown.done()
    assert [re.match(r"(\D+ \d+/\d+)", line)[1] for line in lines(screen)] == ["all methods 10/10", "reno 3/3", "hypernoise 3/3"]  # type: ignore[index]


def test_a_run_that_is_cut_off_can_be_ended_twice(screen: io.StringIO) -> None:
    shown = RunDisplay()
    shown.start(10)
    shown.label("reno")
    shown.done()
    shown.done()
    assert lines(screen)[0].startswith("all methods 0/10")


def test_a_score_shows_the_stages_that_have_something_to_do(screen: io.StringIO) -> None:
    with StageDisplay() as shown:
        for name, total in (("reading", 5), ("judging", 0)):
            shown.label(name, total)
            shown.advance(total)
    assert [re.match(r"(\D+ \d+/\d+)", line)[1] for line in lines(screen)] == ["reading 5/5"]  # type: ignore[index]


def test_a_training_shows_each_evaluation_and_the_latest_figures(screen: io.StringIO) -> None:
    with TrainingDisplay() as shown:
        shown.started(0, 3)
        shown.stepped({"step": 0, "evaluation": EVALUATION})
        shown.stepped({"step": 3, "loss": -1.25, "relative_change": 0.0625, "images_per_second": 12.34})
    assert lines(screen)[0] == "step 0: paired reward gain +0.0312 ± 0.0040 (standard error)"
    assert lines(screen)[1].startswith("training 3/3 loss -1.25, change 6.2% of the noise, 12.3 images/s")


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"loss": 0.5, "relative_change": None, "images_per_second": 2.0}, "loss 0.5, 2.0 images/s"),
        ({"loss": None}, ""),
    ],
)
def test_figures_leave_out_what_there_is_not(record: dict[str, Any], text: str) -> None:
    assert figures(record) == text


def test_a_gain_without_error_or_value() -> None:
    assert paired_gain({"gain": -0.5, "gain_standard_error": None}) == "paired reward gain -0.5000"
    assert paired_gain({"gain": None, "gain_standard_error": None}) == "the reward is not finite"


def test_values_are_named_by_their_place(screen: io.StringIO) -> None:
    show_values({"kl": {"mean": 0.123456789, "exact": True}, "prompts": 4})
    assert lines(screen)[-3:] == ["kl.mean 0.123457", "kl.exact True", "prompts 4"]


def test_a_report_keeps_brackets_as_they_are(screen: io.StringIO, tmp_path: Any) -> None:
    table = Table("method", "overall")
    table.add_row("random", "0.500 [.401,.601]")
    show_report(table, ["A gain of +0.1 [bold, 0.2]."], tmp_path / "report.md")
    assert "0.500 [.401,.601]" in screen.getvalue()
    assert "A gain of +0.1 [bold, 0.2]." in screen.getvalue()
    assert str(tmp_path / "report.md") in screen.getvalue()


def test_a_list_keeps_brackets_as_they_are(screen: io.StringIO) -> None:
    show_entries([Entry("hypernoise", "m:f", "prompts", needs="pip install 'hnbench[prompts]'")])
    assert lines(screen)[-1] == "hypernoise prompts pip install 'hnbench[prompts]'"
