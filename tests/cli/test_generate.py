"""`hnbench generate`, with toys in the registries; and once on the embedded world."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import hnbench
from hnbench.catalogue import registry
from hnbench.cli.app import app
from hnbench.files.names import LONGEST
from tests.hostile import TEXTS
from tests.toy_plugins import toy_registries

Generate = Callable[..., Result]
TOYS = ["--generator", "toy", "--optimise", "brightness=1.0", "--hold-out", "red"]
CPU = ["--device", "cpu"]


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generate:
    """Run `hnbench generate` in an empty folder, with toys for models."""
    monkeypatch.chdir(tmp_path)
    for name, toys in toy_registries().items():
        monkeypatch.setattr(registry, name, toys)

    def call(*arguments: str) -> Result:
        line = ["generate", *TOYS, *CPU, *arguments]
        return CliRunner().invoke(app, line, prog_name="hnbench")

    return call


def the_folder() -> Path:
    (folder,) = Path("results").iterdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


METHODS = ["--method", "random", "--method", "best-of-n:n=2"]


def test_the_folder_has_the_images_of_the_library(generate: Generate) -> None:
    result = generate("low 0", "high 1", *METHODS, "--samples", "2", "--seed", "5")
    assert result.exit_code == 0, result.output
    made = hnbench.generate(
        ["low 0", "high 1"],
        method=["random", "best-of-n:n=2"],
        samples=2,
        seed=5,
        generator="toy",
        optimise="brightness=1.0",
        hold_out="red",
        device="cpu",
        progress=False,
    )
    folder = the_folder()
    assert folder.name.startswith("low_0-and-1-more-seed5-")
    rows = table(folder)
    assert len(rows) == len(made.images) == 2 * 2 * 2
    for row, one in zip(rows, made.images, strict=True):
        assert (row["prompt"], row["sample"]) == (one.prompt, str(one.sample))
        assert row["label"] == one.label
        assert row["image"].endswith(f"-{one.label}.png")
        with Image.open(folder / row["image"]) as saved:
            assert np.array_equal(np.asarray(saved), np.asarray(one.image))
        assert float(row["reward_red"]) == pytest.approx(one.rewards["red"])
    with Image.open(folder / "grid.png") as grid:
        assert grid.mode == "RGB"
    assert {path.name for path in folder.iterdir()} == {
        "generate.json",
        "grid.png",
        "images.csv",
        *(row["image"] for row in rows),
    }
    assert f"The grid: {folder}/grid.png" in result.stdout
    assert "best-of-2" in result.stdout
    assert "01-random.png" in result.stdout


def test_all_methods_of_a_row_begin_from_one_noise(generate: Generate) -> None:
    """The best of one candidate is the image of the noise itself."""
    chosen = ["--method", "random", "--method", "best-of-n:n=1", "--samples", "2"]
    assert generate("low 0", *chosen).exit_code == 0
    pictures = contents(the_folder())
    assert pictures["01-random.png"] == pictures["01-best-of-1.png"]
    assert pictures["02-random.png"] == pictures["02-best-of-1.png"]
    assert pictures["01-random.png"] != pictures["02-random.png"]


def test_the_same_command_again_replaces_its_images(generate: Generate) -> None:
    assert generate("low 0").exit_code == 0
    folder = the_folder()
    before = contents(folder)
    (folder / "01-random.png").write_bytes(b"cut")
    (folder / "grid.png").unlink()
    (folder / "notes.txt").write_text("mine")
    assert generate("low 0").exit_code == 0
    after = contents(the_folder())
    assert after.pop("notes.txt") == b"mine"
    assert after.keys() == before.keys()
    assert after["01-random.png"] == before["01-random.png"]


@pytest.mark.parametrize(
    "other", [["--seed", "1"], ["--samples", "2"], METHODS, ["low 1"], ["--dtype", "bfloat16"]]
)
def test_another_command_has_another_folder_and_is_refused_in_this_one(
    generate: Generate, other: list[str]
) -> None:
    assert generate("low 0", "--out", "here").exit_code == 0
    before = contents(Path("here"))
    refused = generate("low 0", "--out", "here", *other)
    assert refused.exit_code == 2
    assert "which has images of other settings (here/generate.json)" in refused.stderr
    assert contents(Path("here")) == before
    assert generate("low 0").exit_code == 0
    assert generate("low 0", *other).exit_code == 0
    assert len(list(Path("results").iterdir())) == 2


@pytest.mark.parametrize("name", ["grid.png", "generate.json"])
def test_files_of_others_are_never_touched(generate: Generate, name: str) -> None:
    Path("photos").mkdir()
    Path("photos", name).write_text("not a settings file")
    refused = generate("low 0", "--out", "photos")
    assert refused.exit_code == 2
    assert "--out was 'photos', which has files that were not generated" in refused.stderr
    assert contents(Path("photos")) == {name: b"not a settings file"}
    assert "loading" not in refused.stderr


def test_where_and_how_it_is_computed_is_not_part_of_the_folder(generate: Generate) -> None:
    assert generate("low 0").exit_code == 0
    assert generate("low 0", "--batch-size", "1").exit_code == 0
    assert len(list(Path("results").iterdir())) == 1


def test_json_is_one_document_with_every_image(generate: Generate) -> None:
    result = generate("low 0", *METHODS, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["folder"] == str(the_folder())
    assert document["grids"] == [f"{the_folder()}/grid.png"]
    assert [one["label"] for one in document["images"]] == ["random", "best-of-2"]
    for one, row in zip(document["images"], table(the_folder()), strict=True):
        assert one["image"] == f"{the_folder()}/{row['image']}"
        assert one["reward_brightness"] == pytest.approx(float(row["reward_brightness"]))
        assert one["flops"] > 0


def test_prompts_of_a_file(generate: Generate) -> None:
    Path("prompts.csv").write_text('prompt\n"low 0"\nhigh 1\nlow 0\n')
    result = generate("--prompts", "prompts.csv")
    assert result.exit_code == 0, result.output
    assert [row["prompt"] for row in table(the_folder())] == ["low 0", "high 1"]
    assert "1 prompt repeats an earlier one" in result.stderr


def test_many_prompts_have_several_pages(generate: Generate) -> None:
    result = generate(*(f"low {number}" for number in range(9)))
    assert result.exit_code == 0, result.output
    assert (the_folder() / "grid-2.png").is_file()
    assert f"The grid: {the_folder()}/grid-2.png" in result.stdout


PROMPTS = [
    *(text for text in TEXTS if text.isprintable() or "\n" in text),
    "../../etc/passwd",
    "/etc/passwd",
    "a/b\\c:d*e?f|g",
    "CON",
    ".",
    "..",
    "~",
    "$HOME $(touch x)",
    "x" * 15_000,
    "\N{ROCKET}" * 300,
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_no_prompt_becomes_a_path(generate: Generate, prompt: str, tmp_path: Path) -> None:
    result = generate("--method", "random", "--", prompt)
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    folder = the_folder()
    assert folder.name.isascii()
    assert folder.name.isprintable()
    assert len(folder.name) <= LONGEST
    assert sorted(path.name for path in folder.iterdir()) == [
        "01-random.png",
        "generate.json",
        "grid.png",
        "images.csv",
    ]
    assert "\x1b" not in result.output
    document = json.loads((folder / "generate.json").read_bytes())
    assert document["settings"]["prompts"] == [prompt.strip()]


@pytest.mark.parametrize("label", ["..", "quick search", "Größe", "<b>", "a*?|"])
def test_a_label_does_not_become_a_path(generate: Generate, label: str, tmp_path: Path) -> None:
    result = generate("low 0", "--method", f"{label}=best-of-n:n=2", "--method", "random")
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    (name,) = {row["image"] for row in table(the_folder()) if row["label"] == label}
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzG0123456789-_.")
    assert (the_folder() / name).is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a text, or several, that are not empty, or a file of prompts with --prompts"),
        (["  "], "that are not empty"),
        (["a\x00b"], r"has a control character (U+0000); remove it from the prompt"),
        (["a\x1b[31m"], "has a control character (U+001B)"),
        (["a\ud800"], "has half of a surrogate pair"),
        (["a", "--prompts", "p.txt"], "the file 'p.txt' with --prompts; give only one of them"),
        (["--prompts", "absent.txt"], "the prompt file absent.txt cannot be read"),
        (["a", "--samples", "0"], "--samples was 0; it must be at least 1"),
        (["a", "--method", "reeno"], "did you mean 'reno'?"),
        (["a", "--out", "file.txt"], "--out was 'file.txt', which is a file; give a folder"),
        (["a", "--batch-size", "0"], "--batch-size"),
        (["a", "--hold-out", "brightness"], "brightness cannot be optimised and held out"),
    ],
)
def test_wrong_usage_is_told_before_any_work(
    generate: Generate, arguments: list[str], message: str
) -> None:
    Path("file.txt").write_text("a")
    result = generate(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "loading" not in result.stderr
    assert len(result.stderr.splitlines()) <= 2
    assert not Path("results").exists()


def test_a_prompt_that_begins_with_a_dash_needs_two_dashes(generate: Generate) -> None:
    assert generate("-1").exit_code == 2
    assert generate("--", "-1").exit_code == 0


def test_help_has_examples(generate: Generate) -> None:
    assert "Examples:\n    hnbench generate" in generate("--help").stdout


@pytest.mark.slow
def test_the_embedded_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = ["generate", "a red ring left of a blue dog", "--samples", "2", *CPU]
    result = CliRunner().invoke(app, line, prog_name="hnbench")
    assert result.exit_code == 0, result.output
    assert "not trained on some words of the prompts: dog" in result.stderr
    assert [row["label"] for row in table(the_folder())] == ["random", "hypernoise"] * 2
    made = hnbench.generate("a red ring left of a blue dog", samples=2, progress=False)
    for row, one in zip(table(the_folder()), made.images, strict=True):
        with Image.open(the_folder() / row["image"]) as saved:
            difference = np.asarray(saved, dtype=int) - np.asarray(one.image, dtype=int)
        assert np.abs(difference).max() <= 1


def test_a_method_that_rewrites_says_from_which_prompt(tmp_path: Path) -> None:
    made = hnbench.generate(
        ["a red ring and a blue star", "a green heart"],
        method=["random", "prompt-search:proposals=3,rounds=2"],
        device="cpu",
        out=tmp_path / "out",
        progress=False,
    )
    rows = table(tmp_path / "out")
    assert [row["chosen_prompt"] for row in rows if row["label"] == "random"] == ["", ""]
    chosen = [one.chosen_prompt for one in made.images if one.label == "prompt-search"]
    assert [row["chosen_prompt"] for row in rows if row["label"] != "random"] == chosen
    assert all(chosen)
