"""Two processes have the records of one; the processes themselves are those of
`tests/runs/test_processes.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import processes


@dataclass
class Fake:
    id: str
    written: float
    noise_sha256: str = "noise"
    initial_rewards: dict[str, float] = field(default_factory=lambda: {"optimised": 10.0})


def runs(
    monkeypatch: pytest.MonkeyPatch, one: Sequence[Fake], two: Sequence[Fake]
) -> list[tuple[str, ...]]:
    """Stand-ins for the processes and for what they leave."""
    asked: list[tuple[str, ...]] = []

    def run(_folder: Path, shards: tuple[str, ...], arguments: list[str]) -> float:
        assert arguments == ["--limit", "2"]
        asked.append(shards)
        return 9.0 / len(shards)

    monkeypatch.setattr(processes, "run", run)
    monkeypatch.setattr(
        processes,
        "read_run",
        lambda _folder: SimpleNamespace(records=one if len(asked[-1]) == 1 else two),
    )
    return asked


def test_both_ratios_and_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = [Fake("a", 5.0), Fake("b", 11.0)], [Fake("b", 4.0), Fake("a", 8.0)]
    asked = runs(monkeypatch, one, two)
    found = processes.measure(["--limit", "2"], repeats=2)
    assert asked == [("1/1",), ("1/2", "2/2"), ("1/2", "2/2"), ("1/1",)]
    assert found["whole"]["median"] == 2.0
    assert found["records"]["median"] == 1.5
    assert found["number_of_records"] == 2


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Fake("c", 8.0), "2 and 2 samples, of which 1 are the same"),
        (Fake("a", 8.0, noise_sha256="other"), "the record a"),
        (Fake("a", 8.0, initial_rewards={"optimised": 10.1}), "the record a"),
    ],
)
def test_other_records_are_refused(
    other: Fake, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(monkeypatch, [Fake("a", 5.0), Fake("b", 11.0)], [Fake("b", 4.0), other])
    with pytest.raises(RuntimeError, match=message):
        processes.measure(["--limit", "2"], repeats=1)


@pytest.mark.slow
def test_a_real_run_by_one_and_by_two_processes() -> None:
    arguments = ["--method", "best-of-n:n=2", "--limit", "2", "--batch-size", "4"]
    found = processes.measure([*arguments, "--device", "cpu"], repeats=1)
    assert found["number_of_records"] == 16


def test_a_process_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ended with \[\d\]"):
        processes.run(tmp_path / "run", ("1/1",), ["--no-such-option"])
