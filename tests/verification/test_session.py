"""Verdicts, what one command does with them, and what is remembered: with checks that are made
here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from hnbench.cli.app import app
from hnbench.errors import UsageError
from hnbench.verification import reference, session
from hnbench.verification.check import CannotRun, CheckContext, CheckResult, run_check
from hnbench.verification.reference import PinnedInput, Reference
from hnbench.verification.session import small_checks
from hnbench.weights import verified
from hnbench.weights.verified import Verification, memory_file, remember, remembered, status_of

Check = Callable[..., Reference]
MODULE = __name__


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real memory, in a folder of the test's own."""
    monkeypatch.setattr(verified, "memory_file", memory_file)
    monkeypatch.setattr(
        "huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "assets")
    )
    return tmp_path / "assets"


def check(name: str, function: str, **more: Any) -> Reference:
    given: dict[str, Any] = {
        "component": "redness",
        "kind": "reward",
        "about": "it",
        "truth": "published",
        "source": "somebody",
        "expected": {"x": 1.0},
        "tolerance": {"float32": 0.5, "bfloat16": 2.0},
    }
    return Reference(**{**given, "name": name, "function": f"{MODULE}:{function}", **more})


def gives(context: CheckContext) -> None:
    context.uses("model", "fingerprint")
    for name, value in context.reference.given.items():
        context.compare(name, value)


def given(value: Any, **more: Any) -> Reference:
    return check("it", "gives", given={"x": value}, **more)


def gives_nan(context: CheckContext) -> None:
    context.uses("model", "fingerprint")
    context.compare("x", math.nan)


def compares_nothing(_: CheckContext) -> None:
    pass


def crashes(context: CheckContext) -> None:
    context.uses("model", "fingerprint")
    raise RuntimeError("first line\nsecond line")


def lacks_a_file(_: CheckContext) -> None:
    raise UsageError("connect and try again")


def lacks_a_package(_: CheckContext) -> None:
    raise CannotRun("install it")


def differs_then_crashes(context: CheckContext) -> None:
    context.compare("x", 9.0)
    raise RuntimeError("later")


def equal_then_lacks(context: CheckContext) -> None:
    context.compare("x", 1.0)
    raise UsageError("no second file")


def chooses_a_type(context: CheckContext) -> None:
    context.dtype = "bfloat16"
    context.compare("x", 2.5)


def says(context: CheckContext) -> None:
    context.note("a note")
    context.compare("x", 1.0)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (1.0, "equal"),
        (1.5, "equal"),
        (0.5, "equal"),
        (1.5001, "differs"),
        (math.nan, "differs"),
        (math.inf, "differs"),
        (-math.inf, "differs"),
        ("1.0", "differs"),
        (torch.tensor(1.0).item(), "equal"),
    ],
)
def test_a_value_decides_the_verdict(value: Any, verdict: str) -> None:
    assert run_check(given(value), "cpu").verdict == verdict


def test_infinity_is_not_equal_to_infinity() -> None:
    assert run_check(given(math.inf, expected={"x": math.inf}), "cpu").verdict == "differs"


def test_texts_are_equal_to_the_letter() -> None:
    assert run_check(given("a b", expected={"x": "a b"}), "cpu").verdict == "equal"
    assert run_check(given("a  b", expected={"x": "a b"}), "cpu").verdict == "differs"


def test_the_tolerance_is_of_the_type_that_was_computed_in() -> None:
    assert run_check(given(2.5), "cpu").verdict == "differs"
    assert run_check(given(2.5), "cpu", "bfloat16").verdict == "equal"
    assert run_check(given(2.5), "cpu", "float16").verdict == "differs"
    assert run_check(given(2.5, dtype="bfloat16"), "cpu").verdict == "equal"


def test_a_model_that_chooses_its_type_is_compared_and_recorded_in_it() -> None:
    result = run_check(check("it", "chooses_a_type"), "cpu")
    assert (result.verdict, result.dtype) == ("equal", "bfloat16")


def test_no_tolerance_means_the_very_same() -> None:
    zero = {"float32": 0.0}
    assert run_check(given(1.0, tolerance=zero), "cpu").verdict == "equal"
    assert run_check(given(math.nextafter(1.0, 2.0), tolerance=zero), "cpu").verdict == "differs"


def test_the_worst_comparison_is_shown() -> None:
    made = check(
        "it",
        "gives",
        given={"x": 1.0, "y": math.nan, "z": 9.0},
        expected={"x": 1.0, "y": 1.0, "z": 1.0},
    )
    worst = run_check(made, "cpu").worst
    assert worst is not None
    assert worst.name == "y"


