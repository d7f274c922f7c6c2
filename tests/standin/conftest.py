"""The stand-in Hub with every published name, an empty cache, and the command line."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
from huggingface_hub import constants
from typer.testing import CliRunner, Result

from hnbench.cli.app import app
from hnbench.measures import lpips
from hnbench.measures.vqascore import VQAScore
from hnbench.rewards import imagereward
from hnbench.suites.dpg_vlm import suite as dpg_vlm
from hnbench.suites.geneval import colours, conversion, judge
from hnbench.suites.geneval import suite as geneval
from hnbench.suites.t2i_compbench import judge as compbench
from hnbench.suites.t2i_compbench import prompts as compbench_prompts
from hnbench.weights import pinned_files as data
from hnbench.weights.pinned_files import DataFile
from tests.rewards import tiny as rewards
from tests.standin import prompts, repositories
from tests.standin.hub import StandInHub, forget_uploads
from tests.suites import mask2former

Hnbench = Callable[..., Result]
ADDRESS = {
    "ENDPOINT": "{url}",
    "HUGGINGFACE_CO_URL_TEMPLATE": "{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
}


@pytest.fixture(scope="session")
def standin_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of every repository, built once."""
    root = repositories.build(tmp_path_factory.mktemp("standin"))
    repositories.prompt_files(root, prompts.all_files())
    return root


@pytest.fixture(scope="session")
def standin_server(standin_root: Path) -> Iterator[StandInHub]:
    """The server, one for all tests."""
    with StandInHub(standin_root) as server:
        yield server


@pytest.fixture
def hub(
    standin_server: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandInHub]:
    """The stand-in Hub in the place of the real one, with an empty cache; nothing can be asked that
    is not on this machine.
    """
    for name, text in ADDRESS.items():
        monkeypatch.setattr(constants, name, text.format(url=standin_server.url))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache" / "hub"))
    monkeypatch.setattr(
        "huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "cache" / "assets")
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_a_token_of_no_worth")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the tries of a request
    monkeypatch.delenv(data.VARIABLE, raising=False)
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        assert not isinstance(address, tuple) or address[0] in (
            "127.0.0.1",
            "localhost",
        ), f"{address} was asked"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)
    standin_server.faults.clear()
    standin_server.asked.clear()
    yield standin_server
    standin_server.faults.clear()
    forget_uploads(standin_server.root, "owner")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and the Hub may not be asked any more."""
    return lambda: monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def published(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> StandInHub:
    """The Hub, and the files of other places; architectures whose size is written in the code are
    small, and file hashes are theirs.

    Judges and VQAScore are not asked about the photograph that they are checked with: random
    weights see nothing in it.
    """
    monkeypatch.setattr(DataFile, "url", property(lambda file: f"{hub.url}/files/{_name_of(file)}"))
    names = {name: (hub.root / "files" / name).read_bytes() for name in prompts.all_files()}
    pins = {name: hashlib.sha256(content).hexdigest() for name, content in names.items()}
    monkeypatch.setattr(
        data,
        "FILES",
        {
            name: DataFile(data.FILES[name].origin, data.FILES[name].path, pin)
            for name, pin in pins.items()
        },
    )
    monkeypatch.setattr(compbench, "load_parses", lambda _="": prompts.parses())
    for cached in (
        geneval._published,
        dpg_vlm._published,
        compbench_prompts.category_prompts,
        compbench_prompts.kinds_of_complex,
    ):
        cached.cache_clear()
    compbench_prompts.countable_objects.cache_clear()
    monkeypatch.setattr(judge, "class_names", lambda: tuple(mask2former.NAMES))
    _small(hub, monkeypatch)
    for kind in (judge.GenEvalJudge, compbench.CompBenchJudge, VQAScore):
        monkeypatch.setattr(kind, "verify", lambda _: None)
    return hub


def _name_of(file: DataFile) -> str:
    return next(
        name
        for name, known in data.FILES.items()
        if known.path == file.path and known.origin == file.origin
    )


def _small(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagereward, "published_vision", lambda: rewards.VISION)
    monkeypatch.setattr(imagereward, "published_text", lambda: rewards.TEXT)
    monkeypatch.setattr(
        "hnbench.rewards.hpsv2.open_clip.get_model_config",
        lambda name: repositories.COLOURS if name == COLOUR_NAME else rewards.OPEN_CLIP,
    )
    config = hub.root / f"{COLOUR_NAME}.json"
    config.write_text(json.dumps(repositories.COLOURS))
    open_clip.add_model_config(config)
    monkeypatch.setattr(colours, "ARCHITECTURE", COLOUR_NAME)
    monkeypatch.setattr(conversion, "official_config", mask2former.config)
    for module, name, file in (
        (conversion, "CHECKPOINT", repositories.DETECTOR_FILE),
        (lpips, "ALEXNET", repositories.ALEXNET_FILE),
    ):
        monkeypatch.setattr(module, f"{name}_URL", f"{hub.url}/{file}")
        monkeypatch.setattr(
            module, f"{name}_SHA256", hashlib.sha256((hub.root / file).read_bytes()).hexdigest()[:8]
        )


COLOUR_NAME = "tiny-quickgelu"


@pytest.fixture
def hnbench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hnbench:
    """Run a command line in an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="hnbench")

    return call
