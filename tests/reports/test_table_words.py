"""The tables of the terminal and of the text: headers and whole rows, from made-up numbers."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from hnbench.reports.markdown import markdown
from hnbench.reports.summary import Summary
from hnbench.reports.tables import console_table, narrow_tables
from tests.reports.made_up import changed, made_up

CAPTION = (
    "12 prompts x 2 samples x 1 base seed(s); overall = mean of the tag means; 95% by cluster "
    "bootstrap over prompts. optimised, held-out: gain over random noise in its standard "
    "deviations (held-out: mean of shapes-resnet, redness). "
)
FLOP = "FLOP: floating-point operations of generator, hypernetwork and reward."
PASSES = "passes: of the generator, forward + backward."


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return made_up(tmp_path_factory.mktemp("made-up") / "run")


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Without floating-point operations and memory."""
    found = made_up(tmp_path_factory.mktemp("uncounted") / "run", counted=False)
    for label in found.rows:
        found = changed(found, label, peak_memory_bytes=float("nan"))
    return found


@pytest.fixture(scope="module")
def text(told: Summary) -> str:
    return markdown(told, {}, [])


def printed(table: Table) -> list[str]:
    """Its lines, with one space between words."""
    file = StringIO()
    Console(file=file, width=130).print(table)
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def table_of(text: str, title: str) -> list[str]:
    section = text.split(f"\n## {title}\n", 1)[1]
    return [line for line in section.split("\n## ", 1)[0].splitlines() if line.startswith("|")]


def test_the_table_of_the_terminal(told: Summary) -> None:
    lines = printed(console_table(told))
    assert lines[:2] == [
        "single two color opti- held- GFLOP",
        (
            "method overall [95%] Δ base [95%] object object counti colors positi attr "
            "mised out /img s/img"
        ),
    ]
    expected = {
        "random 0.501 [.481,.531] 0.202 0.302 0.402 0.502 0.602 0.702 30 0.007",
        (
            "ReNO 0.531 [.511,.561] +0.133 [.083,.193] 0.232 0.332 0.432 0.532 0.632 0.732 "
            "+0.37 +2.87 60 0.037"
        ),
        (
            "HyperNoise 0.541 [.521,.571] +0.143 [.093,.203] 0.242 0.342 0.442 0.542 0.642 0.742 "
            "+0.39 +2.89 70 0.047"
        ),
        (
            "other noise 0.571 [.551,.601] +0.173 [.123,.233] 0.272 0.372 0.472 0.572 0.672 0.772 "
            "+0.45 +2.95 100 0.077"
        ),
    }
    assert expected <= set(lines)
    assert " ".join(lines[10:]).startswith(CAPTION + FLOP)


def test_the_table_of_the_terminal_without_operations(uncounted: Summary) -> None:
    lines = printed(console_table(uncounted))
    assert lines[0] == "single two color opti- held- passes"
    assert any(line.endswith("+0.37 +2.87 5 0.037") for line in lines)
    assert " ".join(lines[10:]).startswith(CAPTION + PASSES)


def test_the_two_tables_of_a_narrow_terminal(told: Summary) -> None:
    first, second = (printed(table) for table in narrow_tables(told))
    assert first[1] == "method overall [95%] Δ base [95%] /img s/img mised out"
    assert "HyperNoise 0.541 [.521,.571] +0.143 [.093,.203] 70 0.047 +0.39 +2.89" in first
    assert second[1] == "method object object counting colors position attr"
    assert "HyperNoise 0.242 0.342 0.442 0.542 0.642 0.742" in second
    assert " ".join(second[10:]).startswith(CAPTION)
    assert not any("standard deviations" in line for line in first)


def test_the_table_of_methods(text: str) -> None:
    lines = table_of(text, "Methods")
    assert len(lines) == 2 + 8
    assert lines[0] == (
        "| method | overall [95%] | Δ base, paired [95%] | p (Holm) | GFLOP/image "
        "| generator passes | s/image | peak memory, MiB |"
    )
    assert lines[2] == ("| random noise | 0.501 [0.481, 0.531] |  |  | 30.3 | 2 | 0.00704 | 7 |")
    assert lines[6] == (
        "| **HyperNoise** | 0.541 [0.521, 0.571] | +0.143 [+0.093, +0.203] | 0.054 | 70.3 | 6 "
        "| 0.047 | 11 |"
    )
    assert (
        "Floating-point operations are those of products of matrices, convolutions and attention"
        " in generator, hypernetwork and reward, forward and backward. Generator passes are forward"
        " and backward passes, each counted as one; the reward's passes are not among them."
    ) in text


def test_the_table_of_methods_without_operations_and_memory(uncounted: Summary) -> None:
    text = markdown(uncounted, {}, [])
    lines = table_of(text, "Methods")
    assert lines[0] == (
        "| method | overall [95%] | Δ base, paired [95%] | p (Holm) | generator passes | s/image |"
    )
    assert lines[2] == ("| random noise | 0.501 [0.481, 0.531] |  |  | 2 | 0.00704 |")
    assert (
        "Floating-point operations are not known for all of these images, so they are left out."
    ) in text


def test_the_table_by_tag(text: str) -> None:
    lines = table_of(text, "By tag")
    assert lines[0] == (
        "| method | single_object | two_object | counting | colors | position | color_attr |"
    )
    assert lines[5] == (
        "| ReNO | 0.23 [0.19, 0.27] | 0.33 [0.29, 0.37] | 0.43 [0.39, 0.47] | 0.53 [0.49, 0.57] "
        "| 0.63 [0.59, 0.67] | 0.73 [0.69, 0.77] |"
    )


def test_the_table_of_rewards(text: str) -> None:
    lines = table_of(text, "Rewards")
    assert lines[0] == "| method | optimised | shapes-resnet (held out) | redness (held out) |"
    assert lines[2] == "| random noise | 1.060 | 3.060 | 4.060 |"
    assert lines[5] == (
        "| ReNO | 1.090 (+0.37 [+0.26, +0.59] sd) | 3.090 (+2.37 [+2.26, +2.59] sd) "
        "| 4.090 (+3.37 [+3.26, +3.59] sd) |"
    )
    assert (
        "\nThe optimised reward is 2 x shapes-clip. Each cell has the mean reward of the saved "
        "images and, in brackets, the paired gain over random noise in standard deviations"
    ) in text


def test_the_tables_of_the_training(text: str) -> None:
    assert table_of(text, "Cost of training") == [
        (
            "| method | steps | images | generator forward | generator backward | reward forward "
            "| reward backward | TFLOP | seconds | device |"
        ),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        (
            "| HyperNoise | 3,000 | 300,000 | 600,000 | 300,000 | 300,000 | 300,000 | 5.56 "
            "| 388 | Some CPU |"
        ),
        "| method | by FLOPs | by seconds |",
        "| --- | ---: | ---: |",
        "| best-of-2 | 11,111 | 22,222 |",
        "| ReNO | 33,333 | 44,444 |",
    ]


def test_the_tables_of_a_training_without_operations(uncounted: Summary) -> None:
    lines = table_of(markdown(uncounted, {}, []), "Cost of training")
    assert lines[0].endswith("| reward backward | seconds | device |")
    assert lines[2].endswith("| 300,000 | 300,000 | 388 | Some CPU |")
    assert lines[3] == "| method | by generator passes | by seconds |"


def test_the_table_of_coverage(text: str) -> None:
    lines = table_of(text, "Coverage")
    assert lines[0] == "| method | planned | done | failed | missing | paired with base |"
    assert lines[5] == "| ReNO | 24 | 24 | 0 | 0 | 14 |"
