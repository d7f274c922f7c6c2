"""The commands, with toys in the registries: what they write, print and return."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hnbench import __version__
from tests.cli.conftest import Hnbench
from tests.journals import journal_rows

pytestmark = pytest.mark.usefixtures("few_plots")

RUN = [
    "run",
    "--suite",
    "toy-suite",
    "--generator",
    "toy",
    "--optimise",
    "brightness=1.0",
    "--hold-out",
    "red",
    "--device",
    "cpu",
]
QUICK = [*RUN, "--method", "best-of-n:n=2", "--out", "run"]
TRAIN = [
    "train",
    "--generator",
    "toy",
    "--optimise",
    "brightness=1.0",
    "--prompts",
    "prompts.txt",
    "--rank",
    "2",
    "--steps",
    "3",
]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("low 0\nlow 1\n\nhigh 0\nhigh 1\n")
    return path


def records(folder: Path) -> list[dict[str, object]]:
    return [row for path in sorted(folder.glob("journal-*.jsonl")) for row in journal_rows(path)]


def test_version(hnbench: Hnbench) -> None:
    assert hnbench("--version").stdout == f"hnbench {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "train",
        "report",
        "compare",
        "score",
        "measure",
        "export",
        "diagnose",
        "fetch",
        "push",
        "list",
    ],
)
def test_every_help_has_examples(hnbench: Hnbench, command: str) -> None:
    shown = hnbench(command, "--help").stdout
    assert f"Examples:\n    hnbench {command}" in shown


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("generators", ["toy", "other-toy"]),
        ("rewards", ["brightness", "red"]),
        ("suites", ["toy-suite"]),
        ("measures", ["lpips", "shift"]),
        (
            "prompts",
            [
                "shapes",
                "hypernoise",
                "t2i-compbench-train",
                "abc-6k",
                "pick-a-pic",
                "hypernoise-examples",
            ],
        ),
        (
            "methods",
            [
                "random",
                "best-of-n",
                "reno",
                *("zero-order", "spectral", "evolution"),
                "prompt-search",
                *("gper", "mpgr", "dno", "hybrid", "oracle"),
                *("pcn", "langevin"),
                "hypernoise",
                "finetune",
                "amortised",
                "hypernoise-random-direction",
                "hypernoise-other-noise",
                "hypernoise-other-prompt",
                "hypernoise-static",
                "failing",
            ],
        ),
    ],
)
def test_list(hnbench: Hnbench, kind: str, names: list[str]) -> None:
    lines = hnbench("list", kind).stdout.splitlines()
    rows = [
        line for line in lines[3:] if line.strip() and not line.startswith("   ")
    ]  # a long cell goes on, further in, on the next line
    assert [row.split()[0] for row in rows] == names


def test_run_writes_a_run_and_prints_its_report(hnbench: Hnbench, tmp_path: Path) -> None:
    result = hnbench(*QUICK)
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["plan"]["labels"] == ["random", "best-of-2"]
    assert manifest["config"]["methods"] == ["random", "best-of-n:n=2"]
    assert manifest["rewards"]["held_out"] == ["red"]
    assert len(records(tmp_path / "run")) == 4 * 2 * 2
    assert (tmp_path / "run/report/report.md").is_file()
    assert "overall" in result.stdout
    assert "The report: run/report/report.md" in result.stdout
    assert "overall" not in result.stderr


def test_run_again_does_nothing_and_says_so(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench(*QUICK, "--no-report")
    before = records(tmp_path / "run")
    result = hnbench(*QUICK, "--no-report", "--batch-size", "3")
    assert result.exit_code == 0
    assert "all 16 samples are already done in run" in result.stderr
    assert records(tmp_path / "run") == before


def test_run_adds_methods_and_prompts_to_a_run(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench(*QUICK, "--no-report", "--limit", "2")
    assert len(records(tmp_path / "run")) == 2 * 2 * 2
    assert hnbench(*QUICK, "--no-report", "--full", "--method", "reno:iterations=3").exit_code == 0
    assert len(records(tmp_path / "run")) == 6 * 2 * 3


def test_a_file_of_prompts_is_a_suite_without_a_judge(
    hnbench: Hnbench, tmp_path: Path, prompts: Path
) -> None:
    given = [
        "--generator",
        "toy",
        "--optimise",
        "brightness=1.0",
        "--hold-out",
        "red",
        "--device",
        "cpu",
        "--method",
        "best-of-n:n=2",
    ]
    result = hnbench("run", "--suite", "prompts.txt", *given, "--out", "run")
    assert result.exit_code == 0, result.output
    assert "no judge: rewards only" in result.stdout
    assert "overall" not in result.stdout
    manifest = json.loads((tmp_path / "run/run.json").read_text())
    assert (manifest["suite"]["name"], manifest["suite"]["judge"]) == ("prompts.txt", None)
    found = records(tmp_path / "run")
    assert len(found) == 4 * 4 * 2
    assert {str(record["verdict"]) for record in found} == {"None"}
    assert (
        "all 32 samples are already done"
        in hnbench("run", "--suite", "prompts.txt", *given, "--out", "run", "--no-report").stderr
    )
    prompts.write_text("another\n")
    other = hnbench("run", "--suite", "prompts.txt", *given, "--out", "run")
    assert other.exit_code == 4
    assert "run holds another run (suite version:" in other.stderr


def test_prompts_that_were_trained_on_are_reported(
    hnbench: Hnbench, tmp_path: Path, prompts: Path
) -> None:
    assert hnbench(*TRAIN, "--out", "hyper").exit_code == 0
    chosen = ["--method", "hypernoise", "--hypernetwork", "hyper/adapter", "--out", "run"]
    assert hnbench(*RUN, *chosen, "--full").exit_code == 0
    seen = json.loads((tmp_path / "run/run.json").read_text())["training"]["hypernoise"][
        "seen_prompts"
    ]
    assert seen == ["low/0", "low/1", "high/0", "high/1"]
    assert (
        "4 of the 6 prompts were among its training prompts"
        in (tmp_path / "run/report/report.md").read_text()
    )
    (tmp_path / "hyper/adapter/prompts.sha256").unlink()
    assert hnbench(*RUN, *chosen, "--full").exit_code == 0
    assert "does not say what it was trained on" in (tmp_path / "run/report/report.md").read_text()


def test_published_numbers_are_printed_where_they_are_asked_for(hnbench: Hnbench) -> None:
    hnbench(*QUICK, "--no-report", "--limit", "1")
    result = hnbench("report", "run", "--published")
    assert result.exit_code == 0, result.output
    assert (
        "No published number is known of this benchmark, model and number of steps."
        in result.stdout
    )


def test_the_default_folder_is_named_by_what_the_run_is(hnbench: Hnbench, tmp_path: Path) -> None:
    assert hnbench(*RUN, "--method", "random", "--no-report", "--seed", "7").exit_code == 0
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name.startswith("toy-suite-toy-seed7-")


def test_methods_without_an_adapter_are_left_out_by_name(hnbench: Hnbench, tmp_path: Path) -> None:
    result = hnbench(*RUN, "--limit", "1", "--no-report", "--out", "run")
    assert (
        "left out: hypernoise, finetune, hypernoise-random-direction, hypernoise-other-noise"
        in result.stderr
    )
    labels = json.loads((tmp_path / "run/run.json").read_text())["plan"]["labels"]
    assert labels[0] == "random"
    assert "reno" in labels
    assert "best-of-50" in labels


def test_failed_samples_are_exit_code_3_and_are_tried_again(
    hnbench: Hnbench, tmp_path: Path
) -> None:
    result = hnbench(*RUN, "--method", "failing", "--out", "run")
    assert result.exit_code == 3
    assert "4 of 16 samples failed" in result.stderr
    assert "INCOMPLETE" in result.stdout
    again = hnbench(*RUN, "--method", "failing:word=never", "--out", "run", "--no-report")
    assert again.exit_code == 0
    assert len(records(tmp_path / "run")) == 16 + 4


def test_an_interrupted_run_is_exit_code_130_and_continues(
    hnbench: Hnbench, tmp_path: Path
) -> None:
    result = hnbench(
        *RUN, "--method", "failing:interrupt=true", "--out", "run", "--batch-size", "2"
    )
    assert result.exit_code == 130
    assert "Continue with the same command" in result.stderr
    assert "Traceback" not in result.output
    kept = len(records(tmp_path / "run"))
    assert 8 <= kept < 16
    assert (
        hnbench(*RUN, "--method", "failing:word=never", "--out", "run", "--no-report").exit_code
        == 0
    )
    assert len(records(tmp_path / "run")) == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "toy-suit"], "unknown suite 'toy-suit'; did you mean 'toy-suite'?"),
        (["--generator", "toi"], "unknown generator 'toi'; did you mean 'toy'?"),
        (["--method", "ren"], "unknown method 'ren'; did you mean 'reno'?"),
        (["--method", "reno:its=3"], "method 'reno' has no parameter 'its'; "),
        (["--optimise", "brightnes=1"], "unknown reward 'brightnes'; did you mean 'brightness'?"),
        (["--optimise", "brightness"], "--optimise was 'brightness'; it must be NAME=WEIGHT"),
        (["--optimise", "brightness=nan"], "--optimise was 'brightness=nan'"),
        (["--hold-out", "rde"], "unknown reward 'rde'; did you mean 'red'?"),
        (["--hold-out", "brightness"], "brightness cannot be optimised and held out"),
        (["--device", "tpu"], "--device was 'tpu'; choose auto, cpu, cuda"),
        (["--device", "cuda:99"], "--device was 'cuda:99', but torch finds"),
        (["--limit", "0"], "--limit was 0; it must be at least 1"),
        (["--batch-size", "-1"], "--batch-size was -1; it must be at least 1"),
        (
            ["--method", "hypernoise"],
            "the method 'hypernoise' needs an adapter; give --hypernetwork FOLDER",
        ),
        (["--hypernetwork", "absent"], "there is no folder absent;"),
        (["--finetuned", "../absent"], "there is no folder ../absent;"),
    ],
)
def test_wrong_usage_is_told_in_two_lines_before_any_work(
    hnbench: Hnbench, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = hnbench(*RUN, "--out", "run", *arguments)
    assert result.exit_code == 2, result.output
    told = [
        line
        for line in result.stderr.splitlines()
        if not line.startswith(("hnbench: without a trained adapter", "loading "))
    ]
    assert message in told[0]
    assert len(told) <= 2
    assert not list(tmp_path.glob("run/journal*"))


def test_a_generator_without_preset_needs_a_reward(hnbench: Hnbench) -> None:
    result = hnbench("run", "--suite", "toy-suite", "--generator", "toy")
    assert result.exit_code == 2
    assert "the generator 'toy' has no preset; name the rewards to optimise" in result.stderr


def test_the_folder_of_another_run_is_exit_code_4(hnbench: Hnbench) -> None:
    hnbench(*QUICK, "--no-report", "--limit", "1")
    result = hnbench(*QUICK, "--no-report", "--limit", "1", "--seed", "1")
    assert result.exit_code == 4
    assert "run holds another run (base_seed: 0 there, 1 asked for)" in result.stderr


def test_train_then_run_then_diagnose(hnbench: Hnbench, tmp_path: Path, prompts: Path) -> None:
    trained = hnbench(*TRAIN, "--out", "hyper")
    assert trained.exit_code == 0, trained.output
    assert (
        "hnbench run --suite SUITE --generator toy --hypernetwork hyper/adapter" in trained.stdout
    )
    assert "paired reward gain" in trained.stderr
    tuned = hnbench(*TRAIN, "--kind", "finetune", "--out", "tuned")
    assert "--finetuned tuned/adapter" in tuned.stdout
    pairs = ["--kind", "regression", "--pairs", "5", "--reno-iterations", "3"]
    regressed = hnbench(*TRAIN, *pairs, "--out", "regressed")
    assert "--amortised regressed/adapter" in regressed.stdout
    assert "pairs: 5/5" in regressed.stderr

    chosen = [
        "--method",
        "hypernoise",
        "--method",
        "finetune",
        "--method",
        "amortised:adapter=regressed/adapter",
        "--method",
        "hypernoise-random-direction",
    ]
    adapters = ["--hypernetwork", "hyper/adapter", "--finetuned", "tuned/adapter"]
    result = hnbench(*RUN, *chosen, *adapters, "--limit", "2", "--no-report", "--out", "run")
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "run/run.json").read_text())
    assert manifest["plan"]["labels"] == [
        "random",
        "hypernoise",
        "finetune",
        "amortised",
        "hypernoise-random-direction",
    ]
    assert {kind: cost["steps"] for kind, cost in manifest["training"].items()} == {
        "hypernoise": 3,
        "finetune": 3,
        "regression": 3,
    }

    looked = hnbench(
        *[
            "diagnose",
            "--generator",
            "toy",
            "--hypernetwork",
            "hyper/adapter",
            "--prompts",
            "prompts.txt",
        ],
        *["--limit", "2", "--samples", "1", "--out", "d.json"],
    )
    assert looked.exit_code == 0, looked.output
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["prompts"] == 2
    assert found["kl"]["mean"] >= 0
    assert "The KL divergence from Gaussian noise is" in looked.stdout


def test_an_adapter_by_regression_adds_its_method_to_the_default_ones(
    hnbench: Hnbench, tmp_path: Path, prompts: Path
) -> None:
    pairs = ["--kind", "regression", "--pairs", "5", "--reno-iterations", "3"]
    assert hnbench(*TRAIN, *pairs, "--out", "regressed").exit_code == 0
    own = ["--amortised", "regressed/adapter"]
    result = hnbench(*RUN, *own, "--limit", "1", "--out", "run")
    assert result.exit_code == 0, result.output
    labels = json.loads((tmp_path / "run/run.json").read_text())["plan"]["labels"]
    assert "amortised" in labels
    report = (tmp_path / "run/report/report.md").read_text()
    assert "| amortised ReNO (by regression) | 3 |" in report
    wrong = hnbench(*RUN, "--hypernetwork", "regressed/adapter", "--limit", "1", "--out", "other")
    assert wrong.exit_code == 2
    assert "'hypernoise' is needed here (a run takes that adapter as --amortised)" in wrong.stderr


def test_an_adapter_of_another_generator_is_refused_before_any_work(
    hnbench: Hnbench, tmp_path: Path, prompts: Path
) -> None:
    hnbench(*TRAIN, "--out", "hyper")
    result = hnbench(
        *RUN,
        "--generator",
        "other-toy",
        "--method",
        "hypernoise",
        "--hypernetwork",
        "hyper/adapter",
        "--out",
        "run",
    )
    assert result.exit_code == 2
    assert "hyper/adapter was trained for the generator" in result.stderr
    assert not (tmp_path / "run").exists()


def test_training_again_gives_the_same_adapter_at_once(
    hnbench: Hnbench, tmp_path: Path, prompts: Path
) -> None:
    hnbench(*TRAIN, "--out", "hyper")
    weights = tmp_path / "hyper/adapter/adapter_model.safetensors"
    before = weights.stat().st_mtime_ns
    again = hnbench(*TRAIN, "--out", "hyper")
    assert again.exit_code == 0
    assert weights.stat().st_mtime_ns == before
    other = hnbench(*TRAIN, "--out", "hyper", "--learning-rate", "0.5")
    assert other.exit_code == 4
    assert "hyper holds another training: learning_rate was" in other.stderr


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"", [], "the prompt file prompts.txt has no prompt; write one per line"),
        (b"\n \n\r\n", [], "the prompt file prompts.txt has no prompt; write one per line"),
        (b"\xff\xfe\x00", [], "the prompt file prompts.txt cannot be read (it is not UTF-8)"),
        (None, [], "there is no prompt file prompts.txt, and no prompt set of that name"),
        (
            None,
            ["--prompts", "abc-6k", "--data-dir", "gone"],
            "the data folder gone does not exist",
        ),
        (
            b"a\n",
            ["--preset", "paper"],
            "the generator 'toy' has no training preset 'paper'; it has none",
        ),
        (b"a\n", ["--steps", "0"], "--steps was 0; it must be at least 1"),
        (b"a\n", ["--learning-rate", "nan"], "--learning-rate was nan; it must be above 0"),
        (b"a\n", ["--image-penalty", "1"], "--image-penalty is for the --kind finetune"),
        (
            b"a\n",
            ["--target-pattern", "("],
            "--target-pattern was '(', which is not a regular expression",
        ),
        (b"a\n", ["--generator", "toi"], "unknown generator 'toi'"),
    ],
)
def test_wrong_usage_of_train(
    hnbench: Hnbench, tmp_path: Path, content: bytes | None, arguments: list[str], message: str
) -> None:
    if content is not None:
        (tmp_path / "prompts.txt").write_bytes(content)
    result = hnbench(*TRAIN, "--out", "hyper", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not (tmp_path / "hyper").exists()


def test_strange_prompts_are_prompts(hnbench: Hnbench, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text(
        "../../etc\n" + "a long one " * 1000 + '\n"{}"; 日本語 🙂\n'
    )
    assert hnbench(*TRAIN, "--out", "hyper").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hyper", "prompts.txt"]


def test_the_type_of_the_lora_is_recorded(hnbench: Hnbench, tmp_path: Path, prompts: Path) -> None:
    assert hnbench(*TRAIN, "--out", "hyper", "--lora-dtype", "bfloat16").exit_code == 0
    described = json.loads((tmp_path / "hyper/adapter/hnbench.json").read_text())
    assert described["config"]["lora_dtype"] == "bfloat16"
    assert {
        weight.dtype
        for weight in load_file(tmp_path / "hyper/adapter/adapter_model.safetensors").values()
    } == {torch.bfloat16}
    other = hnbench(*TRAIN, "--out", "hyper")
    assert other.exit_code == 4
    assert "lora_dtype was bfloat16, and is float32 now" in other.stderr


def test_push_puts_an_adapter_on_the_hub(hnbench: Hnbench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def publish(*given: Any, **named: Any) -> str:
        asked.append((*given, named))
        return "https://page"

    monkeypatch.setattr("hnbench.hypernetwork.publish.publish", publish)
    shown = hnbench("push", "adapter", "owner/name", "--private")
    assert (shown.exit_code, shown.stdout) == (0, "The adapter is at https://page\n")
    assert asked == [(Path("adapter"), "owner/name", {"private": True})]


def test_train_without_prompts_or_preset(hnbench: Hnbench) -> None:
    result = hnbench("train", "--generator", "toy", "--optimise", "brightness=1")
    assert result.exit_code == 2
    assert (
        "the generator 'toy' has no preset; give a file or a set of prompts with --prompts"
        in result.stderr
    )


def test_run_then_export_then_score(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench(*QUICK, "--no-report")
    own = [
        record["verdict"]["correct"]  # type: ignore[index]
        for record in records(tmp_path / "run")
        if record["label"] == "random"
    ]
    written = hnbench(
        "export", "run", "--layout", "t2i-compbench", "--out", "out", "--label", "random"
    )
    assert (written.exit_code, written.stdout) == (0, "random: out/random\n")
    asked = ["score", "out/random", "--suite", "toy-suite", "--device", "cpu"]
    refused = hnbench(*asked)
    assert refused.exit_code == 2
    assert (
        "out/random does not match toy-suite: 2 prompts without images (low/2 'low 2', high/2"
        " 'high 2'). Fix the folder, or pass --partial to use what is there" in refused.stderr
    )
    result = hnbench(*asked, "--quick")
    assert result.exit_code == 0, result.output
    (overall,) = [line.split() for line in result.stdout.splitlines() if line.startswith("overall")]
    assert overall[1:4] == ["4", "8", f"{sum(own) / 8:.4f}"]
    assert "4 of the 6 prompts of toy-suite are in it." in result.stdout
    assert "Image by image: out/random/scores-red/results.jsonl" in result.stdout
    assert "judging" in result.stderr
    partial = hnbench(*asked, "--partial")
    assert "PARTIAL: 2 prompts without images" in partial.stdout
    assert "all 8 images have their verdicts already in out/random/scores-red" in partial.stderr


def test_a_run_s_images_are_scored_where_they_lie(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench(*QUICK, "--no-report")
    result = hnbench(
        "score", "run", "--suite", "toy-suite", "--out", "elsewhere", "--device", "cpu"
    )
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines() if "overall" in line] == [
        ["random", "overall"],
        ["best-of-2", "overall"],
    ]
    assert (tmp_path / "elsewhere/results.jsonl").is_file()
    assert not list((tmp_path / "run").glob("scores-*"))


def test_run_then_measure_then_report(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench(*QUICK, "--no-report")
    asked = ["measure", "run", "--measure", "lpips", "--measure", "shift", "--device", "cpu"]
    result = hnbench(*asked)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[:3] for line in lines if line and line[0] in ("lpips", "shift")] == [
        ["lpips", "random", "4"],
        ["lpips", "best-of-2", "4"],
        ["shift", "best-of-2", "4"],
    ]
    assert "shift: The difference of mean redness." in result.stdout
    assert "Prompt by prompt: run/measures/journal.jsonl" in result.stdout
    assert "lpips" in result.stderr
    assert "nothing new to measure: all values are in run/measures" in hnbench(*asked).stderr
    report = hnbench("report", "run")
    assert report.exit_code == 0, report.output
    assert "## Diversity and fidelity" in (tmp_path / "run/report/report.md").read_text()


def test_labels_are_measured_beside_the_base(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench(*QUICK, "--method", "reno:iterations=2", "--no-report")
    result = hnbench(
        "measure",
        "run",
        "--measure",
        "lpips",
        "--label",
        "reno",
        "--out",
        "elsewhere",
        "--device",
        "cpu",
    )
    assert [
        line.split()[1] for line in result.stdout.splitlines() if line.startswith("lpips ")
    ] == ["random", "reno"]
    assert (tmp_path / "elsewhere/journal.jsonl").is_file()
    assert not (tmp_path / "run/measures").exists()


def test_a_run_without_a_preset_is_measured_as_published(hnbench: Hnbench) -> None:
    hnbench(*QUICK, "--no-report")
    refused = hnbench("measure", "run")
    assert refused.exit_code == 2
    assert "unknown measure 'dino-similarity'" in refused.stderr


def test_images_from_anywhere_are_measured(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench(*QUICK, "--no-report")
    hnbench("export", "run", "--layout", "t2i-compbench", "--out", "out", "--label", "random")
    asked = [
        "measure",
        "out/random",
        "--suite",
        "toy-suite",
        "--quick",
        "--device",
        "cpu",
        "--measure",
    ]
    result = hnbench(*asked, "lpips")
    assert result.exit_code == 0, result.output
    assert [
        line.split()[:2] for line in result.stdout.splitlines() if line.startswith("lpips ")
    ] == [["lpips", "4"]]
    assert hnbench(*asked, "lpips").exit_code == 0
    refused = hnbench(*asked, "shift")
    assert refused.exit_code == 2
    assert (
        "out/random is not a run folder, so it has no labels to find them by; give a run folder"
        in refused.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["measure", "gone"],
            "gone is not a run folder; for other images, name the measures with --measure",
        ),
        (
            ["measure", "gone", "--measure", "lpips"],
            (
                "gone is not a run folder; for other images, name the suite of their prompts with"
                " --suite"
            ),
        ),
        (
            ["measure", "gone", "--measure", "lpisp"],
            "unknown measure 'lpisp'; did you mean 'lpips'?",
        ),
        (
            ["measure", "gone", "--measure", "lpips", "--suite", "toy-suite"],
            "there is no folder gone",
        ),
    ],
)
def test_wrong_usage_of_measure(hnbench: Hnbench, arguments: list[str], message: str) -> None:
    result = hnbench(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "gone", "--suite", "toy-suite"], "there is no folder gone"),
        (
            ["score", ".", "--suite", "toy-suit"],
            "unknown suite 'toy-suit'; did you mean 'toy-suite'?",
        ),
        (["score", ".", "--suite", "toy-suite"], ". has no known layout"),
        (["export", "gone", "--layout", "geneval", "--out", "out"], "gone is not a run folder"),
    ],
)
def test_wrong_usage_of_score_and_export(
    hnbench: Hnbench, arguments: list[str], message: str
) -> None:
    result = hnbench(*arguments)
    assert result.exit_code in (2, 4)
    assert message in result.stderr


def test_report_takes_the_newest_run_and_imports_no_torch(hnbench: Hnbench, tmp_path: Path) -> None:
    hnbench(*RUN, "--method", "random", "--no-report", "--out", "results/b")
    hnbench(*RUN, "--method", "best-of-n:n=2", "--no-report", "--out", "results/a")
    code = """
