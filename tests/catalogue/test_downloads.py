"""What has to be downloaded, and the command that does it; the Hub itself is pretended."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hnbench.catalogue import registry
from hnbench.cli.app import app
from hnbench.errors import UsageError
from hnbench.generators.sources import PublishedGenerator
from hnbench.hypernetwork.checkpoint import FILES, NEEDS
from hnbench.measures import lpips
from hnbench.suites.shapes import ShapesSuite
from hnbench.weights import hub
from hnbench.weights.hub import Source, find, wanted

BOTH = (Source("a/weights", patterns=("w.pt",)), Source("b/words"))
COMMIT = "0123456789abcdef"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Source]:
    """The sources that are downloaded, in order; their snapshots have the same commit."""
    asked: list[Source] = []

    def download(source: Source) -> Path:
        asked.append(source)
        return tmp_path / source.repo / "snapshots" / COMMIT

    monkeypatch.setattr(hub, "download", download)
    monkeypatch.setattr(hub, "size", lambda _: 1_970_000_000)
    return asked


def fetch(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["fetch", *arguments], prog_name="hnbench")


def test_files_are_found_where_they_were_downloaded(fetched: list[Source], tmp_path: Path) -> None:
    found = find(BOTH)
    assert fetched == list(BOTH)
    assert found.folders == tuple(
        tmp_path / repo / "snapshots" / COMMIT for repo in ("a/weights", "b/words")
    )
    assert found.origin == f"a/weights@{COMMIT}, b/words@{COMMIT}"


def test_another_repository_takes_the_first_ones_place(fetched: list[Source]) -> None:
    assert find(BOTH, "c/mine@v2").origin == f"c/mine@{COMMIT}, b/words@{COMMIT}"
    assert fetched == [Source("c/mine", "v2", ("w.pt",)), BOTH[1]]


def test_a_local_folder_has_everything(fetched: list[Source], tmp_path: Path) -> None:
    assert find(BOTH, str(tmp_path)).folders == (tmp_path, tmp_path)
    assert not fetched


def test_neither_folder_nor_repository() -> None:
    with pytest.raises(
        UsageError,
        match=r"'/no/such/folder' is not a folder here, and .* is not a repository of the Hub",
    ):
        wanted(BOTH, "/no/such/folder")


def test_fetch_downloads_each_source_once(fetched: list[Source]) -> None:
    done = fetch(
        "--optimise", "human-preference", "--hold-out", "aesthetic", "--suite", "geneval-shapes"
    )
    assert done.exit_code == 0, done.stderr
    expected = (
        *registry.REWARDS.sources("human-preference"),
        *registry.REWARDS.sources("aesthetic"),
    )
    assert fetched == list(dict.fromkeys(expected))
    lines = [line for line in done.stdout.splitlines() if "HPS_v2.1_compressed.pt" in line]
    assert [line.split() for line in lines] == [
        ["hpsv2.1", "xswu/HPSv2", "HPS_v2.1_compressed.pt", "2.0", "GB"]
    ]


@pytest.mark.parametrize("name", ["hpsv3", "hpsv3@{folder}"])
def test_fetch_of_a_reward_takes_the_text_that_it_reads(
    name: str, fetched: list[Source], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("hnbench.catalogue.downloads.data_file", asked.append)
    done = fetch("--optimise", "redness=1", "--hold-out", name.format(folder=tmp_path))
    assert done.exit_code == 0, done.stderr
    assert asked == ["hpsv3/data_collator_qwen.py"]
    assert fetched == list(registry.REWARDS.sources(name.format(folder=tmp_path)))


def test_fetch_of_what_comes_with_the_package(fetched: list[Source]) -> None:
    assert (
        fetch("--generator", "shapes", "--suite", "geneval-shapes").stdout
        == "everything is on this machine now\n"
    )
    assert not fetched


def test_fetch_of_a_generator_takes_its_parts_and_its_hypernetwork(
    fetched: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Source(
        "Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers", patterns=("vae/*.json",)
    )
    monkeypatch.setattr(
        PublishedGenerator,
        "sources",
        lambda self, dtype: (
            (parts,) if (self.name, dtype) == ("sana-sprint-0.6b", "bfloat16") else ()
        ),
    )
    done = fetch(
        "--generator", "sana-sprint-0.6b", "--dtype", "bfloat16", "--optimise", "redness=1"
    )
    assert done.exit_code == 0, done.stderr
    assert parts in fetched
    assert Source("lucaeyring/HyperNoise_Sana_Sprint_0.6B", patterns=FILES, needs=NEEDS) in fetched


def test_fetch_of_a_suite_reads_its_prompts_and_loads_its_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(ShapesSuite, "prompts", lambda _: loaded.append("prompts"))
    monkeypatch.setattr(ShapesSuite, "judge", lambda _, device: loaded.append(device))
    assert fetch("--suite", "geneval-shapes").exit_code == 0
    assert loaded == ["prompts", "cpu"]


def test_fetch_of_measures(fetched: list[Source], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[tuple[str, str]] = []
    monkeypatch.setattr(lpips, "load", lambda device: loaded.append(("lpips", device)))
    done = fetch(
        *(
            part
            for name in ("dino-similarity", "dino-vendi", "lpips", "vqascore@c/mine@v2")
            for part in ("--measure", name)
        )
    )
    assert done.exit_code == 0, done.stderr
    asking = registry.MEASURES.entry("vqascore").sources[0]
    assert fetched == [
        registry.MEASURES.entry("dino-vendi").sources[0],
        Source("c/mine", "v2", asking.patterns, needs=asking.needs),
    ]
    assert loaded == [("lpips", "cpu")]
    assert "did you mean 'dino-vendi'?" in fetch("--measure", "dino-vend").stderr


def test_fetch_of_nothing() -> None:
    refused = fetch()
    assert refused.exit_code == 2
    assert "there is nothing to fetch" in refused.stderr


def test_without_network_the_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(source: Source) -> Path:
        raise UsageError(f"{source} is not in the local cache")

    monkeypatch.setattr(hub, "size", unreachable)
    monkeypatch.setattr(hub, "download", unreachable)
    refused = fetch("--optimise", "hpsv2.0=1")
    assert refused.exit_code == 2
    assert "unknown" in refused.stdout
    assert "xswu/HPSv2 is not in the local cache" in refused.stderr
