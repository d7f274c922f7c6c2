"""The page about the command has the checks that there are."""

from __future__ import annotations

from pathlib import Path

from rich import filesize

from hnbench.verification.reference import Reference, all_references

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"
HEAD = "| check | component | what is compared | download | GPU |"


def row(one: Reference) -> str:
    truth = "published" if one.truth == "published" else "independent"
    return (
        f"| `{one.name}` | `{one.component}` | {one.about} ({truth}) |"
        f" {filesize.decimal(one.download)} | {'yes' if one.gpu else ''} |"
    )


def test_the_page_s_table_is_that_of_the_references() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index(HEAD) + 2
    found = lines[start : lines.index("", start)]
    expected = [row(one) for one in all_references()]
    assert found == expected, "the rows of docs/verify.md must be\n" + "\n".join(expected)


def test_the_page_does_not_claim_that_a_check_was_run() -> None:
    """Until results/verified/ has a result, the page says that there is none."""
    results = list((PAGE.parents[1] / "results" / "verified").glob("*.json"))
    assert (
        "never been run with the published weights"
        in " ".join(PAGE.read_text(encoding="utf-8").split())
    ) == (not results)
