"""Prompt files through the commands: run, train and diagnose see the same prompts, or say the same
in one line.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hnbench.files.prompt_files import read_prompt_file
from hnbench.hypernetwork.seen import prompt_hash
from hnbench.seeds import digest
from tests.cli.conftest import Hnbench
from tests.files.test_prompt_files import BAD

pytestmark = pytest.mark.usefixtures("few_plots")

MODELS = ["--generator", "toy", "--device", "cpu"]
REWARD = ["--optimise", "brightness=1.0"]
SHORT = ["--rank", "2", "--steps", "1", "--batch-size", "2"]


@pytest.fixture
def adapter(hnbench: Hnbench, tmp_path: Path) -> list[str]:
    """A trained hypernetwork's option; what it was trained on is none of the prompts here."""
    Path("own.txt").write_text("nothing else\n")
    result = hnbench("train", *MODELS, *REWARD, *SHORT, "--prompts", "own.txt", "--out", "own")
    assert result.exit_code == 0, result.output
    return ["--hypernetwork", str(tmp_path / "own/adapter")]


def commands(place: str, adapter: list[str]) -> Iterator[list[str]]:
    """The three commands that take a prompt file."""
    yield [
        "run",
        "--suite",
        place,
        *MODELS,
        *REWARD,
        "--method",
        "random",
        "--no-report",
        "--full",
        "--out",
        "new/run",
    ]
    yield ["train", "--prompts", place, *MODELS, *REWARD, *SHORT, "--out", "new/training"]
    look = ["--limit", "100", "--samples", "1", "--out", "new/diagnosis.json"]
    yield ["diagnose", "--prompts", place, *MODELS, *adapter, *look]


def test_what_cannot_be_read_is_refused_by_all_commands_in_the_same_words(
    hnbench: Hnbench,
    adapter: list[str],
) -> None:
    for name, content, message in BAD:
        Path(name).write_bytes(content)
        results = [hnbench(*command) for command in commands(f"./{name}", adapter)]
        assert [result.exit_code for result in results] == [2, 2, 2], (
            name,
            content[:40],
            results[0].output,
        )
        told = {result.stderr for result in results}
        assert len(told) == 1
        (line,) = told.pop().splitlines()
        assert message.replace("./", "") in line
        assert not Path("new").exists()


GOOD = {
    "lines.txt": "a red ring\r\n\r\n two stars \na red ring\nthree\u2028stars",
    "no-ending": "a red ring\n",
    "table.csv": (
        '\ufeffprompt,category\r\n"a red cat, sitting",x\r\na blue dog,y\r\n"of two\r\nlines",z\r\n'
    ),
    "table.tsv": 'id\tPrompt\n1\tsays "hi"\n2\t"G I G" painted\n',
    "lines.jsonl": '"a \\ud83d\\ude42"\n{"caption": "two stars", "n": NaN}\n',
    "list.json": '["a red ring", {"text": "two stars"}]',
}


@pytest.mark.parametrize("name", GOOD)
def test_all_commands_see_the_same_prompts(hnbench: Hnbench, adapter: list[str], name: str) -> None:
    Path(name).write_bytes(GOOD[name].encode())
    results = [hnbench(*command) for command in commands(f"./{name}", adapter)]
    assert [result.exit_code for result in results] == [0, 0, 0], [
        result.output for result in results
    ]
    texts = read_prompt_file(Path(name)).texts
    manifest = json.loads(Path("new/run/run.json").read_text())
    assert tuple(one["text"] for one in manifest["plan"]["prompts"]) == texts
    assert json.loads(Path("new/training/training.json").read_text())["prompts"] == digest(
        list(texts)
    )
    assert set(Path("new/training/adapter/prompts.sha256").read_text().split()) == {
        prompt_hash(text) for text in texts
    }
    assert json.loads(Path("new/diagnosis.json").read_text())["prompts"] == len(texts)


