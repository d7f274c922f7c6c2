"""run.json and journals that are anything but what was written: read, or refused in one line with
the file's name.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hnbench.errors import StoreError
from hnbench.reports.pool import pool_runs
from hnbench.runs.identity import shared_identity
from hnbench.runs.manifest import read_manifest
from hnbench.runs.store import read_run
from hnbench.seeds import digest
from tests.mutations import mutated_json, only_one_line, replaced
from tests.reports.synthetic import write_run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(
        tmp_path_factory.mktemp("small") / "run",
        ("random", "reno", "hypernoise"),
        prompts_per_tag=1,
        samples=1,
    )


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "run"))


def with_identity(content: bytes) -> bytes:
    """The same with an identity that follows from it, where there can be one."""
    try:
        value: Any = json.loads(content)
        value["identity"] = digest(shared_identity(value))
        return json.dumps(value).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return content


def test_any_value_of_run_json_is_used_or_is_one_line(folder: Path) -> None:
    """Whole reports of such folders are made by `nox -s fuzz`."""
    path = folder / "run.json"
    with only_one_line() as outcomes:
        for what, content in mutated_json(json.loads(path.read_bytes())):
            path.write_bytes(with_identity(content))
            outcomes.of(what, lambda: pool_runs([folder]))


@pytest.mark.parametrize("name", ["run.json", "journal-0000.jsonl"])
def test_whatever_is_in_the_place_of_a_file_is_one_line(folder: Path, name: str) -> None:
    path = folder / name
    with only_one_line() as outcomes:
        for what, place in replaced(path.read_bytes()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            place(path)
            outcomes.of(what, lambda: read_run(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suite": {"judge": None}}, "identity is not that of its content"),
        ({"generator": {"fingerprint": "9" * 64}}, "identity is not that of its content"),
        (
            {"plan": {"labels": ["random", "gone"]}},
            "plan.labels has 'gone', which is described nowhere",
        ),
        ({"plan": {"labels": ["random", "random"]}}, "plan.labels has 'random' twice"),
        (
            {"plan": {"method_of": {"random": 99, "reno": 1, "hypernoise": 2}}},
            "plan.method_of has 99",
        ),
        ({"rewards": {"held_out": ["gone"]}}, "rewards has 'gone'"),
        ({"config": {"base_seed": True}}, "base_seed is missing or not a whole number"),
        ({"identity_fields": ["gone"]}, "identity_fields has 'gone'"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(
    folder: Path, change: dict[str, Any], message: str
) -> None:
    path = folder / "run.json"
    value = json.loads(path.read_bytes())
    for name, content in change.items():
        value[name] = {**value[name], **content} if isinstance(content, dict) else content
    path.write_text(json.dumps(value))
    with pytest.raises(StoreError, match=message):
        read_manifest(folder)


def test_copies_that_a_file_manager_made_are_no_journals(folder: Path) -> None:
    records = read_run(folder).records
    for name in (
        "journal-0000 (1).jsonl",
        "journal-0x.jsonl",
        "journal-.jsonl",
        "journal-0000.jsonl.bak",
    ):
        (folder / name).write_text("not a journal\n")
    assert read_run(folder).records == records


def test_journals_are_read_in_the_order_of_their_numbers(folder: Path) -> None:
    whole = (folder / "journal-0000.jsonl").read_bytes()
    first, *_ = whole.splitlines(keepends=True)
    (folder / "journal-9999.jsonl").write_bytes(first)
    (folder / "journal-10000.jsonl").write_bytes(b'{"later": 1}\n')
    with pytest.raises(StoreError, match=r"journal-10000\.jsonl:1"):
        read_run(folder)
    (folder / "journal-9999.jsonl").write_bytes(b'{"earlier": 1}\n')
    with pytest.raises(StoreError, match=r"journal-9999\.jsonl:1"):
        read_run(folder)