@pytest.mark.parametrize(
    ("function", "verdict", "why", "crashed"),
    [
        ("compares_nothing", "differs", "nothing was compared with x", False),
        ("crashes", "not run", "RuntimeError: first line", True),
        ("lacks_a_file", "not run", "connect and try again", False),
        ("lacks_a_package", "not run", "install it", False),
        ("differs_then_crashes", "differs", "RuntimeError: later", True),
        ("equal_then_lacks", "not run", "no second file", False),
        ("not_there", "not run", "AttributeError", True),
    ],
)
def test_what_a_check_ends_in(function: str, verdict: str, why: str, crashed: bool) -> None:
    result = run_check(check("it", function), "cpu")
    assert (result.verdict, result.crashed) == (verdict, crashed)
    assert result.why.startswith(why)


def test_a_published_value_that_was_not_compared_is_a_difference() -> None:
    result = run_check(given(1.0, expected={"x": 1.0, "y": 2.0}), "cpu")
    assert (result.verdict, result.why) == ("differs", "nothing was compared with y")


def test_an_independent_check_that_compares_nothing_is_a_difference() -> None:
    result = run_check(check("it", "compares_nothing", truth="independent", expected={}), "cpu")
    assert (result.verdict, result.why) == ("differs", "nothing was compared with anything")


def test_what_takes_a_gpu_waits_for_one() -> None:
    slow = given(1.0, gpu=True)
    result = run_check(slow, "cpu")
    assert result.verdict == "not run"
    assert "slow checks" in result.why
    assert run_check(slow, "cpu", slow=True).verdict == "equal"
    assert run_check(slow, "cuda").verdict == "equal"