def test_what_was_trained_on_is_found_in_a_table(hnbench: Hnbench) -> None:
    Path("s.csv").write_text('prompt,category\n"a red cat, sitting",x\na blue dog,y\n')
    assert (
        hnbench(
            "train", *MODELS, *REWARD, *SHORT, "--prompts", "s.csv", "--out", "training"
        ).exit_code
        == 0
    )
    method = ["--method", "hypernoise", "--hypernetwork", "training/adapter"]
    result = hnbench("run", "--suite", "s.csv", *MODELS, *REWARD, *method, "--out", "run")
    assert result.exit_code == 0, result.output
    assert json.loads(Path("run/run.json").read_text())["training"]["hypernoise"][
        "seen_prompts"
    ] == ["00000", "00001"]
    assert (
        "2 of the 2 prompts were among its training prompts"
        in Path("run/report/report.md").read_text()
    )


def test_what_a_user_should_know_of_a_file_is_told_on_stderr(
    hnbench: Hnbench,
    adapter: list[str],
) -> None:
    Path("p.txt").write_text("a cat\na cat\n" + "long " * 3000 + "\n")
    for command in commands("p.txt", adapter):
        result = hnbench(*command)
        assert result.exit_code == 0
        assert "hnbench: p.txt: 1 prompt repeats an earlier one and is left out\n" in result.stderr
        assert (
            "hnbench: p.txt: 1 prompt has more than 1,000 characters, the longest 14,999; a text"
            " encoder reads" in result.stderr
        )
        assert "repeats" not in result.stdout


@pytest.mark.parametrize("given", ["gone.txt", "./gone", "gone.json"])
def test_a_file_that_is_not_there(hnbench: Hnbench, adapter: list[str], given: str) -> None:
    for command in commands(given, adapter):
        result = hnbench(*command)
        assert result.exit_code == 2
        assert re.search(
            r"the prompt file gone\S* cannot be read \(No such file|there is no prompt file gone",
            result.stderr,
        )
        assert len(result.stderr.splitlines()) == 1


def run(hnbench: Hnbench, place: str, *more: str) -> str:
    """A run of a file in its default folder, whose name is the result."""
    before = set(Path("results").glob("*"))
    result = hnbench(
        "run", "--suite", place, *MODELS, *REWARD, "--method", "best-of-n:n=2", "--no-report", *more
    )
    assert result.exit_code == 0, result.output
    new = set(Path("results").glob("*")) - before
    return new.pop().name if new else re.findall(r"already done in results/(\S+)", result.stderr)[0]


def test_the_same_file_by_another_spelling_is_the_same_run(
    hnbench: Hnbench,
    tmp_path: Path,
) -> None:
    Path("x").mkdir()
    Path("p.txt").write_text("a cat\na dog\n")
    first = run(hnbench, "p.txt")
    assert re.fullmatch(r"p\.txt-toy-seed0-[0-9a-f]{8}", first)
    for spelling in ("./p.txt", "x/../p.txt", str(tmp_path / "p.txt")):
        assert run(hnbench, spelling) == first
    Path("x/p.txt").write_text("a cat\na dog\n")
    assert run(hnbench, "x/p.txt") == first
    Path("x/p.txt").write_text("a cat\nanother dog\n")
    assert run(hnbench, "x/p.txt") != first


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.txt",
        "a b;$(c).txt",
        "back\\slash.txt",
        "tab\there.txt",
        "ä日本.txt",
        "x" * 240 + ".txt",
        "NUL.txt",
    ],
)
def test_the_default_folder_is_a_plain_name(hnbench: Hnbench, name: str) -> None:
    Path(name).write_text("a cat\n")
    folder = run(hnbench, name)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*-seed0-[0-9a-f]{8}", folder)
    assert len(folder) <= 255
    assert folder.partition(".")[0].upper() != "NUL"
    assert run(hnbench, f"./{name}") == folder


