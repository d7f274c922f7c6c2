"""`hnbench generate` in a pseudo-terminal that claims to show pictures, with toys for models."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.display.test_sixel import decoded, in_percent
from tests.terminal import PACKAGE, in_terminal

SCRIPT = """
import sys
from hnbench.catalogue import registry
from hnbench.cli.app import main
from tests.toy_plugins import toy_registries
for name, toys in toy_registries().items():
    setattr(registry, name, toys)
sys.argv = ["hnbench", "generate", "low 0", "--generator", "toy", "--optimise", "brightness=1.0",
    "--device", "cpu", "--method", "random", "--out", "made", *sys.argv[1:]]
main()
"""
KITTY = {"TERM": "xterm-kitty"}


def payload(shown: str) -> bytes:
    parts = re.findall(r"\x1b_G[^;]*;([A-Za-z0-9+/=]*)\x1b\\", shown)
    return b64decode("".join(parts))


def test_the_terminal_gets_the_grid(tmp_path: Path) -> None:
    shown = in_terminal(["-c", SCRIPT], 100, tmp_path, TERM=KITTY["TERM"])
    assert payload(shown) == (tmp_path / "made" / "grid.png").read_bytes()


def test_a_terminal_that_announces_sixels_gets_the_grid_in_them(tmp_path: Path) -> None:
    shown = in_terminal(["-c", SCRIPT], 100, tmp_path, answers={b"\x1b[c": b"\x1b[?62;4c"})
    found = re.search(r"\x1bP.*\x1b\\\n", shown)
    assert found is not None
    with Image.open(tmp_path / "made" / "grid.png") as grid:
        assert grid.width <= 800
        expected = grid.convert("RGB").quantize(256)
    assert np.array_equal(decoded(found[0]), in_percent(expected))


@pytest.mark.parametrize("option", ["--no-show", "--json", "--quiet"])
def test_no_picture_if_it_is_not_wanted(tmp_path: Path, option: str) -> None:
    shown = in_terminal(["-c", SCRIPT, option], 100, tmp_path, TERM=KITTY["TERM"])
    assert (tmp_path / "made" / "grid.png").exists()
    assert "\x1b_G" not in shown


def test_another_terminal_gets_a_note_if_a_picture_is_asked_for(tmp_path: Path) -> None:
    shown = in_terminal(["-c", SCRIPT, "--show"], 100, tmp_path)
    assert "\x1b_G" not in shown
    assert "the grid is not shown" in shown


def test_a_pipe_never_gets_a_picture(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "--show"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(PACKAGE), **KITTY},
        capture_output=True,
        check=True,
    )
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"the grid is not shown" in done.stderr
