"""LPIPS against torchmetrics, on a backbone of random weights in the file format of the published
one.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import torch
from torchvision.models import alexnet

from hnbench.errors import UsageError
from hnbench.files.hashing import sha256_of_file
from hnbench.measures import lpips
from hnbench.measures.lpips import Lpips, heads, heads_path
from hnbench.weights import pinned_files as data
from hnbench.weights.pictures import to_bytes
from tests.measures.pictures import pictures


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "alexnet-owt-7be5be79.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = alexnet(weights=None).state_dict()
    # nothing behind the features is looked at: a single number there, which keeps the file small
    torch.save(
        {
            name: value if "features" in name else torch.zeros(()).expand(value.shape)
            for name, value in state.items()
        },
        path,
    )
    return path


@pytest.fixture(scope="module")
def measure(weights: Path) -> Lpips:
    return Lpips(weights, "cpu")


@pytest.mark.parametrize("size", [(64, 64), (97, 71)])
def test_it_is_the_mean_of_torchmetrics_over_all_pairs(
    measure: Lpips, weights: Path, size: tuple[int, int]
) -> None:
    from torchmetrics.functional.image.lpips import _LPIPS

    theirs = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
    places = {
        str(place): f"{slice_}.{place}"
        for slice_, part in theirs.net.named_children()
        for place, _ in part.named_children()
    }
    state = torch.load(weights, weights_only=True)
    own = {name: value for name, value in state.items() if "features" in name}
    theirs.net.load_state_dict(
        {
            re.sub(r"features\.(\d+)", lambda found: places[found[1]], name): value
            for name, value in own.items()
        }
    )
    shown = pictures(5, size)
    images = to_bytes(shown).float() / 255
    pairs = [
        float(theirs(images[i : i + 1], images[j : j + 1], normalize=True))
        for i, j in itertools.combinations(range(5), 2)
    ]
    assert len(set(pairs)) == 10
    assert measure.values([shown, shown[:2]]) == pytest.approx(
        [sum(pairs) / 10, pairs[0]], rel=1e-4
    )


def test_equal_pictures_have_none(measure: Lpips) -> None:
    assert measure.values([pictures(1) * 3]) == [0]


def test_the_published_heads_are_of_five_layers_and_never_negative() -> None:
    found = heads(heads_path())
    assert [tuple(head.shape) for head in found] == [
        (64, 1, 1),
        (192, 1, 1),
        (384, 1, 1),
        (256, 1, 1),
        (256, 1, 1),
    ]
    assert all(float(head.min()) >= 0 and float(head.max()) > 0 for head in found)


def test_pictures_of_several_sizes_or_too_small_ones_are_refused(measure: Lpips) -> None:
    with pytest.raises(
        UsageError,
        match=r"one size, at least 32 pixels; those of one prompt here have 64x64, 96x64",
    ):
        measure.values([[*pictures(1), *pictures(1, (96, 64))]])
    with pytest.raises(UsageError, match="have 31x64"):
        measure.values([pictures(2, (31, 64))])


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="checkpoint of another architecture"):
        Lpips(tmp_path / "other.pth", "cpu")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    torch.save(alexnet, tmp_path / "code.pth")
    with pytest.raises(UsageError, match="cannot be read as a file of weights alone"):
        Lpips(tmp_path / "code.pth", "cpu")


def test_the_weights_are_a_known_file(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torchvision names its files by the beginning of their SHA-256, which is checked."""
    assert lpips.ALEXNET_URL.endswith(f"/alexnet-owt-{lpips.ALEXNET_SHA256}.pth")
    monkeypatch.setenv(data.VARIABLE, str(weights.parent.parent))
    monkeypatch.setattr(lpips, "ALEXNET", f"{weights.parent.name}/{weights.name}")
    with pytest.raises(UsageError, match=r"is not the known file \(expected SHA-256 7be5be79\)"):
        lpips.load("cpu")
    monkeypatch.setattr(lpips, "ALEXNET_SHA256", sha256_of_file(weights)[:8])
    assert lpips.load("cpu").fingerprint == Lpips(weights, "cpu").fingerprint