def test_a_file_whose_name_is_not_valid_unicode(
    hnbench: Hnbench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = os.fsdecode(b"n\xff.txt")
    Path(name).write_text("a cat\n")
    monkeypatch.setattr(sys, "argv", ["hnbench", "run", "--suite", name])
    result = hnbench("run", "--suite", name, *MODELS, *REWARD, "--method", "random", "--out", "run")
    assert result.exit_code == 0, result.output
    assert "n\\xff.txt" in Path("run/report/report.md").read_text()


def test_a_training_s_folder_does_not_depend_on_where_its_prompts_lie(
    hnbench: Hnbench,
    tmp_path: Path,
) -> None:
    Path("p.txt").write_text("a cat\na dog\n")
    for spelling in ("p.txt", "./p.txt", str(tmp_path / "p.txt")):
        assert hnbench("train", *MODELS, *REWARD, *SHORT, "--prompts", spelling).exit_code == 0
    (folder,) = Path("results").iterdir()
    assert re.fullmatch(r"train-hypernoise-toy-seed0-[0-9a-f]{8}", folder.name)
    assert json.loads((folder / "adapter/hnbench.json").read_text())["config"]["prompts"] == "p.txt"
    Path("p.txt").write_text("a cat\nanother dog\n")
    assert hnbench("train", *MODELS, *REWARD, *SHORT, "--prompts", "p.txt").exit_code == 0
    assert len(list(Path("results").iterdir())) == 2


@pytest.mark.parametrize("fate", ["moved", "changed", "broken"])
def test_a_run_needs_its_prompt_file_no_more(
    hnbench: Hnbench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fate: str,
) -> None:
    prompts, elsewhere = tmp_path / "p/prompts.jsonl", tmp_path / "elsewhere"
    prompts.parent.mkdir()
    elsewhere.mkdir()
    prompts.write_text('{"prompt": "a cat"}\n"a dog, sitting"\n')
    monkeypatch.chdir(prompts.parent)
    folder = Path(run(hnbench, "./prompts.jsonl")).name
    (prompts.parent / "results" / folder).rename(tmp_path / "run")
    if fate == "moved":
        prompts.unlink()
    else:
        prompts.write_text({"changed": '"another"\n', "broken": '"unclosed'}[fate])
        (elsewhere / "prompts.jsonl").write_text('"a third thing"\n')
    monkeypatch.chdir(elsewhere)
    exported = hnbench(
        "export", "../run", "--layout", "t2i-compbench", "--out", "out", "--label", "best-of-2"
    )
    assert exported.exit_code == 0, exported.output
    names = {path.name for path in (elsewhere / "out/best-of-2/samples").iterdir()}
    assert names == {
        f"{text}_{number:06}.png"
        for text, numbers in (("a cat", range(4)), ("a dog, sitting", range(4, 8)))
        for number in numbers
    }
    measured = hnbench("measure", "../run", "--measure", "shift", "--device", "cpu")
    assert measured.exit_code == 0, measured.output
    reported = hnbench("report", "../run", "--out", "report")
    assert reported.exit_code == 0, reported.output
    refused = hnbench("export", "../run", "--layout", "geneval", "--out", "other")
    assert (refused.exit_code, Path("other").exists()) == (2, False)
    assert "the prompts of prompts.jsonl have no GenEval metadata" in refused.stderr


def test_a_run_of_a_file_from_before_files_had_versions_is_exported(
    hnbench: Hnbench,
    tmp_path: Path,
) -> None:
    Path("p.txt").write_text("a cat\n")
    folder = Path("results") / run(hnbench, "p.txt")
    manifest = json.loads((folder / "run.json").read_text())
    manifest["config"]["suite"] = "../gone/p.txt"
    del manifest["config"]["suite_version"]
    manifest["identity_fields"].remove("suite_version")
    (folder / "run.json").write_text(json.dumps(manifest))
    Path("p.txt").rename("q.txt")
    assert (
        hnbench("export", str(folder), "--layout", "t2i-compbench", "--out", "out").exit_code == 0
    )
    Path("q.txt").rename("p.txt")
    assert (
        "are already done"
        in hnbench(
            "run", "--suite", "p.txt", *MODELS, *REWARD, "--method", "random", "--out", str(folder)
        ).stderr
    )


def test_a_run_is_still_scored_by_its_own_suite(hnbench: Hnbench) -> None:
    ran = hnbench(
        "run",
        "--suite",
        "toy-suite",
        *MODELS,
        *REWARD,
        "--method",
        "random",
        "--no-report",
        "--out",
        "run",
    )
    assert ran.exit_code == 0
    scored = hnbench("score", "run", "--suite", "toy-suite", "--device", "cpu")
    assert scored.exit_code == 0, scored.output
    assert hnbench("export", "run", "--layout", "t2i-compbench", "--out", "out").exit_code == 0
