"""Without enough memory, for real: a process of its own under a limit of its addresses says so in
one line, and loses nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hnbench.runs.store import read_run
from tests.reports import synthetic

pytestmark = [
    pytest.mark.storm,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux"),
]

SCRIPT = """
import resource, sys
from pathlib import Path
from hnbench.cli.app import main

def call(arguments):
    sys.argv = ["hnbench", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code

megabytes, *arguments = sys.argv[1:]
first, then = (" ".join(arguments).split(" then ") + [""])[:2]
assert call(first.split()) in (0, None)
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(megabytes) * 1_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print("limited", file=sys.stderr)
sys.exit(call(then.split()))
"""
"""A small command comes first and imports what the second one needs, so that the limit is just
above that.
"""
SHAPES = [
    "run",
    "--suite",
    "geneval-shapes",
    "--method",
    "best-of-n:n=4",
    "--device",
    "cpu",
    "--no-report",
    "--out",
    "run",
]


def limited(
    folder: Path, megabytes: int, first: Sequence[str], then: Sequence[str]
) -> tuple[int, str]:
    """Exit code and messages of the second command, which may have so many megabytes of addresses
    more than the first one needed.
    """
    command = [sys.executable, "-c", SCRIPT, str(megabytes), *first, "then", *then]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    before, mark, messages = done.stderr.partition("limited\n")
    assert mark, before
    assert "Traceback" not in messages, messages
    return done.returncode, messages


def is_advice(code: int, messages: str) -> bool:
    """Whether a command ended for want of memory: one line that says so, and the exit code of wrong
    usage.
    """
    lines = [line for line in messages.splitlines() if line.startswith("hnbench:")]
    assert (code, len(lines)) in ((0, 0), (2, 1)), (code, messages)
    assert all(line.startswith("hnbench: out of memory") for line in lines), lines
    return bool(lines)


def test_report(tmp_path: Path) -> None:
    synthetic.write_run(tmp_path / "small", ("random", "reno"), prompts_per_tag=1, samples=1)
    synthetic.write_run(tmp_path / "run", ("random", "reno"), prompts_per_tag=150, samples=4)
    before = read_run(tmp_path / "run").records
    found = [
        is_advice(*limited(tmp_path, megabytes, ["report", "small"], ["report", "run"]))
        for megabytes in (0, 1, 5, 20)
    ]
    assert any(found), "no limit was low enough"
    assert read_run(tmp_path / "run").records == before


def test_run(tmp_path: Path) -> None:
    asked = [*SHAPES, "--batch-size", "128"]
    found = []
    for megabytes in (1, 30, 100):
        code, messages = limited(
            tmp_path, megabytes, [*asked, "--limit", "1"], [*asked, "--limit", "24"]
        )
        records = {record.id: record.error for record in read_run(tmp_path / "run").records}
        assert len(records) >= 1 * 4 * 3, "the first command's records are lost"
        # Once it has begun, batches are halved; a sample that needs too much by itself is a failure
        # that says so.
        found.append(any(records.values()) if code == 3 else is_advice(code, messages))
    assert any(found), "no limit was low enough"