import sys
from hnbench.cli.app import main
sys.argv = ["hnbench", "report"]
try:
    main()
finally:
    assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "The report: results/a/report/report.md" in done.stdout
    assert not (tmp_path / "results/b/report").exists()


def test_a_report_of_several_seeds_has_a_place_of_its_own(hnbench: Hnbench, tmp_path: Path) -> None:
    for seed in ("0", "1"):
        hnbench(
            *RUN, "--method", "random", "--no-report", "--seed", seed, "--out", f"results/{seed}"
        )
    refused = hnbench("report", "results/0", "results/1")
    assert refused.exit_code == 2
    assert "name a folder for their common report with --out" in refused.stderr
    assert hnbench("report", "results/0", "results/1", "--out", "both").exit_code == 0
    assert (tmp_path / "both" / "report.md").is_file()
    assert not (tmp_path / "results" / "0" / "report").exists()


def test_report_without_any_run(hnbench: Hnbench) -> None:
    nothing = hnbench("report")
    assert nothing.exit_code == 2
    assert "there is no run under results/" in nothing.stderr


def test_report_of_what_is_no_run(hnbench: Hnbench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = hnbench("report", "empty")
    assert result.exit_code == 4
    assert "empty is not a run folder" in result.stderr


def test_python_m_hnbench() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hnbench", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"hnbench {__version__}\n"


def test_report_compares_images_when_asked(hnbench: Hnbench) -> None:
    assert hnbench(*QUICK).exit_code == 0
    assert hnbench("report", "run", "--check").exit_code == 0
    assert "images are the files that were written" in Path("run/report/report.md").read_text()
    image = next(Path("run/images").rglob("*.png"))
    image.write_bytes(image.read_bytes() + b"more")
    assert hnbench("report", "run").exit_code == 0
    assert "Images were not compared" in Path("run/report/report.md").read_text()
    told = hnbench("report", "run", "--check")
    assert told.exit_code == 3
    assert f"images that are missing or were changed: 1, such as {image}" in told.stderr
    assert "**1 of " in Path("run/report/report.md").read_text()
