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

from hnbench.catalogue.entries import Entry
from hnbench.cli.printing import show_entries, show_report, show_values
from hnbench.display import consoles
from hnbench.display.log import Log
from hnbench.display.run import RunDisplay
from hnbench.display.stages import StageDisplay
from hnbench.display.training import TrainingDisplay, figures, paired_gain
from hnbench.runs.workload import Workload
from tests.display.test_pace import work

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
    shown.expect(Workload((work("random", 4, 1), work("reno", 3, 99, 3), work("other", 3, 2, 3))))
    shown.start(10)
    shown.advance(4)
    for name, counts in (("random", []), ("reno", [2, 1]), ("other", [3])):
        shown.label(name)
        for count in counts:
            shown.passes(0)
            shown.proposed(count, 1.0)
            shown.advance(count)
    shown.done()
    assert lines(terminal) == [
        "all methods 10/10 images 307/307 passes took 0:00:00",
        "reno 3/3 images 297/297 passes",
        "other 3/3 images 6/6 passes",
    ]


def test_the_bars_move_within_a_batch(terminal: io.StringIO) -> None:
    """Three of the five iterations of a batch of two, forward and backward."""
    shown = RunDisplay()
    shown.expect(Workload((work("reno", 4, 9, 4),)))
    shown.start(4)
    shown.label("reno")
    shown.passes(0)
    shown.passes(6)
    assert shown.line().startswith("all methods: 0/4 images, 6/36 passes, now reno, ends ")
    shown.passes(12)
    shown.done()
    assert lines(terminal)[0].startswith("all methods 0/4 images 12/36 passes")


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
    show_report(table, ["A gain of +0.1 [bold, 0.2]."], {"report": tmp_path / "report.md"})
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
    """The lines of a log of work whose state is `done` at each time, with a sign after each."""
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, width=200)
    log = Log(console, clock)
    log.begin("work", total, done)
    for seconds, reached in steps:
        clock.now = seconds
        log.reach(reached)
        consoles.say(console, log.line())
    log.end()
    return [re.sub(r"ends .* \(", "ends (", line) for line in stream.getvalue().splitlines()]


def test_a_log_tells_when_the_work_ends() -> None:
    assert logged(100, [(29, 60), (60, 100)]) == [
        "work: 0/100",
        "work: 60/100, ends (in 0:00:19)",
        "work: 100/100, took 0:01:00",
        "work: 100/100, took 0:01:00",
    ]


def test_what_was_there_before_is_no_measure_of_speed() -> None:
    assert logged(100, [(60, 60)], done=40)[-1] == "work: 60/100, ends (in 0:02:00)"


def test_nothing_is_said_before_any_work() -> None:
    stream = io.StringIO()
    log = Log(Console(file=stream))
    log.end()
    assert (log.line(), stream.getvalue()) == ("", "")


def test_a_terminal_has_bars_and_no_log() -> None:
    stream = io.StringIO()
    Log(Console(file=stream, force_terminal=True)).begin("work", 10)
    assert stream.getvalue() == ""


def test_a_run_says_its_method_and_when_it_ends(screen: io.StringIO) -> None:
    clock = Clock()
    shown = RunDisplay(clock=clock)
    shown.expect(Workload((work("random", 20, 1), work("reno", 80, 10, 80))))
    shown.start(100)
    shown.advance(20)
    shown.label("random")
    shown.label("reno")
    shown.passes(0)
    clock.now = 40
    shown.passes(400)
    shown.proposed(40, 40.0)
    shown.advance(40)
    assert re.fullmatch(r".*, now reno, ends (.* )?\d\d:\d\d \(in 0:00:40\)", shown.line())
    shown.done()
    assert [line.partition(", ends")[0] for line in lines(screen)] == [
        "all methods: 0/100 images, 20/820 passes",
        "all methods: 20/100 images, 20/820 passes",
        "all methods: 60/100 images, 420/820 passes, now reno",
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
    heard = [process.stderr.readline().strip() for _ in range(6)]
    alive = process.poll() is None
    process.terminate()
    process.communicate()
    assert heard[0] == "loading torch"
    assert heard[1] == "48 images by 2 methods, 2,400 generator passes; 0 of 48 done"
    assert heard[2].startswith("operations: ")
    assert heard[3] == "loading shapes"
    assert heard[4].startswith("loading shapes-clip")
    assert heard[5] == "all methods: 0/48 images, 0/2,400 passes"
    assert alive
