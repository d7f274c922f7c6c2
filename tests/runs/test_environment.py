from __future__ import annotations

import getpass
import json
import platform
import subprocess
from pathlib import Path

import torch

import hnbench
from hnbench.runs.environment import environment, git_state


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        check=True,
        capture_output=True,
    )


def test_the_environment_is_json_and_says_with_what() -> None:
    found = json.loads(json.dumps(environment("cpu")))
    assert found["hnbench"] == hnbench.__version__
    assert found["python"] == platform.python_version()
    assert (
        found["packages"]["torch"] == torch.__version__.partition("+")[0]
        or "+" in found["packages"]["torch"]
    )
    assert found["torch"]["threads"] == torch.get_num_threads()
    assert platform.node() not in json.dumps(found)
    assert f"/{getpass.getuser()}/" not in json.dumps(found)


def test_git_state_of_a_checkout_of_another_and_of_none(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert git_state(package) is None
    git(tmp_path, "init")
    assert git_state(package) is None  # it lies in a checkout, and is no part of it
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    clean = git_state(package)
    assert clean is not None
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    (package / "__init__.py").write_text("x = 1\n")
    assert git_state(package) == {**clean, "dirty": True}