def test_what_is_run_by_default_is_small() -> None:
    kept = check("kept", "gives")
    assert small_checks(
        [kept, check("gpu", "gives", gpu=True), check("large", "gives", download=5_000_000_000)]
    ) == (kept,)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have these checks in the place of the published ones."""

    def put(*references: Reference) -> None:
        monkeypatch.setattr(reference, "all_references", lambda: references)

    return put


@pytest.fixture
def hnbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [*arguments], prog_name="hnbench")


GOOD = check("good", "gives", given={"x": 1.2})


def test_one_check_that_fails_stops_no_other(
    known: Callable[..., None], hnbench: Callable[..., Result], tmp_path: Path
) -> None:
    known(
        check("broken", "crashes"),
        check("lacking", "lacks_a_file"),
        check("other", "gives_nan"),
        GOOD,
    )
    done = hnbench("verify", "--device", "cpu", "--out", "found/it.json")
    assert done.exit_code == 3, done.output
    assert "4 checks: 1 equal, 1 differ, 2 not run." in done.output
    assert "Traceback" not in done.output
    found = json.loads((tmp_path / "found" / "it.json").read_text(encoding="utf-8"))
    assert found["schema"] == 1
    assert [one["verdict"] for one in found["results"]] == [
        "not run",
        "not run",
        "differs",
        "equal",
    ]
    assert found["results"][2]["comparisons"][0]["got"] == "nan"
    last = found["results"][3]
    assert last["comparisons"] == [
        {"name": "x", "expected": 1.0, "got": 1.2, "tolerance": 0.5, "equal": True}
    ]
    assert (last["fingerprints"], last["dtype"], last["reference"]) == (
        {"model": "fingerprint"},
        "float32",
        GOOD.digest,
    )
    assert "torch" in found["environment"]["packages"]


@pytest.mark.parametrize(
    ("functions", "code"),
    [
        (["says"], 0),
        (["says", "lacks_a_file"], 0),
        (["says", "crashes"], 3),
        (["lacks_a_file"], 3),
        (["compares_nothing"], 3),
    ],
)
def test_exit_codes(
    functions: list[str], code: int, known: Callable[..., None], hnbench: Callable[..., Result]
) -> None:
    known(*(check(name.replace("_", "-"), name) for name in functions))
    assert hnbench("verify", "--device", "cpu").exit_code == code


def test_results_are_written_where_they_are_sent_in_from(
    known: Callable[..., None], hnbench: Callable[..., Result], tmp_path: Path
) -> None:
    known(check("says", "says"))
    done = hnbench("verify", "--device", "cpu")
    (path,) = (tmp_path / "results" / "verified").glob("*.json")
    assert path.name in done.output.replace("\n", "")
    assert "says: a note" in done.output
    assert json.loads(path.read_text(encoding="utf-8"))["results"][0]["notes"] == ["a note"]


def test_a_place_that_cannot_be_written_to_is_told(
    known: Callable[..., None], hnbench: Callable[..., Result], tmp_path: Path
) -> None:
    known(GOOD)
    (tmp_path / "file").write_text("")
    done = hnbench("verify", "--device", "cpu", "--out", "file/it.json")
    assert done.exit_code == 4
    assert "file/it.json cannot be written to" in " ".join(done.output.split())


def test_list_and_explain_run_nothing(
    known: Callable[..., None], hnbench: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = PinnedInput(name="cat.png", url="https://host/cat.png", sha256="ab" * 32)
    loose = PinnedInput(name="dog.png", url="https://host/dog.png", unpinned="an attachment")
    known(
        replace(GOOD, inputs=(item, loose), pitfalls=("mind it",)),
        check("other", "gives", component="clip"),
    )
    monkeypatch.setattr(session, "run_check", lambda *_, **__: pytest.fail("a check was run"))
    listed = hnbench("verify", "--list")
    assert listed.exit_code == 0
    assert "good" in listed.output
    assert "not yet run here" in listed.output
    assert listed.output.splitlines()[1].split() == [
        "component",
        "check",
        "input",
        "expected",
        "download",
        "GPU",
        "here",
    ]
    chosen = hnbench("verify", "--list", "clip")
    assert "other" in chosen.output
    assert "good" not in chosen.output
    explained = hnbench("verify", "--explain", "good")
    for text in (
        "somebody",
        "https://host/cat.png",
        "ab" * 32,
        "x: 1",
        "0.5 in float32",
        "mind it",
        "(not pinned: an attachment)",
    ):
        assert text in explained.output


@pytest.mark.parametrize(
    "arguments",
    [["verify", "goood"], ["verify", "--list", "goood"], ["verify", "--explain", "goood"]],
)
def test_an_unknown_name_is_refused(
    arguments: list[str], known: Callable[..., None], hnbench: Callable[..., Result]
) -> None:
    known(GOOD)
    done = hnbench(*arguments)
    assert done.exit_code == 2
    assert "there is no check 'goood'; did you mean 'good'?" in " ".join(done.output.split())


def test_outcomes_are_remembered_by_fingerprint(
    known: Callable[..., None], hnbench: Callable[..., Result]
) -> None:
    known(
        GOOD,
        check("wrong", "gives_nan"),
        check("lacking", "lacks_a_file"),
        check("broken", "crashes"),
    )
    hnbench("verify", "--device", "cpu")
    found = remembered()
    assert [(one.check, one.equal) for one in found] == [("good", True), ("wrong", False)]
    assert found[0].difference == pytest.approx(0.4)
    assert found[1].difference == 1e9
    assert {one["check"]: one["equal"] for one in status_of("fingerprint", found)} == {
        "good": True,
        "wrong": False,
    }
    assert status_of("another", found) == []
    assert re.search(r"equal, 20\S+, 0 s", hnbench("verify", "--list").output)


def verification(**more: Any) -> Verification:
    whole = {"check": "a", "equal": True, "difference": 0.1, "date": "2026-01-01", "seconds": 2.0}
    return Verification(
        **{
            **whole,
            "device": "cpu",
            "dtype": "float32",
            "fingerprints": {"m": "f"},
            "versions": {},
            **more,
        }
    )


def test_the_latest_outcome_of_a_check_counts() -> None:
    remember(
        [verification(), verification(equal=False, date="2026-01-02"), verification(device="gpu")]
    )
    assert [(one["device"], one["equal"]) for one in status_of("f", remembered())] == [
        ("cpu", False),
        ("gpu", True),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "null",
        '{"check": "a"}',
        "[" * 5000,
        '{"check": 1, "equal": "yes"}',
        "\ufffd\x00",
        "NaN",
        "3",
    ],
)
def test_damaged_lines_prove_nothing_and_cost_nothing(line: str) -> None:
    remember([verification()])
    with memory_file().open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    remember([verification(check="b")])
    assert [one.check for one in remembered()] == ["a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        {"equal": 1},
        {"difference": "0"},
        {"fingerprints": ["f"]},
        {"check": None},
        {"more": 1},
        {"fingerprints": {"m": ["f"]}},
    ],
)
def test_a_line_of_another_shape_is_left_out(change: dict[str, Any]) -> None:
    remember([verification()])
    whole = json.loads(memory_file().read_text(encoding="utf-8"))
    memory_file().write_text(json.dumps({**whole, **change}) + "\n", encoding="utf-8")
    assert status_of("f", remembered()) == []


def test_a_cache_that_cannot_be_written_to_costs_the_memory_alone(
    known: Callable[..., None],
    hnbench: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "file")
    )
    known(GOOD)
    assert hnbench("verify", "--device", "cpu").exit_code == 0
    assert remembered() == []
    monkeypatch.setattr(verified, "memory_file", lambda: tmp_path)  # a folder
    assert hnbench("verify", "--device", "cpu").exit_code == 0
    assert remembered() == []


def test_ctrl_c_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: CheckContext) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(globals(), "gives", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_check(GOOD, "cpu")


def test_a_result_without_comparisons_has_no_worst_one() -> None:
    assert CheckResult(GOOD, "not run").worst is None
