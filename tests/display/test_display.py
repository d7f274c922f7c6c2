"""What the displays say, written to a terminal that is a string."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

import hnbench.display.run
from hnbench.catalogue.entries import Entry
from hnbench.cli.printing import show_entries, show_report, show_values
from hnbench.display import consoles
from hnbench.display.log import Log
from hnbench.display.run import RunDisplay
from hnbench.display.stages import StageDisplay
from hnbench.display.training import TrainingDisplay, figures, paired_gain

EVALUATION = {"gain": 0.03125, "gain_standard_error": 0.0040, "reward": 0.6}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(
        consoles,
        "Console",
        lambda **keywords: Console(file=written, width=keywords.get("width") or 140),
    )
    return written


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(
        consoles,
        "Console",
        lambda **_: Console(file=written, width=140, force_terminal=True, force_interactive=False),
    )
    return written


def lines(screen: io.StringIO) -> list[str]:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    return [re.sub(r"[━╸╺ ]+", " ", line).strip() for line in plain.splitlines() if line.strip()]


def test_a_run_shows_its_total_and_the_methods_that_did_something(terminal: io.StringIO) -> None:
    shown = RunDisplay()
    shown.start(10)
    shown.advance(4)
    for name, counts in (("random", []), ("reno", [2, 1]), ("hypernoise", [3])):
        shown.label(name)
        for count in counts:
            shown.advance(count)
    shown.done()
    assert [re.match(r"(\D+ \d+/\d+)", line)[1] for line in lines(terminal)] == [  # type: ignore[index]
        "all methods 10/10",
        "reno 3/3",
        "hypernoise 3/3",
    ]


def test_a_run_that_is_cut_off_can_be_ended_twice(terminal: io.StringIO) -> None:
    shown = RunDisplay()
    shown.start(10)
    shown.label("reno")
    shown.done()
    shown.done()
    assert lines(terminal)[0].startswith("all methods 0/10")


def test_a_score_shows_the_stages_that_have_something_to_do(terminal: io.StringIO) -> None:
    with StageDisplay() as shown:
        for name, total in (("reading", 5), ("judging", 0)):
            shown.label(name, total)
            shown.advance(total)
    assert [re.match(r"(\D+ \d+/\d+)", line)[1] for line in lines(terminal)] == ["reading 5/5"]  # type: ignore[index]


def test_a_training_shows_each_evaluation_and_the_latest_figures(terminal: io.StringIO) -> None:
    with TrainingDisplay() as shown:
        shown.started(0, 3)
        shown.stepped({"step": 0, "evaluation": EVALUATION})
        shown.stepped(
            {"step": 3, "loss": -1.25, "relative_change": 0.0625, "images_per_second": 12.34}
        )
    assert lines(terminal)[0] == "step 0: paired reward gain +0.0312 ± 0.0040 (standard error)"
    assert lines(terminal)[1].startswith(
        "training 3/3 loss -1.25, change 6.2% of the noise, 12.3 images/s"
    )


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            {"loss": 0.5, "relative_change": None, "images_per_second": 2.0},
            "loss 0.5, 2.0 images/s",
        ),
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


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def logged(total: int, steps: list[tuple[float, int]], done: int = 0) -> list[str]:
    """What a log says of work whose state is `done` at each time."""
    stream, clock = io.StringIO(), Clock()
    log = Log(Console(file=stream, width=200), clock)
    log.begin("work", total, done)
    for seconds, reached in steps:
        clock.now = seconds
        log.reach(reached)
    log.end()
    return stream.getvalue().splitlines()


def test_a_log_has_a_line_after_thirty_seconds_and_five_percent() -> None:
    assert logged(100, [(1, 50), (29, 60)]) == ["work: 0/100", "work: 60/100, about 0:00:19 left"]
    assert logged(100, [(30, 4), (100, 5), (129, 90), (130, 91)]) == [
        "work: 0/100",
        "work: 5/100, about 0:31:40 left",
        "work: 91/100, about 0:00:13 left",
    ]


@pytest.mark.parametrize("seconds", [1, 3600])
def test_a_log_is_short_however_long_the_work_takes(seconds: float) -> None:
    lines = logged(1000, [(seconds * count, count) for count in range(1, 1001)])
    assert len(lines) <= 22
    assert lines[-1].startswith("work: 1000/1000, took ")


def test_what_was_there_before_is_no_measure_of_speed() -> None:
    assert logged(100, [(60, 60)], done=40)[-1] == "work: 60/100, about 0:02:00 left"


def test_a_terminal_has_bars_and_no_log() -> None:
    stream = io.StringIO()
    Log(Console(file=stream, force_terminal=True)).begin("work", 10)
    assert stream.getvalue() == ""


def test_a_run_says_its_method_and_what_is_left(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(hnbench.display.run, "Log", lambda console: Log(console, clock))
    shown = RunDisplay()
    shown.start(100)
    shown.advance(20)
    shown.label("reno")
    clock.now = 40
    shown.advance(40)
    shown.done()
    assert lines(screen) == [
        "all methods: 0/100",
        "all methods: 20/100",
        "all methods: 60/100, now reno, about 0:00:40 left",
    ]


def test_a_pipe_is_told_while_the_run_is_alive(tmp_path: Path) -> None:
    """Lines arrive as they are written: the first while torch is loaded, the next before the first
    image.
    """
    command = [
        sys.executable,
        "-m",
        "hnbench",
        *[
            "run",
            "--suite",
            "geneval-shapes",
            "--limit",
            "6",
            "--method",
            "reno",
            "--out",
            "run",
            "--device",
            "cpu",
        ],
    ]
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=variables,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    heard = [process.stderr.readline().strip() for _ in range(4)]
    alive = process.poll() is None
    process.terminate()
    process.communicate()
    assert heard[:2] == ["loading torch", "loading shapes"]
    assert heard[2].startswith("loading shapes-clip")
    assert re.match(r"all methods: 0/\d+$", heard[3])
    assert alive
