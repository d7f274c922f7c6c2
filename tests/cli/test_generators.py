"""The commands with a real family's pipeline, given as a folder, and its options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hnbench.cli.app import app
from tests import tiny

pytestmark = pytest.mark.usefixtures("few_plots")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a red ring\ntwo stars\n")
    return tiny.FAMILIES["sana-sprint"].save(tmp_path / "sana")


def hnbench(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="hnbench")


def test_train_diagnose_and_run_with_options(folder: Path, tmp_path: Path) -> None:
    options = [
        "--generator",
        str(folder),
        "--image-size",
        "64",
        "--prompt-prefix",
        "--memory",
        "checkpoint-all,offload-text",
        "--device",
        "cpu",
    ]
    rewards = ["--optimise", "redness=1.0"]
    training = [
        "--prompts",
        "prompts.txt",
        "--rank",
        "2",
        "--lora-alpha",
        "4",
        "--steps",
        "2",
        "--batch-size",
        "2",
        "--learning-rate",
        "0.1",
    ]
    trained = hnbench("train", *options, *rewards, *training, "--out", "training")
    assert trained.exit_code == 0, trained.output
    adapter = ["--hypernetwork", "training/adapter"]
    look = ["--prompts", "prompts.txt", "--limit", "1", "--samples", "1", "--out", "diagnosis.json"]
    looked = hnbench("diagnose", *options, *adapter, *look)
    assert looked.exit_code == 0, looked.output
    asked = [
        "--suite",
        "geneval-shapes",
        "--limit",
        "1",
        "--method",
        "hypernoise",
        "--method",
        "reno:iterations=2",
        "--steps",
        "2",
    ]
    ran = hnbench("run", *options, *rewards, *adapter, *asked, "--no-report", "--out", "run")
    assert ran.exit_code == 0, ran.output
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    options_of = {
        "image_size": 64,
        "guidance": 4.5,
        "prompt_prefix": True,
        "intermediate_timesteps": 1.3,
    }
    expected = {"folder": str(folder), **options_of}
    assert manifest["generator"]["details"] == expected
    assert (
        manifest["config"]["image_size"],
        manifest["config"]["prompt_prefix"],
        manifest["config"]["steps"],
    ) == (64, True, 2)
    lines = [
        json.loads(line)
        for path in (tmp_path / "run").glob("journal-*.jsonl")
        for line in path.read_text().splitlines()
    ]
    passes = {line["label"]: line["cost"]["generator_forward"] for line in lines}
    assert passes == {
        "random": 2,
        "hypernoise": 3,
        "reno": 4,
    }  # two steps, and one pass of the hypernetwork
    assert {line["status"] for line in lines} == {"done"}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--generator", "sana", "--image-size", "33"],
            "--image-size was 33; sana needs a multiple of 2",
        ),
        (["--generator", "shapes", "--prompt-prefix"], "'shapes' has no option prompt prefix"),
        (
            ["--generator", "sana", "--memory", "little"],
            "the memory policy 'little' is unknown; choose none",
        ),
        (["--generator", "sana", "--steps", "0"], "--steps was 0; it must be at least 1"),
        (
            ["--generator", "sana-sprint"],
            "unknown generator 'sana-sprint'; did you mean 'sana-sprint-",
        ),
        (["--generator", "./nothing"], "there is no folder or file ./nothing"),
        (["--generator", "nobody/nothing"], "nobody/nothing is not in the local cache"),
    ],
)
def test_bad_input_names_its_fix(arguments: list[str], message: str) -> None:
    result = hnbench(
        "run",
        "--suite",
        "geneval-shapes",
        "--optimise",
        "redness=1.0",
        "--method",
        "random",
        *arguments,
    )
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
