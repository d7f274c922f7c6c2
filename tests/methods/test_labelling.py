from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hnbench.catalogue.specifications import given_label, make_method
from hnbench.errors import UsageError
from hnbench.hypernetwork.checkpoint import adapter_sha256
from hnbench.methods.labelling import labelled

RENO = {
    "name": "reno",
    "iterations": 50,
    "learning_rate": 5.0,
    "momentum": 0.9,
    "nesterov": True,
    "gradient_clip": 0.1,
    "regulariser_weight": 0.01,
}


def rows(
    texts: Sequence[str], known: dict[str, dict[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """Label -> identity of the methods of these specifications, in order."""
    found = labelled([(make_method(text), given_label(text)) for text in texts], known)
    return {label: method.identity_of(label) for method in found for label in method.labels}


@pytest.fixture
def adapters(tmp_path: Path) -> list[Path]:
    """Three adapters; the last two have folders of the same name."""
    folders = [tmp_path / name for name in ("one/adapter", "a/mine", "b/mine")]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(bytes([number]) * 16)
    return folders


def test_a_method_alone_keeps_its_label_whatever_its_parameters() -> None:
    assert rows(["random", "reno:iterations=20"]) == {
        "random": {"name": "random"},
        "reno": {**RENO, "iterations": 20},
    }


def test_two_settings_are_labelled_by_what_differs() -> None:
    found = rows(["random", "reno:iterations=20,nesterov=false", "reno:nesterov=false"])
    assert list(found) == ["random", "reno:iterations=20", "reno:iterations=50"]
    assert found["reno:iterations=20"] == {**RENO, "iterations": 20, "nesterov": False}
    assert list(rows(["reno:nesterov=false", "reno"])) == [
        "reno:nesterov=false",
        "reno:nesterov=true",
    ]


def test_a_parameter_that_an_identity_leaves_out_is_in_the_label() -> None:
    found = rows(["reno", "reno:optimiser=adam", "reno:starts=4"])
    assert list(found) == [
        "reno:optimiser=sgd,starts=1",
        "reno:optimiser=adam,starts=1",
        "reno:starts=4,optimiser=sgd",
    ]
    assert found["reno:optimiser=sgd,starts=1"] == RENO
    assert list(rows(["reno", "reno:optimiser=adam"], {"reno": RENO})) == [
        "reno",
        "reno:optimiser=adam",
    ]


def test_adapters_are_labelled_by_their_folders(adapters: list[Path]) -> None:
    one, mine, other = adapters
    found = rows([f"hypernoise:adapter={one}", f"hypernoise:adapter={mine}"])
    assert list(found) == ["hypernoise:adapter=one", "hypernoise:adapter=mine"]
    assert found["hypernoise:adapter=mine"]["adapter"] == adapter_sha256(mine)
    assert list(rows([f"hypernoise:adapter={mine}", f"hypernoise:adapter={other}"])) == [
        f"hypernoise:adapter=mine-{adapter_sha256(mine)[:8]}",
        f"hypernoise:adapter=mine-{adapter_sha256(other)[:8]}",
    ]


def test_the_newcomer_gets_the_longer_label() -> None:
    known = rows(["random", "reno"])
    found = rows(["random", "reno:iterations=20"], known)
    assert list(found) == ["random", "reno:iterations=20"]
    # The same command again, and one with both, find the labels that are there.
    assert rows(["random", "reno:iterations=20"], known | found) == found
    assert rows(["random", "reno:iterations=20", "reno"], known | found) == known | found


def test_a_setting_keeps_the_label_that_it_has_in_the_folder() -> None:
    known = rows(["random", "reno", "quick=reno:iterations=20"])
    assert list(known) == ["random", "reno", "quick"]
    assert list(rows(["random", "reno:iterations=20"], known)) == ["random", "quick"]


def test_an_adapter_of_the_same_folder_name_as_one_before(adapters: list[Path]) -> None:
    _, mine, other = adapters
    known = rows([f"hypernoise:adapter={mine}"])
    second = rows([f"hypernoise:adapter={adapters[0]}"], known)
    third = rows([f"hypernoise:adapter={other}"], known | second)
    assert [*known, *second, *third] == [
        "hypernoise",
        "hypernoise:adapter=one",
        "hypernoise:adapter=mine",
    ]
    taken = {"hypernoise": second.popitem()[1], **third}
    assert list(rows([f"hypernoise:adapter={mine}"], taken)) == [
        f"hypernoise:adapter=mine-{adapter_sha256(mine)[:8]}"
    ]


def test_searches_of_two_sizes_are_one_search() -> None:
    sizes = (2, 4, 8, 16, 20, 32, 50)
    several = labelled([(make_method(text), None) for text in ("best-of-n:n=20", "best-of-n:n=50")])
    assert [method.labels for method in several] == [tuple(f"best-of-{n}" for n in sizes)]
    assert several[0].identity() == {"name": "best-of-n", "n": 50}
    passes = several[0].passes(1)
    assert passes is not None
    assert passes.generator == 50
    assert rows(["best-of-n:n=16", "best-of-n:n=50"]) == rows(["best-of-n:n=50"])


def test_a_larger_search_takes_the_rows_that_are_there() -> None:
    small = rows(["best-of-n:n=16"])
    large = rows(["best-of-n:n=50"], small)
    assert list(large) == [f"best-of-{n}" for n in (2, 4, 8, 16, 32, 50)]
    assert [identity["n"] for identity in large.values()] == [16, 16, 16, 16, 50, 50]
    assert rows(["best-of-n:n=8"], large) == {
        f"best-of-{n}": {"name": "best-of-n", "n": 16} for n in (2, 4, 8)
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["reno", "reno:iterations=50"], "asked for twice with the same parameters"),
        (["reno", "mine=reno"], "asked for twice with the same parameters"),
        (["mine=reno", "mine=reno:iterations=3"], "two of the methods give a row named 'mine'"),
        (["mine=best-of-n"], "gives several rows"),
        (["mine=random"], "always named random"),
        (["reno=reno"], "'reno' is the name of a method's own row"),
        (["best-of-2=reno"], "'best-of-2' is the name of a method's own row"),
        (["=reno"], "give 1 to 40 printable characters"),
        (["a/b=reno"], "give 1 to 40 printable characters"),
        (["a\tb=reno"], "give 1 to 40 printable characters"),
        ([f"{'a' * 41}=reno"], "give 1 to 40 printable characters"),
    ],
)
def test_refused(texts: Sequence[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rows(texts)


def test_names_that_the_folder_has_otherwise() -> None:
    known = rows(["reno", "mine=reno:iterations=20"])
    with pytest.raises(UsageError, match="the folder has a row named 'mine' of another"):
        rows(["mine=reno:iterations=30"], known)
    with pytest.raises(UsageError, match="has these images in the row 'reno'"):
        rows(["other=reno"], known)
