"""--quiet shows results and errors alone; --verbose shows what a bug report needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnbench.display.screen import Screen
from hnbench.display.verbosity import is_quiet, is_verbose, verbosity
from tests.cli.conftest import Hnbench

pytestmark = pytest.mark.usefixtures("few_plots")

RUN = ["--suite", "toy-suite", "--generator", "toy", "--device", "cpu", "--no-report"]
RUN += ["--optimise", "brightness=1.0", "--method", "best-of-n:n=2", "--out", "run"]


@pytest.mark.parametrize(
    "arguments", [["-q", "run"], ["run", "-q"], ["run", "--quiet"], ["--quiet", "run"]]
)
def test_quiet_before_or_after_the_command(
    hnbench: Hnbench, tmp_path: Path, arguments: list[str]
) -> None:
    for _ in range(2):  # the second time there is nothing to do, which is a note
        result = hnbench(*arguments, *RUN)
        assert result.exit_code == 0
        assert result.output == ""
    assert (tmp_path / "run/run.json").exists()
    assert "already done" in hnbench("run", *RUN).stderr


def test_quiet_keeps_results_and_errors(hnbench: Hnbench) -> None:
    hnbench("run", *RUN)
    result = hnbench("-q", "report", "run")
    assert "The report: run/report/report.md" in result.stdout
    assert result.stderr == ""
    wrong = hnbench("-q", "report", "elsewhere")
    assert wrong.exit_code == 4
    assert "elsewhere" in wrong.stderr


def test_quiet_by_a_variable(hnbench: Hnbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HNBENCH_QUIET", "1")
    assert hnbench("run", *RUN).output == ""


def test_verbose_shows_options_sources_versions_and_times(
    hnbench: Hnbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HNBENCH_RUN_LIMIT", "2")
    shown = hnbench("run", *RUN, "-v").stderr
    assert "limit = 2 (from the environment variable HNBENCH_RUN_LIMIT)" in shown
    assert "hnbench: seed = 0\n" in shown
    assert "packages: torch " in shown
    assert "method = best-of-n:n=2\n" in shown
    assert "as-json" not in shown
    assert "cache: " in shown
    assert "loading toy: took" in shown
    assert "hnbench run took" in shown
    monkeypatch.delenv("HNBENCH_RUN_LIMIT")
    assert "seed = 0" not in hnbench("run", *RUN).stderr


def test_verbose_shows_the_traceback_of_an_error(hnbench: Hnbench) -> None:
    wrong = ["report", "elsewhere"]
    assert "Traceback" not in hnbench(*wrong).stderr
    shown = hnbench("-v", *wrong)
    assert shown.exit_code == 4
    assert "Traceback (most recent call last)" in shown.stderr


def test_both_at_once_are_refused(hnbench: Hnbench) -> None:
    result = hnbench("list", "methods", "-q", "-v")
    assert result.exit_code == 2
    assert "--quiet and --verbose were both given" in result.stderr


def test_one_command_does_not_change_the_next(hnbench: Hnbench) -> None:
    hnbench("-q", "list", "methods")
    assert not is_quiet()
    hnbench("list", "methods", "-v")
    assert not is_verbose()


def test_a_screen_shows_nothing_to_who_wants_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with verbosity("quiet"), Screen(shown=True) as screen:
        screen.announce("loading")
        screen.note("by the way")
        with screen.stages() as stages:
            stages.label("judging", 3)
            stages.advance(3)
    assert capsys.readouterr() == ("", "")
