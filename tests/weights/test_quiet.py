from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from hnbench.weights.quiet import import_matplotlib, quiet_loading
from tests.reports.synthetic import write_run


@pytest.mark.parametrize("library", [diffusers_logging, transformers_logging])
def test_settings_are_put_back_even_after_an_error(library: object) -> None:
    def settings() -> tuple[int, bool]:
        return library.get_verbosity(), library.is_progress_bar_enabled()  # type: ignore[attr-defined]

    before = settings()
    seen = []

    def fail() -> None:
        with quiet_loading():
            seen.append(settings())
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        fail()
    assert seen == [(diffusers_logging.ERROR, False)]
    assert settings() == before


def drawn(folder: Path, **environment: str) -> dict[str, bytes]:
    """The report of the run in `../run`, made in `folder`; what is printed on standard error is
    part of it.
    """
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment}
    command = [sys.executable, "-m", "hnbench", "-q", "report", "../run", "--out", "report"]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return {
        "stdout": done.stdout,
        "stderr": done.stderr,
        **{path.name: path.read_bytes() for path in (folder / "report").iterdir()},
    }


def test_the_users_settings_of_matplotlib_change_no_report(tmp_path: Path) -> None:
    write_run(tmp_path / "run", labels=("random", "reno"), images=True)
    for name in ("plain", "set"):
        (tmp_path / name).mkdir()
    plain = drawn(tmp_path / "plain")
    (tmp_path / "set/matplotlibrc").write_bytes(b"\xff\xfe: is not UTF-8")
    (tmp_path / "other").write_text("backend: module://gone\nlines.linewidth: 9\nnonsense: 1\n")
    settings = {
        "MPLBACKEND": "module://matplotlib_inline.gone",
        "MATPLOTLIBRC": str(tmp_path / "other"),
        "MPLCONFIGDIR": "/proc/nowhere",
    }
    other = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "junk", "LANG": "C", "LC_ALL": "C"}
    assert drawn(tmp_path / "set", **settings, **other) == plain
    assert plain["stderr"] == b""
    assert len(plain) > 8


def test_the_photograph_needs_no_settings_of_matplotlib(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe: is not UTF-8")
    variables = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "MPLBACKEND": "module://gone",
    }
    code = "from hnbench.weights.known_picture import photograph; print(photograph().size)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (b"(512, 600)\n", b"")


def test_matplotlib_is_left_as_it_was_imported() -> None:
    first, environment = import_matplotlib(), dict(os.environ)
    assert import_matplotlib() is first
    assert dict(os.environ) == environment


def test_every_import_of_matplotlib_comes_after_the_one_that_is_protected() -> None:
    """Modules import it for types, or in functions whose figures were made by `new_figure`."""
    package = Path(__file__).parents[2] / "hnbench"
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search("(from|import) matplotlib", path.read_text())
    }
    assert importing == {
        "reports/comparison/plots.py",
        "reports/drawing.py",
        "reports/glyphs.py",
        "reports/grid.py",
        "reports/image_grid.py",
        "reports/placing.py",
        "reports/plots/__init__.py",
        "reports/plots/best_of_n.py",
        "reports/plots/marks.py",
        "reports/plots/noise.py",
        "reports/plots/optimised_vs_held_out.py",
        "reports/plots/quality_vs_cost.py",
        "reports/plots/task_gains.py",
        "reports/plots/trajectories.py",
        "reports/training/curves.py",
        "weights/known_picture.py",
    }
