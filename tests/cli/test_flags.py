import pytest
from typer.testing import CliRunner

from hnbench.cli.app import app
from hnbench.cli.flags import with_flags

OPTIONS = ["--batch-size", "--report", "--no-report", "--out"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("choose another `batch_size`", "choose another --batch-size"),
        ("give `report` or another `out`", "give --report or another --out"),
        ("leave `data_dir` out", "leave `data_dir` out"),
        ("see `hnbench list suites`", "see `hnbench list suites`"),
        ("the batch_size was 0", "the batch_size was 0"),
        ("`ulimit -n`, `HF_TOKEN` and a lone ` are text", None),
        ("", ""),
    ],
)
def test_a_parameter_in_backticks_becomes_its_flag(message: str, shown: str | None) -> None:
    assert with_flags(message, OPTIONS) == (message if shown is None else shown)


def stderr_of(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2
    return result.stderr


def test_an_error_of_the_library_shows_flags_at_the_command_line() -> None:
    shown = stderr_of("run", "--suite", "geneval-shapes", "--optimise", "shapes-clip=0")
    assert "--optimise was 'shapes-clip=0'" in shown


def test_only_the_flags_of_the_command_that_was_typed_are_shown() -> None:
    """`train` has no --finetuned, and `run` has no --kind."""
    shown = stderr_of(
        "run", "--suite", "geneval-shapes", "--generator", "sd-turbo", "--method", "finetune"
    )
    assert "give --finetuned" in shown
    assert "`kind` finetune" in shown
