"""What README.md and docs/ show is true: command lines parse, names exist, and the walk through the
embedded world runs in the order shown.
"""

from __future__ import annotations

import itertools
import re
import runpy
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from hnbench.catalogue import registry
from hnbench.catalogue.loading import check_generator, parse_weights, training_settings
from hnbench.catalogue.presets import preset_of
from hnbench.catalogue.specifications import find_suite, make_method, parse_method
from hnbench.cli.app import BadUsage, app
from hnbench.errors import UsageError
from hnbench.verification.reference import all_references, choose

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
}
BLOCK = re.compile(r"(?<=\n\n)(?: {4}.*\n(?:\n(?= {4}))?)+")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def blocks(text: str) -> list[str]:
    """The code blocks of a Markdown text, which are indented by four columns."""
    return [re.sub("^ {4}", "", block, flags=re.MULTILINE) for block in BLOCK.findall(text)]


def command_lines(text: str) -> list[str]:
    """The command lines of hnbench in the code blocks, without comments, in order."""
    lines = [line for block in blocks(text) for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.join(shlex.split(part, comments=True)) for part in parts if is_command(part)]


def is_command(line: str) -> bool:
    return line.startswith("hnbench ")


def meanings(line: str) -> Iterator[list[str]]:
    """The arguments that a command line stands for: `a|b` is a choice, `[--c]` can be left out and
    `RUN...` is one or more.
    """
    choices = []
    for word in shlex.split(line)[1:]:
        if word.startswith("["):
            choices.append([[], [word.strip("[]")]])
        else:
            words = [word] if word.startswith("...") else word.removesuffix("...").split("|")
            choices.append([[each] for each in words])
    for chosen in itertools.product(*choices):
        yield [word for words in chosen for word in words]


