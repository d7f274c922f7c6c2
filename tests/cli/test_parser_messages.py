"""Errors about arguments say what was given, what is expected, and the nearest name."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Hnbench


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--dtype", "flot16"], "'flot16' is unknown; did you mean 'float16'? known:"),
        (["list", "generator"], "'generator' is unknown; did you mean 'generators'?"),
        (["run", "--limit", "2.5"], "'2.5' was given; type a whole number, such as 8"),
        (["train", "--learning-rate", "fast"], "'fast' was given; type a number, such as 0.5"),
        (["diagnose", "--samples", "0"], "0 was given; it must be at least 1"),
        (["rum"], "Did you mean 'run'"),
        (["run", "--limt", "3"], "--limit"),
        (["run"], "Missing option '--suite'"),
    ],
)
def test_a_message_says_what_is_expected(
    hnbench: Hnbench, arguments: list[str], message: str
) -> None:
    result = hnbench(*arguments)
    shown = " ".join(result.stderr.split())
    assert result.exit_code == 2
    assert message in shown
    assert "Value error" not in shown
    assert "Input should" not in shown


def test_a_message_shows_control_characters(hnbench: Hnbench) -> None:
    assert "\x1b" not in hnbench("list", "\x1b[31mred").stderr
