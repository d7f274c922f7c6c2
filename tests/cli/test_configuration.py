"""Options from a file and from the environment, and the file that `hnbench init` writes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from hnbench.cli.app import app
from hnbench.cli.configuration import options
from tests.cli.conftest import Hnbench

COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
TOY = """
suite = "toy-suite"
generator = "toy"
device = "cpu"
optimise = ["brightness=1.0"]
hold_out = ["red"]
method = ["best-of-n:n=2"]
"""


def planned(hnbench: Hnbench, *arguments: str) -> int:
    """The number of images that a plan with --config counts for random noise."""
    result = hnbench("plan", "--config", "my.toml", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return int(json.loads(result.stdout)["methods"][0]["images"])


def test_command_line_before_environment_before_file_before_default(
    hnbench: Hnbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.toml").write_text(f"[plan]{TOY}")
    by_default = planned(hnbench)
    each = by_default // 4  # the toy suite has four prompts
    (tmp_path / "my.toml").write_text(f"[plan]{TOY}limit = 3\n")
    assert planned(hnbench) == 3 * each
    monkeypatch.setenv("HNBENCH_PLAN_LIMIT", "2")
    assert planned(hnbench) == 2 * each
    assert planned(hnbench, "--limit", "1") == each


def test_a_plan_reads_the_table_of_the_run_too(hnbench: Hnbench, tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text(f"[run]{TOY}limit = 3\nreport = false\nshard = '1/1'\n")
    of_run = planned(hnbench)
    config.write_text(config.read_text() + "[plan]\nlimit = 1\n")
    assert of_run == 3 * planned(hnbench)


def test_a_run_by_a_file_alone(hnbench: Hnbench, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(f"[run]{TOY}out = 'run'\nreport = false\nbatch-size = 3\n")
    result = hnbench("run", "--config", "my.toml")
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "run/run.json").read_text())["config"]
    assert config["methods"] == ["random", "best-of-n:n=2"]
    assert config["batch_size"] == 3
    assert not (tmp_path / "run/report").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[run]\nlimt = 3", "unknown key 'limt'; did you mean 'limit'?"),
        ("[rnu]\nlimit = 3", "did you mean 'run'?"),
        ("run = 3", "'run' in my.toml was 3; write a table, [run]"),
        ("[run]\nlimit = true", "'limit' in [run] of my.toml was True; write a text or a number"),
        ("[run]\nfull = 'yes'", "'full' in [run] of my.toml was 'yes'; write true or false"),
        ("[run]\nmethod = true", "'method' in [run] of my.toml was True; write a list"),
        ("[run]\nlimit = 3\n\nLIMIT = = 4", "cannot be read"),
        ("[run]\nhold-out = []\nhold_out = []", "'hold-out' twice"),
        ("[run]\nlimit = 'x'", "'x' was given; type a whole number, such as 8 (from my.toml)"),
        ("[run]\nconfig = 'x.toml'", "unknown key 'config'"),
        ("[run]\ndtype = 'fp16'", "'fp16' is unknown; known: bfloat16, float16, float32"),
    ],
)
def test_a_wrong_file_is_refused(hnbench: Hnbench, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "my.toml").write_text(text)
    result = hnbench("run", "--suite", "toy-suite", "--config", "my.toml")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_file_that_is_missing_or_no_text(hnbench: Hnbench, tmp_path: Path) -> None:
    assert "No such file" in hnbench("run", "--config", "my.toml").stderr
    (tmp_path / "my.toml").write_bytes(b"\xff")
    assert "cannot be read" in hnbench("run", "--config", "my.toml").stderr


def test_a_wrong_variable_is_named(hnbench: Hnbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HNBENCH_RUN_LIMIT", "many")
    result = hnbench("run", "--suite", "toy-suite")
    assert result.exit_code == 2
    shown = " ".join(result.stderr.split())
    assert "'many' was given; type a whole number" in shown
    assert "from the environment variable HNBENCH_RUN_LIMIT" in shown


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"init"}))
def test_init_writes_every_option_and_its_defaults(
    hnbench: Hnbench, tmp_path: Path, command: str
) -> None:
    result = hnbench("init", command, "--file", "my.toml")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "my.toml").read_text()
    assert tomllib.loads(text) == {command: {}}
    assignments = [
        line.removeprefix("# ") for line in text.splitlines() if line.partition(" =")[0][:2] == "# "
    ]
    keys = [line.split(" =")[0] for line in assignments if " =" in line]
    assert set(options(COMMANDS[command])) <= set(keys)


def test_init_writes_what_is_given_and_the_command_takes_it(
    hnbench: Hnbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HNBENCH_RUN_SEED", "7")
    given = ["--suite", 'a "b"\\\x7f\té', "--limit", "5", "--method", "reno", "--method", "random"]
    result = hnbench("init", "run", *given, "--no-report", "--out", "x/y", "--file", "my.toml")
    assert result.exit_code == 0, result.output
    assert tomllib.loads((tmp_path / "my.toml").read_text()) == {
        "run": {
            "suite": ['a "b"\\\x7f\té'],
            "limit": 5,
            "seed": 7,
            "method": ["reno", "random"],
            "report": False,
            "out": "x/y",
        }
    }
    (tmp_path / "other.toml").write_text("")
    again = hnbench("init", "run", "--config", "my.toml", "--limit", "6", "--file", "new.toml")
    assert again.exit_code == 0, again.output
    found = tomllib.loads((tmp_path / "new.toml").read_text())["run"]
    assert (found["limit"], found["method"]) == (6, ["reno", "random"])


def test_init_replaces_nothing(hnbench: Hnbench, tmp_path: Path) -> None:
    (tmp_path / "hnbench.toml").write_text("mine")
    result = hnbench("init", "train")
    assert result.exit_code == 2
    assert "hnbench.toml exists already; give another --file" in result.stderr
    assert (tmp_path / "hnbench.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "did you mean 'run'?"),
        (["run", "--limt", "5"], "--limit"),
        (["run", "--limit", "x"], "'x' was given; type a whole number"),
        (["score", "folder"], "'folder' has more than options"),
        (["push", "--private", "a", "b"], "has more than options"),
    ],
)
def test_wrong_usage_of_init(
    hnbench: Hnbench, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = hnbench("init", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "hnbench.toml").exists()


def test_the_variable_of_the_data_folder_is_no_option(hnbench: Hnbench) -> None:
    variables = {
        f"HNBENCH_{command}_{option.name}".upper()
        for command in COMMANDS
        for option in options(COMMANDS[command]).values()
    }
    assert "HNBENCH_RUN_BATCH_SIZE" in variables
    assert "HNBENCH_DATA" not in variables
    assert "HNBENCH" not in hnbench("run", "--help").stdout.replace("$HNBENCH_DATA", "")