def parsed(arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters that the real command line understands."""
    name, *others = arguments
    assert name in COMMANDS, f"there is no command {name}"
    with COMMANDS[name].make_context(name, others) as context:
        return dict(context.params)


def is_placeholder(value: str) -> bool:
    return value.isupper() or value == "..." or value.startswith("path/to/")


def check_method(specification: str) -> None:
    """Make the method; one that needs an adapter gets that of the preset on the command line."""
    trained = registry.METHODS.entry(parse_method(specification)[0]).adapter
    make_method(specification, {"adapter": "path/to/adapter"} if trained else {})


CHECKS: dict[str, Callable[[Any], object]] = {
    "suite": find_suite,
    "generator": check_generator,
    "method": check_method,
    "optimise": lambda value: parse_weights([value], {}, "shapes"),
    "hold_out": registry.REWARDS.entry,
    "measure": registry.MEASURES.entry,
    "names": lambda value: choose([value], all_references()),
    "explain": lambda value: choose([value], all_references()),
}
"""Parameter -> the check of a value, which raises a `UsageError` for an unknown name."""


def check_values(parameters: dict[str, Any]) -> None:
    """Raise a `UsageError` for names that do not exist."""
    for name, check in CHECKS.items():
        given = parameters.get(name) or ()
        if given is True:  # `plan --measure` is not `measure --measure NAME`
            continue
        for value in [given] if isinstance(given, str) else given:
            if not is_placeholder(value):
                check(value)
    if preset := parameters.get("preset"):
        generator = parameters["generator"]
        training_settings(preset_of(generator), parameters["kind"], preset, generator)


SHOWN = [
    pytest.param(line, id=f"{name}: {line}")
    for name, text in TEXTS.items()
    for line in dict.fromkeys(command_lines(text))
]


@pytest.mark.parametrize("name", TEXTS)
def test_code_blocks_are_indented(name: str) -> None:
    assert "```" not in TEXTS[name], "the tests here do not see such blocks"


def test_command_lines_are_found() -> None:
    text = "A\n\n    pip install . && hnbench run --suite 'a b'  # isn't it?\n\n    hnbench env\n"
    assert command_lines(text) == ["hnbench run --suite 'a b'", "hnbench env"]
    assert len(command_lines(README)) >= 20


def test_a_command_line_can_stand_for_several() -> None:
    assert list(meanings("hnbench x a|b RUN... [--c]")) == [
        ["x", "a", "RUN"],
        ["x", "a", "RUN", "--c"],
        ["x", "b", "RUN"],
        ["x", "b", "RUN", "--c"],
    ]
    assert list(meanings("hnbench x --generator ...")) == [["x", "--generator", "..."]]


@pytest.mark.parametrize(
    "wrong",
    [
        "hnbench run --suite geneval-shapes --no-such-option",
        "hnbench run --suite geneval-shapes --noise-policy no-such-policy",
        "hnbench run --suite no-such-suite",
        "hnbench run --suite t2i-compbench:no-such-part",
        "hnbench run --suite geneval-shapes --method reno:no_such_parameter=1",
        "hnbench train --generator sd-turbo --preset no-such-preset",
        "hnbench fetch --optimise no-such-reward=1",
        "hnbench list no-such-kind",
        "hnbench verify no-such-check",
        "hnbench diagnose no-such-argument",
    ],
)
def test_wrong_command_lines_are_found(wrong: str) -> None:
    with pytest.raises((UsageError, BadUsage)):
        check_values(parsed(wrong.split()[1:]))


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_line_that_is_shown_parses(line: str) -> None:
    # tests/cli/test_configuration.py reads files; here, what such a file gives is written out.
    for arguments in meanings(line.replace("--config hnbench.toml", "--suite geneval-shapes")):
        check_values(parsed(arguments))


def test_the_sessions_of_nox_exist() -> None:
    code = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = set(re.findall(r"^@nox\.session.*\ndef (\w+)", code, re.MULTILINE))
    for name, text in TEXTS.items():
        for words in re.findall(r"nox -s ((?:[a-z][\w.-]* ?)+)", text):
            shown = {word.partition("-")[0] for word in words.split()}
            assert shown <= sessions, f"{name} shows nox -s {words}"


WALK = [
    line
    for section in README.split("\n## ")
    if section.startswith(("Try it\n", "Commands\n"))
    for line in command_lines(section)
]
"""The commands on the embedded world, in the order shown."""
LEFT_OUT = {
    "hnbench verify": "it needs published models",
    "hnbench view results/RUN": "it serves until it is stopped",
    "hnbench compare results/A results/B": "it needs runs that differ in more than the base seed",
    "hnbench run --suite geneval-shapes --method finetune --finetuned mine=./lora"
    " --finetuned owner/name": "it needs weights of other programs",
}
"""Commands of the walk that are not run here, each with the reason."""
SHORTER = {
    "hnbench run": "--limit 1",
    "hnbench run --suite geneval-shapes --full": "--limit 1 --method hypernoise",
    "hnbench plan": "--limit 1",
    "hnbench train": "--steps 1 --batch-size 2",
    "hnbench train --kind regression": ("--steps 1 --batch-size 2 --pairs 2 --reno-iterations 2"),
    "hnbench diagnose": "--limit 1 --samples 2",
}
"""Beginning of a command line -> options that shorten its work; the longest beginning counts."""


def shortened(line: str) -> str:
    """The command line with less work, and with the training where a later line expects it."""
    beginning = max((text for text in SHORTER if line.startswith(text)), key=len, default="")
    added = SHORTER.get(beginning, "")
    folder = "--out results/my-training" if line == "hnbench train" else ""
    return " ".join(filter(None, [line, added, folder]))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_walk_has_every_kind_of_work() -> None:
    assert WALK[0].startswith("hnbench run ")
    begun = {line.split()[1] for line in WALK}
    assert begun >= {"run", "train", "report", "measure", "diagnose", "list", "env"}
    assert set(WALK) >= set(LEFT_OUT)
    assert all(any(line.startswith(text) for line in WALK) for text in SHORTER)


@pytest.mark.slow
def test_the_walk_runs(elsewhere: Path) -> None:
    for line in WALK:
        if line in LEFT_OUT:
            continue
        for arguments in meanings(shortened(line)):
            run = next(iter(sorted(elsewhere.glob("results/*/run.json"))), elsewhere).parent
            words = [word.replace("results/RUN", str(run)) for word in arguments]
            result = CliRunner().invoke(app, words, prog_name="hnbench")
            assert result.exit_code == 0, f"{line}\n{result.output}"
            assert result.stdout, f"{line} printed nothing"


def python_blocks(text: str) -> list[str]:
    """The code blocks in Python: those that import, or that call a function of a package."""
    python = re.compile(r"^(import \w|\w+ = [a-z]+\.)", re.MULTILINE)
    return [code for code in blocks(text) if python.search(code)]


@pytest.mark.parametrize("name", TEXTS)
def test_python_compiles(name: str) -> None:
    for code in python_blocks(TEXTS[name]):
        compile(code, name, "exec")


@pytest.mark.slow
def test_python_runs(elsewhere: Path) -> None:
    code, in_diffusers = python_blocks(README)
    # The card of an adapter has these lines too, and its own test runs them.
    assert "load_hypernetwork" in in_diffusers
    (elsewhere / "results").mkdir()
    (elsewhere / "results/geneval-shapes").symlink_to(ROOT / "results/geneval-shapes")
    (elsewhere / "shown.py").write_text(code, encoding="utf-8")
    names = runpy.run_path("shown.py")
    assert names["run"].failed == 0
    assert len(names["run"].frame()) == names["run"].expected
